import numpy as np
import pytest

from distilroberta_np import CheckpointError, RobertaForMaskedLM, RobertaModel, reference
from distilroberta_np.layers.params import tree_leaves
from distilroberta_np.models import masked_lm
from distilroberta_np.runtime import batching, threads
from tests.support.seeded import CONFIG, VOCAB_SIZE, seeded_tensors, write_model

IDS = np.array([[0, 5, 40, VOCAB_SIZE - 1, 7, 2], [0, 9, 2, 1, 1, 1]])
MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])


def in_float64(params):
    return {n: in_float64(p) if isinstance(p, dict) else p.astype(np.float64) for n, p in params.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"), seeded_tensors(3, pooler=True))


@pytest.fixture(scope="module")
def model(folder):
    return RobertaForMaskedLM.from_pretrained(folder)


@pytest.fixture(scope="module")
def encoder(folder):
    return RobertaModel.from_pretrained(folder)


def test_many_texts_are_cut_for_threads_and_joined_again(model, monkeypatch):
    ids = np.random.default_rng(0).integers(2, VOCAB_SIZE, (9, 20))
    mask = (np.arange(20) < np.array([[20, 3, 7, 20, 1, 20, 20, 15, 20]]).T).astype(np.int64)
    wanted = model(ids, mask, output_hidden_states=True, output_attentions=True)
    monkeypatch.setattr(threads, "_openblas", lambda: (lambda: 3, lambda number: None))
    monkeypatch.setattr(batching, "_MIN_THREAD_TOKENS", 1)
    monkeypatch.setattr(batching, "_MICRO_BATCH_TOKENS", 30)
    monkeypatch.setattr(masked_lm, "_HEAD_ROWS", 7)
    result = model(ids, mask, output_hidden_states=True, output_attentions=True)
    for got, expected in zip(tree_leaves(result), tree_leaves(wanted), strict=True):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5)


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


def test_states_and_attentions_are_returned_only_if_asked_for(model):
    plain = model(IDS, MASK)
    assert plain.hidden_states is None
    assert plain.attentions is None
    asked = model(IDS, MASK, output_hidden_states=True, output_attentions=True)
    assert len(asked.hidden_states) == CONFIG["num_hidden_layers"] + 1
    assert [a.shape for a in asked.attentions] == [(2, CONFIG["num_attention_heads"], 6, 6)] * CONFIG[
        "num_hidden_layers"
    ]
    np.testing.assert_array_equal(asked.logits, plain.logits)


def test_a_checkpoint_without_a_pooler_has_no_pooled_vector(tmp_path):
    encoder = RobertaModel.from_pretrained(write_model(tmp_path, seeded_tensors(3)))
    assert encoder(IDS).pooler_output is None


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.uint16, np.uint32, np.uint64, ">i8"])
def test_ids_of_every_integer_type_mean_the_same(model, dtype):
    np.testing.assert_array_equal(model(IDS.astype(dtype), MASK).logits, model(IDS, MASK).logits)


def test_ids_of_one_byte(model):
    ids = np.array([[0, 5, 2, 255]], np.uint8)
    np.testing.assert_array_equal(model(ids).logits, model(ids.astype(np.int64)).logits)


@pytest.mark.parametrize("mask", [MASK.astype(bool), MASK.astype(np.uint8), MASK.astype(np.int32), MASK.tolist()])
def test_masks_of_every_type_mean_the_same(model, mask):
    np.testing.assert_array_equal(model(IDS, mask).logits, model(IDS, MASK).logits)


def test_lists_and_views_mean_the_same_as_arrays(model):
    wanted = model(IDS, MASK).logits
    np.testing.assert_array_equal(model(IDS.tolist(), MASK.tolist()).logits, wanted)
    np.testing.assert_array_equal(model(np.asfortranarray(IDS), np.asfortranarray(MASK)).logits, wanted)
    np.testing.assert_array_equal(model(IDS.repeat(2, 1)[:, ::2], MASK.repeat(2, 1)[:, ::2]).logits, wanted)


def test_without_a_mask_padding_is_seen(model):
    np.testing.assert_array_equal(model(IDS).logits, model(IDS, np.ones_like(IDS)).logits)
    assert np.abs(model(IDS).logits[1] - model(IDS, MASK).logits[1]).max() > 1e-3


def test_inputs_and_weights_stay_as_they_are(model):
    ids, mask = IDS.copy(), MASK.copy()
    before = [leaf.copy() for leaf in tree_leaves(model.weights)]
    model(ids, mask)
    np.testing.assert_array_equal(ids, IDS)
    np.testing.assert_array_equal(mask, MASK)
    for leaf, was in zip(tree_leaves(model.weights), before, strict=True):
        np.testing.assert_array_equal(leaf, was)
        assert not leaf.flags.writeable


def test_rows_of_nothing_but_padding_are_finite_and_disturb_no_other(model):
    ids = np.vstack([IDS, np.ones((1, 6), int)])
    logits = model(ids, np.vstack([MASK, np.zeros((1, 6), int)])).logits
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(logits[:2], model(IDS, MASK).logits, rtol=0, atol=1e-4)


def test_padding_may_go_beyond_512_places(model):
    ids = np.ones((1, 600), int)
    ids[0, :3] = [0, 5, 2]
    logits = model(ids, ids != 1).logits
    np.testing.assert_allclose(logits[:, :3], model(ids[:, :3]).logits, rtol=0, atol=1e-4)


