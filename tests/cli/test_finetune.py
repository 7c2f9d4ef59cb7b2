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


def test_it_says_how_it_goes_and_what_the_test_file_gives(files, tmp_path, capsys):
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
    assert main(arguments) == 0  # nothing left to train, and the same measured again
    assert capsys.readouterr().out == out


def test_columns_by_number_and_several_labels(files, tmp_path, capsys):
    more = ("--no-header", "--text-column", "3", "--label-column", "2", "--multi-label", "--metric", "accuracy")
    assert main(command(files, tmp_path / "run", *more, data="bare.tsv")) == 0
    assert "epoch 1 of 2: f1_micro " in capsys.readouterr().err
    assert main(command(files, tmp_path / "other", *more[:-2], "--metric", "pearson", data="bare.tsv")) == 2
    assert "metric must be f1_micro, f1_macro, accuracy for these data" in capsys.readouterr().err


def test_a_bad_row_ends_it_with_2_unless_left_out(files, tmp_path, capsys):
    text = (files / "train.tsv").read_text(encoding="utf-8")
    (files / "bad.tsv").write_text(text + "no label\n", encoding="utf-8")
    assert main(command(files, tmp_path / "run", data="bad.tsv")) == 2
    assert "bad.tsv, line 14: 1 columns, but the file has 2. Correct it" in capsys.readouterr().err
    assert main(command(files, tmp_path / "run", "--skip-bad-rows", "--epochs", "1", data="bad.tsv")) == 0
    err = capsys.readouterr().err
    assert "skipped: " in err
    assert "bad.tsv: 1 rows were skipped" in err


def test_a_device_that_is_not_there_ends_with_2(files, tmp_path, monkeypatch, capsys):
    device._cupy.cache_clear()
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert main(command(files, tmp_path / "run", "--device", "cuda")) == 2
    assert "pip install 'distilroberta-np[cuda]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
