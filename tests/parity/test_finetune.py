"""Fine-tuning next to torch's autograd, transformers' models, and the measures of scikit-learn, scipy and seqeval."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
pytest.importorskip("transformers", reason="needs the parity extra")
pytest.importorskip("sklearn", reason="needs the parity extra")
pytest.importorskip("seqeval", reason="needs the parity extra")

import scipy.stats
import seqeval.metrics
import sklearn.metrics
import torch
import transformers

import distilroberta_np
from distilroberta_np import RobertaConfig, RobertaTokenizer
from distilroberta_np.layers.params import tree_leaves, tree_map
from distilroberta_np.models.question_answering import question_answering_gradients, question_answering_keys
from distilroberta_np.models.sequence_classification import (
    sequence_classification_gradients,
    sequence_classification_keys,
)
from distilroberta_np.models.token_classification import token_classification_gradients, token_classification_keys
from distilroberta_np.training.data.questions import Question
from distilroberta_np.training.finetune import finetune
from distilroberta_np.training.metrics import classification as metrics
from distilroberta_np.training.settings import FinetuneSettings
from distilroberta_np.training.tasks import Context
from distilroberta_np.training.tasks.question_answering import TASK
from tests.support.seeded import write_model
from tests.support.transformers_models import randomise

pytestmark = pytest.mark.parity

SHAPE = {
    "vocab_size": 300,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 66,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
LENGTHS = (5, 9, 9, 30, 64)
SEQUENCE = (sequence_classification_gradients, sequence_classification_keys, "SequenceClassification")


def single(rng, length):
    return rng.integers(0, 4)


def several(rng, length):
    return rng.integers(0, 2, 4).astype(np.float64)


def number(rng, length):
    return rng.normal()


def numbers(rng, length):
    return rng.normal(size=4)


def tags(rng, length):
    return np.where(rng.random(length) < 0.4, rng.integers(0, 4, length), -100)


def ends(rng, length):
    return rng.integers(-5, length + 10, 2)


CASES = {
    "single": (*SEQUENCE, single, 4, "single_label_classification"),
    "several": (*SEQUENCE, several, 4, "multi_label_classification"),
    "regression": (*SEQUENCE, number, 1, "regression"),
    "regression of several": (*SEQUENCE, numbers, 4, "regression"),
    "tokens": (token_classification_gradients, token_classification_keys, "TokenClassification", tags, 4, None),
    "questions": (question_answering_gradients, question_answering_keys, "QuestionAnswering", ends, 2, None),
}


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-6), (np.float32, 2e-4)])
@pytest.mark.parametrize("case", CASES)
def test_every_tensors_gradient_is_torchs(case, dtype, tolerance):
    gradients_of, keys, head, label, count, problem_type = CASES[case]
    config = transformers.RobertaConfig(**SHAPE, num_labels=count, problem_type=problem_type)
    kind = getattr(transformers, f"RobertaFor{head}")
    theirs = kind._from_config(config, attn_implementation="eager").eval()
    randomise(theirs, 3)
    theirs = theirs.to(torch.float64 if dtype == np.float64 else torch.float32)
    state, our_config = theirs.state_dict(), RobertaConfig.from_dict(config.to_dict())
    weights = tree_map(lambda key: state[key.name].numpy().copy(), keys(our_config))

    rng = np.random.default_rng(0)
    # The reference has padding compete to be an answer; so texts of one length for those.
    lengths = (20,) * 8 if head == "QuestionAnswering" else LENGTHS
    texts = [np.array([0, *rng.integers(4, 299, length - 2), 2]) for length in lengths]
    labels = [np.array(label(rng, length)) for length in lengths]
    longest = max(lengths)
    ids = torch.tensor(np.array([np.pad(text, (0, longest - len(text)), constant_values=1) for text in texts]))
    given = labels
    if head == "TokenClassification":
        given = [np.pad(row, (0, longest - len(row)), constant_values=-100) for row in labels]
    targets = torch.tensor(np.array(given))
    targets = targets.to(theirs.dtype) if targets.is_floating_point() else targets
    names = {"labels": targets}
    if head == "QuestionAnswering":
        assert 0 < (targets < 0).sum() < 4 and 0 < (targets >= longest).sum() < 8
        names = {"start_positions": targets[:, 0].clone(), "end_positions": targets[:, 1].clone()}
    outputs = theirs(ids, attention_mask=(ids != 1).long(), **names)
    outputs.loss.backward()

    groups = [[place for place, length in enumerate(lengths) if length == this] for this in sorted(set(lengths))]
    loss, gradients = gradients_of(
        [np.array([texts[place] for place in group]) for group in groups],
        [np.array([labels[place] for place in group]) for group in groups],
        weights,
        our_config,
    )
    assert loss == pytest.approx(outputs.loss.item(), rel=1e-5)
    parameters = dict(theirs.named_parameters())
    leaves = tree_leaves(keys(our_config))
    assert {key.name for key in tree_leaves(keys(our_config))} == set(parameters)
    for key, ours in zip(leaves, tree_leaves(gradients), strict=True):
        expected = parameters[key.name].grad.numpy()
        assert ours.dtype == dtype
        # Relative to the tensor's largest; a key's bias has none, as it adds the same to all scores of a query.
        scale = max(np.abs(expected).max(), 1e-2)
        assert np.abs(ours - expected).max() <= tolerance * scale, key.name


# -- what it saves ---------------------------------------------------------------------------------------------------

TEXTS = "text\tlabel\nthe cat\tgood\na sat on\tbad\nab\tgood\n"
PAIRS = "sentence1\tsentence2\tscore\nthe cat\ta cat\t1.5\nab\tb\t3\n"
WORDS = "the\tO\ncat\tB-x\n\nsat\tO\n"
CONTEXT = "the cat sat on the ab"
QAS = [{"id": "1", "question": "who?", "answers": [{"text": "cat", "answer_start": 4}]}]
SAVED = {
    "text-classification": ("a.tsv", TEXTS, "SequenceClassification"),
    "pairs": ("a.tsv", PAIRS, "SequenceClassification"),
    "token-classification": ("a.conll", WORDS, "TokenClassification"),
    "question-answering": (
        "a.json",
        json.dumps({"data": [{"paragraphs": [{"context": CONTEXT, "qas": QAS}]}]}),
        "QuestionAnswering",
    ),
}


@pytest.mark.parametrize("case", SAVED)
def test_saved_models_load_in_transformers_without_a_warning(case, tmp_path, recwarn, caplog):
    name, text, head = SAVED[case]
    (tmp_path / name).write_text(text, encoding="utf-8")
    task = "text-classification" if case == "pairs" else case
    base = write_model(tmp_path / "base", hidden_size=32)
    data = str(tmp_path / name)
    settings = FinetuneSettings(task=task, model=str(base), train=data, eval=data, epochs=2, learning_rate=1e-2)
    assert finetune(tmp_path / "run", settings)
    folder = tmp_path / "run" / "best"
    auto = getattr(transformers, f"AutoModelFor{head}")
    theirs, told = auto.from_pretrained(folder, output_loading_info=True)
    assert {key: list(values) for key, values in told.items() if values} == {}
    assert type(theirs).__name__ == f"RobertaFor{head}"
    ours = getattr(distilroberta_np, f"RobertaFor{head}").from_pretrained(folder)
    assert theirs.config.id2label == ours.config.id2label
    assert theirs.config.problem_type == ours.config.problem_type
    inputs = transformers.AutoTokenizer.from_pretrained(folder)("the cat sat", "on ab", return_tensors="pt")
    ids = RobertaTokenizer.from_pretrained(folder).encode("the cat sat", "on ab")
    assert inputs["input_ids"].tolist() == [ids]
    with torch.no_grad():
        expected = theirs.eval()(**inputs)
    outputs = ours(np.array([ids]))
    for field in ("start_logits", "end_logits") if head == "QuestionAnswering" else ("logits",):
        np.testing.assert_allclose(getattr(outputs, field), expected[field].numpy(), atol=1e-5)
    assert [str(warning.message) for warning in recwarn] == []
    assert [record.message for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


# -- windows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("longest", [32, 48, 384])
def test_windows_of_questions_are_those_of_transformers(longest, roberta_tokenizer_json, reference_tokenizer):
    """As the reference's script for SQuAD makes them (run_qa.py), on RoBERTa's own tokenizer."""
    folder = roberta_tokenizer_json.parent
    context = (
        "The Normans (Norman: Nourmands; French:  Normands) were the people — who in the 10th\nand 11th 😀 centuries. "
    )
    context = (context * 3).strip()
    rng = np.random.default_rng(0)
    rows = []
    for place in range(30):
        start = int(rng.integers(0, len(context) - 1))
        text = context[start : start + int(rng.integers(1, 30))]
        start += len(text) - len(text.lstrip())
        if text.strip():
            rows.append(Question(str(place), "In what country is it?", context, ((text.strip(), start),), str(place)))
    settings = FinetuneSettings(task="question-answering", model="", train="", eval="", doc_stride=9)
    config = RobertaConfig.from_dict({"model_type": "roberta", "hidden_act": "gelu", **SHAPE})
    tokenizer = RobertaTokenizer.from_folder(folder)
    said: list[str] = []
    ours = TASK.encode(rows, config, Context(settings, tokenizer, longest, said.append))

    theirs = reference_tokenizer(
        [row.question for row in rows],
        [row.context for row in rows],
        truncation="only_second",
        max_length=longest,
        stride=9,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    assert len(ours) == len(theirs["input_ids"])
    for number, example in enumerate(ours):
        assert example.ids.tolist() == theirs["input_ids"][number]
        assert example.row == theirs["overflow_to_sample_mapping"][number]
        offsets, parts = theirs["offset_mapping"][number], theirs.sequence_ids(number)
        (text, start_char), end_char = rows[example.row].answers[0], 0
        end_char = start_char + len(text)
        first = parts.index(1)
        last = len(parts) - 1 - parts[::-1].index(1)
        expected = [0, 0]
        if offsets[first][0] <= start_char and offsets[last][1] >= end_char:
            start, end = first, last
            while start < len(offsets) and offsets[start][0] <= start_char:
                start += 1
            while offsets[end][1] >= end_char:
                end -= 1
            expected = [start - 1, end + 1]
        assert example.labels.tolist() == expected, (number, rows[example.row].answers)


# -- measures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_measures_of_labels_are_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    size, labels = int(rng.integers(1, 40)), int(rng.integers(2, 6))
    ours, expected = rng.integers(0, labels, (2, size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is divided by nothing
        assert metrics.accuracy(ours, expected) == pytest.approx(sklearn.metrics.accuracy_score(expected, ours))
        assert metrics.matthews(ours, expected) == pytest.approx(sklearn.metrics.matthews_corrcoef(expected, ours))
        for average in ("macro", "micro"):
            score = sklearn.metrics.f1_score(expected, ours, average=average)
            assert metrics.f1(ours, expected, average) == pytest.approx(score)
        ours, expected = ours > 0, expected > 0
        score = sklearn.metrics.f1_score(expected, ours)
        assert metrics.f1(ours.astype(int), expected.astype(int)) == pytest.approx(score)

        ours, expected = rng.random((2, size, labels)) < rng.random()
        assert metrics.accuracy(ours, expected) == pytest.approx(sklearn.metrics.accuracy_score(expected, ours))
        for average in ("macro", "micro"):
            score = sklearn.metrics.f1_score(expected, ours, average=average)
            assert metrics.f1(ours, expected, average) == pytest.approx(score)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("ties", [False, True])
def test_correlations_are_scipys(seed, ties):
    x, y = np.random.default_rng(seed).normal(size=(2, 30))
    if ties:
        x, y = x.round(), y.round()
    assert metrics.pearson(x, y) == pytest.approx(scipy.stats.pearsonr(x, y).statistic)
    assert metrics.spearman(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic)


@pytest.mark.parametrize("prefixes", ["BIO", "BIOES"])
@pytest.mark.parametrize("seed", range(10))
def test_entities_are_seqevals(seed, prefixes):
    rng = np.random.default_rng(seed)
    kinds = [f"{prefix}-{kind}" for prefix in prefixes if prefix != "O" for kind in ("per", "loc", "a-b")] + ["O", "O"]
    ours, expected = ([list(rng.choice(kinds, size)) for size in (1, 7, 12, 40)] for _ in range(2))
    expected = [
        [right if rng.random() < 0.6 else tag for tag, right in zip(*pair, strict=True)]
        for pair in zip(expected, ours, strict=True)
    ]
    for tags_of in ours:
        found = seqeval.metrics.sequence_labeling.get_entities(tags_of)
        assert metrics.entities(tags_of) == [(str(kind), first, last) for kind, first, last in found]
    scores = metrics.entity_scores(ours, expected)
    for name in ("precision", "recall", "f1", "accuracy"):
        assert scores[name] == pytest.approx(getattr(seqeval.metrics, f"{name}_score")(expected, ours)), name
