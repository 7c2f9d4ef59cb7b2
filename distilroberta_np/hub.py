"""From a model's name to its folder: a folder, this checkout, the hub's cache, or the hub itself, in that order.

Nothing here connects unless a model is given by name and is not on the machine. huggingface_hub is imported only where
it is needed, because that takes longer than answering a sentence.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ._version import __version__
from .checkpoint.sentence_folder import (
    ENCODER_SETTINGS_FILES,
    MODULES_FILE,
    SETTINGS_FILE,
    Module,
    encoder_path,
    read_modules,
)
from .checkpoint.shards import INDEX_FILE, WEIGHTS_FILE, shard_files
from .errors import DistilRobertaError, HubError
from .files import LARGEST_JSON
from .hub_cache import COMMIT, HASH, CachedModel
from .messages import shown
from .pretrained import CONFIG, MODULES, TOKENIZER, WEIGHTS, Pretrained
from .transfer import RefusalError, fetch_file, fetch_json, file_hash

PUBLISHED = "distilbert/distilroberta-base"
PUBLISHED_REVISION = "fb53ab8802853c8e4fbdbcd0529f21fc6f459b2b"
_OLD_NAMES = {"distilroberta-base": PUBLISHED}

# The files that each part of a model needs, in alternative sets, best first.
_FILES: dict[str, tuple[tuple[str, ...], ...]] = {
    CONFIG: (("config.json",),),
    WEIGHTS: ((WEIGHTS_FILE,), (INDEX_FILE,)),
    TOKENIZER: (("tokenizer.json",), ("vocab.json", "merges.txt")),
}
# Those that are read if they are there.
_OPTIONAL = {TOKENIZER: ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")}
# The optional modules of sentence-transformers after the encoder. These files are read from their folders, of which
# the encoder has one too in old models.
_READ_OF_MODULES = (".json", ".safetensors", "merges.txt")
_EVERYTHING = (CONFIG, WEIGHTS, TOKENIZER, MODULES)

_WITHOUT_ORGANIZATION = (
    "distilroberta-base",
    "roberta-base",
    "roberta-large",
    "roberta-large-mnli",
    "roberta-base-openai-detector",
    "roberta-large-openai-detector",
)
_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
# A branch, tag or commit, and a file in a repository: relative paths that lead nowhere else on any system.
_REVISION = re.compile(r"[\w-][\w.+-]*(/[\w-][\w.+-]*)*", re.ASCII)
_FILE = re.compile(r"[\w-][\w. +-]*(/[\w-][\w. +-]*)*", re.ASCII)
_LARGEST_WEIGHTS = 64 * 2**30
_PACKAGE = Path(__file__).parent
_PROJECT = _PACKAGE.parent


def resolve_model(
    name_or_path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    parts: Collection[str] = (CONFIG, WEIGHTS),
) -> Path:
    """Return the folder of a model's files, and fetch them if necessary.

    A folder is used as it is and needs no network. A name is looked up in this checkout's weights/ and in the hub's
    cache, and fetched if it is not there. Files in the cache are verified before their first use, and used without
    asking the hub for newer ones (`download_model` asks).

    Args:
        name_or_path: a folder, or the name of a model on the hub.
        revision: branch, tag or commit; the published model's pinned commit, and "main" of any other, if None.
        cache_dir: the hub's cache, if not the usual one.
        parts: the parts that are needed, of "config", "weights", "tokenizer" and "modules".

    Raises:
        HubError: no such folder or name, no connection, no permission, no space, or a damaged transfer.
        CheckpointError: the index of the shards is malformed.
        ConfigError: the list of modules is malformed.
    """
    if not isinstance(name_or_path, str | os.PathLike):
        raise TypeError(f"a model's name must be a string or a path, not {type(name_or_path).__name__}")
    name = os.fspath(name_or_path)
    path = Path(os.path.expanduser(name))  # noqa: PTH111 (Path.expanduser raises where there is no such user)
    if name and path.is_dir():
        if revision is not None:
            raise HubError(f"{path} is a folder and has no revision {revision!r}; omit the revision")
        return _model_in(path)
    if path.is_file():
        raise HubError(f"{name!r} is a file; give its folder")
    similar = _similar_folder(path)
    meant = "" if similar is None else f"; did you mean {similar}?"
    if isinstance(name_or_path, os.PathLike) or not _NAME.fullmatch(name) or name.startswith("."):
        advice = meant or "; give an existing one, or a model's name on the hub, such as distilroberta-base"
        raise HubError(f"there is no folder {name!r}{advice}")
    offline = local_files_only or _offline()
    found = find_local(name, revision=revision, cache_dir=cache_dir, parts=parts, offline=offline)
    if found is not None:
        return found
    if similar is not None and not Path(path.parts[0]).exists() and similar.name == path.name:
        raise HubError(f"there is no folder {name}{meant}")
    if offline:
        why = "local_files_only is set" if local_files_only else "HF_HUB_OFFLINE is set"
        raise HubError(
            f"{name} is not on this machine, or incomplete or damaged ({', '.join(parts)}), and {why}. "
            f"Fetch it with `distilroberta-np download {name}` while connected, or give a folder that has it{meant}"
        )
    try:
        return download_model(name, revision=revision, cache_dir=cache_dir, parts=parts)
    except HubError as error:
        raise HubError(f"there is no folder {name}, and {error}{meant}") from error.__cause__


def _similar_folder(path: Path) -> Path | None:
    """The folder of a model that `path` probably misspells, such as run/checkpoint for rnu/chekpoint."""
    folder = Path(path.anchor)
    try:
        for part in path.parts[bool(path.anchor) :]:
            if not (folder / part).is_dir():
                close = get_close_matches(part, (each.name for each in folder.iterdir() if each.is_dir()), 1)
                part = close[0] if close else part
            folder /= part
        return folder if (_model_in(folder) / "config.json").exists() else None
    except (OSError, ValueError):  # no permission, or a path that no system has
        return None


def _model_in(folder: Path) -> Path:
    """The folder itself; or in the folder of a training run the best model, or the last checkpoint."""
    candidates = (folder, folder / "best", folder / "checkpoint")
    return next((each for each in candidates if (each / "config.json").exists()), folder)


def find_local(
    name: str,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    parts: Collection[str] = _EVERYTHING,
    offline: bool = False,
) -> Path | None:
    """Return the folder of a model that is on this machine with all the parts, or None. Never connects.

    Args:
        name, revision, cache_dir, parts: as `resolve_model`.
        offline: take a model of which it is unknown whether it has modules as one without.

    Raises CheckpointError, ConfigError: as `resolve_model`.
    """
    repo, pinned = _repo_and_revision(name, revision)
    published = (repo, pinned) == (PUBLISHED, PUBLISHED_REVISION)
    if published:
        parts = tuple(part for part in parts if part != MODULES)  # it has none
        checkout = _PROJECT / "weights" / "distilroberta-base"
        if cache_dir is None and _is_complete(checkout, parts, Path.exists, offline):
            return checkout
    # A model can lie in the cache under the name it had when it was fetched.
    for known in (repo, *(old for old, new in _OLD_NAMES.items() if new == repo)):
        cached = CachedModel(known, cache_dir)
        folder = cached.snapshot(pinned)
        if folder is not None and _is_complete(
            folder, parts, cached.has, offline or cached.lacks(folder.name, MODULES_FILE)
        ):
            return folder
    return None


def find_published() -> Path | None:
    """Return the published checkpoint's folder if it is on this machine, else None. Never connects."""
    return find_local(PUBLISHED)


