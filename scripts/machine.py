"""What machine and what versions a measurement was made with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
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
