"""A contender of a benchmark: a process of its own that does one task at a time and times it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
# Thread pools spin for some milliseconds while they wait for more work, and would slow the next contender.
PAUSE = 0.2


class Contender:
    """Runs `python -m MODULE NAME FOLDER THREADS`, which prints "ready" and answers each line of JSON with another."""

    def __init__(self, module: str, name: str, folder: Path, threads: int) -> None:
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, name, str(folder), str(threads)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | limits | {"TOKENIZERS_PARALLELISM": "false"},
        )
        self._read()

    def _read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args}: ended early")
        return line

    def run(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._read())
        time.sleep(PAUSE)
        return answer


@contextmanager
def contenders(module: str, folders: Mapping[str, tuple[str, Path]], threads: int) -> Iterator[dict[str, Contender]]:
    """Contenders by label, each given as its name and its folder; all are ended on the way out."""
    with ExitStack() as stack:
        started = {}
        for label, (name, folder) in folders.items():
            started[label] = Contender(module, name, folder, threads)
            stack.callback(started[label].process.kill)
        yield started
