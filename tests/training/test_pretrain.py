import csv
import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from distilroberta_np import RobertaForMaskedLM, RobertaTokenizer, TrainingError, pipeline
from distilroberta_np.cli import main
from distilroberta_np.layers.params import tree_leaves
from distilroberta_np.training import pretrain as module
from distilroberta_np.training.data.batches import batch_gradients, count_masked
from distilroberta_np.training.positions import continue_positions
from distilroberta_np.training.pretrain import pretrain
from distilroberta_np.training.settings import PretrainSettings

SETTINGS = PretrainSettings(
    vocab_size=280,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    length=32,
    last_length=32,
    decay=4,
    batch_tokens=300,
    updates=6,
    warmup=2,
    dropout=0.1,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    lines = [f"The {a} {b} the {c}.\n" for a in ("cat", "dog", "old man") for b in ("saw", "took") for c in "abcdefgh"]
    path.write_text("".join(lines) + "\n" + "".join(reversed(lines)), encoding="utf-8")
    return [path]


@pytest.fixture(scope="module")
def finished(files, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    assert pretrain(run, files, SETTINGS)
    return run


def stop_after(updates):
    """A report that stops the run after this many updates."""

    def stop(report):
        if report.update == updates:
            os.kill(os.getpid(), signal.SIGINT)

    return stop


def weights(run):
    return list(tree_leaves(RobertaForMaskedLM.from_pretrained(run / "checkpoint").weights))


def test_it_learns_and_saves_a_model(files, tmp_path):
    assert pretrain(tmp_path, files, replace(SETTINGS, updates=60, learning_rate=1e-2, warmup=10))
    with open(tmp_path / "losses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["update"]) for row in rows] == list(range(1, 61))
    assert float(rows[0]["loss"]) == pytest.approx(np.log(280), abs=0.3)
    assert np.mean([float(row["loss"]) for row in rows[-10:]]) < 2.5
    answer = pipeline("fill-mask", tmp_path / "checkpoint")("The cat<mask> the d.")
    assert len(answer) == 5


def test_a_stopped_run_resumes_to_the_bit(files, finished, tmp_path):
    def stop(report):
        if report.update in (2, 3):
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    assert not pretrain(tmp_path, files, SETTINGS, report=stop)
    assert not pretrain(tmp_path, files, SETTINGS, report=stop)
    assert json.loads((tmp_path / "checkpoint" / "state.json").read_text())["updates"] == 3
    assert signal.getsignal(signal.SIGTERM) is before
    assert pretrain(tmp_path, files, SETTINGS)
    for ours, expected in zip(weights(tmp_path), weights(finished), strict=True):
        np.testing.assert_array_equal(ours, expected)

    def losses(run):
        with open(run / "losses.csv", newline="") as file:
            return [(row["update"], row["loss"]) for row in csv.DictReader(file)]

    assert losses(tmp_path) == losses(finished)


def test_a_kill_loses_only_the_updates_after_the_last_checkpoint(files, finished, tmp_path):
    class Killed(BaseException):
        pass

    def kill(report):
        if report.update == 4:
            raise Killed

    with pytest.raises(Killed):
        pretrain(tmp_path, files, SETTINGS, save_every=0, report=kill)
    assert json.loads((tmp_path / "checkpoint" / "state.json").read_text())["updates"] == 3
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")  # and that between the renames
    assert pretrain(tmp_path, files, SETTINGS)
    for ours, expected in zip(weights(tmp_path), weights(finished), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_settings_other_than_the_runs_are_refused(files, finished):
    with pytest.raises(TrainingError, match=r"begun with learning_rate 0\.001, not 0\.5, seed 0, not 3; give the same"):
        pretrain(finished, files, replace(SETTINGS, learning_rate=0.5, seed=3))


def test_divergence_raises_an_error_and_keeps_the_checkpoint(files, tmp_path, monkeypatch):
    whole = module.masked_lm_gradients

    def diverge(*arguments, **named):
        loss, gradients = whole(*arguments, **named)
        return (np.nan if (tmp_path / "checkpoint").exists() else loss), gradients

    monkeypatch.setattr(module, "masked_lm_gradients", diverge)
    with pytest.raises(TrainingError, match=r"at update 2 the loss is nan .* The checkpoint of update 1 is intact"):
        pretrain(tmp_path, files, SETTINGS, save_every=0)
    assert np.isfinite(weights(tmp_path)[0]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"updates": 0}, "updates must be an integer of at least 1"),
        ({"last_masking": 1.0}, "last_masking must be a number of at least 0 and below 1"),
        ({"masking": 1.5}, "masking must be a number above 0 and below 1, not 1.5"),
        ({"dropout": 1}, "dropout must be a number of at least 0 and below 1"),
        ({"length": 4}, "length must be an integer of at least 8"),
        ({"last_length": 16}, "last_length must be at least length, not 16 and 32"),
    ],
)
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(TrainingError, match=message):
        replace(SETTINGS, **changes)


def test_too_many_tokens_for_the_text(files, tmp_path):
    with pytest.raises(TrainingError, match=r"only [0-9]+ different tokens"):
        pretrain(tmp_path, files, replace(SETTINGS, vocab_size=5000))
    assert not (tmp_path / "settings.json").exists()  # the next one may have others
    with pytest.raises(TrainingError, match=r"absent\.txt: no such file"):
        pretrain(tmp_path, [tmp_path / "absent.txt"], SETTINGS)
    assert pretrain(tmp_path, files, replace(SETTINGS, updates=1, warmup=1, decay=1))


def test_a_batch_without_masked_tokens(files, tmp_path):
    with pytest.raises(TrainingError, match="a batch has no masked tokens; increase batch_tokens or masking"):
        pretrain(tmp_path, files, replace(SETTINGS, masking=1e-9))


def test_the_command(files, tmp_path, capsys):
    arguments = ["pretrain", str(files[0]), "--out", str(tmp_path / "run")]
    for name in (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "length",
        "last_length",
    ):
        arguments += ["--" + name.replace("_", "-"), str(getattr(SETTINGS, name))]
    assert main([*arguments, "--batch-tokens", "300", "--updates", "2"]) == 0
    assert "update 2 of 2, loss 5." in capsys.readouterr().err
    assert main([*arguments, "--batch-tokens", "300", "--updates", "3"]) == 2
    assert "cannot change updates from 2 to 3" in capsys.readouterr().err


def test_updates_can_be_added_until_the_end_begins(files, tmp_path):
    """A run with updates added makes the same updates as a run that had them from the start."""
    shorter = replace(SETTINGS, updates=8, decay=3, last_updates=2)
    longer = replace(shorter, updates=10)
    begun = []

    def stop(report):
        begun.append(report.update)
        if report.update == 4 and len(begun) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    assert not pretrain(tmp_path / "run", files, shorter, report=stop)
    assert pretrain(tmp_path / "run", files, longer)
    assert pretrain(tmp_path / "at_once", files, longer)
    for ours, expected in zip(weights(tmp_path / "run"), weights(tmp_path / "at_once"), strict=True):
        np.testing.assert_array_equal(ours, expected)
    for _ in range(2):  # what is refused is not noted
        with pytest.raises(TrainingError, match="cannot change updates from 10 to 12 at update 10"):
            pretrain(tmp_path / "run", files, replace(longer, updates=12))


def test_the_decay_can_be_chosen_until_it_begins(files, tmp_path):
    begun_with = replace(SETTINGS, updates=1000, decay=1, last_updates=1, last_length=64)
    chosen = replace(begun_with, updates=8, decay=4, last_updates=2)
    assert not pretrain(tmp_path / "run", files, begun_with, report=stop_after(4))
    message = "cannot change updates from 1,000 to 8, decay from 1 to 5, .* the end begins at update 3$"
    with pytest.raises(TrainingError, match=message):
        pretrain(tmp_path / "run", files, replace(begun_with, updates=8, decay=5, last_updates=2))
    assert pretrain(tmp_path / "run", files, chosen)
    assert pretrain(tmp_path / "at_once", files, chosen)
    for ours, wanted in zip(weights(tmp_path / "run"), weights(tmp_path / "at_once"), strict=True):
        np.testing.assert_array_equal(ours, wanted)


def test_a_run_begins_with_another_model(finished, files, tmp_path):
    initial, settings, reports = finished / "checkpoint", replace(SETTINGS, dropout=0.0), []
    assert pretrain(tmp_path / "run", files, settings, initial=initial, report=reports.append)
    batch = module.masked_batches(tmp_path / "run", settings)(0)
    model = RobertaForMaskedLM.from_pretrained(initial)
    masked = count_masked(batch)
    loss, _ = batch_gradients(
        batch,
        lambda ids, labels, _: module.masked_lm_gradients(ids, labels, model.weights, model.config, None, masked),
        0.0,
        [0],
        "cpu",
    )
    assert reports[0].loss == pytest.approx(loss, abs=1e-6)
    assert (tmp_path / "run" / "tokenizer.json").read_text() == (finished / "tokenizer.json").read_text()

    assert not pretrain(tmp_path / "stopped", files, settings, initial=initial, report=stop_after(2))
    assert pretrain(tmp_path / "stopped", files, settings, initial=initial)
    for ours, wanted in zip(weights(tmp_path / "stopped"), weights(tmp_path / "run"), strict=True):
        np.testing.assert_array_equal(ours, wanted)


def test_longer_sequences_continue_the_positions(files, tmp_path):
    settings = replace(SETTINGS, length=16, learning_rate=1e-30, updates=3, last_updates=1)

    def continued(run):
        return RobertaForMaskedLM.from_pretrained(run / "checkpoint").weights.roberta.embeddings.position

    assert not pretrain(tmp_path / "run", files, settings, report=stop_after(2))
    expected = np.array(continued(tmp_path / "run"))
    assert pretrain(tmp_path / "run", files, settings)
    continue_positions(expected[2:], 16)
    np.testing.assert_array_equal(continued(tmp_path / "run"), expected)

    # All positions of an initial model are learned, unless it is said how many.
    initial = tmp_path / "run" / "checkpoint"
    assert pretrain(tmp_path / "all", files, settings, initial=initial)
    np.testing.assert_array_equal(continued(tmp_path / "all"), expected)
    assert pretrain(tmp_path / "some", files, replace(settings, learned_positions=12), initial=initial)
    continue_positions(expected[2:], 12)
    np.testing.assert_array_equal(continued(tmp_path / "some"), expected)
    with pytest.raises(TrainingError, match="learned_positions must be 0 or at least 4, not 3"):
        replace(settings, learned_positions=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 300}, "has 280 tokens; set vocab_size to 280"),
        ({"num_hidden_layers": 3}, "describe a model of another shape"),
        ({"num_attention_heads": 4}, "describe a model of another shape"),  # which no tensor's shape shows
    ],
)
def test_a_model_of_another_shape(finished, files, tmp_path, changes, message):
    with pytest.raises(TrainingError, match=message):
        pretrain(tmp_path, files, replace(SETTINGS, **changes), initial=finished / "checkpoint")


