"""Every example of the README runs: on small seeded models in folders of the names that it uses, without a network."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from distilroberta_np.checkpoint.keys import question_answering_keys, token_classification_keys
from distilroberta_np.cli import main
from distilroberta_np.cli.main import make_parser
from tests.support.seeded import write_json, write_model
from tests.support.seeded_heads import tensors_with_head, write_classifier

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
PYTHON = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [
    line
    for language, text in BLOCKS
    if language == "sh"
    for line in text.replace("\\\n", " ").splitlines()
    if line.startswith("distilroberta-np ")
]
# What takes longer than an answer, or a network; its arguments are read, and it is run in tests of its own.
LONG = ("pretrain", "finetune", "distill", "download", "verify")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder in which every name of a model is a folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("distilroberta-base", "roberta-base", "a/folder", "run/checkpoint"):
        write_model(tmp_path / name)
    write_classifier(tmp_path / "tuned" / "best", ["negative", "positive"])
    write_classifier(tmp_path / "SamLowe/roberta-base-go_emotions", ["joy", "anger", "neutral"])
    write_classifier(tmp_path / "cross-encoder/nli-distilroberta-base", ["contradiction", "entailment", "neutral"])
    write_classifier(tmp_path / "cross-encoder/stsb-distilroberta-base", ["LABEL_0"])
    heads = {
        "Jean-Baptiste/roberta-large-ner-english": (token_classification_keys, ["B-PER", "I-PER", "B-LOC"]),
        "deepset/roberta-base-squad2": (question_answering_keys, None),
    }
    for name, (keys, labels) in heads.items():
        shape = {} if labels is None else {"id2label": dict(enumerate(labels))}
        write_model(tmp_path / name, tensors_with_head(keys, **shape), **shape)
    sentences = write_model(tmp_path / "sentence-transformers/all-distilroberta-v1")
    write_json(sentences / "modules.json", MODULES)
    (sentences / "1_Pooling").mkdir()
    write_json(
        sentences / "1_Pooling" / "config.json", {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    )
    (tmp_path / "sentences.txt").write_text("It rains.\nSomeone is eating.\n", encoding="utf-8")
    (tmp_path / "texts.txt").write_text("One <mask>.\nTwo <mask>.\n", encoding="utf-8")
    return tmp_path


MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]


@pytest.mark.filterwarnings("ignore::UserWarning")  # the small vocabulary lacks whole words
def test_python(folder):
    names = {"long_text": "One <mask> of many. " + "a b " * 400}
    assert len(PYTHON) >= 5
    for text in PYTHON:  # a block may go on with the names of those before it
        exec(compile(text, "README.md", "exec"), names)


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command, folder, capsys):
    _, name, *arguments = shlex.split(command.partition(" > ")[0])
    if name in LONG:
        make_parser().parse_args([name, *arguments])
        return
    assert main([name, *arguments]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out or "--output" in arguments


def test_there_are_commands():
    names = {shlex.split(command)[1] for command in COMMANDS}
    assert {"fill-mask", "pretrain", "finetune", "distill", "bias"} <= names
