"""`distilroberta-np distill`."""

import json
import sys

import pytest

from distilroberta_np.cli import main
from distilroberta_np.training import device, loop
from tests.support.seeded import write_model


@pytest.fixture(autouse=True)
def no_picture(monkeypatch):
    """Drawing takes longer than these runs."""
    monkeypatch.setattr(loop, "draw_losses", lambda path: None)


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / "text.txt").write_text("The cat sat on the mat.\n" * 50, encoding="utf-8")
    teacher = write_model(tmp_path / "teacher", num_hidden_layers=4)
    shape = ["--length", "32", "--batch-tokens", "200", "--updates", "2"]
    return ["distill", str(tmp_path / "text.txt"), "--teacher", str(teacher), "--out", str(tmp_path / "run"), *shape]


def test_a_student_is_made_that_fills_masks(arguments, tmp_path, capsys):
    assert main(arguments) == 0
    assert "update 2 of 2, loss" in capsys.readouterr().err
    config = json.loads((tmp_path / "run" / "checkpoint" / "config.json").read_text())
    assert config["num_hidden_layers"] == 2
    assert main(["fill-mask", "The cat<mask>.", "--model", str(tmp_path / "run" / "checkpoint"), "--json"]) == 0
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert (settings["alpha_ce"], settings["alpha_mlm"], settings["alpha_cos"]) == (5.0, 2.0, 1.0)


def test_other_settings_end_with_2(arguments, capsys):
    assert main(arguments) == 0
    assert main([*arguments, "--alpha-ce", "1"]) == 2
    assert "begun with alpha_ce 5.0" in capsys.readouterr().err


def test_a_missing_teacher_ends_with_2(arguments, tmp_path, capsys):
    arguments[3] = str(tmp_path / "nobody")
    assert main(arguments) == 2
    assert "nobody" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_unavailable_device_ends_with_2(arguments, monkeypatch, capsys):
    device._cupy.cache_clear()
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert main([*arguments, "--device", "cuda"]) == 2
    assert "pip install 'distilroberta-np[cuda]'" in capsys.readouterr().err
