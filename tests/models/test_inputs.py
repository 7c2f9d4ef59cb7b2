import numpy as np
import pytest

from distilroberta_np import RobertaForMaskedLM, RobertaModel
from distilroberta_np.models.inputs import pack, select_targets
from tests.support.seeded import VOCAB_SIZE, write_model

IDS = np.array([[0, 5, 40, VOCAB_SIZE - 1, 7, 2], [0, 9, 2, 1, 1, 1]])
MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(folder):
    return RobertaForMaskedLM.from_pretrained(folder)


@pytest.fixture(scope="module")
def encoder(folder):
    return RobertaModel.from_pretrained(folder)


def test_groups_are_packed_one_after_the_other():
    groups = [np.array([[0, 5, 2], [0, 1, 2]]), np.array([[0, 7, 8, 2]])]
    batch = pack(groups, [np.array([[1], [0]]), np.array([[3, 1]])], pad_token_id=1)
    assert batch.input_ids.tolist() == [0, 5, 2, 0, 1, 2, 0, 7, 8, 2]
    assert batch.position_ids.tolist() == [2, 3, 4, 2, 1, 3, 2, 3, 4, 5]
    assert [group[:3] for group in batch.groups] == [(2, 3, 1), (1, 4, 2)]
    assert batch.selected.tolist() == [1, 3, 9, 7]
    everywhere = pack(groups, None, pad_token_id=1)
    assert everywhere.selected == slice(None)
    assert [group[:3] for group in everywhere.groups] == [(2, 3, 3), (1, 4, 4)]


def test_targets_are_the_positions_with_a_label():
    labels = [np.array([[-100, 9, -100], [5, -100, 6]]), np.array([[-100, -100]])]
    targets = select_targets(labels)
    assert [group.shape for group in targets.positions] == [(2, 2), (1, 1)]
    assert targets.positions[0][1].tolist() == [0, 2]
    assert 1 in targets.positions[0][0]
    rows = np.concatenate(
        [np.take_along_axis(*pair, axis=1).ravel() for pair in zip(labels, targets.positions, strict=True)]
    )
    assert rows[targets.rows].tolist() == targets.labels.tolist() == [9, 5, 6]
    everywhere = select_targets(labels, everywhere=True)
    assert everywhere.positions is None
    assert everywhere.rows.tolist() == [1, 3, 5]
    assert everywhere.labels.tolist() == [9, 5, 6]


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        (np.array([0, 5, 2]), ValueError, r"input_ids must have the shape \(batch, sequence\), not \(3,\)"),
        (np.zeros((1, 2, 3), int), ValueError, r"not \(1, 2, 3\)"),
        (5, ValueError, r"not \(\)"),
        ([], ValueError, r"not \(0,\)"),
        ([[]], ValueError, "input_ids are empty"),
        (np.zeros((0, 4), int), ValueError, "input_ids are empty"),
        ([[0, 5, 2], [0, 2]], ValueError, "input_ids must have rows of equal length; pad"),
        ([[0.0, 5.0]], TypeError, "input_ids must be integers, not float64"),
        ([[True, False]], TypeError, "input_ids must be integers, not bool"),
        ([["a", "b"]], TypeError, "input_ids must be integers"),
        ([[None, 5]], TypeError, "input_ids must be integers, not object"),
        ([[2**70, 5]], TypeError, "input_ids must be integers, not object"),
        ([[0, -1]], ValueError, f"input_ids contain -1, which is outside the vocabulary of {VOCAB_SIZE}"),
        ([[0, VOCAB_SIZE]], ValueError, f"input_ids contain {VOCAB_SIZE}, which is outside"),
        (np.array([[2**64 - 1]], np.uint64), ValueError, "input_ids contain 18446744073709551615"),
        (np.full((1, 513), 5), ValueError, "a sequence has 513 tokens, but the model reads at most 512"),
    ],
)
def test_invalid_ids_are_refused(model, encoder, ids, error, message):
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
        (MASK * 2, ValueError, "attention_mask must contain only 1"),
        (MASK - 1, ValueError, "attention_mask must contain only 1"),
        ([[1], [1, 0]], ValueError, "attention_mask must have rows of equal length"),
    ],
)
def test_invalid_masks_are_refused(model, mask, error, message):
    with pytest.raises(error, match=message):
        model(IDS, mask)
