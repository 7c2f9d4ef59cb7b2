import numpy as np
import pytest

from distilroberta_np import RobertaConfig, RobertaForMaskedLM, RobertaModel, reference
from distilroberta_np.checkpoint.keys import Key
from distilroberta_np.layers import activation
from distilroberta_np.layers.dropout import Dropout
from distilroberta_np.layers.linear import LinearWeights
from distilroberta_np.layers.params import tree_leaves, tree_map
from distilroberta_np.models import masked_lm
from distilroberta_np.models.masked_lm import masked_lm_keys
from distilroberta_np.models.roberta import pooler, roberta_keys
from distilroberta_np.runtime import batching, threads
from tests.support.brute_force import in_float64
from tests.support.gradient_cases import CASES, TEXTS
from tests.support.gradient_cases import model as gradient_model
from tests.support.gradients import STEP, Repeated, exact_normal_cdf
from tests.support.seeded import CONFIG, VOCAB_SIZE, draw, seeded_tensors, write_model

IDS = np.array([[0, 5, 40, VOCAB_SIZE - 1, 7, 2], [0, 9, 2, 1, 1, 1]])
MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"), seeded_tensors(3, pooler=True))


@pytest.fixture(scope="module")
def model(folder):
    return RobertaForMaskedLM.from_pretrained(folder)


@pytest.fixture(scope="module")
def encoder(folder):
    return RobertaModel.from_pretrained(folder)


def test_micro_batches_in_threads_are_concatenated_again(model, monkeypatch):
    ids = np.random.default_rng(0).integers(2, VOCAB_SIZE, (9, 20))
    mask = (np.arange(20) < np.array([[20, 3, 7, 20, 1, 20, 20, 15, 20]]).T).astype(np.int64)
    expected = model(ids, mask, output_hidden_states=True, output_attentions=True)
    monkeypatch.setattr(threads, "_openblas", lambda: (lambda: 3, lambda number: None))
    monkeypatch.setattr(batching, "_MIN_THREAD_TOKENS", 1)
    monkeypatch.setattr(batching, "_MICRO_BATCH_TOKENS", 30)
    monkeypatch.setattr(masked_lm, "_HEAD_ROWS", 7)
    result = model(ids, mask, output_hidden_states=True, output_attentions=True)
    for got, whole in zip(tree_leaves(result.to_tuple()), tree_leaves(expected.to_tuple()), strict=True):
        assert got.shape == whole.shape
        np.testing.assert_allclose(got, whole, rtol=0, atol=2e-5)


