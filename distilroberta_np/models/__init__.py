"""The models under the names that users know, loaded, called and saved."""

from .classification import (
    QuestionAnsweringOutput,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from .encoder import RobertaModel
from .masked_lm import MaskedLMOutput, RobertaForMaskedLM

__all__ = [
    "MaskedLMOutput",
    "QuestionAnsweringOutput",
    "RobertaForMaskedLM",
    "RobertaForQuestionAnswering",
    "RobertaForSequenceClassification",
    "RobertaForTokenClassification",
    "RobertaModel",
    "SequenceClassifierOutput",
    "TokenClassifierOutput",
]
