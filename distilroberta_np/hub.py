"""Where a model comes from: a folder, this checkout, the hub's cache, or the hub itself, in that order.

Nothing here connects unless a model is asked for by name and isn't on the machine. huggingface_hub does the transfers;
it is imported only then, because that import alone takes longer than answering a sentence.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .checkpoint.load import INDEX_FILE, WEIGHTS_FILE, shard_names
from .config import read_json
from .errors import CheckpointError, HubError

PUBLISHED = "distilbert/distilroberta-base"
PUBLISHED_REVISION = "fb53ab8802853c8e4fbdbcd0529f21fc6f459b2b"
_OLD_NAMES = {"distilroberta-base": PUBLISHED}

# Each part of a model, and the sets of files that serve for it, best first.
CONFIG, WEIGHTS, TOKENIZER = "config", "weights", "tokenizer"
_FILES: dict[str, tuple[tuple[str, ...], ...]] = {
    CONFIG: (("config.json",),),
    WEIGHTS: ((WEIGHTS_FILE,), (INDEX_FILE,)),
    TOKENIZER: (("tokenizer.json",), ("vocab.json", "merges.txt")),
}
_TOKENIZER_SETTINGS = "tokenizer_config.json"  # read where it is there; most of what it says is tokenizer.json's too
_EVERYTHING = (CONFIG, WEIGHTS, TOKENIZER)

_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_PACKAGE = Path(__file__).parent
_PROJECT = _PACKAGE.parent

_T = TypeVar("_T")


def resolve_model(
    name_or_path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    parts: Iterable[str] = (CONFIG, WEIGHTS),
) -> Path:
    """The folder that holds a model's files, after fetching them if need be.

    A folder is taken as it is and never touches the network. A name is looked up in this checkout's weights/ and in
    the hub's cache, and fetched when it isn't there; what is in the cache is used without asking whether the hub has
    something newer (`download_model` asks).

    Raises:
        HubError: no such folder or name, no connection, no permission, no space, or a damaged transfer.
    """
    parts = tuple(parts)
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        if revision is not None:
            raise HubError(f"{path} is a folder, which has no revision {revision!r}; leave the revision out")
        return path
    name = os.fspath(name_or_path)
    if isinstance(name_or_path, os.PathLike) or not _NAME.fullmatch(name) or name.startswith("."):
        what = "a file; give the folder it is in" if path.is_file() else "no folder, and no name of a model on the hub"
        raise HubError(f"{name!r} is {what}")
    found = find_local(name, revision=revision, cache_dir=cache_dir, parts=parts)
    if found is not None:
        return found
    if local_files_only or _offline():
        why = "local_files_only is set" if local_files_only else "HF_HUB_OFFLINE is set"
        raise HubError(
            f"{name} is not on this machine, or not all of it ({', '.join(parts)}), and {why}. "
            f"Fetch it where there is a network with `distilroberta-np download {name}`, or give a folder that has it"
        )
    return download_model(name, revision=revision, cache_dir=cache_dir, parts=parts)


def find_local(
    name: str,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    parts: Iterable[str] = _EVERYTHING,
) -> Path | None:
    """The folder of a model that is already here with all the parts asked for, or None. Never connects."""
    parts = tuple(parts)
    repo, pinned = _repo_and_revision(name, revision)
    candidates = []
    if (repo, pinned) == (PUBLISHED, PUBLISHED_REVISION) and cache_dir is None:
        candidates.append(_PROJECT / "weights" / "distilroberta-base")
    # A model can lie in the cache under the name it had when it was fetched.
    names = [repo, *(old for old, new in _OLD_NAMES.items() if new == repo)]
    candidates += [folder for known in names if (folder := _cached_snapshot(known, pinned, cache_dir)) is not None]
    return next((folder for folder in candidates if not _missing(folder, parts)), None)


def find_published() -> Path | None:
    """The published checkpoint's folder if it is on this machine, else None. Never connects."""
    return find_local(PUBLISHED)


def find_embedded() -> Path:
    """The folder of the model that comes with the package."""
    return package_data("weights/tiny")


