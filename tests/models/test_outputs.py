"""Outputs as mappings, and the loss that labels give."""

import math

import numpy as np
import pytest

from distilroberta_np import (
    RobertaForMaskedLM,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)
from distilroberta_np.models.outputs import mean_cross_entropy
from distilroberta_np.models.question_answering import question_answering_keys
from distilroberta_np.models.token_classification import token_classification_keys
from tests.support.seeded import write_model
from tests.support.seeded_heads import tensors_with_head, write_classifier

IDS = [[0, 10, 11, 12, 2], [0, 20, 21, 22, 2]]


def log_softmax(logits):
    return (
        logits
        - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
        - logits.max(-1, keepdims=True)
    )


def test_an_output_is_found_by_name_index_and_slice(tmp_path):
    output = RobertaForMaskedLM.from_pretrained(write_model(tmp_path))(IDS, output_hidden_states=True)
    assert list(output) == ["logits", "hidden_states"]
    assert len(output) == 2
    assert output["logits"] is output.logits is output[0] is output.to_tuple()[0] is output[:1][0]
    assert "loss" not in output
    assert output.loss is None
    with pytest.raises(KeyError, match="loss"):
        output["loss"]


def test_the_loss_comes_first(tmp_path):
    output = RobertaForMaskedLM.from_pretrained(write_model(tmp_path))(IDS, labels=IDS)
    assert output[0] is output.loss
    assert output.loss.dtype == np.float32


def test_tokens_without_a_label_have_no_part_in_the_loss(tmp_path):
    folder = write_model(tmp_path, tensors_with_head(token_classification_keys, num_labels=3), num_labels=3)
    model = RobertaForTokenClassification.from_pretrained(folder)
    labels = np.array([[-100, 0, 1, 2, -100], [-100, 2, -100, -100, -100]])
    output = model(IDS, labels=labels)
    logs, known = log_softmax(output.logits), labels >= 0
    expected = -logs[known][np.arange(4), labels[known]].mean()
    assert output.loss == pytest.approx(expected, rel=1e-6)
    np.testing.assert_array_equal(output.logits, model(IDS).logits)


def test_the_loss_of_sequences_follows_the_problem(tmp_path):
    model = RobertaForSequenceClassification.from_pretrained(write_classifier(tmp_path / "c", ["a", "b", "c"]))
    logits = model(IDS).logits
    single = -log_softmax(logits)[[0, 1], [2, 0]].mean()
    assert model(IDS, labels=[2, 0]).loss == pytest.approx(single, rel=1e-6)
    several = np.array([[1, 0, 1], [0, 0, 1.0]])
    probabilities = 1 / (1 + np.exp(-logits))
    multi = -np.log(np.where(several == 1, probabilities, 1 - probabilities)).mean()
    assert model(IDS, labels=several).loss == pytest.approx(multi, rel=1e-5)
    one = RobertaForSequenceClassification.from_pretrained(write_classifier(tmp_path / "r", ["score"]))
    squared = np.square(one(IDS).logits[:, 0] - [0.5, 1]).mean()
    assert one(IDS, labels=[0.5, 1]).loss == pytest.approx(squared, rel=1e-6)


def test_the_loss_of_answers_is_the_mean_of_starts_and_ends(tmp_path):
    model = RobertaForQuestionAnswering.from_pretrained(
        write_model(tmp_path, tensors_with_head(question_answering_keys))
    )
    output = model(IDS, start_positions=[1, 99], end_positions=[2, 3])  # 99 is beyond the sequence
    start = -log_softmax(output.start_logits)[0, 1]
    end = -log_softmax(output.end_logits)[[0, 1], [2, 3]].mean()
    assert output.loss == pytest.approx((start + end) / 2, rel=1e-6)
    for wrong in ({"start_positions": [1, 1]}, {"labels": [1, 1]}):
        with pytest.raises(TypeError, match="both start_positions and end_positions"):
            model(IDS, **wrong)


def test_no_label_at_all_gives_nan():
    assert math.isnan(mean_cross_entropy(np.zeros((2, 3), np.float32), [-100, -100]))


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([1], ValueError, r"labels must have the shape \(2,\), not \(1,\)"),
        ([1, 3], ValueError, "labels contain 3; they must be from 0 to 2, or -100"),
        ([1, -1], ValueError, "labels contain -1"),
        ([1.0, 2.0], TypeError, "labels must be integers, not float64"),
    ],
)
def test_wrong_labels_are_refused(labels, error, message):
    with pytest.raises(error, match=message):
        mean_cross_entropy(np.zeros((2, 3), np.float32), labels)


def test_arguments_that_change_nothing_are_taken_and_others_refused(tmp_path):
    model = RobertaModel.from_pretrained(write_model(tmp_path), torch_dtype="auto", use_safetensors=True)
    plain = model(IDS).last_hidden_state
    np.testing.assert_array_equal(model(IDS, token_type_ids=np.zeros((2, 5), int), return_dict=True)[0], plain)
    with pytest.raises(ValueError, match="token_type_ids must be 0"):
        model(IDS, token_type_ids=np.ones((2, 5), int))
    with pytest.raises(ValueError, match=r"position_ids .* is not supported: positions follow from input_ids"):
        model(IDS, position_ids=IDS)
    with pytest.raises(TypeError, match="unknown argument 'mask'"):
        model(IDS, mask=None)


def test_a_model_is_on_the_cpu_and_says_why_it_goes_nowhere_else(tmp_path):
    model = RobertaModel.from_pretrained(write_model(tmp_path))
    assert model.eval().to("cpu").to(dtype="float32") is model
    assert (model.device, model.dtype) == ("cpu", np.float32)
    with pytest.raises(ValueError, match="device 'cuda' is not supported: this package runs on the CPU, in float32"):
        model.to("cuda")
    with pytest.raises(AttributeError, match="RobertaModel has no attribute 'half': the computation is in float32"):
        model.half()
    with pytest.raises(AttributeError, match=r"RobertaModel has no attribute 'misspelled'$"):
        model.misspelled()


def test_embeddings_take_the_place_of_ids(tmp_path):
    model = RobertaModel.from_pretrained(write_model(tmp_path))
    word = model.weights.embeddings.word[IDS]
    expected = model(IDS, output_hidden_states=True)
    outputs = model(inputs_embeds=word.astype(np.float64), output_hidden_states=True)
    for ours, theirs in zip(outputs.hidden_states, expected.hidden_states, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for arguments, error, message in (
        ({}, ValueError, "give either input_ids or inputs_embeds"),
        ({"input_ids": IDS, "inputs_embeds": word}, ValueError, "give either input_ids or inputs_embeds"),
        ({"inputs_embeds": word[..., :-1]}, ValueError, r"must have the shape \(batch, sequence, "),
        ({"inputs_embeds": word[0]}, ValueError, r"must have the shape \(batch, sequence, "),
        ({"inputs_embeds": IDS}, TypeError, "must be floating-point numbers, not int64"),
        ({"inputs_embeds": word * np.nan}, ValueError, "contain NaN, infinity or"),
        ({"inputs_embeds": word.astype(np.float64) * 1e45}, ValueError, "a number beyond the range of float32"),
        ({"inputs_embeds": word[:, :0]}, ValueError, "are empty"),
        ({"inputs_embeds": word, "attention_mask": np.ones((1, 5), int)}, ValueError, "attention_mask has the shape"),
    ):
        with pytest.raises(error, match=message):
            model(**arguments)
