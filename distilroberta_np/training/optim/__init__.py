"""The optimizers by the names that settings give them."""

from .adamw import adamw
from .muon import muon

OPTIMIZERS = {"adamw": adamw, "muon": muon}
