"""The names of transformers for what loads any architecture. Here there is one, so they are other names."""

from .config import RobertaConfig as AutoConfig
from .models.masked_lm import RobertaForMaskedLM as AutoModelForMaskedLM
from .models.question_answering import RobertaForQuestionAnswering as AutoModelForQuestionAnswering
from .models.roberta import RobertaModel as AutoModel
from .models.sequence_classification import RobertaForSequenceClassification as AutoModelForSequenceClassification
from .models.token_classification import RobertaForTokenClassification as AutoModelForTokenClassification
from .tokenizer import RobertaTokenizer as AutoTokenizer

__all__ = [
    "AutoConfig",
    "AutoModel",
    "AutoModelForMaskedLM",
    "AutoModelForQuestionAnswering",
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoTokenizer",
]
