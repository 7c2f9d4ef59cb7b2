"""Loading, calling and saving the fine-tuned models, and refusing the checkpoints of others."""

import json

import numpy as np
import pytest

from distilroberta_np import (
    CheckpointError,
    ConfigError,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)
from distilroberta_np.checkpoint.safetensors_file import open_safetensors
from distilroberta_np.layers.params import tree_leaves
from distilroberta_np.models import MODELS as REGISTERED
from distilroberta_np.models.question_answering import question_answering_keys
from distilroberta_np.models.sequence_classification import sequence_classification_keys
from distilroberta_np.models.token_classification import token_classification_keys
from tests.support.seeded import CONFIG, VOCAB_SIZE, config_dict, seeded_tensors, write_model
from tests.support.seeded_heads import tensors_with_head

IDS = np.array([[0, 5, 40, VOCAB_SIZE - 1, 7, 2], [0, 9, 2, 1, 1, 1]])
MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
LABELS = {"0": "no", "1": "perhaps", "2": "yes"}
# Each model with the names of its tensors, and the config values that it needs in addition to the encoder's.
MODELS = {
    RobertaForSequenceClassification: (sequence_classification_keys, {"id2label": LABELS}),
    RobertaForTokenClassification: (token_classification_keys, {"id2label": LABELS}),
    RobertaForQuestionAnswering: (question_answering_keys, {}),
}
each_model = pytest.mark.parametrize("model_class", MODELS, ids=lambda model_class: model_class.__name__)


def write(folder, model_class, **changes):
    """A folder of that model, and its tensors."""
    keys, shape = MODELS[model_class]
    shape = shape | changes
    tensors = tensors_with_head(keys, **shape)
    return write_model(folder, tensors, **shape), tensors


def plain_head(model_class, tensors, vectors):
    """The head in float64, by the names in the checkpoint: (B, S, H) -> the logits."""

    def affine(x, name):
        return x @ tensors[f"{name}.weight"].astype(np.float64).T + tensors[f"{name}.bias"]

    vectors = vectors.astype(np.float64)
    if model_class is RobertaForSequenceClassification:
        return affine(np.tanh(affine(vectors[:, 0], "classifier.dense")), "classifier.out_proj")
    return affine(vectors, "classifier" if model_class is RobertaForTokenClassification else "qa_outputs")


def logits_of(outputs):
    """One array, also of the model that returns two."""
    return getattr(outputs, "logits", None) if hasattr(outputs, "logits") else np.stack(outputs[:2], axis=-1)


# -- calling ---------------------------------------------------------------------------------------------------------


@each_model
def test_logits_equal_the_plain_head_on_the_hidden_states(tmp_path, model_class):
    folder, tensors = write(tmp_path, model_class)
    outputs = model_class.from_pretrained(folder)(IDS, MASK)
    expected = plain_head(model_class, tensors, RobertaModel.from_pretrained(folder)(IDS, MASK).last_hidden_state)
    logits = logits_of(outputs)
    assert logits.dtype == np.float32
    assert logits.shape == expected.shape
    np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5)
    assert expected.std() > 0.3, "equal logits would agree whatever is computed"


def test_the_first_row_of_the_question_answering_head_is_the_start(tmp_path):
    folder, tensors = write(tmp_path, RobertaForQuestionAnswering)
    outputs = RobertaForQuestionAnswering.from_pretrained(folder)(IDS, MASK)
    vectors = RobertaModel.from_pretrained(folder)(IDS, MASK).last_hidden_state
    for row, logits in enumerate((outputs.start_logits, outputs.end_logits)):
        weight, bias = tensors["qa_outputs.weight"][row], tensors["qa_outputs.bias"][row]
        np.testing.assert_allclose(logits, vectors @ weight + bias, rtol=0, atol=2e-5)


