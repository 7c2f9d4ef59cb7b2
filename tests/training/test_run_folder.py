"""Runs that are damaged, locked, moved or out of space say so, and go on to the bit otherwise."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distilroberta_np import RobertaForMaskedLM, TrainingError
from distilroberta_np.layers.params import tree_leaves
from distilroberta_np.training import loop, run_folder
from distilroberta_np.training.distill import distill
from distilroberta_np.training.finetune import finetune
from distilroberta_np.training.pretrain import pretrain
from distilroberta_np.training.run_folder import open_run, read_record, write_record
from distilroberta_np.training.settings import DistillSettings, FinetuneSettings, PretrainSettings
from tests.support.seeded import seeded_tensors, write_model

PRETRAIN = PretrainSettings(
    vocab_size=270, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
    length=32, last_length=32, decay=2, last_updates=2, batch_tokens=200, updates=6, warmup=1,
)  # fmt: skip
ROWS = "text\tlabel\n" + "the cat\tanimal\nab ab\tletters\n" * 8


@pytest.fixture(autouse=True)
def no_picture(monkeypatch):
    """Drawing takes longer than these runs."""
    monkeypatch.setattr(loop, "draw_losses", lambda path: None)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("".join(f"The {a} saw the {b}.\n" for a in "abcdef" for b in "ghijklmn"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_model(folder / "base", hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    (folder / "train.tsv").write_text(ROWS, encoding="utf-8")
    return folder


def finetune_settings(data, **changes):
    train = str(data / "train.tsv")
    values = {"task": "text-classification", "model": str(data / "base"), "train": train, "eval": train,
              "epochs": 2, "batch_size": 8, "learning_rate": 1e-2}  # fmt: skip
    return FinetuneSettings(**values | changes)


def stop_at(update):
    def stop(report):
        if report.update == update:
            os.kill(os.getpid(), signal.SIGTERM)

    return stop


@pytest.fixture(scope="module")
def stopped(text, data, tmp_path_factory):
    """Runs of both kinds that were stopped."""
    folder = tmp_path_factory.mktemp("runs")
    before = loop.draw_losses
    loop.draw_losses = lambda path: None
    assert not pretrain(folder / "pretrain", [text], PRETRAIN, report=stop_at(3))
    assert not finetune(folder / "finetune", finetune_settings(data), report=stop_at(3))
    loop.draw_losses = before
    return folder


def resume(kind, folder, text, data):
    if kind == "pretrain":
        return pretrain(folder, [text], PRETRAIN)
    return finetune(folder, finetune_settings(data))


def weights(folder):
    return list(tree_leaves(RobertaForMaskedLM.from_pretrained(folder).weights))


# -- damage ----------------------------------------------------------------------------------------------------------

FILES = {
    "pretrain": [
        "settings.json", "losses.csv", "tokenizer.json", "first-tokens.npy", "first-starts.npy", "last-tokens.npy",
        "last-starts.npy", "checkpoint/state.json", "checkpoint/config.json", "checkpoint/model.safetensors",
        "checkpoint/optimizer_mean.safetensors", "checkpoint/optimizer_square.safetensors",
        "checkpoint/tokenizer.json", "checkpoint/tokenizer_config.json",
    ],
    "finetune": [
        "settings.json", "losses.csv", "evaluations.csv", "best/evaluation.json", "best/model.safetensors",
        "best/config.json", "best/tokenizer.json", "best/tokenizer_config.json", "checkpoint/state.json",
        "checkpoint/model.safetensors", "checkpoint/optimizer_mean.safetensors",
    ],
}  # fmt: skip
CASES = [(kind, name) for kind, names in FILES.items() for name in names]


def test_every_file_of_a_run_is_known(stopped):
    for kind, names in FILES.items():
        found = {str(path.relative_to(stopped / kind)) for path in (stopped / kind).rglob("*") if path.is_file()}
        checked = set(names) if kind == "pretrain" else set(names) | {name for name in found if "checkpoint" in name}
        assert found == checked


@pytest.mark.parametrize(("kind", "name"), CASES)
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "missing"])
def test_damage_is_named(kind, name, damage, stopped, text, data, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(stopped / kind, run)
    path = run / name
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "flip":
        content[len(content) // 2] ^= 1
    path.exists() and path.write_bytes(
        content if damage == "flip" else content[: len(content) // 2 * (damage == "cut")]
    )
    with pytest.raises(TrainingError, match=f"{Path(name).name}: .*") as raised:
        resume(kind, run, text, data)
    assert "restore the file from a copy, or begin a new run" in str(raised.value)


def test_records_check_themselves(tmp_path):
    (tmp_path / "a").write_text("x")
    write_record(tmp_path / "r.json", {"n": 1, "values": [0.1, None]}, [tmp_path / "a"])
    assert read_record(tmp_path / "r.json")["values"] == [0.1, None]
    (tmp_path / "r.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"r\.json: damaged, or from an older version"):
        read_record(tmp_path / "r.json")
    for text in ("[]", '{"sha256": 3}', '{"sha256": {}}', "{"):
        (tmp_path / "r.json").write_text(text)
        with pytest.raises(TrainingError, match=r"r\.json: "):
            read_record(tmp_path / "r.json")


# -- two runs, full disks --------------------------------------------------------------------------------------------


def test_a_folder_is_locked_while_a_run_is_open(text, data, tmp_path):
    with open_run(tmp_path / "run"):
        for kind in ("pretrain", "finetune"):
            with pytest.raises(TrainingError, match="run: another process is training here; use another folder"):
                resume(kind, tmp_path / "run", text, data)
    assert not (tmp_path / "run").exists()  # nothing was written
    assert pretrain(tmp_path / "run", [text], PRETRAIN)


def test_a_killed_process_leaves_no_lock(text, tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from distilroberta_np.training.run_folder import open_run\n"
        "with open_run(Path(sys.argv[1])): print('open', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], stdin=-1, stdout=-1)
    assert process.stdout.readline() == b"open\n"
    with pytest.raises(TrainingError, match="another process is training here"):
        pretrain(tmp_path / "run", [text], PRETRAIN)
    process.kill()
    process.communicate()
    (tmp_path / "run" / "losses.png.0a1b2c3d.incomplete").touch()  # as a kill leaves a file
    assert pretrain(tmp_path / "run", [text], PRETRAIN)
    assert not list((tmp_path / "run").glob("*.incomplete"))


@pytest.mark.parametrize("largest", [0, 300, 3000, 12_000])
def test_a_full_disk_raises_an_error_and_the_run_resumes_later(largest, text, tmp_path):
    """A limit on the size of files stands in for a full disk; each limit is reached by another file."""
    command = [sys.executable, "-m", "distilroberta_np", "pretrain", str(text), "--out", str(tmp_path / "run")]
    for name in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "length",
                 "last_length", "decay", "last_updates", "batch_tokens", "updates", "warmup"):  # fmt: skip
        command += ["--" + name.replace("_", "-"), str(getattr(PRETRAIN, name))]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    ended = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "cannot be written: File too large. Make room or choose another folder; the same command" in ended.stderr
    assert not [path for path in (tmp_path / "run").rglob("*") if path.suffix in (".new", ".incomplete")]
    assert pretrain(tmp_path / "run", [text], PRETRAIN)
    assert pretrain(tmp_path / "at_once", [text], PRETRAIN)
    for ours, expected in zip(weights(tmp_path / "run"), weights(tmp_path / "at_once"), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_a_disk_that_fills_up_later_keeps_the_last_checkpoint(data, tmp_path, monkeypatch):
    original = run_folder.save_tree

    def full(path, tree):
        if (tmp_path / "run" / "checkpoint").exists():
            raise OSError(28, "No space left on device")
        original(path, tree)

    monkeypatch.setattr(run_folder, "save_tree", full)
    with pytest.raises(TrainingError, match=r"checkpoint: cannot be written: No space left on device\. Make room"):
        finetune(tmp_path / "run", finetune_settings(data), save_every=0)
    assert not (tmp_path / "run" / "checkpoint.new").exists()
    monkeypatch.undo()
    assert read_record(tmp_path / "run" / "checkpoint" / "state.json")["updates"] == 1
    assert finetune(tmp_path / "run", finetune_settings(data))


# -- other data, settings and machines -------------------------------------------------------------------------------


def test_another_corpus_is_refused_also_after_a_kill(text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text(text.read_text(encoding="utf-8").replace("saw", "met"), encoding="utf-8")

    class Killed(BaseException):
        pass

    def kill(_):
        raise Killed

    with pytest.raises(Killed):
        pretrain(tmp_path / "run", [text], PRETRAIN, report=kill)  # before the first checkpoint
    for files in ([other], [text, text], [text, other]):
        with pytest.raises(TrainingError, match=r"begun with other text than .*, or its content has changed; give the"):
            pretrain(tmp_path / "run", files, PRETRAIN)
    with pytest.raises(TrainingError, match=r"begun with other text for the last updates than .*other"):
        pretrain(tmp_path / "run", [text], PRETRAIN, last_files=[other])
    moved = text.rename(tmp_path / "moved.txt")
    assert pretrain(tmp_path / "run", [moved], PRETRAIN)  # the same text under another name
    moved.rename(text)


def test_a_kill_while_the_text_is_prepared_leaves_nothing_that_counts(text, tmp_path, monkeypatch):
    """Otherwise the tokenizer of one text could be combined with the sequences of another."""
    other = tmp_path / "other.txt"
    other.write_text("Completely different words, over and over again.\n" * 90 + "zq" * 99, encoding="utf-8")

    class Killed(BaseException):
        pass

    def kill(line):
        if "sequences" in line:
            raise Killed

    with pytest.raises(Killed):
        pretrain(tmp_path / "run", [other], PRETRAIN, say=kill)
    assert (tmp_path / "run" / "tokenizer.json").exists()
    assert pretrain(tmp_path / "run", [text], PRETRAIN)
    assert pretrain(tmp_path / "at_once", [text], PRETRAIN)
    for ours, expected in zip(weights(tmp_path / "run"), weights(tmp_path / "at_once"), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_another_teacher_under_the_same_name_is_refused(text, tmp_path):
    teacher = write_model(tmp_path / "teacher", num_hidden_layers=2)
    settings = DistillSettings(teacher=str(teacher), length=32, batch_tokens=300, updates=3, warmup=1, decay=1)
    assert not distill(tmp_path / "run", [text], settings, report=stop_at(1))
    path = teacher / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"begun with other teacher than .*model\.safetensors"):
        distill(tmp_path / "run", [text], settings)


def test_another_initial_model_is_refused(text, data, tmp_path):
    settings = replace(PRETRAIN, vocab_size=274, last_length=512, last_updates=0)
    for name, seed in (("a", 0), ("b", 1)):
        tensors = seeded_tensors(seed, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
        shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
        write_model(tmp_path / name, tensors, **shape)

    class Killed(BaseException):
        pass

    def kill(_):
        raise Killed

    with pytest.raises(Killed):
        pretrain(tmp_path / "run", [text], settings, initial=tmp_path / "a", report=kill)
    for other, given in ((tmp_path / "b", ".*safetensors"), (None, "none")):
        with pytest.raises(TrainingError, match=f"begun with other initial model than {given}"):
            pretrain(tmp_path / "run", [text], settings, initial=other)
    with pytest.raises(TrainingError, match=r"absent.config\.json: no such file"):
        pretrain(tmp_path / "run", [text], settings, initial=tmp_path / "absent")
    assert pretrain(tmp_path / "run", [text], settings, initial=tmp_path / "a")


def test_changed_data_are_named_by_file(data, stopped, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(stopped / "finetune", run)
    (tmp_path / "other.tsv").write_text(ROWS + "more\tanimal\n", encoding="utf-8")
    other = str(tmp_path / "other.tsv")
    for changes, what in (({"train": other}, "training data"), ({"eval": other}, "evaluation data")):
        with pytest.raises(TrainingError, match=f"begun with other {what} than .*other.tsv") as raised:
            finetune(run, finetune_settings(data, **changes))
        assert "sha" not in str(raised.value)
    with pytest.raises(TrainingError, match="begun with other evaluation data than none"):
        finetune(run, finetune_settings(data, eval=None))


def test_another_number_of_threads_is_reported(stopped, data, tmp_path, monkeypatch):
    shutil.copytree(stopped / "finetune", tmp_path / "run")
    monkeypatch.setattr(run_folder, "worker_threads", lambda: 77)
    monkeypatch.setattr(run_folder.np, "__version__", "9.9")
    lines = []
    assert finetune(tmp_path / "run", finetune_settings(data), say=lines.append)
    said = [line for line in lines if "results may differ in the last digits" in line]
    assert [line.split(":")[0] for line in said] == ["BLAS threads", "NumPy"]
    assert all(", 77 now" in line or ", 9.9 now" in line for line in said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_stop_a_run_after_a_checkpoint(number, text, tmp_path):
    def stop(report):
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    assert not pretrain(tmp_path / "run", [text], PRETRAIN, report=stop)
    assert signal.getsignal(number) is before
    assert read_record(tmp_path / "run" / "checkpoint" / "state.json")["updates"] == 1


def test_a_signal_during_the_last_update_does_not_unmake_it(text, tmp_path):
    def stop(report):
        if report.update == report.updates:
            os.kill(os.getpid(), signal.SIGINT)

    assert pretrain(tmp_path / "run", [text], PRETRAIN, report=stop)


def test_a_handler_that_python_did_not_install_is_left_alone(text, tmp_path, monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert pretrain(tmp_path / "run", [text], PRETRAIN, report=lambda report: os.kill(os.getpid(), signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_checkpoint_that_is_a_link_is_replaced(text, tmp_path):
    assert not pretrain(tmp_path / "run", [text], PRETRAIN, report=lambda report: os.kill(os.getpid(), signal.SIGINT))
    (tmp_path / "run" / "checkpoint").rename(tmp_path / "elsewhere")
    (tmp_path / "run" / "checkpoint").symlink_to(tmp_path / "elsewhere")
    assert pretrain(tmp_path / "run", [text], PRETRAIN)
    assert not (tmp_path / "run" / "checkpoint").is_symlink()
    assert (tmp_path / "elsewhere" / "state.json").exists()


def test_a_run_of_another_kind_is_refused(text, data, tmp_path):
    assert pretrain(tmp_path / "run", [text], PRETRAIN)
    with pytest.raises(TrainingError, match="holds a run of another kind"):
        finetune(tmp_path / "run", finetune_settings(data, epochs=None, learning_rate=None, model=None))


def test_an_ignored_signal_stays_ignored(text, tmp_path):
    """As nohup leaves it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert pretrain(tmp_path / "run", [text], PRETRAIN, report=lambda report: os.kill(os.getpid(), signal.SIGHUP))
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("value", [-1, float("nan")])
def test_times_between_checkpoints_are_checked(value, text, tmp_path):
    with pytest.raises(TrainingError, match="save_every must be a number of at least 0"):
        pretrain(tmp_path / "run", [text], PRETRAIN, save_every=value)


