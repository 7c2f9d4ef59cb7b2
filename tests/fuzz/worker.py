"""Runs cases in this process, under limits, and prints a line of JSON per case: `[number, finding or null, compared]`.

python -m tests.fuzz.worker (files|calls) FIRST STOP FOLDER
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import distilroberta_np
from distilroberta_np import DistilRobertaError
from tests.fuzz.calls import Calls
from tests.fuzz.files import Case, Files

SECONDS = 5  # of the process's own time, so that a busy machine changes nothing
MEMORY = 2**31  # bytes of address space beyond those at the start
PACKAGE = str(Path(distilroberta_np.__file__).parent)
CONNECTIONS = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "pickle.", "marshal.")
CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# What a terminal obeys or what reorders a line; lines and columns are the output's own.
RAW = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")


class TooSlow(BaseException):
    """The limit of time; no `except Exception` hides it."""


def on_alarm(*_: Any) -> None:
    raise TooSlow(f"more than {SECONDS} s of processor time")


class Watch:
    """An audit hook that collects what a case writes outside its folder, or connects to, or starts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.on, self.seen = str(folder), False, list[str]()
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if writes or event in CHANGES:
            path = self.folder if isinstance(arguments[0], int) else os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100
            if not path.startswith(self.folder) and path != os.devnull:
                self.seen.append(f"{event} {path}")
        elif event.startswith(CONNECTIONS) and event != "marshal.loads":
            self.seen.append(f"{event} {arguments!r:.80}")


def is_ours(error: BaseException, kind: str) -> bool:
    """Whether an error is one that the package raises on purpose: its own, or of an argument, raised in its code."""
    if isinstance(error, DistilRobertaError) or kind == "files":
        return isinstance(error, DistilRobertaError)
    last = traceback.extract_tb(error.__traceback__)[-1]
    return isinstance(error, TypeError | ValueError) and last.filename.startswith(PACKAGE)


def run(case: Case, kind: str, watch: Watch) -> str | None:
    """Run a case; return what is wrong with it."""
    output = io.StringIO()
    streams, sys.stdout, sys.stderr = (sys.stdout, sys.stderr), output, output
    wrong: list[str] = []
    watch.on = True
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            case.run()
    except (Exception, TooSlow) as error:
        if not is_ours(error, kind):
            last = traceback.extract_tb(error.__traceback__)[-1]
            wrong.append(f"{type(error).__name__}: {error!s:.200} ({last.filename}:{last.lineno})")
        print(error, file=output)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        watch.on = False
        sys.stdout, sys.stderr = streams
    wrong += watch.seen
    watch.seen.clear()
    for warning in told:
        print(warning.message, file=output)
        if warning.category is not UserWarning:
            wrong.append(f"{warning.category.__name__}: {warning.message} ({warning.filename}:{warning.lineno})")
    if raw := RAW.search(output.getvalue()):
        wrong.append(f"printed raw: {output.getvalue()[max(0, raw.start() - 60) : raw.end() + 20]!r}")
    return f"{case.name:.300}\n    " + "\n    ".join(wrong) if wrong else None


def main() -> None:
    kind, first, stop, name = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    folder = Path(name).resolve()
    cases = Files(folder) if kind == "files" else Calls(folder)
    signal.signal(signal.SIGPROF, on_alarm)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    watch = Watch(folder)
    answers = os.fdopen(os.dup(1), "w")
    print("ready", file=answers, flush=True)
    for number in range(first, stop):
        with cases.case(number) as case:
            finding = run(case, kind, watch)
        print(json.dumps([number, finding, kind == "files" and cases.compared]), file=answers, flush=True)


if __name__ == "__main__":
    main()
