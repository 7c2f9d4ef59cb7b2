"""Tools that look inside a masked language model and ask why it answers as it does."""

from .ablation import Ablation, ablate
from .attention_flow import AttentionNorms, attention_norms, attention_rollout
from .attribution import Attribution, attribute
from .lens import LogitLens, logit_lens
from .patching import Patching, patch
from .pseudo_likelihood import PseudoLikelihoodScorer, SentenceScore, pseudo_perplexity
from .tracing import AXES, Trace, trace

__all__ = [
    "AXES",
    "Ablation",
    "AttentionNorms",
    "Attribution",
    "LogitLens",
    "Patching",
    "PseudoLikelihoodScorer",
    "SentenceScore",
    "Trace",
    "ablate",
    "attention_norms",
    "attention_rollout",
    "attribute",
    "logit_lens",
    "patch",
    "pseudo_perplexity",
    "trace",
]