@each_model
def test_states_and_attentions_are_returned_on_request(tmp_path, model_class):
    folder, _ = write(tmp_path, model_class)
    model, encoder = model_class.from_pretrained(folder), RobertaModel.from_pretrained(folder)
    plain = model(IDS, MASK)
    assert plain.hidden_states is None
    assert plain.attentions is None
    asked = model(IDS, MASK, output_hidden_states=True, output_attentions=True)
    expected = encoder(IDS, MASK, output_hidden_states=True, output_attentions=True)
    for ours, theirs in zip(
        [*asked.hidden_states, *asked.attentions], [*expected.hidden_states, *expected.attentions], strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(logits_of(asked), logits_of(plain))


@each_model
def test_padding_changes_nothing_and_inputs_are_checked(tmp_path, model_class):
    model = model_class.from_pretrained(write(tmp_path, model_class)[0])
    padded, alone = logits_of(model(IDS, MASK))[1:], logits_of(model(IDS[1:, :3]))
    np.testing.assert_allclose(padded if padded.ndim == 2 else padded[:, :3], alone, rtol=0, atol=2e-5)
    with pytest.raises(ValueError, match="outside the vocabulary"):
        model([[0, VOCAB_SIZE, 2]])


# -- loading ---------------------------------------------------------------------------------------------------------


@each_model
def test_a_checkpoint_without_the_head_is_refused(tmp_path, model_class):
    write_model(tmp_path / "masked-lm")
    write_model(tmp_path / "encoder", seeded_tensors(prefix="", pooler=True))
    others = [tmp_path / "masked-lm", tmp_path / "encoder"]
    others += [write(tmp_path / other.__name__, other)[0] for other in MODELS if other is not model_class]
    for folder in others:
        with pytest.raises(
            CheckpointError, match=r"the checkpoint has no .* head .* load the encoder alone with RobertaModel"
        ):
            model_class.from_pretrained(folder)
        RobertaModel.from_pretrained(folder)


@each_model
def test_tensors_of_pretraining_are_ignored(tmp_path, model_class):
    folder, tensors = write(tmp_path / "plain", model_class)
    pretrained = seeded_tensors(5, pooler=True)
    extra = {name: values for name, values in pretrained.items() if name not in tensors}
    assert {name.split(".")[0] for name in extra} == {"lm_head", "roberta"}
    other = write_model(tmp_path / "more", tensors | extra, **MODELS[model_class][1])
    expected = logits_of(model_class.from_pretrained(folder)(IDS, MASK))
    np.testing.assert_array_equal(logits_of(model_class.from_pretrained(other)(IDS, MASK)), expected)


@each_model
def test_missing_and_misshaped_tensors_are_named(tmp_path, model_class):
    _, tensors = write(tmp_path / "plain", model_class)
    shape = MODELS[model_class][1]
    last = next(name for name in reversed(tensors) if name.endswith("bias"))
    less = {name: values for name, values in tensors.items() if name != last}
    with pytest.raises(CheckpointError, match=f"the checkpoint lacks {last}"):
        model_class.from_pretrained(write_model(tmp_path / "less", less, **shape))
    with pytest.raises(CheckpointError, match=r"the checkpoint has \w+\.extra"):
        extra = {f"{last.split('.')[0]}.extra": tensors[last]}
        model_class.from_pretrained(write_model(tmp_path / "more", tensors | extra, **shape))
    if shape:
        with pytest.raises(CheckpointError, match=r"has the shape \(3, 16\), but the config says \(2, 16\)"):
            model_class.from_pretrained(write_model(tmp_path / "two labels", tensors))


# -- saving ----------------------------------------------------------------------------------------------------------


@each_model
def test_saved_weights_are_loaded_unchanged(tmp_path, model_class):
    model = model_class.from_pretrained(write(tmp_path / "first", model_class)[0])
    model.save_pretrained(tmp_path / "second")
    again = model_class.from_pretrained(tmp_path / "second")
    for ours, expected in zip(tree_leaves(again.weights), tree_leaves(model.weights), strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert again.config.architectures == (model_class.__name__,)
    assert again.config.labels == model.config.labels
    np.testing.assert_array_equal(logits_of(again(IDS, MASK)), logits_of(model(IDS, MASK)))
    assert sorted(path.name for path in (tmp_path / "second").iterdir()) == ["config.json", "model.safetensors"]


@each_model
def test_float16_halves_the_file_and_is_in_the_config(tmp_path, model_class):
    model = model_class.from_pretrained(write(tmp_path / "first", model_class)[0])
    model.save_pretrained(tmp_path / "half", dtype="float16")
    stored = open_safetensors(tmp_path / "half" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {"F16"}
    assert json.loads((tmp_path / "half" / "config.json").read_text())["dtype"] == "float16"
    half = model_class.from_pretrained(tmp_path / "half")
    for ours, expected in zip(tree_leaves(half.weights), tree_leaves(model.weights), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, expected.astype(np.float16).astype(np.float32))
    with pytest.raises(ValueError, match="dtype must be float32 or float16, not 'bfloat16'"):
        model.save_pretrained(tmp_path / "other", dtype="bfloat16")


@pytest.mark.parametrize("pooler", [True, False])
def test_an_encoder_is_saved_without_a_prefix(tmp_path, pooler):
    folder = write_model(tmp_path / "first", seeded_tensors(2, pooler=pooler))
    encoder = RobertaModel.from_pretrained(folder)
    encoder.save_pretrained(tmp_path / "bare")
    names = list(open_safetensors(tmp_path / "bare" / "model.safetensors"))
    assert {name.split(".")[0] for name in names} == {"embeddings", "encoder", *(["pooler"] if pooler else [])}
    again, expected = RobertaModel.from_pretrained(tmp_path / "bare")(IDS, MASK), encoder(IDS, MASK)
    np.testing.assert_array_equal(again.last_hidden_state, expected.last_hidden_state)
    assert (again.pooler_output is not None) == pooler


# -- labels in the config --------------------------------------------------------------------------------------------


def test_labels_and_problem_type_survive_a_config_json(tmp_path):
    config = RobertaConfig.from_dict(config_dict(id2label=LABELS, problem_type="multi_label_classification"))
    assert config.labels == ("no", "perhaps", "yes")
    assert config.num_labels == 3
    assert config.id2label == {0: "no", 1: "perhaps", 2: "yes"}
    assert config.label2id == {"no": 0, "perhaps": 1, "yes": 2}
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    assert RobertaConfig.from_file(tmp_path / "config.json") == config


@pytest.mark.parametrize("problem_type", [None, "regression", "single_label_classification"])
def test_a_saved_model_keeps_labels_and_problem_type(tmp_path, problem_type):
    folder, _ = write(tmp_path / "first", RobertaForSequenceClassification, problem_type=problem_type)
    RobertaForSequenceClassification.from_pretrained(folder).save_pretrained(tmp_path / "second")
    saved = json.loads((tmp_path / "second" / "config.json").read_text())
    assert saved["id2label"] == LABELS
    assert saved["label2id"] == {"no": 0, "perhaps": 1, "yes": 2}
    assert saved.get("problem_type") == problem_type


def test_a_problem_type_is_kept_without_label_names():
    # As transformers saves models of two labels.
    config = RobertaConfig.from_dict(config_dict(problem_type="multi_label_classification"))
    assert RobertaConfig.from_dict(config.to_dict()) == config


def test_labels_are_sorted_by_their_ids():
    shuffled = {
        "2": "yes",
        "10": "k",
        "0": "no",
        **{str(index): f"l{index}" for index in (1, 3, 4, 5, 6, 7, 8, 9)},
    }
    labels = RobertaConfig.from_dict(config_dict(id2label=shuffled)).labels
    assert labels == ("no", "l1", "yes", *(f"l{position}" for position in range(3, 10)), "k")
    assert RobertaConfig.from_dict(config_dict(id2label=dict(enumerate(labels)))).labels == labels


def test_labels_without_names_are_numbered():
    assert RobertaConfig.from_dict(CONFIG).num_labels == 2
    assert RobertaConfig.from_dict(CONFIG).id2label == {0: "LABEL_0", 1: "LABEL_1"}
    assert "id2label" not in RobertaConfig.from_dict(CONFIG).to_dict()
    assert RobertaConfig.from_dict(config_dict(num_labels=3)).id2label[2] == "LABEL_2"
    assert RobertaConfig.from_dict(config_dict(num_labels=1)).num_labels == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"id2label": {"0": "a", "2": "b"}}, "id2label has 2 labels, but none with the id 1"),
        ({"id2label": {"-1": "a", "0": "b"}}, "id2label must map ids to labels"),
        ({"id2label": {}}, "id2label has 0 labels, but none with the id 0"),
        ({"id2label": {"0": None}}, "a label in id2label must be a text or a number, not None"),
        ({"id2label": ["a", "b"]}, "id2label must map ids to labels, not"),
        ({"num_labels": 0}, "num_labels must be between 1 and 1,000,000, not 0"),
        ({"num_labels": True}, "num_labels must be an integer"),
        ({"num_labels": 10**8}, "num_labels must be between 1 and 1,000,000"),
        ({"problem_type": "ranking"}, "problem_type 'ranking' is unknown; use regression"),
        ({"problem_type": "single_label_classification", "num_labels": 1}, "needs at least two labels"),
    ],
)
def test_malformed_settings_of_a_head_hinder_only_models_with_that_head(tmp_path, values, message):
    folder = write_model(tmp_path, **values)
    RobertaForMaskedLM.from_pretrained(folder)
    with pytest.raises(ConfigError, match=rf"config\.json: config: .*{message}"):
        RobertaForSequenceClassification.from_pretrained(folder)
    saved = RobertaModel.from_pretrained(folder)
    saved.save_pretrained(tmp_path / "saved")
    assert RobertaConfig.from_folder(tmp_path / "saved").num_labels == 2