def find_embedded() -> Path:
    """Return the folder of the model that comes with the package."""
    return package_data("weights/tiny")


def package_data(name: str) -> Path:
    """Return a file or folder that a wheel has inside the package, and a checkout at its top."""
    for root in (_PACKAGE, _PROJECT):
        if (root / name).exists():
            return root / name
    raise HubError(f"{name} is missing from this installation of distilroberta_np; install it again")


def default_model() -> Path:
    """Return the model to use when none is named: the published one if it is here, else the embedded one.

    Says on stderr which it is, and how to get the other. Never connects.
    """
    published, embedded = find_published(), find_embedded()
    if published is not None:
        notice = f"Using {PUBLISHED} from {published} (the embedded model: {embedded})."
    else:
        notice = (
            f"Using the small embedded model: {PUBLISHED} is not on this machine. "
            "Fetch it (331 MB) with `distilroberta-np download`, or name a model."
        )
    if sys.stderr is not None:  # closed; print would take standard output instead
        print(notice, file=sys.stderr)
    return published or embedded


def download_target(name: str, revision: str | None) -> Path | None:
    """The folder into which `distilroberta-np download` puts a model: weights/ of a checkout for the published model,
    and None, the cache, for any other."""
    in_checkout = (_PROJECT / "pyproject.toml").is_file() and (_PROJECT / "weights").is_dir()
    published = _repo_and_revision(name, revision) == (PUBLISHED, PUBLISHED_REVISION)
    return _PROJECT / "weights" / "distilroberta-base" if in_checkout and published else None


