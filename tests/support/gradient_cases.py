"""A case per head and problem type, for tests of whole models' gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from distilroberta_np import RobertaConfig
from distilroberta_np.layers.params import tree_map
from distilroberta_np.models.masked_lm import masked_lm_gradients, masked_lm_keys
from distilroberta_np.models.question_answering import question_answering_gradients, question_answering_keys
from distilroberta_np.models.sequence_classification import (
    sequence_classification_gradients,
    sequence_classification_keys,
)
from distilroberta_np.models.token_classification import token_classification_gradients, token_classification_keys
from tests.support.seeded import config_dict
from tests.support.seeded_heads import tensors_with_head

SHAPE = {"vocab_size": 20, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12}
TEXTS = [np.array([[0, 19, 7, 2], [0, 6, 19, 2]]), np.array([[0, 5, 19, 9, 8, 2]])]

SINGLE = [np.array([2, 0]), np.array([1])]
SEVERAL = [np.array([[0, 1, 1], [0, 0, 0]]), np.array([[1, 0, 1]])]
NUMBERS = [np.array([0.5, -2.0]), np.array([3.25])]
ROWS = [np.array([[0.5, 1.0, 0.0], [0.0, -2.0, 4.0]]), np.array([[3.25, 0.0, 1.0]])]
MASKED = [np.array([[-100, 9, -100, -100], [-100, 6, 5, -100]]), np.array([[-100, -100, 12, -100, -100, -100]])]
TAGS = [np.array([[-100, 2, -100, -100], [-100, 0, 1, -100]]), np.array([[-100, -100, 1, 2, 0, -100]])]
ENDS = [np.array([[1, 2], [0, 0]]), np.array([[4, 5]])]
BEYOND = [np.array([[1, 4], [9, 2]]), np.array([[-1, 5]])]

SEQUENCE = (sequence_classification_gradients, sequence_classification_keys)
# Each with its gradients, tensor names, labels, number of labels, problem type and `count`.
CASES = {
    "masked": (masked_lm_gradients, masked_lm_keys, MASKED, 2, None, 4),
    "single": (*SEQUENCE, SINGLE, 3, "single_label_classification", 3),
    "several": (*SEQUENCE, SEVERAL, 3, "multi_label_classification", 3),
    "regression": (*SEQUENCE, NUMBERS, 1, "regression", 3),
    "regression of several": (*SEQUENCE, ROWS, 3, "regression", 3),
    "tokens": (token_classification_gradients, token_classification_keys, TAGS, 3, None, 6),
    "questions": (question_answering_gradients, question_answering_keys, ENDS, 2, None, (3, 3)),
    "questions beyond": (question_answering_gradients, question_answering_keys, BEYOND, 2, None, (2, 2)),
}


def model(keys: Any, labels: int, problem_type: str | None, dtype: Any) -> tuple[RobertaConfig, Any]:
    """A config and seeded weights of these tensor names."""
    shape = SHAPE | {"num_labels": labels, "problem_type": problem_type}
    config, tensors = RobertaConfig.from_dict(config_dict(**shape)), tensors_with_head(keys, 0, **shape)
    return config, tree_map(lambda key: tensors[key.name].astype(dtype), keys(config))
