"""The folder of a training run. Every run has

    settings.json     the settings, and the SHA-256 of the training data
    losses.csv        one line per update
    losses.png        the same as a picture, if matplotlib is installed
    checkpoint/       the last checkpoint: the model's files, the optimizer's state, and state.json

A stopped run must go on to the bit, or say why it cannot. So each JSON file holds the SHA-256 of itself and of the
files that it vouches for; all are checked before a run is resumed. The folder is locked while a process trains in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from ..checkpoint.save import recover_folder, replace_folder, save_tree
from ..errors import TrainingError
from ..files import atomic_write, locked, open_log, read_json, remove_leftovers, sha256, write_json
from ..layers.params import tree_leaves
from ..runtime.threads import worker_threads
from .device import to_host
from .optim.adamw import AdamState, start
from .settings import TrainingSettings

LOSSES, EVALUATIONS = "losses.csv", "evaluations.csv"
_LOGS = (LOSSES, EVALUATIONS)
_MOMENTS = ("mean", "square")


@contextmanager
def open_run(path: Path) -> Iterator[RunFolder]:
    """Create the folder of a run if need be, and lock it for the block.

    Raises TrainingError: another process trains in the folder, or one of its files is missing or damaged.
    """
    is_new = not path.exists()
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    with locked(path, TrainingError(f"{path}: another process is training here; use another folder")):
        try:
            remove_leftovers(path)
            yield RunFolder(path)
        finally:
            if is_new:
                with suppress(OSError):
                    path.rmdir()  # if nothing was written


class RunFolder:
    """The folder of a run, from `open_run`.

    Attributes:
        path: of the folder.
        settings: what the run was begun with; empty if it is new.
        checkpoint: the folder of the last checkpoint; None without one.
        updates: the number of updates of the last checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings: dict[str, Any] = {}
        self._state: dict[str, Any] = {"updates": 0, "logs": {}}
        self.checkpoint: Path | None = None
        folder = path / "checkpoint"
        recover_folder(folder)
        if folder.exists():
            self.checkpoint, self._state = folder, read_record(folder / "state.json")
        if self.checkpoint is not None or (path / "settings.json").exists():
            self.settings = read_record(path / "settings.json")

    @property
    def updates(self) -> int:
        return int(self._state["updates"])

    def begin(
        self,
        settings: TrainingSettings,
        data: Mapping[str, Sequence[Path]],
        prepare: Callable[[], Iterable[Path]] = tuple,
    ) -> None:
        """Note the settings, or check that the run was begun with the same, but for those that may change. Lines of the
        logs after the last checkpoint are removed, as their updates are made again.

        Args:
            data: the files that the run learns from, by what they are.
            prepare: called for a new run; writes files that the run needs into its folder, and returns their paths.

        Raises TrainingError: the run was begun with other settings or data.
        """
        values = asdict(settings) | {"data": {name: sha256(*files) for name, files in data.items()}}
        if self.settings:
            self._check_settings(values, data, settings.MAY_CHANGE)
        else:
            with writing(self.path):
                write_record(self.path / "settings.json", values, list(prepare()))
        for name in _LOGS:
            path, (size, digest) = self.path / name, self._state["logs"].get(name, (0, None))
            content = path.read_bytes()[:size] if path.exists() else b""
            if size and hashlib.sha256(content).hexdigest() != digest:
                raise _unusable(path)
            if path.exists():
                with writing(path), atomic_write(path) as file:
                    file.write(content)

    def _check_settings(self, values: dict[str, Any], data: Mapping[str, Sequence[Path]], free: Sequence[str]) -> None:
        before = self.settings
        others = sorted(values.keys() - {*free, "data"})
        changed = [
            f"{name} {old!r}, not {values[name]!r}" for name in others if (old := before.get(name)) != values[name]
        ]
        if changed:
            raise TrainingError(
                f"{self.path}: this run was begun with {', '.join(changed)}; give the same settings, or another folder"
            )
        for name in {**before["data"], **data}:
            if before["data"].get(name) != values["data"].get(name):
                given = ", ".join(map(str, data.get(name, ()))) or "none"
                raise TrainingError(
                    f"{self.path}: this run was begun with other {name} than {given}, or its content has changed; "
                    "give the same, or another folder"
                )
        if any(before[name] != values[name] for name in free):
            with writing(self.path):
                write_record(self.path / "settings.json", values, [self.path / name for name in before["sha256"]])

    def resume(self, weights: Any, device: str, say: Callable[[str], None]) -> AdamState:
        """The optimizer's state of the last checkpoint, or the first one.

        Args:
            weights: the tree to train, with the checkpoint's values if there is one.
            say: told if the machine computes in another way than the one of the checkpoint.
        """
        state = start(weights)
        if self.checkpoint is None:
            return state
        for name, tree in zip(_MOMENTS, (state.mean, state.square), strict=True):
            stored = load_file(self.checkpoint / f"optimizer_{name}.safetensors")
            for leaf, (_, values) in zip(tree_leaves(tree), sorted(stored.items()), strict=True):
                leaf[...] = np.asarray(values, like=leaf)
        for name, value in self._machine(device).items():
            if self._state[name] != value:
                say(
                    f"{name}: {self._state[name]} so far, {value} now; results may differ in the last digits from "
                    "those of an uninterrupted run"
                )
        return state._replace(updates=self.updates)

    def save(self, save_model: Callable[[Path], None], state: AdamState, device: str) -> None:
        """Replace the checkpoint, atomically; `save_model` writes the model's files into a folder."""

        def fill(folder: Path) -> None:
            save_model(folder)
            for name, tree in zip(_MOMENTS, (state.mean, state.square), strict=True):
                save_tree(folder / f"optimizer_{name}.safetensors", to_host(tree))
            paths = [self.path / name for name in _LOGS]
            logs = {path.name: [path.stat().st_size, sha256(path)] for path in paths if path.exists()}
            values = {"updates": state.updates, "logs": logs, **self._machine(device)}
            write_record(folder / "state.json", values, folder.iterdir())

        with writing(self.path / "checkpoint"):
            replace_folder(self.path / "checkpoint", fill)
        self._state["updates"] = state.updates

    @staticmethod
    def _machine(device: str) -> dict[str, object]:
        """What the rounding of results depends on."""
        return {"device": device, "BLAS threads": worker_threads(), "NumPy": np.__version__}