def download_model(
    name: str = PUBLISHED,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_dir: Path | None = None,
    parts: Collection[str] = _EVERYTHING,
) -> Path:
    """Fetch the missing and changed files of a model, with progress bars, and verify all of them.

    Args:
        name, revision, cache_dir: as `resolve_model`.
        local_dir: the folder for the files, instead of the cache.
        parts: the parts to fetch, of "config", "weights", "tokenizer" and "modules" (those of sentence-transformers, if
            the model has any; the config comes with them).

    Returns the folder of the files. Raises HubError, CheckpointError, ConfigError: as `resolve_model`. Complete files
    are kept for the next attempt.
    """
    if not parts:
        raise ValueError("parts must name at least one of 'config', 'weights', 'tokenizer' and 'modules'")
    if MODULES in parts and CONFIG not in parts:
        parts = (CONFIG, *parts)
    repo, revision = _repo_and_revision(name, revision)
    if _offline():
        raise HubError(f"HF_HUB_OFFLINE is set, so {name} cannot be fetched; unset it, or give a folder of the model")
    with _errors_in_a_sentence(repo, revision):
        remote = _RemoteModel(repo, revision)
        cached = CachedModel(repo, cache_dir)

        def fetch(filename: str) -> Path:
            """The folder of the whole model, after fetching one of its files."""
            size, expected = remote.size_and_hash(filename)
            url = f"{remote.files_url}/{quote(filename)}"
            if local_dir is None:
                path = cached.fetch(url, remote.headers, remote.commit, filename, size, expected)
            else:
                path = local_dir / filename
                path.parent.mkdir(parents=True, exist_ok=True)
                if not path.is_file() or file_hash(path, expected) != expected:
                    fetch_file(url, remote.headers, path, size, expected, filename)
            return path.parents[filename.count("/")]

        there, modules = remote.files.keys(), []
        if MODULES in parts and MODULES_FILE in there:
            # The settings come first: if they were cut off after the rest, nothing would show that they are missing.
            modules = read_modules([fetch(name) for name in (*_settings_of_modules(there), MODULES_FILE)][-1])
        files, encoder = _files_read(parts, f"{repo} at {revision}", there, modules)
        folder = [fetch(file) for file in files][-1]
        if encoder + INDEX_FILE in files:
            for shard in shard_files(folder / encoder):
                fetch(encoder + shard)
        if local_dir is None and remote.commit != revision:
            cached.note(f"refs/{revision}", remote.commit)
        if local_dir is None and MODULES in parts and MODULES_FILE not in there:
            cached.note(f".no_exist/{remote.commit}/{MODULES_FILE}")
        return folder


class _RemoteModel:
    """A repository of the hub at a revision. Nothing that the server says is used before it is checked.

    Attributes:
        commit: of the revision, 40 hexadecimal digits.
        files: by their names, those that no system could take for another path.
        files_url: under which they can be fetched.
        headers: for requests, with the user's token if there is one.
    """

    def __init__(self, repo: str, revision: str) -> None:
        from huggingface_hub.constants import ENDPOINT
        from huggingface_hub.utils import build_hf_headers, validate_repo_id

        validate_repo_id(repo)
        self._repo = repo
        self.headers = build_hf_headers(library_name="distilroberta_np", library_version=__version__)
        endpoint = ENDPOINT.rstrip("/")
        url = f"{endpoint}/api/models/{repo}/revision/{quote(revision, safe='')}?blobs=true"
        info = fetch_json(url, self.headers)
        if not isinstance(info, dict) or not isinstance(info.get("siblings"), list):
            raise ValueError("the answer does not list the files of a model")
        commit = info.get("sha")
        if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
            raise HubError(f"{repo}: the hub names {shown(commit)} as the commit of {revision}, which is no commit")
        if COMMIT.fullmatch(revision) and commit != revision:
            raise HubError(f"{repo}: the hub answers with commit {commit} instead of {revision}")
        self.commit = commit
        self.files_url = f"{endpoint}/{repo}/resolve/{commit}"
        self.files: dict[str, dict[str, Any]] = {}
        for entry in info["siblings"]:
            name = entry.get("rfilename") if isinstance(entry, dict) else None
            if isinstance(name, str) and _FILE.fullmatch(name):
                self.files[name] = entry

    def size_and_hash(self, filename: str) -> tuple[int, str]:
        """A file's size in bytes, and the hash of its content. Raises HubError if the server tells nothing usable."""
        if filename not in self.files:
            raise HubError(f"{self._repo} has no {filename}, which its {INDEX_FILE} names; tell its authors")
        entry, lfs = self.files[filename], self.files[filename].get("lfs")
        if isinstance(lfs, dict):
            size, expected, digits, largest = lfs.get("size"), lfs.get("sha256"), 64, _LARGEST_WEIGHTS
        else:
            size, expected, digits, largest = entry.get("size"), entry.get("blobId"), 40, LARGEST_JSON
        if not isinstance(expected, str) or not HASH.fullmatch(expected) or len(expected) != digits:
            raise HubError(f"{self._repo}: the hub names {shown(expected)} as the hash of {filename}, which is no hash")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= largest:
            raise HubError(f"{self._repo}: {filename} must have between 0 and {largest:,} bytes, not {shown(size)}")
        return size, expected


