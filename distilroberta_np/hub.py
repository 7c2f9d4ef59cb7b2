"""Where a model comes from: a folder, this checkout, the hub's cache, or the hub itself, in that order.

Nothing here connects unless a model is asked for by name and isn't on the machine. huggingface_hub does the transfers;
all of it is imported only then, because that takes longer than answering a sentence. Its constants are cheap.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ._version import __version__
from .checkpoint.sentence_folder import (
    ENCODER_SETTINGS_FILES,
    MODULES_FILE,
    SETTINGS_FILE,
    encoder_path,
    read_modules,
)
from .checkpoint.shards import INDEX_FILE, WEIGHTS_FILE, shard_files
from .errors import DistilRobertaError, HubError
from .pretrained import CONFIG, MODULES, TOKENIZER, WEIGHTS, set_resolver

PUBLISHED = "distilbert/distilroberta-base"
PUBLISHED_REVISION = "fb53ab8802853c8e4fbdbcd0529f21fc6f459b2b"
_OLD_NAMES = {"distilroberta-base": PUBLISHED}

# The files that each part of a model needs, in alternative sets, best first.
_FILES: dict[str, tuple[tuple[str, ...], ...]] = {
    CONFIG: (("config.json",),),
    WEIGHTS: ((WEIGHTS_FILE,), (INDEX_FILE,)),
    TOKENIZER: (("tokenizer.json",), ("vocab.json", "merges.txt")),
}
_TOKENIZER_SETTINGS = "tokenizer_config.json"  # read where it is there; most of what it says is tokenizer.json's too
# The part that not every model has: what sentence-transformers puts behind the encoder. Of a module's folder this is
# read; in one of old the encoder has a folder too, with everything of its own in it.
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
_PACKAGE = Path(__file__).parent
_PROJECT = _PACKAGE.parent


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
        CheckpointError: the index of the weights' shards is malformed.
        ConfigError: the list of modules is malformed.
    """
    parts = tuple(parts)
    if not isinstance(name_or_path, str | os.PathLike):
        raise TypeError(f"a model is named by a string or a path, not by a {type(name_or_path).__name__}")
    name = os.fspath(name_or_path)
    path = Path(os.path.expanduser(name))  # noqa: PTH111 (Path.expanduser raises where there is no such user)
    if name and path.is_dir():
        if revision is not None:
            raise HubError(f"{path} is a folder, which has no revision {revision!r}; leave the revision out")
        return _model_in(path)
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


def _model_in(folder: Path) -> Path:
    """The folder itself; or in the folder of a training run the best model, or the last checkpoint."""
    candidates = (folder, folder / "best", folder / "checkpoint")
    return next((each for each in candidates if (each / "config.json").exists()), folder)


def find_local(
    name: str,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    parts: Iterable[str] = _EVERYTHING,
) -> Path | None:
    """The folder of a model that is already here with all the parts asked for, or None. Never connects.

    Raises:
        CheckpointError: the index of the weights' shards is malformed.
    """
    parts = tuple(parts)
    repo, pinned = _repo_and_revision(name, revision)
    candidates = []
    if (repo, pinned) == (PUBLISHED, PUBLISHED_REVISION) and cache_dir is None:
        candidates.append(_PROJECT / "weights" / "distilroberta-base")
    # A model can lie in the cache under the name it had when it was fetched.
    names = [repo, *(old for old, new in _OLD_NAMES.items() if new == repo)]
    candidates += [folder for known in names if (folder := _cached_snapshot(known, pinned, cache_dir)) is not None]
    if (repo, pinned) == (PUBLISHED, PUBLISHED_REVISION):
        parts = tuple(part for part in parts if part != MODULES)  # it has none, wherever it lies
    return next((folder for folder in candidates if _has_all(folder, parts)), None)


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
    """Where `distilroberta-np download` puts a model: the published one into a checkout's weights/, all else, by None,
    into the cache."""
    in_checkout = (_PROJECT / "pyproject.toml").is_file() and (_PROJECT / "weights").is_dir()
    published = _repo_and_revision(name, revision) == (PUBLISHED, PUBLISHED_REVISION)
    return _PROJECT / "weights" / "distilroberta-base" if in_checkout and published else None