def package_data(name: str) -> Path:
    """A file or folder that the wheel carries inside the package, and a checkout at its top."""
    for root in (_PACKAGE, _PROJECT):
        if (root / name).exists():
            return root / name
    raise HubError(f"{name} is missing from this installation of distilroberta_np; install it again")


def default_model() -> Path:
    """The model that answers when none is named: the published one if it is here, else the embedded one.

    Says on stderr which it is, and how to get the other. Never connects.
    """
    published = find_published()
    if published is not None:
        print(f"Answering with {PUBLISHED} from {published} (the embedded model: {find_embedded()}).", file=sys.stderr)
        return published
    print(
        f"Answering with the small embedded model; {PUBLISHED} is not on this machine. "
        "Fetch it (331 MB) with `distilroberta-np download`, or name a model.",
        file=sys.stderr,
    )
    return find_embedded()


def download_target() -> Path | None:
    """Where `distilroberta-np download` puts the published model: into a checkout's weights/, or None for the cache."""
    in_checkout = (_PROJECT / "pyproject.toml").is_file() and (_PROJECT / "weights").is_dir()
    return _PROJECT / "weights" / "distilroberta-base" if in_checkout else None


def download_model(
    name: str = PUBLISHED,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_dir: Path | None = None,
    parts: Iterable[str] = _EVERYTHING,
) -> Path:
    """Fetch what is missing or changed of a model, with progress bars, and check the weights' SHA-256.

    Args:
        name: the model's name on the hub.
        revision: branch, tag or commit; the published model's pinned commit, and "main" of any other, if None.
        cache_dir: the hub's cache, where it isn't the usual one.
        local_dir: put plain files into this folder instead of the cache.
        parts: which of "config", "weights" and "tokenizer" to fetch.

    Returns:
        The folder that holds the files.

    Raises:
        HubError: as `resolve_model`; what had come whole is kept, and the next try goes on from there.
    """
    import huggingface_hub

    from . import __version__

    repo, pinned = _repo_and_revision(name, revision)
    if _offline():
        raise HubError(f"HF_HUB_OFFLINE is set, so {name} can't be fetched; unset it, or give a folder that has the model")
    transfer = _Transfer(repo, pinned)
    api = huggingface_hub.HfApi(library_name="distilroberta_np", library_version=__version__)
    info = transfer.run(
        lambda: api.model_info(
            repo, revision=pinned, files_metadata=True, timeout=huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT
        )
    )
    siblings = {sibling.rfilename: sibling for sibling in info.siblings or ()}

    def fetch(filename: str) -> Path:
        before = find_file(filename)
        path = Path(
            transfer.run(
                lambda: api.hf_hub_download(
                    repo, filename, revision=pinned, cache_dir=cache_dir, local_dir=local_dir
                )
            )
        )
        lfs = siblings[filename].lfs if filename in siblings else None
        if lfs is not None and before is None:
            _check_sha256(path, lfs.sha256)
        return path

    def find_file(filename: str) -> Path | None:
        folder = local_dir if local_dir is not None else _cached_snapshot(repo, pinned, cache_dir)
        return folder / filename if folder is not None and (folder / filename).exists() else None

    folder = None
    for part in parts:
        files = next((files for files in _FILES[part] if all(file in siblings for file in files)), None)
        if files is None:
            raise HubError(_nothing_for(part, repo, pinned, siblings))
        for file in files:
            folder = fetch(file).parent
            if file == INDEX_FILE:
                for shard in _shards(folder):
                    fetch(shard)
        if part == TOKENIZER and _TOKENIZER_SETTINGS in siblings:
            fetch(_TOKENIZER_SETTINGS)
    if folder is None:
        raise ValueError("parts must name at least one of 'config', 'weights' and 'tokenizer'")
    return folder


