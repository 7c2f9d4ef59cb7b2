import csv
import sys

import pytest

from distilroberta_np.cli import main
from distilroberta_np.training import device
from tests.support.seeded import write_model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write_model(folder / "base", hidden_size=16, num_attention_heads=2, intermediate_size=24)
    rows = "the cat\tgood\na sat\tbad\n" * 6
    (folder / "train.tsv").write_text(f"text\tlabel\n{rows}", encoding="utf-8")
    (folder / "bare.tsv").write_text("1\tx,y\tthe cat\n2\t\ta sat\n", encoding="utf-8")
    return folder


def command(files, out, *more, data="train.tsv"):
    arguments = ["finetune", "--task", "text-classification", "--model", str(files / "base"), "--out", str(out)]
    return [*arguments, "--train", str(files / data), "--eval", str(files / data), "--epochs", "2", *more]


def test_progress_and_the_metrics_of_the_test_file(files, tmp_path, capsys):
    arguments = command(files, tmp_path / "run", "--batch-size", "4", "--test", str(files / "train.tsv"))
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    names = [line.split("\t")[0] for line in out.splitlines()]
    assert names == ["accuracy", "f1", "f1_macro", "matthews"]
    assert "train.tsv: the labels are names, so this is single label classification" in err
    assert "12 rows, 12 inputs of" in err
    assert "update 6 of 6, loss 0." in err
    assert "epoch 2 of 2: accuracy " in err
    with open(tmp_path / "run" / "evaluations.csv", newline="") as file:
        assert [row["update"] for row in csv.DictReader(file)] == ["3", "6"]
    assert f"the best model is in {tmp_path / 'run' / 'best'}: distilroberta-np text-classification" in err
    assert main(arguments) == 0  # nothing left to train, and the same measured again
    again = capsys.readouterr()
    assert again.out == out
    assert "run: this run is finished, after 6 updates" in again.err


def test_the_folder_of_a_run_is_a_model(files, tmp_path, capsys):
    assert main(command(files, tmp_path / "run")) == 0
    capsys.readouterr()
    answers = []
    for folder in ("run", "run/best"):
        assert main(["text-classification", "the cat", "--model", str(tmp_path / folder), "--json"]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]
    (tmp_path / "run" / "best").rename(tmp_path / "elsewhere")  # then the last checkpoint
    assert main(["text-classification", "the cat", "--model", str(tmp_path / "run"), "--json"]) == 0


def test_the_test_file_is_checked_before_the_training(files, tmp_path, capsys):
    assert main(command(files, tmp_path / "run", "--test", str(tmp_path / "absent.tsv"))) == 2
    assert "absent.tsv: no such file" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_defaults_are_said(files, tmp_path, capsys):
    """Without --eval, --learning-rate and --epochs; the same command resumes what it chose."""
    arguments = [
        "finetune",
        "--task",
        "text-classification",
        "--model",
        str(files / "base"),
        "--out",
        str(tmp_path / "run"),
    ]
    arguments += ["--train", str(files / "train.tsv"), "--batch-size", "1"]
    assert main(arguments) == 0
    err = capsys.readouterr().err
    assert "train.tsv: without --eval, 1 of 12 rows are held out for evaluation" in err
    assert "learning rate: 0.0002, epochs: 10, updates: 110" in err
    assert "held out: 1 rows" in err
    assert main(arguments) == 0
    assert "this run is finished, after 110 updates" in capsys.readouterr().err


def test_columns_by_number_and_several_labels(files, tmp_path, capsys):
    more = ("--no-header", "--text-column", "3", "--label-column", "2", "--multi-label", "--metric", "accuracy")
    assert main(command(files, tmp_path / "run", *more, data="bare.tsv")) == 0
    assert "epoch 1 of 2: f1_micro " in capsys.readouterr().err
    assert main(command(files, tmp_path / "other", *more[:-2], "--metric", "pearson", data="bare.tsv")) == 2
    assert "metric must be f1_micro, f1_macro, accuracy for these data" in capsys.readouterr().err


def test_a_bad_row_ends_with_2_unless_skipped(files, tmp_path, capsys):
    text = (files / "train.tsv").read_text(encoding="utf-8")
    (files / "bad.tsv").write_text(text + "no label\n", encoding="utf-8")
    assert main(command(files, tmp_path / "run", data="bad.tsv")) == 2
    assert "bad.tsv, line 14: 1 columns, but the file has 2. Correct it" in capsys.readouterr().err
    assert main(command(files, tmp_path / "run", "--skip-bad-rows", "--epochs", "1", data="bad.tsv")) == 0
    err = capsys.readouterr().err
    assert "skipped: " in err
    assert "bad.tsv: 1 rows were skipped" in err


def test_an_unavailable_device_ends_with_2(files, tmp_path, monkeypatch, capsys):
    device._cupy.cache_clear()
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert main(command(files, tmp_path / "run", "--device", "cuda")) == 2
    assert "pip install 'distilroberta-np[cuda]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