def download_model(
    name: str = PUBLISHED,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_dir: Path | None = None,
    parts: Iterable[str] = _EVERYTHING,
) -> Path:
    """Fetch what is missing or changed of a model, with progress bars, and check all its weights' SHA-256.

    Args:
        name: the model's name on the hub.
        revision: branch, tag or commit; the published model's pinned commit, and "main" of any other, if None.
        cache_dir: the hub's cache, where it isn't the usual one.
        local_dir: put plain files into this folder instead of the cache.
        parts: which of "config", "weights", "tokenizer" and "modules" (those of sentence-transformers, where the
            model has any; with them comes the config) to fetch.

    Returns:
        The folder that holds the files.

    Raises:
        HubError, CheckpointError: as `resolve_model`; the files that have come whole are kept for the next try.
    """
    parts = tuple(parts)
    if not parts:
        raise ValueError("parts must name at least one of 'config', 'weights', 'tokenizer' and 'modules'")
    if MODULES in parts and CONFIG not in parts:
        parts = (CONFIG, *parts)
    repo, wanted = _repo_and_revision(name, revision)
    if _offline():
        raise HubError(
            f"HF_HUB_OFFLINE is set, so {name} can't be fetched; unset it, or give a folder that has the model"
        )
    cache = Path(cache_dir).expanduser() if cache_dir is not None else None
    with _errors_in_a_sentence(repo, wanted):
        import huggingface_hub

        api = huggingface_hub.HfApi(library_name="distilroberta_np", library_version=__version__)
        timeout = huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT
        info = api.model_info(repo, revision=wanted, files_metadata=True, timeout=timeout)
        # Only files in Git LFS have a SHA-256 on the hub, as all weights have.
        sha256 = {file.rfilename: file.lfs.sha256 if file.lfs else None for file in info.siblings or ()}
        # By its commit, a branch can't move between two files, and a file that is here already costs no request.
        commit = info.sha or wanted

        def fetch(filename: str) -> Path:
            if filename not in sha256:
                raise HubError(f"{repo} at {wanted} lacks {filename}, which its {INDEX_FILE} names; tell its authors")
            path = Path(api.hf_hub_download(repo, filename, revision=commit, cache_dir=cache, local_dir=local_dir))
            expected = sha256[filename]
            if expected is not None:
                _check_sha256(path, expected)
            return path.parents[filename.count("/")]

        files, encoder = [], ""
        if MODULES in parts and MODULES_FILE in sha256:
            # The settings come first, for the same reason as the tokenizer's.
            first = (*(name for name in (SETTINGS_FILE, *ENCODER_SETTINGS_FILES) if name in sha256), MODULES_FILE)
            modules = read_modules([fetch(name) for name in first][-1])
            encoder = f"{encoder_path(modules)}/".removeprefix("/")
            folders = {module.path for module in modules if module.path}
            files = [name for name in sha256 if name.endswith(_READ_OF_MODULES) and name.rpartition("/")[0] in folders]
        there = [name.removeprefix(encoder) for name in sha256 if name.startswith(encoder)]
        kinds = [part for part in parts if part != MODULES]
        files += [encoder + file for part in kinds for file in _files_of(part, repo, wanted, there)]
        folder = [fetch(file) for file in dict.fromkeys(files)][-1]
        if INDEX_FILE in files:
            for shard in shard_files(folder):
                fetch(shard)
        if local_dir is None and commit != wanted:
            # The cache's note of what a branch is, which is otherwise made of downloads by branch.
            ref = folder.parent.parent / "refs" / wanted
            ref.parent.mkdir(parents=True, exist_ok=True)
            ref.write_text(commit)
        if local_dir is None and MODULES in parts and MODULES_FILE not in sha256:
            # The cache's note of what a repository lacks, which is otherwise made where it has been asked for in vain.
            note = folder.parent.parent / ".no_exist" / commit / MODULES_FILE
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()
        return folder


def _files_of(part: str, repo: str, revision: str, there: Collection[str]) -> tuple[str, ...]:
    """The files of a repository to fetch for a part of the model."""
    files = next((files for files in _FILES[part] if all(file in there for file in files)), None)
    if files is None:
        wanted = ", or ".join(" and ".join(files) for files in _FILES[part])
        message = f"{repo} at {revision} has no {wanted}"
        if part == WEIGHTS and any(name.endswith((".bin", ".pt")) for name in there):
            raise HubError(
                f"{message}, only pickles, which can run any code when they are opened, so they are not opened here. "
                "Convert it where you trust it: load it with transformers, call save_pretrained, and give that folder"
            )
        raise HubError(f"{message}. Choose another {'tokenizer' if part == TOKENIZER else 'model'}")
    # The settings come first: were they cut off behind the files that count, nothing would show that they lack.
    return (_TOKENIZER_SETTINGS, *files) if part == TOKENIZER and _TOKENIZER_SETTINGS in there else files


