"""RoBERTa in NumPy: DistilRoBERTa written by hand, without a framework.

    from distilroberta_np import pipeline

    unmasker = pipeline("fill-mask", model="distilroberta-base")
    unmasker("Hello I'm a <mask> model.")

To learn how it works, start with `distilroberta_np/reference`.
"""

from typing import TYPE_CHECKING

from . import auto, models, pipelines
from ._version import __version__
from .auto import *
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
from .tokenizer import RobertaTokenizer

if TYPE_CHECKING:
    from .analysis.bias import GroupComparison, compare_groups
    from .analysis.pseudo_likelihood import PseudoLikelihoodScorer, SentenceScore, pseudo_perplexity
    from .sentence.cross_encoder import CrossEncoder
    from .sentence.sentence_encoder import SentenceEncoder
else:
    # Imported when they are first used: they take half as long as everything else.
    _MODULES = {
        "CrossEncoder": "sentence.cross_encoder",
        "GroupComparison": "analysis.bias",
        "PseudoLikelihoodScorer": "analysis.pseudo_likelihood",
        "SentenceEncoder": "sentence.sentence_encoder",
        "SentenceScore": "analysis.pseudo_likelihood",
        "compare_groups": "analysis.bias",
        "pseudo_perplexity": "analysis.pseudo_likelihood",
    }

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name in ("analysis", "sentence"):
            return import_module(f".{name}", __name__)
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


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
__all__ += auto.__all__
__all__ += models.__all__
__all__ += pipelines.__all__