def test_a_padded_batch_equals_the_reference_in_float64(model, encoder, folder):
    params, config = reference.load(folder)
    params = in_float64(params)
    pooler = params["roberta"]["pooler"]["dense"]
    outputs = encoder(IDS, MASK, output_hidden_states=True, output_attentions=True)
    logits = model(IDS, MASK).logits
    for text, length in enumerate(MASK.sum(1)):
        record = {}
        expected = reference.forward(IDS[text, :length], params, config, record)
        layers = [record[f"layer.{n}"] for n in range(CONFIG["num_hidden_layers"])]
        states = [record["embeddings"]["norm"], *(layer["feed_forward_norm"] for layer in layers)]
        for ours, state in zip(outputs.hidden_states, states, strict=True):
            np.testing.assert_allclose(ours[text, :length], state, rtol=0, atol=5e-5)
        for ours, layer in zip(outputs.attentions, layers, strict=True):
            np.testing.assert_allclose(ours[text, :, :length, :length], layer["probabilities"], rtol=0, atol=2e-5)
        pooled = np.tanh(pooler["weight"] @ states[-1][0] + pooler["bias"])
        np.testing.assert_allclose(outputs.pooler_output[text], pooled, rtol=0, atol=5e-5)
        np.testing.assert_allclose(logits[text, :length], expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("length", [1, 2, 17, 511, 512])
def test_everything_is_float32_at_any_length(encoder, model, length):
    ids = np.random.default_rng(length).integers(2, VOCAB_SIZE, (1, length))
    outputs = encoder(ids, output_hidden_states=True, output_attentions=True)
    arrays = [outputs.last_hidden_state, outputs.pooler_output, *outputs.hidden_states, *outputs.attentions]
    arrays.append(model(ids).logits)
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    assert all(np.isfinite(array).all() for array in arrays)
    assert arrays[0].shape == (1, length, CONFIG["hidden_size"])
    assert arrays[-1].shape == (1, length, VOCAB_SIZE)


def test_states_and_attentions_are_returned_on_request(model):
    plain = model(IDS, MASK)
    assert plain.hidden_states is None
    assert plain.attentions is None
    asked = model(IDS, MASK, output_hidden_states=True, output_attentions=True)
    assert len(asked.hidden_states) == CONFIG["num_hidden_layers"] + 1
    assert [a.shape for a in asked.attentions] == [(2, CONFIG["num_attention_heads"], 6, 6)] * CONFIG[
        "num_hidden_layers"
    ]
    np.testing.assert_array_equal(asked.logits, plain.logits)


def test_a_checkpoint_without_a_pooler_has_no_pooler_output(tmp_path):
    encoder = RobertaModel.from_pretrained(write_model(tmp_path, seeded_tensors(3)))
    assert encoder(IDS).pooler_output is None


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.uint16, np.uint32, np.uint64, ">i8"])
def test_ids_of_every_integer_type_give_the_same_result(model, dtype):
    np.testing.assert_array_equal(model(IDS.astype(dtype), MASK).logits, model(IDS, MASK).logits)


def test_ids_of_one_byte(model):
    ids = np.array([[0, 5, 2, 255]], np.uint8)
    np.testing.assert_array_equal(model(ids).logits, model(ids.astype(np.int64)).logits)


@pytest.mark.parametrize("mask", [MASK.astype(bool), MASK.astype(np.uint8), MASK.astype(np.int32), MASK.tolist()])
def test_masks_of_every_type_give_the_same_result(model, mask):
    np.testing.assert_array_equal(model(IDS, mask).logits, model(IDS, MASK).logits)


def test_lists_and_views_give_the_same_result_as_arrays(model):
    expected = model(IDS, MASK).logits
    np.testing.assert_array_equal(model(IDS.tolist(), MASK.tolist()).logits, expected)
    np.testing.assert_array_equal(model(np.asfortranarray(IDS), np.asfortranarray(MASK)).logits, expected)
    np.testing.assert_array_equal(model(IDS.repeat(2, 1)[:, ::2], MASK.repeat(2, 1)[:, ::2]).logits, expected)


def test_without_a_mask_padding_is_attended_to(model):
    np.testing.assert_array_equal(model(IDS).logits, model(IDS, np.ones_like(IDS)).logits)
    assert np.abs(model(IDS).logits[1] - model(IDS, MASK).logits[1]).max() > 1e-3


def test_inputs_and_weights_are_not_changed(model):
    ids, mask = IDS.copy(), MASK.copy()
    before = [leaf.copy() for leaf in tree_leaves(model.weights)]
    model(ids, mask)
    np.testing.assert_array_equal(ids, IDS)
    np.testing.assert_array_equal(mask, MASK)
    for leaf, was in zip(tree_leaves(model.weights), before, strict=True):
        np.testing.assert_array_equal(leaf, was)
        assert not leaf.flags.writeable


def test_sequences_of_padding_alone_are_finite_and_change_no_other(model):
    ids = np.vstack([IDS, np.ones((1, 6), int)])
    logits = model(ids, np.vstack([MASK, np.zeros((1, 6), int)])).logits
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(logits[:2], model(IDS, MASK).logits, rtol=0, atol=1e-4)


def test_padding_may_exceed_512_positions(model):
    ids = np.ones((1, 600), int)
    ids[0, :3] = [0, 5, 2]
    logits = model(ids, ids != 1).logits
    np.testing.assert_allclose(logits[:, :3], model(ids[:, :3]).logits, rtol=0, atol=1e-4)