# -- ends ------------------------------------------------------------------------------------------------------------


def test_a_finished_run_says_so_and_continues_with_more_epochs(data, tmp_path):
    lines = []
    assert finetune(tmp_path, finetune_settings(data), say=lines.append)
    checkpoint = (tmp_path / "checkpoint" / "state.json").read_bytes()
    for settings in (finetune_settings(data), finetune_settings(data, epochs=None, learning_rate=None, model=None)):
        lines.clear()
        assert finetune(tmp_path, settings, say=lines.append)
        assert lines[-1] == f"{tmp_path}: this run is finished, after 4 updates"
        assert (tmp_path / "checkpoint" / "state.json").read_bytes() == checkpoint
    assert finetune(tmp_path, finetune_settings(data, epochs=5), say=lines.append)
    assert [line.split(":")[0] for line in lines if line.startswith("epoch")] == [f"epoch {n} of 5" for n in (3, 4, 5)]
    assert json.loads((tmp_path / "settings.json").read_text())["epochs"] == 5
    assert finetune(tmp_path, finetune_settings(data, epochs=5))
    assert len((tmp_path / "evaluations.csv").read_text().splitlines()) == 6
    assert finetune(tmp_path, finetune_settings(data), say=lines.append)  # fewer epochs than made
    assert "this run is finished" in lines[-1]
