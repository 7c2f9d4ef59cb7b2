import csv
import json
import os
import signal
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from distilroberta_np import RobertaForSequenceClassification, RobertaForTokenClassification, TrainingError
from distilroberta_np.config import RobertaConfig
from distilroberta_np.layers.params import tree_leaves
from distilroberta_np.runtime import batching
from distilroberta_np.tokenizer import RobertaTokenizer
from distilroberta_np.training import finetune as module
from distilroberta_np.training.data.conll import TaggedSentence
from distilroberta_np.training.data.questions import Question
from distilroberta_np.training.data.tables import LabelledText, read_table
from distilroberta_np.training.finetune import evaluate, finetune, is_best
from distilroberta_np.training.loop import save_checkpoint
from distilroberta_np.training.settings import FinetuneSettings
from distilroberta_np.training.tasks import (
    Context,
    Example,
    question_answering,
    text_classification,
    token_classification,
)
from tests.support.seeded import seeded_tensors, write_model
from tests.support.seeded_heads import write_classifier

SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
TEXTS = [("the cat sat", "animal"), ("a cat on the sat", "animal"), ("ab ab", "letters"), ("on ab the ab", "letters")]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("base"), **SHAPE)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name, times in (("train", 5), ("eval", 2)):
        rows = [f"{text}{' the' * number}\t{label}\n" for number in range(times) for text, label in TEXTS]
        (folder / f"{name}.tsv").write_text("text\tlabel\n" + "".join(rows), encoding="utf-8")
    return folder


def settings_for(base, files, **changes):
    values = {
        "task": "text-classification", "model": str(base), "train": str(files / "train.tsv"),
        "eval": str(files / "eval.tsv"), "epochs": 2, "batch_size": 8, "learning_rate": 1e-2,
    }  # fmt: skip
    return FinetuneSettings(**values | changes)


