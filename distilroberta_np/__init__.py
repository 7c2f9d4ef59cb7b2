"""RoBERTa in NumPy: DistilRoBERTa written by hand, without a framework.

    from distilroberta_np import pipeline

    unmasker = pipeline("fill-mask", model="distilroberta-base")
    unmasker("Hello I'm a <mask> model.")

To learn how it works, start with `distilroberta_np/reference`.
"""

from . import models, pipelines
from ._version import __version__
from .analysis.bias import GroupComparison, compare_groups
from .analysis.pseudo_likelihood import PseudoLikelihoodScorer, SentenceScore, pseudo_perplexity
from .config import RobertaConfig
from .errors import (
    CheckpointError,
    ConfigError,
    CorpusError,
    DistilRobertaError,
    HubError,
    InputTypeError,
    MissingKeyError,
    OutputError,
    PipelineException,
    ServeError,
    TokenizerError,
    TrainingError,
)
from .models import *
from .pipelines import *
from .sentence.cross_encoder import CrossEncoder
from .sentence.sentence_encoder import SentenceEncoder
from .tokenizer import RobertaTokenizer

__all__ = [
    "CheckpointError",
    "ConfigError",
    "CorpusError",
    "CrossEncoder",
    "DistilRobertaError",
    "GroupComparison",
    "HubError",
    "InputTypeError",
    "MissingKeyError",
    "OutputError",
    "PipelineException",
    "PseudoLikelihoodScorer",
    "RobertaConfig",
    "RobertaTokenizer",
    "SentenceEncoder",
    "SentenceScore",
    "ServeError",
    "TokenizerError",
    "TrainingError",
    "__version__",
    "compare_groups",
    "pseudo_perplexity",
]
__all__ += models.__all__
__all__ += pipelines.__all__
