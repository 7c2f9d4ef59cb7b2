"""RoBERTa in 300 lines: from a text to the five most likely words for `<mask>`, in NumPy and the standard library.

Read `bpe.py` (text to token ids), then `checkpoint.py` (a file to arrays), then `roberta.py` (the model). Nothing here
is fast, batched or defensive; the rest of the package computes the same numbers, and tests hold the two together.
A copy of this folder works alone: `python -m reference "The man worked as a <mask>." FOLDER`.
"""

from .bpe import Tokenizer
from .checkpoint import load
from .roberta import fill_mask, forward

__all__ = ["Tokenizer", "fill_mask", "forward", "load"]