@contextmanager
def _errors_in_a_sentence(repo: str, revision: str) -> Iterator[None]:
    """Let whatever goes wrong inside come out as a HubError that says what, and the way out."""
    outside = sys.exception()
    try:
        yield
    except DistilRobertaError:
        raise
    # Anything: huggingface_hub's transport, and with it the exceptions, changes from version to version.
    except Exception as error:
        # What tells is often wrapped, as a failed connection in "not found in the cache". But what the caller was
        # handling when it called is in that chain too.
        chain: list[BaseException] = []
        item: BaseException | None = error
        while item is not None and item is not outside and item not in chain:
            chain.append(item)
            item = item.__cause__ or item.__context__
        reason = next((said for item in chain if (said := _reason(item, revision))), None)
        # A ValueError comes of an answer that isn't the hub's, such as the login page of a hotel's network.
        transport = any(isinstance(item, OSError | ValueError) or "http" in type(item).__module__ for item in chain)
        if reason is None and transport:
            reason = (
                f"no connection, or it broke off ({_one_line(chain[-1])}). Check the network and try again: "
                "the files that have come whole are kept. Without a network, give a folder that has the model; "
                "there is none of this name here"
            )
        if reason is None:
            reason = f"{type(error).__name__}: {_one_line(error)}. This should not happen; please report it"
        raise HubError(f"{repo} can't be fetched: {reason}") from error


def _reason(error: BaseException, revision: str) -> str | None:
    """What an exception tells of why a transfer failed, and the way out; None if it tells nothing."""
    from huggingface_hub import errors

    unknown = (
        "the hub knows no such model, or it is private; nor is there a folder of this name here. "
        "Check the name; for a private model, log in with `hf auth login`"
    )
    if isinstance(error, errors.GatedRepoError):
        return "its authors ask for consent first. Give it on the model's page, then log in with `hf auth login`"
    if isinstance(error, errors.RepositoryNotFoundError):
        return unknown
    if isinstance(error, errors.RevisionNotFoundError):
        return f"it has no revision {revision!r}. Check the branch, tag or commit"
    if isinstance(error, errors.HFValidationError):
        return f"that is no name of a model on the hub ({_one_line(error)})"
    response = getattr(error, "response", None)
    if response is not None:
        status = response.status_code
        if status == 401 and "credentials" not in response.headers.get("X-Error-Message", ""):
            return unknown
        if status in (401, 403):
            return "the hub refuses your access token. Log in again with `hf auth login`, or correct or unset HF_TOKEN"
        later = "try again later" if status >= 500 or status == 429 else "check the name, and HF_ENDPOINT if it is set"
        return f"the hub answered with HTTP status {status}; {later}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full. Make room, or point HF_HOME at a larger disk; the files that have come whole are kept"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} can't be used ({error.strerror}). Point HF_HOME at a folder of yours"
    return None


def _check_sha256(path: Path, expected: str) -> None:
    with open(path, "rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != expected:
        blob = path.resolve()
        path.unlink()
        blob.unlink(missing_ok=True)
        raise HubError(
            f"{path.name} came damaged: its SHA-256 is {actual}, and the hub says {expected}. "
            "It has been deleted; try again"
        )


def _repo_and_revision(name: str, revision: str | None) -> tuple[str, str]:
    repo = _OLD_NAMES.get(name, name)
    if repo == PUBLISHED and (revision is None or (len(revision) >= 7 and PUBLISHED_REVISION.startswith(revision))):
        return repo, PUBLISHED_REVISION
    return repo, revision or "main"


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


def _has_all(folder: Path, parts: Iterable[str]) -> bool:
    """Whether a folder holds the files of all these parts."""
    parts = set(parts)
    encoder = folder
    if MODULES in parts:
        if (folder / MODULES_FILE).exists():
            modules = read_modules(folder)
            encoder = folder / encoder_path(modules)
            if not all((folder / module.path / name).exists() for module in modules for name in module.files):
                return False
        elif not (folder.parent.parent / ".no_exist" / folder.name / MODULES_FILE).exists():
            return False  # whether the model has modules is not known yet
    return all(
        any(
            all((encoder / file).exists() for file in files)
            and (INDEX_FILE not in files or all((encoder / shard).exists() for shard in shard_files(encoder)))
            for files in _FILES[part]
        )
        for part in parts - {MODULES}
    )


def in_organization(name_or_path: str | os.PathLike[str], organization: str) -> str | os.PathLike[str]:
    """A model's name with the organization that sentence-transformers puts before a bare one. What is a folder, or
    RoBERTa's or DistilRoBERTa's own name, stays as it is."""
    if not isinstance(name_or_path, str) or name_or_path.lower() in _WITHOUT_ORGANIZATION:
        return name_or_path
    bare = "/" not in name_or_path and _NAME.fullmatch(name_or_path) and not name_or_path.startswith(".")
    return f"{organization}/{name_or_path}" if bare and not Path(name_or_path).exists() else name_or_path


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _one_line(error: BaseException) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if len(line) <= 200 else line[:197] + "..."


set_resolver(resolve_model)