@pytest.fixture(scope="module")
def finished(base, files, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    assert finetune(run, settings_for(base, files))
    return run


def weights(folder):
    return list(tree_leaves(RobertaForSequenceClassification.from_pretrained(folder).weights))


def table(path, *names):
    with open(path, newline="", encoding="utf-8") as file:
        return [tuple(row[name] for name in names) for row in csv.DictReader(file)]


# -- the loop --------------------------------------------------------------------------------------------------------


def test_it_learns_and_keeps_the_best(base, files, device_name, tmp_path):
    lines = []
    settings = settings_for(base, files, epochs=6, dropout=0.0)
    assert finetune(tmp_path, settings, device=device_name, say=lines.append)
    assert len(table(tmp_path / "losses.csv", "loss")) == 6 * 3  # of 8, 8 and 4 texts
    evaluations = table(tmp_path / "evaluations.csv", "update", "epoch", "accuracy")
    assert [row[:2] for row in evaluations] == [(str(3 * epoch), str(epoch)) for epoch in range(1, 7)]
    best = json.loads((tmp_path / "best" / "evaluation.json").read_text())
    assert best["accuracy"] == 1.0 == max(float(row[2]) for row in evaluations)
    assert best["metric"] == "accuracy"
    # The first of those that are alike.
    assert str(best["epoch"]) == next(row[1] for row in evaluations if row[2] == "1.0")
    assert any("the best so far" in line for line in lines)
    model = RobertaForSequenceClassification.from_pretrained(tmp_path / "best")
    assert model.config.labels == ("animal", "letters")
    assert model.config.problem_type == "single_label_classification"
    scores = evaluate(tmp_path / "best", files / "eval.tsv", settings_for(base, files))
    assert scores == {name: best[name] for name in ("accuracy", "f1", "f1_macro", "matthews")}


def test_a_run_on_a_device_learns_what_it_learns_on_the_host(base, files, standin, tmp_path):
    settings = settings_for(base, files, dropout=0.0)
    assert finetune(tmp_path / "here", settings)
    assert finetune(tmp_path / "there", settings, device="cuda")
    for ours, expected in zip(*(weights(tmp_path / name / "checkpoint") for name in ("there", "here")), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-4)
    assert finetune(tmp_path / "dropout", settings_for(base, files), device="cuda")


@pytest.mark.parametrize("stops", [(2,), (3,), (1, 5)])
def test_a_stopped_run_resumes_to_the_bit(base, files, finished, tmp_path, stops):
    def stop(report):
        if report.update in stops:
            os.kill(os.getpid(), signal.SIGTERM)

    for _ in stops:
        assert not finetune(tmp_path, settings_for(base, files), report=stop)
    assert finetune(tmp_path, settings_for(base, files))
    for folder in ("checkpoint", "best"):
        for ours, expected in zip(weights(tmp_path / folder), weights(finished / folder), strict=True):
            np.testing.assert_array_equal(ours, expected)
    assert (tmp_path / "evaluations.csv").read_bytes() == (finished / "evaluations.csv").read_bytes()
    best = "best/evaluation.json"
    assert (tmp_path / best).read_text() == (finished / best).read_text()
    assert table(tmp_path / "losses.csv", "update", "loss") == table(finished / "losses.csv", "update", "loss")


def test_a_kill_after_a_later_best_than_the_checkpoint_changes_nothing(base, files, finished, tmp_path):
    class Killed(BaseException):
        pass

    def stop(report):
        if report.update == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    def kill(report):
        if report.update == 4:
            raise Killed

    assert not finetune(tmp_path, settings_for(base, files), report=stop)
    with pytest.raises(Killed):
        finetune(tmp_path, settings_for(base, files), report=kill)
    assert json.loads((tmp_path / "checkpoint" / "state.json").read_text())["updates"] == 2
    assert len(table(tmp_path / "evaluations.csv", "update")) == 1
    (tmp_path / "best").rename(tmp_path / "best.old")  # and that between the renames
    assert finetune(tmp_path, settings_for(base, files))
    for folder in ("checkpoint", "best"):
        for ours, expected in zip(weights(tmp_path / folder), weights(finished / folder), strict=True):
            np.testing.assert_array_equal(ours, expected)
    assert (tmp_path / "evaluations.csv").read_bytes() == (finished / "evaluations.csv").read_bytes()


def test_the_best_is_above_all_before_and_nan_never_is():
    scores = [0.1, 0.1, 0.2, np.nan, 0.3]
    assert [is_best(score, scores[:n]) for n, score in enumerate(scores)] == [True, False, True, False, True]


def test_the_head_is_new_and_the_encoder_is_the_models(base, files, tmp_path, monkeypatch):
    def stop(run, model, tokenizer, *others):
        save_checkpoint(model, tokenizer, tmp_path)
        return False

    monkeypatch.setattr(module, "train", stop)
    tensors = seeded_tensors(0, **SHAPE)
    bare = write_model(tmp_path / "bare", seeded_tensors(0, prefix="", pooler=True, **SHAPE), **SHAPE)
    other = write_classifier(tmp_path / "other", ["a", "b", "c"], **SHAPE)
    heads = []
    for number, (source, seed) in enumerate([(base, 0), (bare, 0), (other, 0), (base, 1)]):
        finetune(tmp_path / f"run{number}", settings_for(source, files, seed=seed))
        model = RobertaForSequenceClassification.from_pretrained(tmp_path)
        if source != bare:
            np.testing.assert_array_equal(
                model.weights.roberta.layers[1].attention.key.weight,
                tensors["roberta.encoder.layer.1.attention.self.key.weight"],
            )
        heads.append(model.weights.classifier)
    for head in heads:
        assert head.dense.weight.std() == pytest.approx(0.02, rel=0.2)
        assert not head.dense.bias.any()
        assert head.output.weight.shape == (2, 16)
    np.testing.assert_array_equal(heads[0].dense.weight, heads[2].dense.weight)
    assert (heads[0].dense.weight != heads[3].dense.weight).any()


def test_divergence_raises_an_error(base, files, tmp_path, monkeypatch):
    whole = RobertaForSequenceClassification.gradients

    def diverge(*arguments):
        loss, gradients = whole(*arguments)
        return (np.nan if (tmp_path / "checkpoint").exists() else loss), gradients

    monkeypatch.setattr(RobertaForSequenceClassification, "gradients", diverge)
    with pytest.raises(TrainingError, match=r"at update 2 the loss is nan .* The checkpoint of update 1 is intact"):
        finetune(tmp_path, settings_for(base, files), save_every=0)


def test_settings_or_data_other_than_the_runs_are_refused(base, files, finished, tmp_path):
    with pytest.raises(TrainingError, match=r"begun with learning_rate 0\.01, not 0\.5, seed 0, not 3; give the same"):
        finetune(finished, settings_for(base, files, learning_rate=0.5, seed=3))
    for name in ("train", "eval"):
        (tmp_path / f"{name}.tsv").write_bytes((files / f"{name}.tsv").read_bytes())
    (finished / "best").rename(finished / "best.old")  # by a kill in the middle
    assert finetune(finished, settings_for(base, tmp_path))  # the data has moved, and all updates are made
    assert (finished / "best" / "config.json").exists()
    with open(tmp_path / "train.tsv", "a", encoding="utf-8") as file:
        file.write("more\tanimal\n")
    with pytest.raises(TrainingError, match=r"begun with other training data than .*train\.tsv"):
        finetune(finished, settings_for(base, tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "fill-mask"}, "task must be question-answering or text-classification or token-classification"),
        (
            {"task": "token-classification", "problem_type": "regression"},
            "problem_type applies to text-class",
        ),
        ({"problem_type": "numbers"}, "problem_type must be regression or "),
        ({"epochs": 0}, "epochs must be an integer of at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0"),
        ({"weight_decay": -1.0}, "weight_decay must be a number of at least 0"),
        ({"warmup": 10}, "warmup must be a number of at least 0 and at most 1"),
        ({"dropout": 1.0}, "dropout must be a number of at least 0 and below 1"),
        ({"optimizer": "sgd"}, "optimizer must be adamw or muon"),
        ({"max_length": 3}, "max_length must be an integer of at least 8"),
    ],
)
def test_wrong_settings_are_named(base, files, changes, message):
    with pytest.raises(TrainingError, match=message):
        settings_for(base, files, **changes)