@dataclass(frozen=True)
class _Transfer:
    """Calls of huggingface_hub about one model, whose errors come out as a sentence of ours."""

    repo: str
    revision: str

    def run(self, call: Callable[[], _T]) -> _T:
        try:
            return call()
        # Whatever goes wrong in there: its transport, and with it the exceptions, changes from version to version.
        except Exception as error:
            raise HubError(f"{self.repo} can't be fetched: {self._reason(error)}") from error

    def _reason(self, error: Exception) -> str:
        from huggingface_hub import errors

        # The cause may be wrapped, as a failed connection in "not found in the cache".
        chain = [error]
        while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and isinstance(cause, Exception):
            chain.append(cause)
        for item in chain:
            if isinstance(item, errors.GatedRepoError):
                return "its authors ask for consent first. Give it on the model's page, then log in with `hf auth login`"
            if isinstance(item, errors.RepositoryNotFoundError):
                return "the hub knows no such model, or it is private. Check the name; for a private one, `hf auth login`"
            if isinstance(item, errors.RevisionNotFoundError):
                return f"it has no revision {self.revision!r}. Check the branch, tag or commit"
            if isinstance(item, errors.EntryNotFoundError) and not isinstance(item, errors.LocalEntryNotFoundError):
                return f"a file of it is not there any more ({item})"
        for item in chain:
            status = getattr(getattr(item, "response", None), "status_code", None)
            if isinstance(status, int):
                later = "try again later" if status >= 500 or status == 429 else "check the name and your access"
                return f"the hub answered with HTTP status {status}; {later}"
        for item in chain:
            if isinstance(item, OSError) and item.errno in (errno.ENOSPC, errno.EDQUOT):
                return (
                    "the disk is full. Make room, or point HF_HOME at a larger disk; what has come whole is kept"
                )
            if isinstance(item, PermissionError):
                return f"no permission to write {item.filename}. Point HF_HOME at a folder of yours"
        return (
            f"no connection, or it broke off ({_one_line(chain[-1])}). Check the network and try again: "
            "what has come whole is kept. Without a network, give a folder that has the model"
        )


def _check_sha256(path: Path, expected: str) -> None:
    with open(path, "rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != expected:
        blob = path.resolve()
        path.unlink()
        blob.unlink(missing_ok=True)
        raise HubError(
            f"{path.name} was damaged on its way: its SHA-256 is {actual}, and the hub says {expected}. "
            "It has been deleted; try again"
        )


def _repo_and_revision(name: str, revision: str | None) -> tuple[str, str]:
    repo = _OLD_NAMES.get(name, name)
    return repo, revision or (PUBLISHED_REVISION if repo == PUBLISHED else "main")


def _cached_snapshot(repo: str, revision: str, cache_dir: str | os.PathLike[str] | None) -> Path | None:
    """The folder of the hub's cache for a revision: models--ORG--NAME/snapshots/COMMIT, a branch's commit in refs/."""
    from huggingface_hub import constants

    root = Path(cache_dir or constants.HF_HUB_CACHE).expanduser() / ("models--" + repo.replace("/", "--"))
    try:
        commit = (root / "refs" / revision).read_text().strip()
    except (OSError, ValueError):
        commit = revision
    folder = root / "snapshots" / commit
    return folder if folder.is_dir() else None


def _missing(folder: Path, parts: Iterable[str]) -> list[str]:
    """The parts whose files are not all in a folder."""
    return [
        part
        for part in parts
        if not any(
            all((folder / file).exists() for file in files)
            and (INDEX_FILE not in files or all((folder / shard).exists() for shard in _shards(folder)))
            for files in _FILES[part]
        )
    ]


def _shards(folder: Path) -> list[str]:
    index = read_json(folder / INDEX_FILE, CheckpointError)
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    return shard_names(folder / INDEX_FILE, weight_map if isinstance(weight_map, dict) else {})


def _nothing_for(part: str, repo: str, revision: str, siblings: dict[str, Any]) -> str:
    wanted = " or ".join(" and ".join(files) for files in _FILES[part])
    message = f"{repo} at {revision} has no {wanted}"
    if part == WEIGHTS and any(name.endswith((".bin", ".pt")) for name in siblings):
        message += (
            "; it has only pickles, which can run any code when they are opened, so they are not. "
            "Convert it where you trust it: load it with transformers and call save_pretrained"
        )
    return message


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
