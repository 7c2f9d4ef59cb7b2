"""The models: a file per head with its weights, tensor names, forward and backward pass, loss and class.

`base.py` loads and saves them, `inputs.py` checks and packs their inputs, and `roberta.py` is the encoder that they
share.
"""

from .base import MODELS
from .masked_lm import MaskedLMOutput, RobertaForMaskedLM
from .question_answering import QuestionAnsweringOutput, RobertaForQuestionAnswering
from .roberta import RobertaModel, RobertaModelOutput
from .sequence_classification import RobertaForSequenceClassification, SequenceClassifierOutput
from .token_classification import RobertaForTokenClassification, TokenClassifierOutput

__all__ = [
    "MODELS",
    "MaskedLMOutput",
    "QuestionAnsweringOutput",
    "RobertaForMaskedLM",
    "RobertaForQuestionAnswering",
    "RobertaForSequenceClassification",
    "RobertaForTokenClassification",
    "RobertaModel",
    "RobertaModelOutput",
    "SequenceClassifierOutput",
    "TokenClassifierOutput",
]