def append_row(path: Path, row: Mapping[str, object]) -> None:
    """Append a row to a CSV file of a run, after a header with its keys if the file is new or empty."""
    lines: list[Iterable[object]] = [row.values()]
    if not path.exists() or not path.stat().st_size:
        lines.insert(0, row.keys())
    with writing(path), open_log(path) as file:
        file.writelines(",".join(map(str, cells)) + "\r\n" for cells in lines)


# -- records: JSON files that vouch for others -----------------------------------------------------------------------


def write_record(path: Path, values: Mapping[str, object], files: Iterable[Path] = ()) -> None:
    """Write values as JSON, with the SHA-256 of files next to it, and of itself."""
    digests = {file.name: sha256(file) for file in sorted(files)}
    record = {**values, "sha256": digests}
    write_json(path, record | {"sha256": digests | {path.name: _digest(record)}})


def read_record(path: Path) -> dict[str, Any]:
    """Read what `write_record` wrote, and check the SHA-256 of everything.

    Raises TrainingError: a file is missing or damaged.
    """
    if not path.is_file():
        raise _unusable(path, "missing")
    try:
        record = read_json(path, ValueError)
        if "sha256" not in record:
            raise _unusable(path, "damaged, or from an older version, as it has no SHA-256")
        if record["sha256"].pop(path.name) != _digest(record):
            raise ValueError
    except TrainingError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _unusable(path) from None
    for name, expected in record["sha256"].items():
        file = path.parent / name
        if not file.is_file():
            raise _unusable(file, "missing")
        if sha256(file) != expected:
            raise _unusable(file)
    return dict(record)


def _digest(record: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _unusable(path: Path, why: str = "damaged, as its SHA-256 is not the recorded one") -> TrainingError:
    return TrainingError(f"{path}: {why}; restore the file from a copy, or begin a new run in another folder")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write, as on a full disk, into a TrainingError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise TrainingError(
            f"{path}: cannot be written: {reason}. Make room or choose another folder; the same command goes on from "
            "the last checkpoint"
        ) from None