def files_in(folder: Path, parts: Collection[str] = _EVERYTHING) -> list[str]:
    """Return the files of a model's folder that are read for some of its parts, by their paths in it.

    Raises HubError, CheckpointError, ConfigError: as `resolve_model`.
    """
    modules = read_modules(folder) if MODULES in parts and (folder / MODULES_FILE).is_file() else []
    folders = dict.fromkeys(("", *(module.path for module in modules)))
    files = [path for name in folders if (folder / name).is_dir() for path in (folder / name).iterdir()]
    there = [path.relative_to(folder).as_posix() for path in sorted(files) if path.is_file()]
    found, encoder = _files_read(parts, str(folder), there, modules)
    if modules:
        found += [*_settings_of_modules(there), MODULES_FILE]
    if encoder + INDEX_FILE in found:
        found += [encoder + shard for shard in shard_files(folder / encoder)]
    return found


def _settings_of_modules(there: Collection[str]) -> list[str]:
    return [name for name in (SETTINGS_FILE, *ENCODER_SETTINGS_FILES) if name in there]


def _files_read(
    parts: Collection[str], where: str, there: Collection[str], modules: Sequence[Module]
) -> tuple[list[str], str]:
    """Of the files that are there, those that are read for parts of a model; and the encoder's folder, with a slash."""
    encoder = f"{encoder_path(modules)}/".removeprefix("/") if modules else ""
    folders = {module.path for module in modules if module.path}
    files = [name for name in there if name.endswith(_READ_OF_MODULES) and name.rpartition("/")[0] in folders]
    in_encoder = [name.removeprefix(encoder) for name in there if name.startswith(encoder)]
    kinds = [part for part in parts if part != MODULES]
    files += [encoder + file for part in kinds for file in _files_of(part, where, in_encoder)]
    return list(dict.fromkeys(files)), encoder


def _files_of(part: str, where: str, there: Collection[str]) -> tuple[str, ...]:
    """The files that are read for a part of the model."""
    files = next((files for files in _FILES[part] if all(file in there for file in files)), None)
    if files is None:
        alternatives = ", or ".join(" and ".join(files) for files in _FILES[part])
        message = f"{where} has no {alternatives}"
        if part == WEIGHTS and any(name.endswith((".bin", ".pt")) for name in there):
            raise HubError(
                f"{message}, only pickles, which can run any code when they are opened, so they are not opened here. "
                "If you trust it, load it with transformers, call save_pretrained, and give that folder"
            )
        raise HubError(f"{message}. Choose another {'tokenizer' if part == TOKENIZER else 'model'}")
    # The settings come first, for the same reason as those of modules.
    return (*(name for name in _OPTIONAL.get(part, ()) if name in there), *files)


@contextmanager
def _errors_in_a_sentence(repo: str, revision: str) -> Iterator[None]:
    """Turn any error of a transfer into a HubError that says what failed, and what to do."""
    outside = sys.exception()
    try:
        yield
    except DistilRobertaError:
        raise
    # Anything: the exceptions of huggingface_hub and its session change from version to version.
    except Exception as error:
        # The cause is often wrapped. But the exception that the caller was handling is in that chain too.
        chain: list[BaseException] = []
        item: BaseException | None = error
        while item is not None and item is not outside and item not in chain:
            chain.append(item)
            item = item.__cause__ or item.__context__
        reason = next((said for item in chain if (said := _reason(item, revision))), None)
        # A ValueError means that the answer isn't the hub's, but for example the login page of a hotel's network.
        if reason is None and any(isinstance(item, OSError | ValueError) for item in chain):
            reason = (
                f"no connection, or it broke off ({_one_line(chain[-1])}). Check the network and try again: "
                "complete files are kept. Without a network, give a folder that has the model"
            )
        if reason is None:
            reason = f"{type(error).__name__}: {_one_line(error)}. This should not happen; please report it"
        raise HubError(f"{repo} cannot be fetched: {reason}") from error


