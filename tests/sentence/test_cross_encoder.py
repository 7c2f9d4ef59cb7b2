"""`CrossEncoder` on small seeded models in folders of sentence-transformers."""

import json

import numpy as np
import pytest

from distilroberta_np import (
    CheckpointError,
    ConfigError,
    CrossEncoder,
    RobertaForSequenceClassification,
    RobertaModel,
    RobertaTokenizer,
    SentenceEncoder,
)
from tests.support.seeded import write_json, write_model
from tests.support.sentence_folders import HIDDEN, classifier_tensors, write_cross_encoder, write_sentence_encoder

PAIRS = [("the cat", "sat"), ("a", "the cat sat on the cat"), ("", "")]


def assert_close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def logits(folder, pairs):
    """Logits from a forward pass over one pair at a time."""
    model, tokenizer = (
        RobertaForSequenceClassification.from_pretrained(folder),
        RobertaTokenizer.from_pretrained(folder),
    )
    return np.concatenate([model(np.array([tokenizer.encode(*pair)])).logits for pair in pairs])


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def test_the_score_of_one_label_is_a_sigmoid(tmp_path):
    encoder = CrossEncoder.from_pretrained(write_cross_encoder(tmp_path))
    scores = encoder.predict(PAIRS)
    assert scores.shape == (3,) and scores.dtype == np.float32
    assert_close(scores, sigmoid(logits(tmp_path, PAIRS))[:, 0])
    one = encoder.predict(PAIRS[0])
    assert one.shape == () and one.dtype == np.float32
    assert_close(one, scores[0])
    assert_close(encoder.predict(list(map(list, PAIRS))), scores)
    assert_close(encoder.predict(np.array(PAIRS)), scores)
    assert_close(list(encoder.predict(iter(PAIRS), batch_size=2)), scores)
    assert encoder.predict([]).shape == (0,)


def test_the_scores_of_several_labels_are_logits_or_a_softmax(tmp_path):
    encoder = CrossEncoder.from_pretrained(write_cross_encoder(tmp_path, labels=3))
    expected = logits(tmp_path, PAIRS)
    assert_close(encoder.predict(PAIRS), expected)
    assert encoder.predict(PAIRS[0]).shape == (3,)
    assert encoder.predict([]).shape == (0, 3)
    assert_close(encoder.predict(PAIRS, apply_softmax=True).sum(axis=1), np.ones(3))
    assert_close(encoder.predict(PAIRS, activation_fn=np.tanh), np.tanh(expected))
    with pytest.raises(ValueError, match="rank needs a model with one label, but this one has 3"):
        encoder.rank("a", ["the cat"])