def test_the_last_updates_can_have_text_of_their_own(files, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("A quick brown fox jumps over a lazy dog.\n" * 200, encoding="utf-8")
    settings = replace(SETTINGS, last_updates=2)
    assert pretrain(tmp_path / "run", files, settings, last_files=[other])
    batches = module.masked_batches(tmp_path / "run", settings)
    tokenizer = RobertaTokenizer.from_folder(tmp_path / "run" / "checkpoint")
    texts = [
        {
            tokenizer.decode(np.where(labels >= 0, labels, ids), skip_special_tokens=True)
            for ids, labels in batches(update)
        }
        for update in range(6)
    ]
    assert [any("fox" in text for text in batch) for batch in texts] == [False] * 4 + [True] * 2
    assert [any("cat" in text for text in batch) for batch in texts] == [True] * 4 + [False] * 2


def test_the_last_updates_can_have_fewer_masks(files, tmp_path):
    settings = replace(SETTINGS, batch_tokens=600, masking=0.6, last_masking=0.1, last_updates=3)
    assert pretrain(tmp_path, files, settings)
    batches = module.masked_batches(tmp_path, settings)
    shares = [np.mean(np.concatenate([(labels >= 0).ravel() for _, labels in batches(n)])) for n in range(6)]
    assert min(shares[:3]) > 0.4
    assert max(shares[3:]) < 0.2


def test_muon_learns_and_resumes_to_the_bit(files, tmp_path):
    settings = replace(SETTINGS, optimizer="muon", whole_words=True, last_length=64, last_updates=2)
    reports = []

    def stop(report):
        if report.update == 3 and len(reports) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        reports.append(report)

    assert not pretrain(tmp_path / "run", files, settings, report=stop)
    assert pretrain(tmp_path / "run", files, settings)
    assert pretrain(tmp_path / "at_once", files, settings)
    for ours, expected in zip(weights(tmp_path / "run"), weights(tmp_path / "at_once"), strict=True):
        np.testing.assert_array_equal(ours, expected)