def _reason(error: BaseException, revision: str) -> str | None:
    """What an exception tells about a failed transfer, and what to do; None if it tells nothing."""
    from huggingface_hub.errors import HFValidationError

    if isinstance(error, HFValidationError):
        return f"this is not a name that a model can have ({_one_line(error)})"
    if isinstance(error, RefusalError):
        if error.code == "GatedRepo":
            return "its authors ask for consent first. Give it on the model's page, then log in with `hf auth login`"
        if error.code == "RevisionNotFound":
            return f"it has no revision {revision!r}. Check the branch, tag or commit"
        if error.code == "RepoNotFound" or (error.status == 401 and "credentials" not in error.reason):
            return (
                "the hub has no such model, or it is private. "
                "Check the name; for a private model, log in with `hf auth login`"
            )
        if error.status in (401, 403):
            return "the hub refuses your access token. Log in again with `hf auth login`, or correct or unset HF_TOKEN"
        later = error.status >= 500 or error.status == 429
        advice = "try again later" if later else "check the name, and HF_ENDPOINT if it is set"
        return f"the hub answered with HTTP status {error.status}; {advice}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "the disk is full. Free some space, or point HF_HOME at a larger disk; complete files are kept"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be used ({error.strerror}). Point HF_HOME at a folder of yours"
    return None


def _repo_and_revision(name: str, revision: str | None) -> tuple[str, str]:
    repo = _OLD_NAMES.get(name, name)
    if repo == PUBLISHED and (revision is None or (len(revision) >= 7 and PUBLISHED_REVISION.startswith(revision))):
        return repo, PUBLISHED_REVISION
    revision = revision or "main"
    if not isinstance(revision, str) or not _REVISION.fullmatch(revision):
        raise HubError(f"{repo}: {shown(revision)} is not a name that a revision can have")
    return repo, revision


def _is_complete(folder: Path, parts: Collection[str], has: Callable[[Path], bool], no_modules: bool) -> bool:
    """Whether a folder has the files of all these parts; `has` says of a file whether it is there and sound, and
    `no_modules` whether a model without a list of modules is known to have none."""

    def sound(path: Path) -> bool:
        return has(path) or not os.path.lexists(path)

    encoder = folder
    if MODULES in parts:
        if not all(sound(folder / name) for name in (MODULES_FILE, SETTINGS_FILE, *ENCODER_SETTINGS_FILES)):
            return False
        if (folder / MODULES_FILE).exists():
            modules = read_modules(folder)
            encoder = folder / encoder_path(modules)
            if not all(has(folder / module.path / name) for module in modules for name in module.files):
                return False
        elif not no_modules:
            return False
    return all(
        all(sound(encoder / name) for name in _OPTIONAL.get(part, ()))
        and any(
            all(has(encoder / file) for file in files)
            and (INDEX_FILE not in files or all(has(encoder / shard) for shard in shard_files(encoder)))
            for files in _FILES[part]
        )
        for part in parts
        if part != MODULES
    )


def in_organization(name_or_path: str | os.PathLike[str], organization: str) -> str | os.PathLike[str]:
    """Put the organization before a bare name, as sentence-transformers does. Folders, and RoBERTa's and
    DistilRoBERTa's own names, stay as they are."""
    if not isinstance(name_or_path, str) or name_or_path.lower() in _WITHOUT_ORGANIZATION:
        return name_or_path
    bare = "/" not in name_or_path and _NAME.fullmatch(name_or_path) and not name_or_path.startswith(".")
    return f"{organization}/{name_or_path}" if bare and not Path(name_or_path).exists() else name_or_path


def _offline() -> bool:
    from huggingface_hub.constants import HF_HUB_OFFLINE

    return HF_HUB_OFFLINE


def _one_line(error: BaseException) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if len(line) <= 200 else line[:197] + "..."


Pretrained.resolve = staticmethod(resolve_model)
