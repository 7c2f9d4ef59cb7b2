"""A seeded fuzzer: mutated files and odd calls, each within limits of time and memory.

    python -m tests.fuzz [--files 10000] [--calls 5000] [--first 0]

The rule it checks: an error of ours or an answer that holds together; no other exception, nothing written outside the
working folder, nothing printed raw, no connection. `files.py` and `calls.py` make the cases, `worker.py` runs them in
a process with limits, `__main__.py` starts the workers and reports.
"""