def test_labels_as_transformers_reads_them():
    def labels(**values):
        return RobertaConfig.from_dict(config_dict(**values)).id2label

    assert labels(id2label={"1": "b", "0": "a"}) == {0: "a", 1: "b"}
    assert labels(id2label={"0": 0, "1": 1}) == {0: 0, 1: 1}
    assert labels(id2label={"00": "a", "1": "b"}) == {0: "a", 1: "b"}
    # Another number goes before the names, which then are the usual ones.
    three = {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    assert labels(num_labels=3, id2label={"0": "LABEL_0", "1": "LABEL_1"}) == three
    assert labels(num_labels=3, id2label={"0": "no", "1": "yes"})[2] == "LABEL_2"
    assert labels(num_labels=2, id2label={"0": "no", "1": "yes"})[1] == "yes"


def test_label2id_is_as_it_was_read():
    names, ids = {"0": "LABEL_0", "1": "LABEL_1"}, {"entailment": 1, "other": 0}
    config = RobertaConfig.from_dict(config_dict(id2label=names, label2id=ids))
    assert config.label2id == {"entailment": 1, "other": 0}
    assert RobertaConfig.from_dict(config.to_dict()) == config
    assert config.with_labels(("a", "b"), None).label2id == {"a": 0, "b": 1}
    # As in transformers, it does not count without id2label, or next to another number of labels.
    assert RobertaConfig.from_dict(config_dict(label2id={"x": 0})).label2id == {"LABEL_0": 0, "LABEL_1": 1}
    config = RobertaConfig.from_dict(config_dict(num_labels=3, id2label={"0": "a"}, label2id={"a": 0}))
    assert config.label2id["LABEL_2"] == 2


@pytest.mark.parametrize("label2id", [[], "x", {}, {"a": "0"}, {"a": 2}, {"a": -1}, {"a": True}])
def test_a_malformed_label2id_hinders_only_its_use(label2id):
    config = RobertaConfig.from_dict(config_dict(id2label={"0": "a", "1": "b"}, label2id=label2id))
    assert config.id2label == {0: "a", 1: "b"}
    with pytest.raises(ConfigError, match="label2id must map labels to their ids"):
        config.label2id  # noqa: B018
    assert RobertaConfig.from_dict(config.to_dict()).id2label == config.id2label


def test_the_number_of_labels_alone_takes_no_memory(tmp_path):
    config = RobertaConfig.from_dict(config_dict(num_labels=10**6))
    assert (config.labels, config.num_labels) == (10**6, 10**6)
    assert config.id2label is config.id2label  # made once
    folder = write_model(tmp_path, num_labels=10**6)
    with pytest.raises(CheckpointError, match="no sequence-classification head"):
        RobertaForSequenceClassification.from_pretrained(folder)


# -- introspection ---------------------------------------------------------------------------------------------------


def test_models_are_registered_by_their_architecture():
    assert set(REGISTERED) == {"RobertaModel", "RobertaForMaskedLM", *(model.__name__ for model in MODELS)}
    assert all(model.__name__ == name for name, model in REGISTERED.items())


@each_model
def test_state_dict_names_the_arrays_of_the_model(tmp_path, model_class):
    folder, tensors = write(tmp_path, model_class)
    model = model_class.from_pretrained(folder)
    state = model.state_dict()
    assert state.keys() == tensors.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(array, tensors[name])
    assert state["roberta.embeddings.word_embeddings.weight"] is model.weights.roberta.embeddings.word
    assert model.num_parameters() == sum(array.size for array in tensors.values())


def test_repr_gives_shape_and_parameters(tmp_path):
    model = RobertaModel.from_pretrained(write_model(tmp_path))
    assert repr(model) == (
        f"RobertaModel({CONFIG['num_hidden_layers']} layers, hidden_size {CONFIG['hidden_size']}, "
        f"{CONFIG['num_attention_heads']} heads, vocab_size {VOCAB_SIZE:,}; {model.num_parameters():,} parameters)"
    )
