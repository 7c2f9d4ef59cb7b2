import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from distilroberta_np import RobertaForMaskedLM, RobertaTokenizer, TrainingError
from distilroberta_np.layers.params import tree_leaves
from distilroberta_np.training import loop as loop
from distilroberta_np.training.data.batches import MaskedBatches
from distilroberta_np.training.distill import PHASE, distill
from distilroberta_np.training.settings import DistillSettings
from tests.support.seeded import tokenizer_dict, write_json, write_model


@pytest.fixture(autouse=True)
def no_picture(monkeypatch):
    """Drawing takes longer than these runs."""
    monkeypatch.setattr(loop, "draw_losses", lambda path: None)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    lines = [f"The cat sat {a} the {b}.\n" for a in ("on", "at", "by") for b in "abcdefghijklmn"]
    path.write_text("".join(lines) + "\n" + "".join(reversed(lines)), encoding="utf-8")
    return [path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a teacher."""
    return write_model(tmp_path_factory.mktemp("teacher"), num_hidden_layers=4)


@pytest.fixture(scope="module")
def settings(folder):
    return DistillSettings(teacher=str(folder), length=32, batch_tokens=300, updates=5, warmup=1, decay=4, dropout=0.1)


def weights_of(path):
    return list(tree_leaves(RobertaForMaskedLM.from_pretrained(path).weights))


def test_a_run_makes_a_model_that_comes_closer_to_its_teacher(files, folder, settings, tmp_path):
    reports = []
    settings = replace(settings, updates=20, learning_rate=5e-3, dropout=0.0)
    assert distill(tmp_path / "run", files, settings, report=reports.append)
    losses = [report.loss for report in reports]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    student = RobertaForMaskedLM.from_pretrained(tmp_path / "run" / "checkpoint")
    assert student.config == replace(
        RobertaForMaskedLM.from_pretrained(folder).config, num_hidden_layers=2, architectures=("RobertaForMaskedLM",)
    )
    ours, theirs = (RobertaTokenizer.from_pretrained(path) for path in (tmp_path / "run" / "checkpoint", folder))
    np.testing.assert_array_equal(ours("The cat<mask>.")["input_ids"], theirs("The cat<mask>.")["input_ids"])


def test_a_stopped_run_resumes_to_the_bit(files, settings, tmp_path):
    def stop(report):
        if report.update in (2, 3):
            os.kill(os.getpid(), signal.SIGTERM)

    assert not distill(tmp_path / "run", files, settings, report=stop)
    assert not distill(tmp_path / "run", files, settings, report=stop)
    assert json.loads((tmp_path / "run" / "checkpoint" / "state.json").read_text())["updates"] == 3
    assert distill(tmp_path / "run", files, settings)
    assert distill(tmp_path / "at_once", files, settings)
    ours, expected = (weights_of(tmp_path / name / "checkpoint") for name in ("run", "at_once"))
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_first_student_is_the_teacher_without_some_layers(files, folder, settings, tmp_path):
    assert distill(tmp_path, files, replace(settings, updates=1, warmup=0, learning_rate=1e-30, layers=3))
    teacher, student = (RobertaForMaskedLM.from_pretrained(path).weights for path in (folder, tmp_path / "checkpoint"))
    for layer, theirs in enumerate((0, 2, 3)):
        trees = (student.roberta.layers[layer], teacher.roberta.layers[theirs])
        for ours, expected in zip(*map(tree_leaves, trees), strict=True):
            np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(student.lm_head.dense.weight, teacher.lm_head.dense.weight)
    np.testing.assert_array_equal(student.roberta.embeddings.position, teacher.roberta.embeddings.position)


def test_settings_other_than_the_runs_are_refused(files, settings, tmp_path):
    assert distill(tmp_path, files, replace(settings, updates=1))
    with pytest.raises(TrainingError, match=r"begun with temperature 2\.0, not 4\.0; give the same"):
        distill(tmp_path, files, replace(settings, updates=1, temperature=4.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 9}, "layers must be at most 4, the number that .* has, not 9"),
        ({"length": 600}, "length must be at most 512"),
    ],
)
def test_settings_that_the_teacher_excludes_are_named(files, settings, tmp_path, changes, message):
    with pytest.raises(TrainingError, match=message):
        distill(tmp_path / "run", files, replace(settings, **changes))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "temperature must be a number above 0"),
        ({"alpha_cos": -1.0}, "must be a number of at least 0"),
        ({"alpha_ce": 0.0, "alpha_mlm": 0.0, "alpha_cos": 0.0}, "all 0; at least one"),
        ({"length": 4}, "length must be an integer of at least 8"),
    ],
)
def test_wrong_settings_are_named(settings, changes, message):
    with pytest.raises(TrainingError, match=message):
        replace(settings, **changes)


def tokenizer_with(**changes):
    """A tokenizer with some tokens under other names."""
    tokenizer = tokenizer_dict()
    vocab = tokenizer["model"]["vocab"]
    for old, new in changes.items():
        for token in tokenizer["added_tokens"]:
            token["content"] = token["content"].replace(f"<{old}>", f"<{new}>")
        vocab[f"<{new}>"] = vocab.pop(f"<{old}>")
    return tokenizer


def test_random_tokens_are_drawn_from_the_whole_vocabulary(files, folder, settings, tmp_path):
    """Also if the mask token is not the last, as in tokenizers that were trained with it among the first."""
    tokenizer = tokenizer_dict()
    vocab, mask = tokenizer["model"]["vocab"], tokenizer["added_tokens"][-1]
    fourth = next(token for token, index in vocab.items() if index == 4)
    vocab["<mask>"], vocab[fourth], mask["id"] = 4, mask["id"], 4
    teacher = write_model(tmp_path / "teacher", num_hidden_layers=2)
    write_json(teacher / "tokenizer.json", tokenizer)
    assert distill(tmp_path / "run", files, replace(settings, teacher=str(teacher), masking=0.9))
    batches = MaskedBatches(tmp_path / "run", PHASE, settings.length, replace(settings, masking=0.9))
    drawn = {
        token
        for update in range(8)
        for ids, labels in batches.batch(update)
        for token in ids[(labels >= 0) & (ids != labels) & (ids != 4)].tolist()
    }
    assert max(drawn) > 4


def test_a_tokenizer_that_does_not_fit_is_named(files, settings, tmp_path):
    folder = write_model(tmp_path / "teacher", num_hidden_layers=2, vocab_size=100)
    with pytest.raises(TrainingError, match="tokenizer has 274 tokens, but the model only 100"):
        distill(tmp_path / "run", files, replace(settings, teacher=str(folder)))
    folder = write_model(tmp_path / "other", num_hidden_layers=2)
    write_json(folder / "tokenizer.json", tokenizer_with(unk="other"))
    with pytest.raises(TrainingError, match="the tokenizer has 275 tokens, but the model only 274"):
        distill(tmp_path / "run", files, replace(settings, teacher=str(folder)))