def test_position_ids_depend_on_pad_token_id(tmp_path):
    tensors = seeded_tensors(3)
    model = RobertaForMaskedLM.from_pretrained(write_model(tmp_path, tensors, pad_token_id=0))
    other = dict(tensors)
    name = "roberta.embeddings.position_embeddings.weight"
    other[name] = np.roll(tensors[name], 1, axis=0)  # row 1 of the one is row 2 of the other
    shifted = RobertaForMaskedLM.from_pretrained(write_model(tmp_path / "shifted", other))
    ids = np.array([[5, 6, 7]])
    np.testing.assert_allclose(model(ids).logits, shifted(ids).logits, rtol=0, atol=1e-5)
    assert model.config.max_sequence_length == 513


SEQUENCES, POSITIONS = [[0, 5, 40, 7, 2], [0, 9, 2], [0, 8, 2]], [[1], [2, 0], [0, 1, 2]]


def test_encode_gives_the_hidden_states_at_the_selected_positions(model, encoder):
    for encode in (model.encode, encoder.encode):
        for sequence, selected, states in zip(SEQUENCES, POSITIONS, encode(SEQUENCES, POSITIONS), strict=True):
            whole = encoder([sequence]).last_hidden_state[0]
            np.testing.assert_allclose(states, whole[selected], rtol=0, atol=2e-5)
            assert states.dtype == np.float32


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_the_pooler_is_tanh_of_an_affine_map_of_the_first_token(dtype, tolerance):
    inputs = draw(0, 3, 4, 8, dtype=dtype)
    weights = LinearWeights(draw(1, 8, 8, dtype=dtype), draw(2, 8, dtype=dtype))
    result = pooler(inputs, weights)
    assert result.dtype == dtype
    expected = np.tanh(inputs[:, 0].astype(np.float64) @ weights.weight.T.astype(np.float64) + weights.bias)
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)


# -- tensor names ----------------------------------------------------------------------------------------------------

KEYS_CONFIG = RobertaConfig(
    vocab_size=11,
    hidden_size=4,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=6,
    max_position_embeddings=9,
    type_vocab_size=1,
    layer_norm_eps=1e-5,
)
EMBEDDINGS = {
    "embeddings.word_embeddings.weight": (11, 4),
    "embeddings.position_embeddings.weight": (9, 4),
    "embeddings.token_type_embeddings.weight": (1, 4),
    "embeddings.LayerNorm.weight": (4,),
    "embeddings.LayerNorm.bias": (4,),
}
LAYER = {
    "attention.self.query.weight": (4, 4),
    "attention.self.query.bias": (4,),
    "attention.self.key.weight": (4, 4),
    "attention.self.key.bias": (4,),
    "attention.self.value.weight": (4, 4),
    "attention.self.value.bias": (4,),
    "attention.output.dense.weight": (4, 4),
    "attention.output.dense.bias": (4,),
    "attention.output.LayerNorm.weight": (4,),
    "attention.output.LayerNorm.bias": (4,),
    "intermediate.dense.weight": (6, 4),
    "intermediate.dense.bias": (6,),
    "output.dense.weight": (4, 6),
    "output.dense.bias": (4,),
    "output.LayerNorm.weight": (4,),
    "output.LayerNorm.bias": (4,),
}
ENCODER = EMBEDDINGS | {f"encoder.layer.{index}.{name}": shape for index in (0, 1) for name, shape in LAYER.items()}
POOLER = {"pooler.dense.weight": (4, 4), "pooler.dense.bias": (4,)}
HEAD = {
    "lm_head.dense.weight": (4, 4),
    "lm_head.dense.bias": (4,),
    "lm_head.layer_norm.weight": (4,),
    "lm_head.layer_norm.bias": (4,),
    "lm_head.bias": (11,),
}


def table(keys):
    return {key.name: key.shape for key in tree_leaves(keys)}


