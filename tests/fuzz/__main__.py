"""Runs the fuzzer on all cores and reports what it finds; exit status 1 if that is anything."""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PATIENCE = 20  # seconds without an answer: a case waits for something, and uses no processor time


def run_cases(kind: str, first: int, stop: int) -> tuple[int, list[str]]:
    """Run cases in worker processes, a new one after each that a case has ended.

    Returns the number of cases that were compared with `reference/`, and the findings.
    """
    comparisons, findings = 0, []
    while first < stop:
        with tempfile.TemporaryDirectory() as folder:
            worker = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.worker", kind, str(first), str(stop), folder],
                cwd=PROJECT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "HOME": folder, "HF_HUB_OFFLINE": "1"},
            )
            assert worker.stdout is not None
            if not worker.stdout.readline():
                raise RuntimeError(f"a worker did not start: {worker.communicate()[1].decode(errors='replace')}")
            while answers := select.select([worker.stdout], [], [], PATIENCE)[0]:
                if not (line := worker.stdout.readline()):
                    break
                number, finding, compared = json.loads(line)
                first = number + 1
                comparisons += compared
                if finding:
                    findings.append(f"{kind} {number}: {finding}")
            if not answers:
                worker.kill()
            last = worker.communicate()[1].decode(errors="replace").strip().splitlines()[-1:]
        if first < stop:
            end = f"ends the process with {worker.returncode}: {last}" if answers else "waits for ever"
            findings.append(f"{kind} {first}: {end}")
            first += 1
    return comparisons, findings


def fuzz(files: int, calls: int, first: int = 0) -> tuple[int, list[str]]:
    """Run this many cases of each kind, from a number on. Returns the number of comparisons, and the findings."""
    processes = len(os.sched_getaffinity(0))
    jobs = []
    for kind, count in (("files", files), ("calls", calls)):
        edges = [first + count * part // processes for part in range(processes + 1)]
        jobs += [(kind, start, stop) for start, stop in pairwise(edges)]
    with ThreadPoolExecutor(processes) as pool:
        comparisons, findings = zip(*pool.map(lambda job: run_cases(*job), jobs), strict=True)
    return sum(comparisons), list(chain(*findings))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="mutated files (default: 10000)")
    parser.add_argument("--calls", type=int, default=5_000, help="calls (default: 5000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (default: 0)")
    options = parser.parse_args()
    comparisons, findings = fuzz(options.files, options.calls, options.first)
    totals = f"{options.files} files, {options.calls} calls, {comparisons} comparisons, {len(findings)} findings"
    print("\n".join([*findings, totals]))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