def test_another_pad_token_id_starts_the_positions_elsewhere(tmp_path):
    tensors = seeded_tensors(3)
    model = RobertaForMaskedLM.from_pretrained(write_model(tmp_path, tensors, pad_token_id=0))
    other = dict(tensors)
    name = "roberta.embeddings.position_embeddings.weight"
    other[name] = np.roll(tensors[name], 1, axis=0)  # row 1 of the one is row 2 of the other
    shifted = RobertaForMaskedLM.from_pretrained(write_model(tmp_path / "shifted", other))
    ids = np.array([[5, 6, 7]])
    np.testing.assert_allclose(model(ids).logits, shifted(ids).logits, rtol=0, atol=1e-5)
    assert model.config.max_sequence_length == 513


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        (np.array([0, 5, 2]), ValueError, r"input_ids must have the shape \(batch, sequence\), not \(3,\)"),
        (np.zeros((1, 2, 3), int), ValueError, r"not \(1, 2, 3\)"),
        (5, ValueError, r"not \(\)"),
        ([], ValueError, r"not \(0,\)"),
        ([[]], ValueError, "input_ids are empty"),
        (np.zeros((0, 4), int), ValueError, "input_ids are empty"),
        ([[0, 5, 2], [0, 2]], ValueError, "input_ids must have rows of one length; pad"),
        ([[0.0, 5.0]], TypeError, "input_ids must be integers, not float64"),
        ([[True, False]], TypeError, "input_ids must be integers, not bool"),
        ([["a", "b"]], TypeError, "input_ids must be integers"),
        ([[None, 5]], TypeError, "input_ids must be integers, not object"),
        ([[2**70, 5]], TypeError, "input_ids must be integers, not object"),
        ([[0, -1]], ValueError, f"input_ids hold -1, outside the vocabulary of {VOCAB_SIZE}"),
        ([[0, VOCAB_SIZE]], ValueError, f"input_ids hold {VOCAB_SIZE}, outside"),
        (np.array([[2**64 - 1]], np.uint64), ValueError, "input_ids hold 18446744073709551615"),
        (np.full((1, 513), 5), ValueError, "a text has 513 tokens, and this model reads at most 512"),
    ],
)
def test_ids_that_can_not_be_computed_are_refused(model, encoder, ids, error, message):
    for callee in (model, encoder):
        with pytest.raises(error, match=message):
            callee(ids)


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (MASK[:1], ValueError, r"attention_mask has the shape \(1, 6\), input_ids \(2, 6\)"),
        (MASK[0], ValueError, r"attention_mask has the shape \(6,\)"),
        (MASK[:, None, None, :], ValueError, "attention_mask has the shape"),
        (MASK * 1.0, TypeError, "attention_mask must be integers or booleans, not float64"),
        (MASK * 2, ValueError, "attention_mask must hold only 1"),
        (MASK - 1, ValueError, "attention_mask must hold only 1"),
        ([[1], [1, 0]], ValueError, "attention_mask must have rows of one length"),
    ],
)
def test_masks_that_can_not_be_computed_are_refused(model, mask, error, message):
    with pytest.raises(error, match=message):
        model(IDS, mask)


def test_the_head_alone_gives_the_logits_of_the_vectors_it_is_given(model):
    states = model.roberta(IDS, MASK).last_hidden_state
    np.testing.assert_allclose(model.logits(states[1, 2]), model(IDS, MASK).logits[1, 2], rtol=0, atol=1e-5)


SEQUENCES, POSITIONS = [[0, 5, 40, 7, 2], [0, 9, 2], [0, 8, 2]], [[1], [2, 0], [0, 1, 2]]


def test_encode_gives_the_hidden_states_at_the_selected_positions(model, encoder):
    for encode in (model.encode, encoder.encode):
        for sequence, selected, states in zip(SEQUENCES, POSITIONS, encode(SEQUENCES, POSITIONS), strict=True):
            whole = encoder([sequence]).last_hidden_state[0]
            np.testing.assert_allclose(states, whole[selected], rtol=0, atol=2e-5)
            assert states.dtype == np.float32


@pytest.mark.parametrize("count", [1, 3])
def test_logits_at_and_mapped_logits_are_those_of_the_whole(model, monkeypatch, count):
    monkeypatch.setattr(threads, "_openblas", lambda: (lambda: count, lambda number: None))
    monkeypatch.setattr(batching, "_MIN_THREAD_TOKENS", 1)
    monkeypatch.setattr(masked_lm, "_MAPPED_ROWS", 2)
    wanted = [model([sequence]).logits[0, selected] for sequence, selected in zip(SEQUENCES, POSITIONS, strict=True)]
    assert model.logits_at([], []) == []
    for ours, theirs in zip(model.logits_at(SEQUENCES, POSITIONS), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5)
    mapped = np.concatenate(list(model.map_logits(lambda logits: logits * 2, SEQUENCES, POSITIONS)))
    np.testing.assert_allclose(mapped, 2 * np.concatenate(wanted), rtol=0, atol=4e-5)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_logits_that_are_not_finite_are_refused(model):
    dense = model.weights.lm_head.dense
    corrupt = model.weights._replace(
        lm_head=model.weights.lm_head._replace(dense=dense._replace(weight=np.full_like(dense.weight, 3e38)))
    )
    broken = RobertaForMaskedLM(model.config, corrupt)
    with pytest.raises(CheckpointError, match="the logits contain NaN or infinity; the checkpoint is probably corrupt"):
        broken.logits_at(SEQUENCES, POSITIONS)
    with pytest.raises(CheckpointError, match="the logits contain NaN or infinity"):
        list(broken.map_logits(np.copy, SEQUENCES, POSITIONS))
