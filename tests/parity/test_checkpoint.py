"""Checkpoints that transformers' own save_pretrained wrote."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
transformers = pytest.importorskip("transformers", reason="needs the parity extra")

from distilroberta_np import CheckpointError, RobertaForMaskedLM, RobertaModel, pipeline  # noqa: E402
from distilroberta_np.layers.params import tree_leaves  # noqa: E402
from distilroberta_np.models.masked_lm import masked_lm_keys  # noqa: E402
from distilroberta_np.models.sequence_classification import sequence_classification_keys  # noqa: E402
from tests.support.seeded import seeded_tensors, write_model  # noqa: E402
from tests.support.seeded_heads import tensors_with_head  # noqa: E402
from tests.support.transformers_models import DISTILROBERTA, random_batch, randomise, seeded_masked_lm, seeded_roberta  # noqa: E402

pytestmark = pytest.mark.parity

SHAPE = DISTILROBERTA | {
    "vocab_size": 211,
    "hidden_size": 36,
    "num_hidden_layers": 3,
    "intermediate_size": 50,
    "max_position_embeddings": 30,
}
BATCH = random_batch(0, SHAPE, [20, 11, 3])
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
# As in test_model.py.
LOGITS_ATOL = 6e-5
HIDDEN_ATOL = 2e-5


def torch_batch():
    return {name: torch.from_numpy(values) for name, values in BATCH.items()}


@torch.no_grad()
@pytest.mark.parametrize("max_shard_size", ["50GB", "60KB", "30KB", "1KB"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_masked_language_models(tmp_path, dtype, max_shard_size):
    seeded_masked_lm(0, **SHAPE).to(dtype).save_pretrained(tmp_path, max_shard_size=max_shard_size)
    shards = len(list(tmp_path.glob("*.safetensors")))
    assert (shards > 1) == (max_shard_size != "50GB")

    reference = transformers.RobertaForMaskedLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ours = RobertaForMaskedLM.from_pretrained(tmp_path)
    state = reference.state_dict()
    # Widening a float is exact, so what was loaded must be equal bit for bit.
    for key, values in zip(tree_leaves(masked_lm_keys(ours.config)), tree_leaves(ours.weights), strict=True):
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, state[key.name].numpy(), err_msg=key.name)
    expected = reference(**torch_batch()).logits.numpy()
    np.testing.assert_allclose(ours(**BATCH).logits, expected, rtol=0, atol=LOGITS_ATOL)


@torch.no_grad()
@pytest.mark.parametrize("max_shard_size", ["50GB", "30KB"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_bare_encoders_with_a_pooler(tmp_path, dtype, max_shard_size):
    seeded_roberta(1, **SHAPE).to(dtype).save_pretrained(tmp_path, max_shard_size=max_shard_size)
    reference = transformers.RobertaModel.from_pretrained(tmp_path, dtype=torch.float32).eval()
    expected, ours = reference(**torch_batch()), RobertaModel.from_pretrained(tmp_path)(**BATCH)
    assert_close(ours.last_hidden_state, expected.last_hidden_state)
    assert_close(ours.pooler_output, expected.pooler_output)
    with pytest.raises(CheckpointError, match="no masked-language-model head"):
        RobertaForMaskedLM.from_pretrained(tmp_path)


@torch.no_grad()
@pytest.mark.parametrize(
    "head",
    [
        "RobertaForMaskedLM",
        "RobertaForSequenceClassification",
        "RobertaForTokenClassification",
        "RobertaForQuestionAnswering",
        "RobertaForMultipleChoice",
    ],
)
def test_the_encoder_of_models_with_any_head(tmp_path, head):
    model = getattr(transformers, head)(transformers.RobertaConfig(**SHAPE)).eval()
    randomise(model, 2)
    model.save_pretrained(tmp_path)
    encoder = RobertaModel.from_pretrained(tmp_path)
    ours, expected = encoder(**BATCH), model.roberta(**torch_batch())
    assert_close(ours.last_hidden_state, expected.last_hidden_state)
    has_pooler = model.roberta.pooler is not None
    assert (ours.pooler_output is not None) == has_pooler
    if has_pooler:
        assert_close(ours.pooler_output, expected.pooler_output)


def assert_close(ours, expected):
    np.testing.assert_allclose(ours, expected.numpy(), rtol=0, atol=HIDDEN_ATOL)


# -- configs and names of tensors ------------------------------------------------------------------------------------

LABELS = {"0": "no", "1": "yes", "2": "perhaps"}
NLI = {"0": "contradiction", "1": "neutral", "2": "entailment"}
CLASSIFIER = tensors_with_head(sequence_classification_keys, id2label=LABELS)


def old_names(tensors):
    names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    result = {}
    for name, values in tensors.items():
        new = next((new for new in names if new in name), "")
        result[name.replace(new, names.get(new, ""))] = values
    return result


def renamed(tensors, **names):
    return {names.get(name.replace(".", "_"), name): values for name, values in tensors.items()}


def without_prefix(tensors):
    return {name.removeprefix("roberta."): values for name, values in tensors.items()}


def assert_same_answers(folder, task, **options):
    """Both pipelines give the same answers, number for number."""
    texts = ["the cat sat on the <mask>"] * 2
    theirs = transformers.pipeline(task, str(folder), device="cpu", dtype=torch.float32)(texts, **options)
    ours = pipeline(task, folder)(texts, **options)
    for our, their in zip(np.ravel(ours), np.ravel(theirs), strict=True):
        assert our.keys() == their.keys()
        for name, value in their.items():
            assert our[name] == (pytest.approx(value, abs=1e-5) if name == "score" else value)


@pytest.mark.parametrize(
    "values",
    [
        {"id2label": LABELS},
        {"id2label": {"0": 0, "1": 1, "2": 2}},
        {"id2label": {"0": 0.5, "1": True, "2": "x"}},
        {"id2label": {"2": "c", "0": "a", "1": "b"}},
        {"num_labels": 3},
        {"num_labels": 3, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}},
        {"num_labels": 3, "id2label": {"0": "no", "1": "yes"}},
        {"num_labels": 3, "id2label": LABELS},
        {"id2label": LABELS, "tie_word_embeddings": False},
        {"id2label": LABELS, "hidden_act": "gelu_python"},
        {"id2label": LABELS, "position_embedding_type": None},
        {"id2label": LABELS, "problem_type": "multi_label_classification"},
        {"id2label": LABELS, "problem_type": ""},
        {"id2label": LABELS, "function_to_apply": "none"},
        {"id2label": LABELS, "task_specific_params": {"text-classification": {"function_to_apply": "none"}}},
        {"id2label": LABELS, "classifier_dropout": 0.5, "output_hidden_states": True, "output_attentions": True},
        {"id2label": LABELS, "bos_token_id": 5, "eos_token_id": [2, 3], "architectures": None},
        {"id2label": LABELS, "label2id": {"no": 2, "yes": 0, "perhaps": 1}},
    ],
    ids=repr,
)
def test_classifiers_with_configs_of_all_kinds(tmp_path, values):
    assert_same_answers(write_model(tmp_path, CLASSIFIER, **values), "text-classification", top_k=None)


@pytest.mark.parametrize(
    "tensors",
    [old_names(CLASSIFIER), without_prefix(CLASSIFIER), CLASSIFIER | {"own_head.weight": np.ones(3, np.float32)}],
    ids=["TensorFlow", "without prefix", "foreign head"],
)
@pytest.mark.filterwarnings("ignore:.*own_head")
def test_classifiers_with_tensors_of_all_names(tmp_path, tensors):
    assert_same_answers(write_model(tmp_path, tensors, id2label=LABELS), "text-classification", top_k=None)


WORDS = "roberta.embeddings.word_embeddings.weight"
COPIES = {"lm_head.decoder.weight": seeded_tensors()[WORDS], "lm_head.decoder.bias": seeded_tensors()["lm_head.bias"]}


@pytest.mark.parametrize(
    ("tensors", "values"),
    [
        (seeded_tensors(), {"id2label": {"0": 0}}),
        (seeded_tensors(), {"id2label": {"0": None, "5": "x"}, "problem_type": "ranking"}),
        (old_names(seeded_tensors()), {}),
        (without_prefix(seeded_tensors()), {}),
        (renamed(seeded_tensors(), roberta_embeddings_word_embeddings_weight="lm_head.decoder.weight"), {}),
        (renamed(seeded_tensors(), lm_head_bias="lm_head.decoder.bias"), {}),
        (seeded_tensors() | COPIES, {"tie_word_embeddings": False}),
        (seeded_tensors() | {"own_head.weight": np.ones(3, np.float32)}, {}),
    ],
    ids=range(8),
)
@pytest.mark.filterwarnings("ignore:.*own_head")
def test_masked_language_models_with_configs_and_names_of_all_kinds(tmp_path, tensors, values):
    assert_same_answers(write_model(tmp_path, tensors, **values), "fill-mask")


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        ({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}, {"contradiction": 2, "neutral": 1, "entailment": 0}),
        (NLI, {"entailment": 1, "neutral": 0, "contradiction": 2}),
    ],
)
def test_zero_shot_uses_the_label2id_of_the_config(tmp_path, names, ids):
    folder = write_model(tmp_path, CLASSIFIER, id2label=names, label2id=ids)
    arguments = ("the cat", ["sat", "on the", "a"])
    theirs = transformers.pipeline("zero-shot-classification", str(folder), device="cpu", dtype=torch.float32)
    ours = pipeline("zero-shot-classification", folder)
    for multi_label in (False, True):
        expected, answer = theirs(*arguments, multi_label=multi_label), ours(*arguments, multi_label=multi_label)
        assert answer["labels"] == expected["labels"]
        np.testing.assert_allclose(answer["scores"], expected["scores"], atol=1e-5)
