"""Exercises that check themselves: the model of `reference/` with ten functions to write, and a test for each."""

from __future__ import annotations

import ast
from importlib import resources
from pathlib import Path

from ..errors import OutputError
from ..files import write_text

# In the order of the course. The last one is not in the reference: its pass forward is the first exercise.
EXERCISES = (
    "softmax",
    "layer_norm",
    "gelu",
    "linear",
    "split_heads",
    "attention",
    "feed_forward",
    "layer",
    "lm_head",
    "softmax_backward",
)

_BACKWARD = '''

def softmax_backward(d_probabilities: Array, probabilities: Array) -> Array:
    """The gradient of p = softmax(x) along the last axis. As dp_i/dx_j = p_i (1[i = j] - p_j),

        dL/dx_j = p_j (dL/dp_j - sum_i dL/dp_i p_i)
    """
    total = (d_probabilities * probabilities).sum(axis=-1, keepdims=True)  # [..., S] -> [..., 1]
    return probabilities * (d_probabilities - total)
'''


def write_exercises(folder: Path) -> None:
    """Write roberta.py with ten functions left open, the files it needs, and test_exercises.py.

    Raises OutputError: one of the files exists; a student's work is never overwritten.
    """
    files = {
        "roberta.py": without_bodies(solution()),
        "bpe.py": _reference("bpe.py"),
        "checkpoint.py": _reference("checkpoint.py"),
        "test_exercises.py": (resources.files(__package__) / "checks.py").read_text(encoding="utf-8"),
    }
    existing = [name for name in files if (folder / name).exists()]
    if existing:
        raise OutputError(f"{folder / existing[0]} exists; choose a new folder, or remove the file to begin again")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_text(folder / name, text)


def solution() -> str:
    """The text of roberta.py with every function written."""
    return _reference("roberta.py").rstrip() + "\n" + _BACKWARD


def without_bodies(code: str) -> str:
    """The same text, in which the ten functions keep their docstring and raise NotImplementedError."""
    lines = code.splitlines()
    functions = {node.name: node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)}
    for number, name in sorted(enumerate(EXERCISES, 1), key=lambda item: -functions[item[1]].lineno):
        docstring, *_, last = functions[name].body
        assert docstring.end_lineno is not None
        lines[docstring.end_lineno : last.end_lineno] = [f'    raise NotImplementedError("exercise {number}: {name}")']
    return "\n".join(lines) + "\n"


def _reference(name: str) -> str:
    """A file of the reference, to be run outside a package."""
    text = (resources.files("distilroberta_np") / "reference" / name).read_text(encoding="utf-8")
    return text.replace("from .", "from ")
