"""A job over many parts that can be killed at any time and goes on where it was.

The output folder has a part per input file, `manifest.json` with what the job computes (task, model, options, digests),
and `parts.jsonl` with a line for each finished part. Parts are written atomically, so a part that
is there is whole; the same command skips it.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from .. import __version__
from ..checkpoint.safetensors_file import open_safetensors, write_safetensors
from ..errors import CorpusError
from ..files import (
    INCOMPLETE,
    atomic_write,
    locked,
    open_log,
    read_json,
    remove_leftovers,
    sha256,
    write_json,
    write_text,
)
from ..runtime.threads import worker_threads
from .columns import Task, add_columns, check, model_digests, model_files
from .tables import OUTPUT_SUFFIXES, NewColumns, map_part

MANIFEST, PARTS = "manifest.json", "parts.jsonl"
_ATTEMPTS = 3  # of a part whose process is killed
_FLOATS = ("F32", "F16", "BF16")


@dataclass(frozen=True)
class Part:
    """A finished part: its name, the digest of its input, and its rows."""

    name: str
    input_sha256: str
    rows: int
    errors: int


Result = TypeVar("Result")
Runner = Callable[[Task, Path, Sequence[Path]], Iterator[Part]]


def compute_part(task: Task, folder: Path, source: Path) -> Part:
    """Compute one part and write it. A part can be computed twice without harm."""
    target, before = _target(folder, source), sha256(source)
    with atomic_write(target) as file:
        new = NewColumns(task.inputs, task.outputs, functools.partial(add_columns, task))
        rows, errors = map_part(source, file, new)
        if sha256(source) != before:
            raise CorpusError(f"{source} has changed while its part was computed; give the same command again")
    return Part(target.name, before, rows, errors)


def in_turn(task: Task, folder: Path, sources: Sequence[Path]) -> Iterator[Part]:
    """A `Runner` in this process."""
    return map(functools.partial(compute_part, task, folder), sources)


def run_job(
    task: Task,
    sources: Sequence[Path],
    folder: Path,
    *,
    run: Runner = in_turn,
    report: Callable[[Part], object] = lambda part: None,
) -> tuple[int, int]:
    """Apply a task to every row of many files.

    Args:
        task: what to compute.
        sources: .parquet, .csv, .jsonl or .txt files, with different names.
        folder: for the output; of an unfinished job with the same task, or new.
        run: computes parts and yields them as they finish; in this process, one after another, by default.
        report: is called with each finished part, those of earlier runs first.

    Returns:
        The number of rows of all parts, and of those with an error.

    Raises:
        CorpusError: the files or the folder do not fit.
        DistilRobertaError, ValueError: the model cannot be loaded, or an option is wrong.
    """
    _check_sources(sources)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, CorpusError(f"{folder}: another job is writing into this folder")):
        digests = model_digests(task.name, task.model, task.local_files_only)
        task = replace(task, digests=digests)
        check(task)
        _check_manifest(task, folder)
        remove_leftovers(folder)
        finished = _finished_parts(folder)
        write_text(folder / PARTS, "".join(map(_line, finished.values())))  # without a last line that was cut off
        parts, remaining = [], []
        for source in sources:
            if (part := finished.get(_target(folder, source).name)) is None:
                remaining.append(source)
            elif sha256(source) == part.input_sha256:
                parts.append(part)
            else:
                raise CorpusError(f"{source} has changed since its part was written; use another output folder")
        for part in parts:
            report(part)
        with open_log(folder / PARTS) as log:
            for part in run(task, folder, remaining):
                log.write(_line(part))
                log.flush()
                os.fsync(log.fileno())
                parts.append(part)
                report(part)
    return sum(part.rows for part in parts), sum(part.errors for part in parts)


def in_processes(workers: int, task: Task, folder: Path, sources: Sequence[Path]) -> Iterator[Part]:
    """A `Runner` with several processes on this machine, each with its share of the cores.

    A part whose process is killed is computed again. Raises CorpusError when that has happened three times. When a part
    fails, those that have begun are finished before its error is raised.
    """
    with float32_copy(task, folder) as shared:
        yield from map_in_processes(workers, functools.partial(compute_part, shared, folder), sources)


@contextmanager
def float32_copy(task: Task, folder: Path) -> Iterator[Task]:
    """The task with float32 weights, which processes map and so share. A model in half precision, which each of them
    would convert, is copied into the folder for the block."""
    model, files = model_files(task.name, task.model, task.local_files_only)
    stored = {file: open_safetensors(model / file) for file in files if file.endswith(".safetensors")}
    if not any(tensor.dtype in ("F16", "BF16") for tensors in stored.values() for tensor in tensors.values()):
        yield task
        return
    with tempfile.TemporaryDirectory(INCOMPLETE, "float32.", folder) as name:
        copy = Path(name) / "model"
        for file in files:
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            if file not in stored:
                shutil.copyfile(model / file, copy / file)
                continue
            with open(copy / file, "xb") as target:
                floats = {name: tensor for name, tensor in stored[file].items() if tensor.dtype in _FLOATS}
                write_safetensors(target, {name: tensor.to_float32() for name, tensor in floats.items()})
        yield replace(task, model=str(copy), digests=())


def map_in_processes(workers: int, compute: Callable[[Path], Result], sources: Sequence[Path]) -> Iterator[Result]:
    """Compute sources in processes, and yield the results as they finish. Raises as `in_processes`."""
    kills = dict.fromkeys(sources, 0)  # of processes, per part that is not finished
    failure: Exception | None = None
    while kills and failure is None:
        waiting = iter(list(kills))
        running: dict[Future[Result], Path] = {}
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _end_with_parent)
        try:
            while True:
                # No more parts than processes at a time, so that only those that run are blamed for a kill.
                with _threads_per_process(max(1, worker_threads() // workers)):
                    for source in islice(waiting, 0 if failure else workers - len(running)):
                        running[pool.submit(compute, source)] = source
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    try:
                        result = future.result()
                    except BrokenProcessPool:
                        raise
                    except Exception as error:
                        failure = failure or error
                        del running[future]
                    else:
                        del kills[running.pop(future)]
                        yield result
        except BrokenProcessPool:
            for source in running.values():
                kills[source] += 1
            if often := [str(source) for source, count in kills.items() if count == _ATTEMPTS]:
                what = f"a worker process that computed {' or '.join(often)} was killed three times"
                raise CorpusError(f"{what}; is there enough memory?") from None
        finally:
            pool.shutdown()
    if failure is not None:
        raise failure


def on_dask(address: str, task: Task, folder: Path, sources: Sequence[Path]) -> Iterator[Part]:
    """A `Runner` on a Dask cluster, whose workers see the same files. A part whose worker is lost is computed again."""
    return map_on_dask(address, functools.partial(compute_part, task, folder), sources)


def map_on_dask(address: str, compute: Callable[[Path], Result], sources: Sequence[Path]) -> Iterator[Result]:
    """Compute sources on a Dask cluster, and yield the results as they finish."""
    try:
        from distributed import Client, as_completed
    except ModuleNotFoundError:
        raise CorpusError("--dask needs Dask; install it with: pip install 'distilroberta-np[dask]'") from None
    with Client(address) as client:
        futures = client.map(compute, list(sources), pure=False, retries=_ATTEMPTS)
        for future in as_completed(futures):
            yield future.result()


def _end_with_parent() -> None:
    """End this process when the one that started it has been killed; it would wait for work forever."""

    def wait() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def _threads_per_process(threads: int) -> Iterator[None]:
    """Set the number of BLAS threads of processes started here. NumPy reads it when it is imported."""
    before = os.environ.get("OPENBLAS_NUM_THREADS")
    os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
    try:
        yield
    finally:
        if before is None:
            del os.environ["OPENBLAS_NUM_THREADS"]
        else:
            os.environ["OPENBLAS_NUM_THREADS"] = before


def _check_sources(sources: Sequence[Path]) -> None:
    if not sources:
        raise CorpusError("there are no input files")
    stems: dict[str, Path] = {}
    for source in sources:
        if source.suffix not in OUTPUT_SUFFIXES:
            raise CorpusError(f"{source}: must end in {', '.join(OUTPUT_SUFFIXES)}")
        if not source.is_file():
            raise CorpusError(f"{source}: no such file, or not a regular one")
        name = source.stem + OUTPUT_SUFFIXES[source.suffix]
        if name == PARTS:
            raise CorpusError(f"{source} would be written to {PARTS}, the log of the job; rename it")
        if name in stems:
            raise CorpusError(f"{stems[name]} and {source} would both be written to {name}; rename one")
        stems[name] = source


def _target(folder: Path, source: Path) -> Path:
    return folder / (source.stem + OUTPUT_SUFFIXES[source.suffix])


def _check_manifest(task: Task, folder: Path) -> None:
    """Write the manifest of a new job, or compare it with that of the job in the folder. Raises CorpusError."""
    expected: dict[str, Any] = {
        "version": __version__,
        "task": task.name,
        "inputs": list(task.inputs),
        "options": task.options,
        "model": dict(task.digests),
    }
    path = folder / MANIFEST
    if path.exists():
        found = read_json(path, CorpusError)
        differing = [key for key, value in expected.items() if not isinstance(found, dict) or found.get(key) != value]
        if differing:
            raise CorpusError(f"{path}: the job in this folder differs in {', '.join(differing)}; use another folder")
    elif any(folder.iterdir()):
        raise CorpusError(f"{folder} is not empty and has no {MANIFEST}; use another folder")
    else:
        write_json(path, expected)


def _finished_parts(folder: Path) -> dict[str, Part]:
    """The parts that are done, by name. A last line that a kill cut off does not count."""
    path, parts = folder / PARTS, {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            part = Part(**json.loads(line))
        except (ValueError, TypeError):
            continue
        if (folder / part.name).is_file():
            parts[part.name] = part
    return parts


def _line(part: Part) -> str:
    return json.dumps(asdict(part)) + "\n"
