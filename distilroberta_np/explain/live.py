"""What runs in the browser: a sentence through `reference/`, as it is or as the student has changed it."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import numpy as np

from ..reference import Tokenizer, load, roberta
from .walk import source, walk

_EDITED = "roberta.py"  # the name of the edited file in tracebacks


class Classroom:
    """A loaded model that answers sentences.

    The folder holds config.json, model.safetensors and tokenizer.json.
    """

    def __init__(self, folder: str) -> None:
        self.tokenizer = Tokenizer.from_folder(Path(folder))
        self.params, self.config = load(Path(folder))

    def answer(self, text: str, code: str) -> str:
        """Run `code` (the text of reference/roberta.py, perhaps changed) on a sentence.

        Returns JSON, {"page": the result of `walk`}, or {"error": what is wrong, for the student}.
        """
        try:
            return json.dumps({"page": self._walk(text, code)}, allow_nan=False)
        except _UnshownError as error:
            return json.dumps({"error": str(error)})
        except Exception as error:
            return json.dumps({"error": _explain(error)})

    def _walk(self, text: str, code: str) -> object:
        ids, offsets = self.tokenizer.encode(text)
        mask_id, limit = self.tokenizer.ids["<mask>"], self.config["max_position_embeddings"] - 2
        if ids.count(mask_id) != 1:
            raise _UnshownError("Write exactly one <mask> into the sentence.")
        if len(ids) > limit:
            raise _UnshownError(f"The sentence has {len(ids)} tokens; the model reads at most {limit}.")
        exec(compile(code, _EDITED, "exec"), roberta.__dict__)
        with np.errstate(all="ignore"):  # the result says more than a warning would
            page = walk(text, ids, offsets, ids.index(mask_id), self.tokenizer, self.params, self.config)
        if not np.isfinite([logit for _, logit, _ in page["logits"]]).all():
            raise _UnshownError(
                "The logits contain NaN or infinity. Look for a division by zero or a missing normalization."
            )
        return {**page, "source": source(code)}


class _UnshownError(Exception):
    """A sentence or a result that the page cannot show."""


def _explain(error: Exception) -> str:
    """The error and the last line of the student's file that was running."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _EDITED]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    where = f" in line {line} of roberta.py" if line else ""
    return f"{type(error).__name__}{where}: {message}"
