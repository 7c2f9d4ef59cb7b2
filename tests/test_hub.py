"""Where models come from: the real huggingface_hub, against a stand-in hub on 127.0.0.1."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from distilroberta_np import (
    CheckpointError,
    ConfigError,
    CrossEncoder,
    HubError,
    RobertaModel,
    RobertaTokenizer,
    SentenceEncoder,
    hub,
    hub_cache,
    pipeline,
    transfer,
)
from distilroberta_np.hub import PUBLISHED, PUBLISHED_REVISION, download_model, resolve_model
from distilroberta_np.pretrained import CONFIG, MODULES, TOKENIZER, WEIGHTS
from tests.support.seeded import config_dict, safetensors_bytes, seeded_tensors, tokenizer_dict, write_model
from tests.support.sentence_folders import dense_config, write_cross_encoder, write_sentence_encoder
from tests.support.standin_hub import COMMIT, StandinHub

_SETTINGS = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    "NO_PROXY": "127.0.0.1",
}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """A whole model as a repository has it, with random weights."""
    return {
        "config.json": json.dumps(config_dict()).encode(),
        "model.safetensors": safetensors_bytes(seeded_tensors()),
        "tokenizer.json": json.dumps(tokenizer_dict()).encode(),
        "tokenizer_config.json": b'{"model_max_length": 32}',
    }


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandinHub]:
    """A stand-in hub, and a huggingface_hub fresh from import, which is when it reads HF_ENDPOINT and HF_HOME."""
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGINGFACE_", "TRANSFORMERS_"))]:
        monkeypatch.delenv(name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "checkout" / "weights" / "tiny").mkdir(parents=True)
    monkeypatch.setattr(hub, "_PROJECT", tmp_path / "checkout")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with StandinHub() as standin:
        for name, value in {**_SETTINGS, "HF_ENDPOINT": standin.url, "HF_HOME": str(tmp_path / "home")}.items():
            monkeypatch.setenv(name, value)
        yield standin
    for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        del sys.modules[name]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError(f"connected: {arguments}")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def set_constants(**values: object) -> None:
    """What an environment variable sets at import, or a fraction of a second, which it can't."""
    from huggingface_hub import constants

    for name, value in values.items():
        setattr(constants, name, value)


def message_of(name: str = "org/model", **arguments: Any) -> str:
    """What `resolve_model` says when it fails, which must be a line."""
    with pytest.raises(HubError) as caught:
        resolve_model(name, **arguments)
    message = str(caught.value)
    assert "\n" not in message and "Traceback" not in message and len(message) < 500
    return message


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


# What is asked of the hub