@pytest.mark.parametrize("prefix", ["", "roberta."])
def test_tensor_names_and_shapes_of_the_encoder(prefix):
    assert table(roberta_keys(KEYS_CONFIG, prefix, with_pooler=False)) == {prefix + k: v for k, v in ENCODER.items()}
    assert table(roberta_keys(KEYS_CONFIG, prefix, with_pooler=True)) == {
        prefix + k: v for k, v in (ENCODER | POOLER).items()
    }


def test_tensor_names_and_shapes_of_the_masked_language_model():
    assert table(masked_lm_keys(KEYS_CONFIG)) == {f"roberta.{k}": v for k, v in ENCODER.items()} | HEAD


def test_each_tensor_name_is_at_the_place_of_its_weight():
    layer = roberta_keys(KEYS_CONFIG, "", with_pooler=False).layers[1]
    assert layer.attention.value.bias == Key("encoder.layer.1.attention.self.value.bias", (4,))
    assert layer.attention_layer_norm.weight.name == "encoder.layer.1.attention.output.LayerNorm.weight"
    assert layer.feed_forward.output.weight == Key("encoder.layer.1.output.dense.weight", (4, 6))
    assert layer.feed_forward_layer_norm.bias.name == "encoder.layer.1.output.LayerNorm.bias"


# -- gradients of whole models; against torch's they are in the parity suite ------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_every_tensor_against_finite_differences(case, monkeypatch):
    gradients_of, keys, labels, count, problem_type, _ = CASES[case]
    monkeypatch.setattr(activation, "normal_cdf", exact_normal_cdf)
    config, weights = gradient_model(keys, count, problem_type, np.float64)
    dropout = Dropout(0.3, Repeated())

    def run():
        return gradients_of(TEXTS, labels, weights, config, dropout)

    _, gradients = run()
    rng = np.random.default_rng(1)
    for key, weight, gradient in zip(*map(tree_leaves, (keys(config), weights, gradients)), strict=True):
        assert gradient.shape == weight.shape
        # One direction per tensor: the slope along it is its product with the gradient.
        direction = rng.standard_normal(weight.shape)
        if "embeddings.word" in key.name or "embeddings.position" in key.name:
            direction[1] = 0  # the rows of padding have no gradient
        weight += STEP * direction
        above = run()[0]
        weight -= 2 * STEP * direction
        below = run()[0]
        weight += STEP * direction
        slope = (above - below) / (2 * STEP)
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=3e-5, abs=1e-8), key.name


@pytest.mark.parametrize("case", CASES)
def test_parts_of_a_batch_add_up(case):
    gradients_of, keys, labels, count, problem_type, selected = CASES[case]
    config, weights = gradient_model(keys, count, problem_type, np.float32)
    loss, gradients = gradients_of(TEXTS, labels, weights, config)
    parts = [
        gradients_of([ids], [some], weights, config, None, selected) for ids, some in zip(TEXTS, labels, strict=True)
    ]
    assert loss == pytest.approx(sum(part for part, _ in parts), rel=1e-6)
    for whole, *some in zip(tree_leaves(gradients), *(tree_leaves(tree) for _, tree in parts), strict=True):
        assert whole.dtype == np.float32
        np.testing.assert_allclose(sum(some), whole, rtol=0, atol=1e-5 * max(1, np.abs(whole).max()))


def test_losses_of_the_simplest_answers():
    """If all logits are equal, the losses are known."""
    for gradients_of, keys, labels, count, problem_type, expected in (
        (*CASES["masked"][:5], np.log(20)),
        (*CASES["single"][:5], np.log(3)),
        (*CASES["several"][:5], np.log(2)),
        (*CASES["regression"][:5], (0.5**2 + 2**2 + 3.25**2) / 3),
        (*CASES["tokens"][:5], np.log(3)),
        (*CASES["questions"][:5], (2 * np.log(4) + np.log(6)) / 3),
        (*CASES["questions beyond"][:5], (np.log(4) + np.log(6)) / 2),
    ):
        config, (encoder, head) = gradient_model(keys, count, problem_type, np.float64)
        weights = type(keys(config))(encoder, tree_map(np.zeros_like, head))
        assert gradients_of(TEXTS, labels, weights, config)[0] == pytest.approx(expected)
