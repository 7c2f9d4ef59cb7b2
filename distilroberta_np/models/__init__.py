"""The models under the names that users know, loaded, called and saved."""

from .classification import (
    QuestionAnsweringOutput,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from .masked_lm import MaskedLMOutput, RobertaForMaskedLM
from .roberta import RobertaModel

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