def test_a_first_use_makes_these_requests_and_a_second_none(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add(PUBLISHED, files, commit=PUBLISHED_REVISION)
    first = pipeline("fill-mask", "distilroberta-base")("Hello <mask>!")
    resolve = f"/{PUBLISHED}/resolve/{PUBLISHED_REVISION}"
    cdn = f"/{PUBLISHED}/model.safetensors"
    assert {str(request) for request in standin.requests} <= {
        f"GET /api/models/{PUBLISHED}/revision/{PUBLISHED_REVISION}",
        *(f"GET {resolve}/{name}" for name in files),
        f"GET {cdn}",
    }
    standin.requests.clear()
    assert pipeline("fill-mask", PUBLISHED)("Hello <mask>!") == first
    assert standin.requests == []


def test_a_revision_overrides_the_pinned_one(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add(PUBLISHED, files)
    assert resolve_model(PUBLISHED, revision="main").name == COMMIT


def test_only_the_parts_asked_for_are_fetched(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/model", files)
    assert names_in(resolve_model("org/model", parts=(CONFIG,))) == {"config.json"}
    assert names_in(resolve_model("org/model")) == {"config.json", "model.safetensors"}


def test_a_partly_filled_cache_is_completed(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/model", files)
    resolve_model("org/model")
    standin.requests.clear()
    assert names_in(resolve_model("org/model", parts=(CONFIG, WEIGHTS, TOKENIZER))) == set(files)
    assert sorted(standin.asked("GET")) == ["main", "tokenizer.json", "tokenizer_config.json"]


def test_a_branch_that_moved_is_noticed_only_by_download(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/model", files)
    old = download_model("org/model")
    standin.add("org/model", {**files, "config.json": b"{}"}, commit=40 * "d")
    standin.requests.clear()
    assert resolve_model("org/model") == old
    assert standin.requests == []
    new = download_model("org/model")
    assert (new / "config.json").read_bytes() == b"{}"
    assert "model.safetensors" not in standin.asked("GET")
    assert resolve_model("org/model") == new


def test_a_model_that_was_renamed_on_the_hub(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/new", files)
    standin.renamed["old"] = "org/new"
    assert names_in(download_model("old")) == set(files)
    standin.requests.clear()
    assert resolve_model("old") == resolve_model("old", revision=COMMIT)
    assert standin.requests == []


def test_cache_dir(standin: StandinHub, files: dict[str, bytes], tmp_path: Path) -> None:
    standin.add("org/model", files)
    folder = resolve_model("org/model", cache_dir=tmp_path / "elsewhere")
    assert folder.is_relative_to(tmp_path / "elsewhere")
    assert resolve_model("org/model", cache_dir=tmp_path / "elsewhere", local_files_only=True) == folder
    assert not (tmp_path / "home" / "hub").exists()


def test_a_terminal_sees_a_progress_bar(
    standin: StandinHub,
    files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    standin.add("org/model", files)
    monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    resolve_model("org/model")
    assert "model.safetensors: 100%" in capsys.readouterr().err


# What repositories hold


def test_shards(standin: StandinHub, files: dict[str, bytes]) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}}
    sharded = {
        "config.json": files["config.json"],
        "model.safetensors.index.json": json.dumps(index).encode(),
        "model-1.safetensors": b"1",
        "model-2.safetensors": b"2",
    }
    standin.add("org/model", sharded)
    standin.fault("GET", "org/model/model-2.safetensors", damaged=True, times=1)
    assert "model-2.safetensors came damaged" in message_of()
    folder = resolve_model("org/model")
    assert names_in(folder) == set(sharded)
    (folder / "model-1.safetensors").unlink()
    assert hub.find_local("org/model", parts=(WEIGHTS,)) is None
    del standin.repos["org/model"].files["model-1.safetensors"]
    assert "has no model-1.safetensors, which its model.safetensors.index.json names" in message_of()


def test_an_index_that_leads_out_of_the_folder_is_refused(standin: StandinHub, files: dict[str, bytes]) -> None:
    index = json.dumps({"weight_map": {"a": "../../up.safetensors"}}).encode()
    standin.add("org/model", {"config.json": files["config.json"], "model.safetensors.index.json": index})
    with pytest.raises(CheckpointError, match=r"up\.safetensors"):
        resolve_model("org/model")


def test_vocab_and_merges(standin: StandinHub, files: dict[str, bytes]) -> None:
    vocab = json.loads(files["tokenizer.json"])["model"]["vocab"]
    vocab["<mask>"] = len(vocab)
    standin.add("org/model", {"vocab.json": json.dumps(vocab).encode(), "merges.txt": b"#version: 0.2\n"})
    tokenizer = RobertaTokenizer.from_pretrained("org/model")
    assert tokenizer.decode(tokenizer.encode("Hi!"), skip_special_tokens=True) == "Hi!"


def test_the_settings_are_not_left_behind(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/model", files)
    standin.fault("GET", "tokenizer_config.json", status=503)
    assert "503" in message_of(revision=COMMIT, parts=(TOKENIZER,))
    standin.faults.clear()
    assert RobertaTokenizer.from_pretrained("org/model", revision=COMMIT).model_max_length == 32


def test_pickles_are_refused_before_anything_is_fetched(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/model", {"config.json": files["config.json"], "pytorch_model.bin": b"pickle"})
    message = message_of()
    assert "org/model at main has no model.safetensors" in message
    assert "only pickles" in message and "save_pretrained" in message
    assert standin.asked("GET") == ["main"]


def test_a_model_needs_no_tokenizer_and_filling_masks_does(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/model", {name: files[name] for name in ("config.json", "model.safetensors")})
    assert RobertaModel.from_pretrained("org/model").config.hidden_size == 16
    with pytest.raises(HubError, match=r"no tokenizer.json, or vocab.json and merges.txt. Choose another tokenizer"):
        pipeline("fill-mask", "org/model")


# What is already here


def test_what_is_here_needs_no_network(
    standin: StandinHub, files: dict[str, bytes], request: pytest.FixtureRequest
) -> None:
    standin.add(PUBLISHED, files, commit=PUBLISHED_REVISION)
    folder = download_model()
    request.getfixturevalue("no_network")
    assert resolve_model("distilroberta-base") == folder
    assert resolve_model(PUBLISHED, local_files_only=True) == folder
    set_constants(HF_HUB_OFFLINE=True)
    assert resolve_model(PUBLISHED) == folder
    assert resolve_model(folder) == folder
    assert resolve_model(str(folder)) == folder
    assert hub.find_published() == hub.default_model() == folder


def test_local_files_only_never_connects(standin: StandinHub, no_network: None) -> None:
    message = message_of(local_files_only=True)
    assert "org/model is not on this machine" in message and "local_files_only is set" in message
    assert "distilroberta-np download org/model" in message


def test_offline_never_connects(standin: StandinHub, no_network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in message_of()
    with pytest.raises(HubError, match=r"HF_HUB_OFFLINE is set, so org/model cannot be fetched; unset it"):
        download_model("org/model")


def test_the_embedded_model_answers_where_nothing_else_is(
    standin: StandinHub, no_network: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hub.default_model() == tmp_path / "checkout" / "weights" / "tiny"
    assert "`distilroberta-np download`" in capsys.readouterr().err


def test_a_model_cached_under_its_old_name(standin: StandinHub, files: dict[str, bytes], tmp_path: Path) -> None:
    standin.add(PUBLISHED, files, commit=PUBLISHED_REVISION)
    download_model()
    cache = tmp_path / "home" / "hub"
    (cache / "models--distilbert--distilroberta-base").rename(cache / "models--distilroberta-base")
    standin.requests.clear()
    for name in (PUBLISHED, "distilroberta-base"):
        assert resolve_model(name).parts[-3:] == ("models--distilroberta-base", "snapshots", PUBLISHED_REVISION)
    assert standin.requests == []


def test_a_checkout_has_the_published_model_in_its_weights_folder(
    standin: StandinHub, files: dict[str, bytes], tmp_path: Path
) -> None:
    assert hub.download_target(PUBLISHED, None) is None
    (tmp_path / "checkout" / "pyproject.toml").touch()
    standin.add(PUBLISHED, files, commit=PUBLISHED_REVISION)
    folder = download_model(local_dir=hub.download_target(PUBLISHED, None))
    assert folder == tmp_path / "checkout" / "weights" / "distilroberta-base"
    assert names_in(folder) == set(files)
    assert hub.find_published() == resolve_model("distilroberta-base") == folder
    assert resolve_model("distilroberta-base", revision=PUBLISHED_REVISION[:7]) == folder
    assert resolve_model(PUBLISHED, cache_dir=tmp_path / "elsewhere") != folder
    (folder / "tokenizer.json").unlink()
    assert hub.find_published() is None


# What goes wrong


@pytest.mark.parametrize("local_dir", [None, "here"])
def test_damaged_weights_are_deleted(
    standin: StandinHub, files: dict[str, bytes], tmp_path: Path, local_dir: str | None
) -> None:
    standin.add("org/model", files)
    standin.fault("GET", "org/model/model.safetensors", damaged=True, times=1)
    target = tmp_path / local_dir if local_dir else None
    with pytest.raises(HubError, match=r"model\.safetensors came damaged: its hash is .* deleted; try again"):
        download_model("org/model", local_dir=target)
    sizes = [path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files["model.safetensors"]) not in sizes
    folder = download_model("org/model", local_dir=target)
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]


def test_weights_that_replace_others_are_checked_too(
    standin: StandinHub, files: dict[str, bytes], tmp_path: Path
) -> None:
    standin.add("org/model", files)
    download_model("org/model", local_dir=tmp_path / "here")
    standin.add("org/model", {**files, "model.safetensors": b"new"}, commit=40 * "d")
    standin.fault("GET", "model.safetensors", damaged=True)
    with pytest.raises(HubError, match=r"model\.safetensors came damaged"):
        download_model("org/model", local_dir=tmp_path / "here")


def test_weights_that_went_bad_in_the_cache_are_found_by_download(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/model", files)
    weights = download_model("org/model") / "model.safetensors"
    weights.write_bytes(b"bad")
    download_model("org/model")
    assert weights.read_bytes() == files["model.safetensors"]


@pytest.mark.parametrize("fault", [{"cut_at": 100}, {"cut_at": 100, "hides_the_cut": True}])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_cut_short(standin: StandinHub, files: dict[str, bytes], name: str, fault: dict[str, object]) -> None:
    standin.add("org/model", files)
    standin.fault("GET", name, **fault)
    message = message_of()
    assert "org/model cannot be fetched: no connection, or it broke off (" in message and "try again" in message
    assert hub.find_local("org/model", parts=(CONFIG, WEIGHTS)) is None
    standin.faults.clear()
    assert (resolve_model("org/model") / name).read_bytes() == files[name]


def test_what_came_whole_before_a_cut_is_kept(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/model", files)
    standin.fault("GET", "model.safetensors", cut_at=0)
    assert "complete files are kept" in message_of()
    standin.faults.clear()
    standin.requests.clear()
    resolve_model("org/model")
    assert set(standin.asked("GET")) == {"main", "model.safetensors"}


def test_no_connection(standin: StandinHub) -> None:
    set_constants(ENDPOINT="http://127.0.0.1:1")
    message = message_of()
    assert "no connection" in message and "refused" in message
    assert "Check the network" in message and "give a folder that has the model" in message


@pytest.mark.parametrize(
    ("method", "path_end"), [("GET", "/revision/main"), ("GET", "/config.json"), ("GET", "/model.safetensors")]
)
def test_a_server_that_never_answers(standin: StandinHub, files: dict[str, bytes], method: str, path_end: str) -> None:
    standin.add("org/model", files)
    standin.fault(method, path_end, hangs=True)
    set_constants(HF_HUB_ETAG_TIMEOUT=0.1, HF_HUB_DOWNLOAD_TIMEOUT=0.1)
    message = message_of()
    assert "no connection, or it broke off" in message and "timed out" in message


def test_a_gated_model(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/model", files, gated=True)
    message = message_of()
    assert "its authors ask for consent first" in message and "`hf auth login`" in message


def test_an_unknown_revision(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/model", files)
    assert "it has no revision 'v9'. Check the branch" in message_of(revision="v9")


def test_an_unknown_name(standin: StandinHub) -> None:
    message = message_of("no-such-model")
    assert "no-such-model cannot be fetched: the hub has no such model" in message
    assert "private" in message and "folder" in message and "Check the name" in message


_NOT_FOUND = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
_BAD_TOKEN = {"X-Error-Message": "Invalid credentials in Authorization header"}


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (404, _NOT_FOUND, "the hub has no such model"),
        (401, _BAD_TOKEN, "the hub refuses your access token"),
        (403, {}, "the hub refuses your access token"),
        (404, {}, "HTTP status 404; check the name, and HF_ENDPOINT"),
        (429, {}, "HTTP status 429; try again later"),
        (500, {}, "HTTP status 500; try again later"),
        (503, {}, "HTTP status 503; try again later"),
    ],
)
@pytest.mark.parametrize("where", [("GET", "/revision/main"), ("GET", "/config.json")])
def test_an_error_status(
    standin: StandinHub,
    files: dict[str, bytes],
    where: tuple[str, str],
    status: int,
    headers: dict[str, str],
    said: str,
) -> None:
    standin.add("org/model", files)
    standin.fault(*where, status=status, headers=headers)
    assert said in message_of()


def test_an_answer_that_is_not_the_hubs(standin: StandinHub) -> None:
    standin.fault("GET", "/revision/main", status=200)
    assert "Check the network" in message_of()


def test_a_full_disk(standin: StandinHub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    def fill_up(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    standin.add("org/model", files)
    monkeypatch.setattr(os, "fsync", fill_up)
    message = message_of()
    assert "the disk is full. Free some space" in message and "HF_HOME" in message


def test_a_cache_that_can_not_be_written(standin: StandinHub, files: dict[str, bytes], tmp_path: Path) -> None:
    standin.add("org/model", files)
    (tmp_path / "home").write_text("a file where a folder should be")
    message = message_of()
    assert str(tmp_path / "home") in message and "cannot be used (Not a directory)" in message


def test_what_the_caller_was_handling_is_not_taken_for_the_reason(standin: StandinHub) -> None:
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError:
        set_constants(ENDPOINT="http://127.0.0.1:1")
        assert "no connection" in message_of()


# What names can't be


@pytest.mark.parametrize("name", ["", "a/b/c", "./folder", "../folder", "~no-such-user/model", "a b", "é", "a\nb"])
def test_what_is_no_name(name: str, no_network: None) -> None:
    with pytest.raises(HubError, match=r"there is no folder '.*'; give an existing one, or a model's name on the hub"):
        resolve_model(name)


def test_a_path_is_never_a_name(no_network: None) -> None:
    with pytest.raises(HubError, match=r"there is no folder 'org.model'; give"):
        resolve_model(Path("org/model"))


def test_a_name_is_text_and_parts_are_named(no_network: None) -> None:
    with pytest.raises(TypeError, match="a model's name must be a string or a path, not int"):
        resolve_model(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="parts must name at least one of 'config', 'weights', 'tokenizer' and"):
        download_model("org/model", parts=())


@pytest.mark.parametrize("name", ["a--b", "-a", "org/a..b"])
def test_names_that_the_hub_does_not_allow(standin: StandinHub, name: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("no_network")
    assert "this is not a name that a model can have" in message_of(name)


def test_a_file_is_no_folder(tmp_path: Path, no_network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    for name in (tmp_path / "model.safetensors", "model.safetensors"):
        with pytest.raises(HubError, match="is a file; give its folder"):
            resolve_model(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("./rnu/chekpoint", "run/checkpoint"),
        ("a/rum/checkpoint", "a/run/checkpoint"),
        ("./rnu", "run"),
        ("prun/checkpoint", "run/checkpoint"),
    ],
)
def test_a_path_with_a_slip_is_not_a_name(
    tmp_path: Path, no_network: None, monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    for folder in ("run", "a/run"):
        write_model(tmp_path / folder / "checkpoint")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HubError, match=rf"there is no folder .*; did you mean {meant}\?$"):
        resolve_model(name)


def test_a_name_that_looks_like_a_folder_is_asked_for(
    standin: StandinHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "org" / "other")
    monkeypatch.chdir(tmp_path)
    standin.add("org/otter", {"config.json": b"{}", "model.safetensors": b"weights"})
    assert resolve_model("org/otter").is_dir()
    set_constants(ENDPOINT="http://127.0.0.1:1")
    with pytest.raises(
        HubError, match=r"^there is no folder org/othr, and org/othr cannot .*; did you mean org/other\?"
    ):
        resolve_model("org/othr")


def test_a_folder_has_no_revision(tmp_path: Path, no_network: None) -> None:
    with pytest.raises(HubError, match="is a folder and has no revision 'v1'; omit the revision"):
        resolve_model(tmp_path, revision="v1")


def test_package_data_that_is_missing() -> None:
    with pytest.raises(HubError, match="no-such-file is missing from this installation of distilroberta_np"):
        hub.package_data("no-such-file")


# The whole of it in a process of its own, with nothing set but where to go


def run_command(
    standin: StandinHub, home: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    kept |= {"HF_ENDPOINT": standin.url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1", **environment}
    command = [sys.executable, "-m", "distilroberta_np", *arguments]
    return subprocess.run(command, env=kept, capture_output=True, text=True, cwd=Path(hub.__file__).parents[1])


def test_download_command(files: dict[str, bytes], tmp_path: Path) -> None:
    with StandinHub() as standin:
        standin.add("org/model", files)
        done = run_command(standin, tmp_path, "download", "org/model")
        assert (done.returncode, Path(done.stdout.strip()).name) == (0, COMMIT)
        paths = {request.path for request in standin.requests}
        # huggingface_hub itself asks for a list of coding agents, once a day, unless HF_HUB_DISABLE_TELEMETRY is set.
        others = {path for path in paths if "org/model" not in path}
        assert others <= {"/api/agent-harnesses"}


def test_a_command_that_fails_says_so_in_a_line(tmp_path: Path) -> None:
    with StandinHub() as standin:
        done = run_command(standin, tmp_path, "download", "org/model")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("distilroberta-np: org/model cannot be fetched: the hub has no such model")


def test_offline_by_the_environment(tmp_path: Path) -> None:
    with StandinHub() as standin:
        done = run_command(standin, tmp_path, "download", "org/model", HF_HUB_OFFLINE="1")
        assert done.returncode == 2 and "HF_HUB_OFFLINE is set" in done.stderr
        assert standin.requests == []


# What sentence-transformers puts next to a model


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("encoder", ["", "0_Transformer"])
def test_the_modules_of_a_sentence_encoder_come_with_it(standin: StandinHub, tmp_path: Path, encoder: str) -> None:
    saved = write_sentence_encoder(
        tmp_path / "saved",
        encoder=encoder,
        layers={"Dense": dense_config(), "Normalize": {}},
        settings={"prompts": {"query": "on "}},
        encoder_settings={"max_seq_length": 7},
    )
    files = files_in(saved)
    others = {"checkpoint-5/model.safetensors": b"5", "onnx/model.onnx": b"o", "2_Dense/pytorch_model.bin": b"p"}
    standin.add("sentence-transformers/model", files | others)
    expected = SentenceEncoder.from_pretrained(saved).encode_query("the cat")
    # A name without an organization is one of sentence-transformers'.
    assert (SentenceEncoder.from_pretrained("model").encode_query("the cat") == expected).all()
    folder = resolve_model("sentence-transformers/model", parts=(CONFIG, WEIGHTS, TOKENIZER, MODULES))
    assert files_in(folder).keys() == files.keys()
    standin.requests.clear()
    assert (SentenceEncoder.from_pretrained("model").encode_query("the cat") == expected).all()
    assert standin.requests == []
    weights = folder / "2_Dense" / "model.safetensors"
    weights.resolve().unlink()
    SentenceEncoder.from_pretrained("model")
    assert set(standin.asked("GET")) == {"main", "model.safetensors"}


def test_modules_that_a_model_was_fetched_without_are_asked_for(standin: StandinHub, tmp_path: Path) -> None:
    files = files_in(write_sentence_encoder(tmp_path / "saved", pooling={"pooling_mode": "cls"}))
    standin.add("org/model", files)
    RobertaModel.from_pretrained("org/model"), RobertaTokenizer.from_pretrained("org/model")
    # Offline nothing tells whether there are any, so it is used as a model without, as by sentence-transformers.
    with pytest.warns(UserWarning, match=r"has no modules\.json"):
        SentenceEncoder.from_pretrained("org/model", local_files_only=True)
    assert SentenceEncoder.from_pretrained("org/model").pooling.modes == ("cls",)


@pytest.mark.filterwarnings("ignore:.*has no modules.json")
def test_that_a_model_has_no_modules_is_noted(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/model", files)
    SentenceEncoder.from_pretrained("org/model")
    standin.requests.clear()
    SentenceEncoder.from_pretrained("org/model")
    assert SentenceEncoder.from_pretrained("org/model", local_files_only=True).encode("a").shape == (16,)
    assert standin.requests == []


@pytest.mark.filterwarnings("ignore:.*has no modules.json")
def test_that_the_published_model_has_no_modules_is_known(
    standin: StandinHub, files: dict[str, bytes], no_network: None
) -> None:
    folder = hub._PROJECT / "weights" / "distilroberta-base"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    assert SentenceEncoder.from_pretrained("distilroberta-base").encode("a").shape == (16,)


def test_a_cross_encoder_by_its_bare_name(standin: StandinHub, tmp_path: Path) -> None:
    saved = write_cross_encoder(tmp_path / "saved", settings={"activation_fn": "torch.nn.modules.linear.Identity"})
    standin.add("cross-encoder/model", files_in(saved))
    pair = ("the cat", "sat")
    assert CrossEncoder.from_pretrained("model").predict(pair) == CrossEncoder.from_pretrained(saved).predict(pair)


def test_modules_alone_bring_the_config(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/model", files)
    assert names_in(download_model("org/model", parts=(MODULES,))) == {"config.json"}


def test_modules_in_a_folder_elsewhere_are_refused(standin: StandinHub, files: dict[str, bytes]) -> None:
    modules = [{"type": "sentence_transformers.models.Transformer", "path": "../../elsewhere"}]
    standin.add("org/model", files | {"modules.json": json.dumps(modules).encode()})
    with pytest.raises(ConfigError, match="must have a type and a plain path"):
        SentenceEncoder.from_pretrained("org/model")


def test_names_that_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("model", "roberta-base", "distilroberta-base", "org/model", "./model", "", Path("other")):
        assert hub.in_organization(name, "org") == name
    assert hub.in_organization("other", "org") == "org/other"


# A hostile hub


@pytest.fixture
def precious(tmp_path: Path) -> Iterator[Path]:
    """A file of the user's, which must stay as it is, and the only thing outside the cache and the checkout."""
    path = tmp_path / "precious"
    path.write_text("mine")
    yield path
    assert path.read_text() == "mine"
    assert {entry.name for entry in tmp_path.iterdir()} <= {"precious", "home", "checkout"}
    assert {entry.name for entry in (tmp_path / "home").glob("*")} <= {"hub"}


@pytest.mark.parametrize(
    "sha", ["{precious}", "../../../precious", "main", "", COMMIT[:39], COMMIT.upper(), None, 5, []]
)
def test_a_commit_must_be_forty_hexadecimal_digits(
    standin: StandinHub, files: dict[str, bytes], precious: Path, sha: object
) -> None:
    if isinstance(sha, str):
        sha = sha.format(precious=precious)
    standin.add("org/model", files, lies={"sha": sha})
    with pytest.raises(HubError, match=r"as the commit of main, which is no commit"):
        resolve_model("org/model")
    assert standin.asked("GET") == ["main"]


def test_another_commit_than_the_one_asked_for_is_refused(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/model", files, lies={"sha": 40 * "e"})
    with pytest.raises(HubError, match=f"answers with commit {40 * 'e'} instead of {COMMIT}"):
        resolve_model("org/model", revision=COMMIT)


@pytest.mark.parametrize(
    "name",
    ["../precious", "/precious", "a/../../precious", "a\\..\\precious", "C:precious", "\x1b[2J", "a\0", "", 5, None],
)
def test_files_with_names_that_lead_elsewhere_do_not_count(
    standin: StandinHub, files: dict[str, bytes], precious: Path, name: object
) -> None:
    modules = json.dumps([{"type": "sentence_transformers.models.Transformer", "path": ""}]).encode()
    standin.add("org/model", {**files, "modules.json": modules, "x": b""}, lies_about={"x": {"rfilename": name}})
    assert names_in(download_model("org/model")) == {*files, "modules.json"}


@pytest.mark.parametrize(
    ("filename", "lie", "said"),
    [
        ("config.json", {"blobId": "../../../../precious"}, "which is no hash"),
        ("config.json", {"blobId": None}, "None as the hash of config.json"),
        ("config.json", {"blobId": 64 * "a"}, "which is no hash"),
        ("config.json", {"size": 10**9}, "must have between 0 and 67,108,864 bytes"),
        ("config.json", {"size": -1}, "must have between 0 and"),
        ("config.json", {"size": "258"}, "not '258'"),
        ("config.json", {"lfs": {"sha256": None, "size": 5}}, "which is no hash"),
        ("model.safetensors", {"lfs": {"sha256": "../../../../precious", "size": 5}}, "which is no hash"),
        ("model.safetensors", {"lfs": {"sha256": 64 * "a", "size": 1e30}}, "must have between 0 and"),
        ("model.safetensors", {"lfs": {"sha256": 64 * "a"}}, "bytes, not None"),
        ("model.safetensors", {"lfs": {"sha256": 64 * "a", "size": 5}}, "is longer than the 5 bytes"),
    ],
)
def test_sizes_and_hashes_are_checked_before_they_are_used(
    standin: StandinHub, files: dict[str, bytes], precious: Path, filename: str, lie: dict[str, object], said: str
) -> None:
    standin.add("org/model", files, lies_about={filename: lie})
    with pytest.raises(HubError) as caught:
        resolve_model("org/model")
    assert said in str(caught.value)


@pytest.mark.parametrize("info", [[], {}, {"sha": COMMIT}, {"sha": COMMIT, "siblings": {}}, "x"], ids=repr)
def test_an_answer_of_another_form(standin: StandinHub, files: dict[str, bytes], info: Any, monkeypatch: Any) -> None:
    repo = standin.add("org/model", files)
    monkeypatch.setattr(repo, "info", lambda name: info)
    assert "Check the network" in message_of()


def test_headers_never_become_paths(
    standin: StandinHub, files: dict[str, bytes], precious: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = standin.add("org/model", files)
    monkeypatch.setattr(repo, "etag", lambda filename: "../../../../precious")
    resolve_model("org/model")


def test_the_commit_of_a_missing_file_never_becomes_a_path(
    standin: StandinHub, files: dict[str, bytes], precious: Path
) -> None:
    standin.add("org/model", files)
    headers = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": "../../../../evil"}
    standin.fault("GET", "/config.json", status=404, headers=headers)
    assert "HTTP status 404" in message_of()


@pytest.mark.parametrize("where", ["/revision/main", "/config.json", "org/model/model.safetensors"])
@pytest.mark.parametrize("fault", [{"endless": True}, {"endless": True, "status": 404}, {"drips": True}])
def test_bodies_without_an_end_are_cut_off_and_leave_nothing(
    standin: StandinHub,
    files: dict[str, bytes],
    where: str,
    fault: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(transfer, "_PATIENCE", 0.5)
    monkeypatch.setattr(transfer, "LARGEST_JSON", 2**20)
    standin.add("org/model", files)
    standin.fault("GET", where, **fault)
    message_of()  # a body that is not cut off would never end
    assert not list(tmp_path.rglob("*.incomplete"))


# What has been verified


def hub_downloads(filenames: Iterable[str]) -> None:
    """Have huggingface_hub itself put a model into the cache."""
    import huggingface_hub

    for filename in filenames:
        huggingface_hub.hf_hub_download("org/model", filename)


def test_our_cache_is_the_one_of_huggingface_hub(standin: StandinHub, files: dict[str, bytes]) -> None:
    import huggingface_hub

    standin.add("org/model", files)
    folder = download_model("org/model")
    for name in files:
        assert huggingface_hub.hf_hub_download("org/model", name, local_files_only=True) == str(folder / name)
    (repo,) = huggingface_hub.scan_cache_dir().repos
    assert {file.file_name for revision in repo.revisions for file in revision.files} == set(files)


def test_what_huggingface_hub_fetched_is_used(
    standin: StandinHub, files: dict[str, bytes], request: pytest.FixtureRequest
) -> None:
    standin.add("org/model", files)
    hub_downloads(files)
    request.getfixturevalue("no_network")
    assert names_in(resolve_model("org/model", parts=(CONFIG, WEIGHTS, TOKENIZER))) == set(files)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer_config.json"])
def test_what_huggingface_hub_fetched_damaged_is_never_used(
    standin: StandinHub, files: dict[str, bytes], name: str
) -> None:
    parts = (CONFIG, WEIGHTS, TOKENIZER)
    standin.add("org/model", files)
    standin.fault("GET", name if name.endswith(".json") else f"org/model/{name}", damaged=True)
    hub_downloads(files)
    standin.faults.clear()
    for _ in range(2):
        with pytest.raises(HubError, match="is not on this machine, or incomplete or damaged"):
            resolve_model("org/model", parts=parts, local_files_only=True)
    assert (resolve_model("org/model", parts=parts) / name).read_bytes() == files[name]
    assert resolve_model("org/model", parts=parts, local_files_only=True)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_files_outside_git_lfs_are_verified_too(standin: StandinHub, files: dict[str, bytes], name: str) -> None:
    standin.add("org/model", files)
    standin.fault("GET", name, damaged=True)
    with pytest.raises(HubError, match=f"{name} came damaged"):
        download_model("org/model")
    standin.faults.clear()
    folder = download_model("org/model")
    (folder / name).write_bytes(b"x" + files[name][1:])
    assert (resolve_model("org/model", parts=(CONFIG, TOKENIZER)) / name).read_bytes() == files[name]


def test_what_was_verified_once_is_not_read_again(
    standin: StandinHub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    standin.add("org/model", files)
    hub_downloads(files)
    folder = resolve_model("org/model")
    read: list[str] = []
    file_hash = hub_cache.file_hash
    monkeypatch.setattr(hub_cache, "file_hash", lambda path, like: read.append(path.name) or file_hash(path, like))
    assert resolve_model("org/model", local_files_only=True) == folder
    assert read == []
    os.utime(folder / "config.json", (0, 0))  # changed since, perhaps
    assert resolve_model("org/model", local_files_only=True) == folder
    assert read == ["config.json"]


@pytest.mark.parametrize("ref", ["../../elsewhere", "/etc", "main", "", "x" * 10**6])
def test_a_branch_that_is_no_commit_is_passed_over(
    standin: StandinHub, files: dict[str, bytes], tmp_path: Path, ref: str
) -> None:
    standin.add("org/model", files)
    folder = resolve_model("org/model")
    (folder.parents[1] / "refs" / "main").write_text(ref)
    shutil.copytree(folder, folder.parents[2] / "elsewhere")
    assert hub.find_local("org/model", parts=(CONFIG,)) is None
    assert resolve_model("org/model") == folder


@pytest.mark.parametrize("revision", ["../x", "/etc", "a//b", "a\\b", "a/../b", "\0", "a\nb"])
def test_what_no_revision_can_be(no_network: None, revision: str) -> None:
    with pytest.raises(HubError, match="is not a name that a revision can have"):
        resolve_model("org/model", revision=revision)


def test_a_transfer_that_breaks_off_goes_on_where_it_was(standin: StandinHub, files: dict[str, bytes]) -> None:
    standin.add("org/model", files)
    standin.fault("GET", "org/model/model.safetensors", cut_at=1000, times=1)
    folder = resolve_model("org/model")
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]
    assert [request.range for request in standin.requests if request.range] == 2 * ["bytes=1000-"]


def test_a_download_that_is_killed_leaves_nothing_that_counts(files: dict[str, bytes], tmp_path: Path) -> None:
    with StandinHub() as standin:
        standin.add("org/model", files)
        standin.fault("GET", "org/model/model.safetensors", drips=True)
        environment = os.environ | {"HF_ENDPOINT": standin.url, "HF_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"}
        command = [sys.executable, "-m", "distilroberta_np", "download", "org/model"]
        process = subprocess.Popen(
            command, env=environment, cwd=Path(hub.__file__).parents[1], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 30
        while not list(tmp_path.rglob("blobs/*.incomplete")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert len(list(tmp_path.rglob("*.incomplete"))) == 1
        standin.faults.clear()
        done = run_command(standin, tmp_path, "download", "org/model")
        folder = Path(done.stdout.strip())
        assert {name: (folder / name).read_bytes() for name in files} == files
        assert not list(tmp_path.rglob("*.incomplete"))
