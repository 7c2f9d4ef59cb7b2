"""The machine and the versions of a measurement, and the time and memory of a process."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path


def describe_machine(*packages: str) -> str:
    """The processor, the cores, Python, and the versions of NumPy and of the packages named."""
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in ("numpy", *packages))
    return f"{os.cpu_count()} cores, {_processor()}, Python {platform.python_version()}, {versions}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


# A process of its own starts and measures the command: a child counts what the process it was forked from held.
_LAUNCHER = """
import os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - began, usage.ru_maxrss, status)
"""


def measure_process(command: list[str]) -> tuple[float, float]:
    """Seconds and peak resident memory in bytes of one run. Needs os.wait4 (Linux, macOS)."""
    launched = subprocess.run([sys.executable, "-c", _LAUNCHER, *command], capture_output=True, text=True, check=True)
    seconds, memory, status = map(float, launched.stdout.split())
    if status:
        raise SystemExit(f"{command} failed")
    return seconds, memory * (1 if sys.platform == "darwin" else 1024)