@pytest.mark.parametrize(
    ("settings", "config"),
    [
        ({"activation_fn": "torch.nn.modules.linear.Identity"}, {}),
        (None, {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}),
        (None, {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}),
        # The newest setting takes precedence.
        (
            {"activation_fn": "torch.nn.modules.linear.Identity"},
            {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Tanh"}},
        ),
    ],
)
def test_the_activation_is_read_from_three_settings(tmp_path, settings, config):
    write_cross_encoder(tmp_path, settings=settings)
    saved = json.loads((tmp_path / "config.json").read_text())
    write_json(tmp_path / "config.json", saved | config)
    assert_close(CrossEncoder.from_pretrained(tmp_path).predict(PAIRS), logits(tmp_path, PAIRS)[:, 0])


def test_an_unsupported_activation_is_refused_unless_another_one_is_given(tmp_path):
    folder = write_cross_encoder(tmp_path, settings={"activation_fn": "torch.nn.RReLU"})
    with pytest.raises(ConfigError, match=r"'torch\.nn\.RReLU' is not supported.*give another one as activation_fn"):
        CrossEncoder.from_pretrained(folder)
    encoder = CrossEncoder.from_pretrained(folder, activation_fn=lambda x: 5 * x)
    assert_close(encoder.predict(PAIRS), 5 * logits(tmp_path, PAIRS)[:, 0])
    with pytest.raises(ValueError, match="it must keep the shape"):
        encoder.predict(PAIRS, activation_fn=lambda x: x[:, 0])
    with pytest.raises(TypeError, match="activation_fn must be a function"):
        encoder.predict(PAIRS, activation_fn="sigmoid")


def test_documents_are_ranked_best_first(tmp_path):
    encoder = CrossEncoder.from_pretrained(write_cross_encoder(tmp_path))
    documents = ["sat", "the cat", "on the cat", "sat"]
    scores = encoder.predict([("a", document) for document in documents])
    ranked = encoder.rank("a", documents, return_documents=True)
    assert sorted(match["corpus_id"] for match in ranked) == [0, 1, 2, 3]
    assert [match["score"] for match in ranked] == sorted(scores.tolist(), reverse=True)
    assert all(match["text"] == documents[match["corpus_id"]] for match in ranked)
    order = [match["corpus_id"] for match in ranked]
    assert order.index(0) < order.index(3)  # equal scores, in their order
    best = [{key: match[key] for key in ("corpus_id", "score")} for match in ranked[:2]]
    assert encoder.rank("a", iter(documents), top_k=2) == best
    assert encoder.rank("a", []) == []
    with pytest.raises(TypeError, match="documents must be a list of strings"):
        encoder.rank("a", "the cat")


def test_equal_inputs_of_one_call_have_equal_scores(tmp_path):
    encoder = CrossEncoder.from_pretrained(write_cross_encoder(tmp_path / "cross"))
    documents = ["sat", "the cat", *["on the cat"] * 300, "sat"]
    scores = encoder.predict([("a", document) for document in documents])
    assert len(set(scores.tolist())) == len(set(documents))
    embeddings = SentenceEncoder.from_pretrained(write_sentence_encoder(tmp_path / "sentence")).encode(documents)
    assert len(np.unique(embeddings, axis=0)) == len(set(documents))


def test_a_long_pair_is_truncated_the_longer_text_first(tmp_path):
    encoder = CrossEncoder.from_pretrained(write_cross_encoder(tmp_path), max_length=9)
    short, long = encoder.tokenizer.encode("a"), encoder.tokenizer.encode("on " * 20)
    ids = [*short, 2, *long[1 : 9 - len(short) - 1], 2]
    assert len(ids) == 9
    expected = encoder.activation_fn(encoder.model(np.array([ids])).logits)[0, 0]
    assert_close(encoder.predict(("a", "on " * 20)), expected)
    encoder.max_seq_length = 4
    with pytest.raises(ValueError, match="max_seq_length must be at least 6"):
        encoder.predict(("a", "a"))


def test_a_prompt_is_prepended_to_the_first_text(tmp_path):
    settings = {"prompts": {"judge": "on "}, "default_prompt_name": "judge"}
    encoder = CrossEncoder.from_pretrained(write_cross_encoder(tmp_path, settings=settings))
    expected = encoder.predict([("on " + first, second) for first, second in PAIRS], prompt="")
    assert_close(encoder.predict(PAIRS), expected)
    assert_close(encoder.predict(PAIRS, prompt_name="judge"), expected)


@pytest.mark.parametrize("pairs", ["a text", ["a"], ["a", "b", "c"], [("a",)], [("a", "b"), "c"], [("a", "b"), 5]])
def test_inputs_of_the_wrong_type(tmp_path, pairs):
    encoder = CrossEncoder.from_pretrained(write_cross_encoder(tmp_path))
    with pytest.raises(TypeError, match="must be a pair of texts, not"):
        encoder.predict(pairs) if not isinstance(pairs, str) else list(encoder.predict(pairs))
    with pytest.raises(TypeError, match="input 1 must be a text, not int"):
        encoder.predict([("a", "b"), ("a", 5)])


def test_other_models_are_refused(tmp_path):
    folder = write_sentence_encoder(tmp_path / "sentences")
    with pytest.raises(ConfigError, match="was saved as a SentenceTransformer, not as a CrossEncoder"):
        CrossEncoder.from_pretrained(folder)
    with pytest.raises(CheckpointError, match="no sequence-classification head"):
        CrossEncoder.from_pretrained(write_model(tmp_path / "masked_lm"))


def test_a_model_and_a_tokenizer(tmp_path):
    folder = write_model(tmp_path / "labels", classifier_tensors(1), id2label={"0": "score"})
    tokenizer = RobertaTokenizer.from_pretrained(folder)
    pairs = CrossEncoder(RobertaForSequenceClassification.from_pretrained(folder), tokenizer)
    assert_close(pairs.predict(PAIRS), sigmoid(logits(folder, PAIRS))[:, 0])
    sentences = SentenceEncoder(RobertaModel.from_pretrained(folder), tokenizer)
    assert sentences.encode("a").shape == (HIDDEN,)


def test_an_activation_of_another_package_is_the_default_with_a_warning(tmp_path):
    folder = write_cross_encoder(tmp_path, settings={"activation_fn": "own.Scale"})
    with pytest.warns(UserWarning, match=r"'own\.Scale' is not a class of torch; using the default"):
        encoder = CrossEncoder(folder)
    assert_close(encoder.predict(PAIRS), sigmoid(logits(tmp_path, PAIRS))[:, 0])


@pytest.mark.parametrize("labels", [1, 3])
def test_a_round_trip(tmp_path, labels):
    encoder = CrossEncoder(
        write_cross_encoder(tmp_path, labels=labels), max_length=9, prompts={"a": "on "}, default_prompt_name="a"
    )
    encoder.activation_fn = np.tanh
    encoder.save_pretrained(tmp_path / "saved")
    saved = CrossEncoder(tmp_path / "saved")
    assert (saved.max_seq_length, saved.prompts, saved.default_prompt_name) == (9, {"a": "on "}, "a")
    np.testing.assert_array_equal(saved.predict(PAIRS), encoder.predict(PAIRS))
    encoder.activation_fn = np.exp
    with pytest.raises(ValueError, match="cannot be saved"):
        encoder.save_pretrained(tmp_path / "saved")


def test_tensors(tmp_path):
    torch = pytest.importorskip("torch", reason="needs the parity extra")
    encoder = CrossEncoder(write_cross_encoder(tmp_path))
    scores = encoder.predict(PAIRS)
    tensor = encoder.predict(PAIRS, convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor) and np.array_equal(tensor.numpy(), scores)
    tensors = encoder.predict(PAIRS, convert_to_numpy=False)
    assert isinstance(tensors, list) and [float(value) for value in tensors] == scores.tolist()
    assert float(encoder.predict(PAIRS[0], convert_to_tensor=True)) == pytest.approx(scores[0], rel=1e-4)


def test_the_number_of_labels_must_be_that_of_the_model(tmp_path):
    folder = write_cross_encoder(tmp_path, labels=3)
    assert CrossEncoder(folder, num_labels=3).predict(PAIRS).shape == (3, 3)
    with pytest.raises(ValueError, match="num_labels is 1, but the model has 3"):
        CrossEncoder(folder, num_labels=1)