def test_settings_that_the_model_or_the_data_exclude(base, files, tmp_path):
    with pytest.raises(TrainingError, match="metric must be accuracy, f1, f1_macro, matthews for these data"):
        finetune(tmp_path, settings_for(base, files, metric="pearson"))
    with pytest.raises(TrainingError, match="max_length 600 is above 512, the maximum of"):
        finetune(tmp_path, settings_for(base, files, max_length=600))
    (tmp_path / "a.tsv").write_text("text\tlabel\nx\tanimal\ny\tanimal\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"at least two labels, but the data have only \['animal'\]"):
        finetune(tmp_path, settings_for(base, files, train=str(tmp_path / "a.tsv")))
    (tmp_path / "a.conll").write_text("the O\ncat O\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"a\.conll: a classifier needs at least two tags; .* only \['O'\]"):
        changes = {"train": str(tmp_path / "a.conll"), "eval": str(tmp_path / "a.conll")}
        finetune(tmp_path, settings_for(base, files, task="token-classification", **changes))
    (tmp_path / "b.tsv").write_text("text\tlabel\nx\tanimal\ny\tplant\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"b\.tsv, line 3: the label 'plant' does not occur in the training data"):
        finetune(tmp_path, settings_for(base, files, eval=str(tmp_path / "b.tsv")))
    assert not (tmp_path / "settings.json").exists()  # so that the next command isn't held to these
    (tmp_path / "c.tsv").write_text("text\tlabel\ny\tplant\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"c\.tsv: no rows"):
        finetune(tmp_path, settings_for(base, files, eval=str(tmp_path / "c.tsv"), skip_bad_rows=True))
    small = write_model(tmp_path / "small", seeded_tensors(vocab_size=100, **SHAPE), vocab_size=100, **SHAPE)
    with pytest.raises(TrainingError, match="the tokenizer does not belong to the model"):
        finetune(tmp_path, settings_for(small, files))


def test_skipped_rows_are_reported_and_counted(base, files, tmp_path):
    (tmp_path / "b.tsv").write_text("text\tlabel\nx\tanimal\ny\tplant\nz\n", encoding="utf-8")
    lines = []
    settings = settings_for(base, files, eval=str(tmp_path / "b.tsv"), epochs=1, skip_bad_rows=True)
    assert finetune(tmp_path, settings, say=lines.append)
    assert any("skipped: " in line and "b.tsv, line 4" in line for line in lines)
    assert any("b.tsv, line 3: the label 'plant'" in line for line in lines)
    assert f"{tmp_path / 'b.tsv'}: 2 rows were skipped" in lines


def test_each_epoch_shuffles_every_text_once(base, files, tmp_path, monkeypatch):
    whole, seen = RobertaForSequenceClassification.gradients, []

    def watch(texts, *arguments):
        seen.append([tuple(text) for group in texts for text in group.tolist()])
        return whole(texts, *arguments)

    monkeypatch.setattr(RobertaForSequenceClassification, "gradients", watch)
    monkeypatch.setattr(batching, "worker_threads", lambda: 1)
    assert finetune(tmp_path, settings_for(base, files))
    assert [len(batch) for batch in seen] == [8, 8, 4] * 2
    first, second = (sorted(text for batch in seen[part] for text in batch) for part in (slice(3), slice(3, 6)))
    assert first == second
    assert len(set(first)) == 20
    assert [set(batch) for batch in seen[:3]] != [set(batch) for batch in seen[3:]]


def test_a_tenth_is_held_out_without_evaluation_data(base, files, tmp_path, monkeypatch):
    seen = []
    task = text_classification.TASK
    encode = task.encode
    monkeypatch.setattr(
        task, "encode", lambda rows, *rest: seen.append([row.text for row in rows]) or encode(rows, *rest)
    )
    for seed in (0, 0, 1):
        assert finetune(tmp_path / f"run{len(seen)}", settings_for(base, files, eval=None, epochs=1, seed=seed))
    everything = sorted(row.text for row in read_table(files / "train.tsv"))
    for training, held_out in zip(seen[::2], seen[1::2], strict=True):
        assert len(held_out) == 2
        assert sorted(training + held_out) == everything
    assert seen[:2] == seen[2:4] != seen[4:]
    (tmp_path / "a.tsv").write_text("text\tlabel\nx\tanimal\n", encoding="utf-8")
    with pytest.raises(TrainingError, match="at least two labels"):
        finetune(tmp_path / "run", settings_for(base, files, train=str(tmp_path / "a.tsv"), eval=None))
    with pytest.raises(TrainingError, match=r"a\.tsv: too few rows to hold out a tenth; give a file with --eval"):
        changes = {"problem_type": "regression", "train": str(tmp_path / "b" / "a.tsv"), "eval": None}
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "a.tsv").write_text("text\tlabel\nx\t1.5\n", encoding="utf-8")
        finetune(tmp_path / "run", settings_for(base, files, **changes))


def test_muon_too(base, files, tmp_path):
    assert finetune(tmp_path, settings_for(base, files, optimizer="muon", epochs=1))
    assert all(np.isfinite(leaf).all() for leaf in weights(tmp_path / "best"))


# -- texts -----------------------------------------------------------------------------------------------------------


def context_for(base, files, longest=512, say=lambda line: None, **changes):
    return Context(settings_for(base, files, **changes), RobertaTokenizer.from_folder(base), longest, say)


def learnt(base, files, labels, **changes):
    config = RobertaConfig.from_file(base / "config.json")
    rows = [LabelledText("text", None, label, "here") for label in labels]
    return text_classification.TASK.configure(rows, config, context_for(base, files, **changes))


@pytest.mark.parametrize(
    ("labels", "changes", "kind", "names"),
    [
        (["b", "a", "b"], {}, "single_label_classification", ("a", "b")),
        (["10", "9", "1"], {}, "single_label_classification", ("1", "9", "10")),
        (["0", "1.5", "-2"], {}, "regression", ("LABEL_0",)),
        (["0", "1.5", "?"], {}, "regression", ("LABEL_0",)),  # and "?" is reported when it is encoded
        (["0", "1.5", "x", "y"], {}, "single_label_classification", ("0", "1.5", "x", "y")),
        (["0.0", "1.0", "1", "+1.0", "1e1"], {}, "single_label_classification", ("0", "1", "10")),
        (["-1", "0", "01", "1"], {}, "single_label_classification", ("-1", "0", "01", "1")),
        (["1_000", "2_000", "٣"], {}, "single_label_classification", ("1_000", "2_000", "٣")),
        (["0.5", "1.5", "nan", "0.1", "", "inf", "2"], {}, "regression", ("LABEL_0",)),
        (["1", "2"], {"problem_type": "regression"}, "regression", ("LABEL_0",)),
        ([("x", "y"), (), ("z",)], {}, "multi_label_classification", ("x", "y", "z")),
        (["4,27", "3, 4", ""], {"problem_type": "multi_label_classification"}, "multi_label_classification",
         ("3", "4", "27")),
    ],
)  # fmt: skip
def test_labels_determine_the_head(base, files, labels, changes, kind, names):
    config = learnt(base, files, labels, **changes)
    assert (config.problem_type, config.labels) == (kind, names)


def encoded(module, base, files, rows, config, longest, **changes):
    said = []
    return module.TASK.encode(rows, config, context_for(base, files, longest, said.append, **changes)), said


def test_texts_become_ids_and_labels(base, files):
    tokenizer = RobertaTokenizer.from_folder(base)
    rows = [LabelledText("the cat", "sat on", "4,3", "l1"), LabelledText("a" * 9, "b" * 9, "", "l2")]
    config = learnt(base, files, ["3", "4"], problem_type="multi_label_classification")
    examples, said = encoded(text_classification, base, files, rows, config, 10)
    assert examples[0].ids.tolist() == tokenizer.encode("the cat", "sat on")
    np.testing.assert_array_equal([example.labels for example in examples], [[1, 1], [0, 0]])
    assert tokenizer.decode(examples[1].ids) == "<s>aaa</s></s>bbb</s>"
    assert said == ["1 of 2 texts are longer than 10 tokens: truncated"]


@pytest.mark.parametrize(
    ("labels", "problem_type", "label", "message"),
    [
        (["a", "b"], None, "", "the label '' does not"),
        (["a", "b"], None, ("a", "b"), "2 labels, but each text must have one"),
        (["1", "2"], "regression", "x", "'x' is not a number"),
        (["1", "2"], "regression", "inf", "'inf' is not a number"),
        (["0.5", "1.5"], None, "nan", "'nan' is not a number"),
        (["0.5", "1.5"], None, "", "'' is not a number"),
        (["a", "b"], "multi_label_classification", "a,,b", "the label '' does not"),
    ],
)
def test_labels_that_cannot_be_used(base, files, labels, problem_type, label, message):
    config = learnt(base, files, labels, problem_type=problem_type)
    rows = [LabelledText("text", None, label, "a.tsv, line 7")]
    with pytest.raises(TrainingError, match=f"a.tsv, line 7: {message}"):
        encoded(text_classification, base, files, rows, config, 10)


def test_numbers_with_a_decimal_comma_are_not_taken_as_classes(base, files):
    for labels in (["0,5", "1,25", "2"], ["3,4", "27", "5"]):
        with pytest.raises(TrainingError, match=r"could be a number with a decimal comma, or two labels; write 0\.5"):
            learnt(base, files, labels)
    config = learnt(base, files, ["3,4", "27"], problem_type="multi_label_classification")
    assert config.labels == ("3", "4", "27")


def test_whole_numbers_are_the_same_class_however_they_are_written(base, files):
    config = learnt(base, files, ["0.0", "1.0"])
    rows = [LabelledText("a", None, label, "here") for label in ("1", "1.0", "0", "0.00")]
    examples, _ = encoded(text_classification, base, files, rows, config, 10)
    assert [int(example.labels) for example in examples] == [1, 1, 0, 0]


@pytest.mark.parametrize(("scores", "problem_type"), [([0.5, 1.25, 3.0], None), (["a,b", "b", ""], "several")])
def test_regression_and_several_labels_through_the_whole_run(base, files, tmp_path, scores, problem_type):
    lines = "".join(f"{text}\t{label}\n" for label, text in zip(scores, ("the cat", "sat", "ab"), strict=True))
    (tmp_path / "a.tsv").write_text("text\tlabel\n" + lines, encoding="utf-8")
    changes = {"problem_type": "multi_label_classification"} if problem_type else {}
    data = str(tmp_path / "a.tsv")
    settings = settings_for(base, files, train=data, eval=data, epochs=30, learning_rate=3e-3, dropout=0.0, **changes)
    assert finetune(tmp_path / "run", settings)
    best = json.loads((tmp_path / "run" / "best" / "evaluation.json").read_text())
    assert best[best["metric"]] > 0.95
    assert best["metric"] == ("f1_micro" if problem_type else "pearson")


# -- tagged words ----------------------------------------------------------------------------------------------------


def test_the_first_token_of_a_word_has_its_label(base, files):
    tokenizer = RobertaTokenizer.from_folder(base)
    rows = [
        TaggedSentence(("the", "cats", "x"), ("O", "B-a", "O"), "l1"),
        TaggedSentence(("ab",) * 6, ("O",) * 6, "l5"),
    ]
    config = token_classification.TASK.configure(
        rows, RobertaConfig.from_file(base / "config.json"), context_for(base, files)
    )
    assert config.labels == ("B-a", "O")
    (first, *rest), said = encoded(token_classification, base, files, rows, config, 8)
    assert first.ids.tolist() == tokenizer.encode("the cats x")  # <s>, the, Ġcat, s, Ġ, x, </s>
    assert first.labels.tolist() == [-100, 1, 0, -100, 1, -100, -100]
    # Cut between words (" ab" has two pieces but at the start), and nothing lost.
    assert [example.row for example in rest] == [1, 1]
    assert "".join(tokenizer.decode(example.ids[1:-1]) for example in rest) == "ab ab ab ab ab ab"
    assert [int((example.labels >= 0).sum()) for example in rest] == [3, 3]
    assert said == ["1 of 2 sentences are longer than 8 tokens: split"]


def test_words_too_long_and_tags_unknown(base, files):
    rows = [TaggedSentence(("xxxxxxxxxx", "y"), ("B-a", "O"), "l1")]
    config = replace(RobertaConfig.from_file(base / "config.json"), labels=("B-a", "O"))
    examples, said = encoded(token_classification, base, files, rows, config, 8)
    assert [len(example.ids) for example in examples] == [8, 4]
    assert said[-1] == "1 words are longer than 6 tokens: truncated"
    with pytest.raises(TrainingError, match="l1: the tag 'B-a' does not occur in the training data"):
        encoded(token_classification, base, files, rows, replace(config, labels=("O", "X")), 8)


def test_tags_are_learnt(base, files, device_name, tmp_path):
    lines = [f"{word}\t{tag}\n" for word, tag in (("the", "O"), ("cat", "B-x"), ("sat", "I-x"), ("on", "O"))]
    (tmp_path / "a.conll").write_text(("".join(lines) + "\n") * 3, encoding="utf-8")
    data = str(tmp_path / "a.conll")
    changes = {"task": "token-classification", "train": data, "eval": data, "epochs": 30, "dropout": 0.0}
    assert finetune(tmp_path / "run", settings_for(base, files, **changes), device=device_name)
    best = json.loads((tmp_path / "run" / "best" / "evaluation.json").read_text())
    assert (best["metric"], best["f1"], best["accuracy"]) == ("f1", 1.0, 1.0)
    model = RobertaForTokenClassification.from_pretrained(tmp_path / "run" / "best")
    assert model.config.labels == ("B-x", "I-x", "O")


# -- questions -------------------------------------------------------------------------------------------------------

CONTEXT = "the cat sat on the ab and the cat"


def question(answers, number=1):
    return Question(f"q{number}", " who sat? ", CONTEXT, tuple(answers), f"question q{number}")


def test_questions_are_split_into_windows_that_know_the_answer(base, files):
    tokenizer, config = RobertaTokenizer.from_folder(base), RobertaConfig.from_file(base / "config.json")
    rows = [question([("sat on", 8), ("the cat", 0)]), question([], 2)]
    whole, _ = encoded(question_answering, base, files, rows, config, 64)
    assert whole[0].ids.tolist() == tokenizer.encode("who sat?", CONTEXT)
    start, end = whole[0].labels.tolist()
    assert tokenizer.decode(whole[0].ids[start : end + 1]).strip() == "sat on"
    assert whole[1].labels.tolist() == [0, 0]

    windows, said = encoded(question_answering, base, files, rows[:1], config, 20, doc_stride=3)
    assert said == ["1 of 1 questions are longer than 20 tokens: split into windows"]
    assert max(len(window.ids) for window in windows) == 20
    asked = len(tokenizer.encode("who sat?", add_special_tokens=False)) + 3
    context = [window.ids[asked:-1].tolist() for window in windows]
    assert all(before[-3:] == after[:3] for before, after in pairwise(context))
    assert context[0] + [token for part in context[1:] for token in part[3:]] == whole[0].ids[asked:-1].tolist()
    for window in windows:
        assert (window.offsets[:asked] == -1).all()
        assert (window.offsets[asked:-1] >= 0).all()


@pytest.mark.parametrize("text", ["the cat sat", "cat", "sat on the ab", "ab and", "on the ab and the cat"])
def test_an_answer_is_known_where_a_window_has_all_of_it(base, files, text):
    config = RobertaConfig.from_file(base / "config.json")
    rows = [question([(text, CONTEXT.index(text))])]
    windows, _ = encoded(question_answering, base, files, rows, config, 20, doc_stride=3)
    begin = CONTEXT.index(text)
    for window in windows:
        inside = window.offsets[window.offsets[:, 0] >= 0]
        whole = inside[0, 0] <= begin and begin + len(text) <= inside[-1, 1]
        start, end = window.labels.tolist()
        assert bool(start) == bool(end) == whole
        if whole:
            assert CONTEXT[window.offsets[start, 0] : window.offsets[end, 1]] == text


def test_questions_that_leave_no_room(base, files):
    config = RobertaConfig.from_file(base / "config.json")
    with pytest.raises(TrainingError, match=r"question q1: its [0-9]+ tokens leave [0-9]+ of 16 .* share 128"):
        encoded(question_answering, base, files, [question([("cat", 4)])], config, 16)


def test_the_answer_is_the_best_part_or_none(monkeypatch):
    offsets = np.array([[-1, -1], [0, 3], [4, 7], [8, 11], [-1, -1]])
    examples = [Example(np.arange(5), np.zeros(2), row, offsets) for row in (0, 0, 1)]
    scores = [
        [[1, 1], [0, 5], [3, 0], [9, 2], [99, 99]],  # 9 + 5 would end before it starts; then (3, 3) with 11
        [[0, 0], [0, 0], [0, 0], [0, 0], [0, 0]],
        [[9, 9], [0, 0], [1, 1], [0, 0], [0, 0]],
    ]
    monkeypatch.setattr(
        question_answering, "predict", lambda *arguments: [np.array(window, np.float32) for window in scores]
    )
    model = None
    rows = [question([("sat", 8)]), question([], 2)]
    assert question_answering.answer(model, rows, examples) == {0: "sat", 1: ""}
    rows = [question([("sat", 8)]), question([("cat", 4)], 2)]  # where every question has an answer
    assert question_answering.answer(model, rows, examples) == {0: "sat", 1: "cat"}


def test_answers_are_learnt(base, files, device_name, tmp_path):
    qas = [
        {"id": "1", "question": "who?", "answers": [{"text": "cat", "answer_start": 4}], "is_impossible": False},
        {"id": "2", "question": "sat ab", "answers": [], "is_impossible": True},
    ]
    values = {"data": [{"paragraphs": [{"context": CONTEXT, "qas": qas}]}]}
    (tmp_path / "a.json").write_text(json.dumps(values), encoding="utf-8")
    data = str(tmp_path / "a.json")
    changes = {"task": "question-answering", "train": data, "eval": data, "epochs": 60, "dropout": 0.0}
    assert finetune(tmp_path / "run", settings_for(base, files, **changes), device=device_name)
    best = json.loads((tmp_path / "run" / "best" / "evaluation.json").read_text())
    assert (best["metric"], best["f1"], best["exact"]) == ("f1", 100.0, 100.0)
