"""The exercises: unwritten all red, written all green, and each usual mistake found in the right function."""

import subprocess
import sys
from pathlib import Path

import pytest

from distilroberta_np import OutputError
from distilroberta_np.exercises import EXERCISES, solution, write_exercises

# (function, right text, wrong text, a word of the hint)
MISTAKES = [
    ("softmax", "e / e.sum(axis=-1, keepdims=True)", "e / e.sum()", "each row by itself"),
    ("softmax", "np.exp(x - x.max(axis=-1, keepdims=True))", "np.exp(x)", "overflows"),
    ("layer_norm", "x.var(axis=-1, keepdims=True)", "x.var(axis=-1, keepdims=True, ddof=1)", "H - 1"),
    ("layer_norm", "np.sqrt(variance + eps)", "(np.sqrt(variance) + eps)", "under the root"),
    ("gelu", "x * (1 + erf(x / math.sqrt(2))).astype(x.dtype) / 2", "np.maximum(x, 0)", "ReLU"),
    ("linear", 'x @ p["weight"].T + p["bias"]', 'x @ p["weight"] + p["bias"]', "transpose"),
    ("split_heads", ".swapaxes(0, 1)", "", "swap the axes"),
    ("attention", " / math.sqrt(query.shape[-1])", "", "scale is missing"),
    ("feed_forward", "gelu(inner)", "inner", "GELU between"),
    ("layer", "x + attention(", "attention(", "residual is missing"),
    ("lm_head", ' + p["bias"]', "", "bias"),
    ("softmax_backward", "(d_probabilities - total)", "d_probabilities", "every probability"),
]


def run_checks(folder: Path) -> tuple[set[str], str]:
    """The names of the red tests in a folder of exercises, and the whole report."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pytest.ini"]
    (folder / "pytest.ini").write_text("[pytest]\n")
    report = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120).stdout
    red = {line.split("::test_")[1].split(" ")[0] for line in report.splitlines() if line.startswith("FAILED")}
    return red, report


def test_unwritten_functions_are_red(tmp_path):
    write_exercises(tmp_path / "exercises")
    red, report = run_checks(tmp_path / "exercises")
    assert red == set(EXERCISES)
    assert "exercise 10: softmax_backward" in report


def test_written_functions_are_green(tmp_path):
    write_exercises(tmp_path)
    (tmp_path / "roberta.py").write_text(solution().replace("from .", "from "))
    red, report = run_checks(tmp_path)
    assert red == set()
    assert "10 passed" in report


@pytest.mark.parametrize("mistakes", [MISTAKES[0::3], MISTAKES[1::3], MISTAKES[2::3]])
def test_mistakes_are_red_alone_with_their_hints(tmp_path, mistakes):
    write_exercises(tmp_path)
    code = solution()
    for name, right, wrong, _ in mistakes:
        start = code.index(f"def {name}(")
        assert right in code[start:]
        code = code[:start] + code[start:].replace(right, wrong, 1)
    (tmp_path / "roberta.py").write_text(code.replace("from .", "from "))
    red, report = run_checks(tmp_path)
    assert red == {name for name, *_ in mistakes}
    for *_, hint in mistakes:
        assert hint in report


def test_written_work_is_not_overwritten(tmp_path):
    write_exercises(tmp_path)
    (tmp_path / "roberta.py").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_exercises(tmp_path)
    assert (tmp_path / "roberta.py").read_text() == "mine"
