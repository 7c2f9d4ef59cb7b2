"""RoBERTa in NumPy: DistilRoBERTa written out by hand, without a framework.

    from distilroberta_np import pipeline

    unmasker = pipeline("fill-mask", model="distilroberta-base")
    unmasker("Hello I'm a <mask> model.")

To read how it works, begin with `distilroberta_np/layers/__init__.py`.
"""

from ._version import __version__
from .config import RobertaConfig
from .errors import (
    CheckpointError,
    ConfigError,
    DistilRobertaError,
    HubError,
    PipelineException,
    TokenizerError,
    TrainingError,
)
from .layers.roberta import RobertaModelOutput
from .models import (
    MaskedLMOutput,
    QuestionAnsweringOutput,
    RobertaForMaskedLM,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from .pipelines import FillMaskPipeline, pipeline
from .sentence.cross_encoder import CrossEncoder
from .sentence.sentence_encoder import SentenceEncoder
from .tokenizer import RobertaTokenizer

__all__ = [
    "CheckpointError",
    "ConfigError",
    "CrossEncoder",
    "DistilRobertaError",
    "FillMaskPipeline",
    "HubError",
    "MaskedLMOutput",
    "PipelineException",
    "QuestionAnsweringOutput",
    "RobertaConfig",
    "RobertaForMaskedLM",
    "RobertaForQuestionAnswering",
    "RobertaForSequenceClassification",
    "RobertaForTokenClassification",
    "RobertaModel",
    "RobertaModelOutput",
    "RobertaTokenizer",
    "SentenceEncoder",
    "SequenceClassifierOutput",
    "TokenClassifierOutput",
    "TokenizerError",
    "TrainingError",
    "__version__",
    "pipeline",
]
