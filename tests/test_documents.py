"""The README, docs/ and the model's card: code blocks run alone, outputs are those shown, and links lead somewhere.

A block runs in a namespace and a folder of its own. Names of models on the hub are folders there, with small seeded
models, so that nothing is downloaded.
"""

from __future__ import annotations

import re
import runpy
import shlex
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from distilroberta_np import cli
from distilroberta_np.cli.main import find_commands, make_parser
from distilroberta_np.hub import find_published
from distilroberta_np.models.question_answering import question_answering_keys
from distilroberta_np.models.token_classification import token_classification_keys
from tests.support.seeded import write_json, write_model
from tests.support.seeded_heads import tensors_with_head, write_classifier
from tests.support.sentence_folders import write_sentence_encoder

PROJECT = Path(__file__).parents[1]
PAGES = [PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "weights/tiny/README.md")]
PAGES += sorted((PROJECT / "docs").rglob("*.md"))

# Commands that need a network or the published weights, or never end: only their arguments are checked.
NOT_RUN = ("download", "verify", "serve")
# Programs of other people, and what takes minutes; `.ci/run` runs the ones that matter.
OTHERS = (
    "pip",
    "pytest",
    "python -m venv",
    "python -m build",
    "python -m scripts.",
    "ruff",
    "mypy",
    "lint-imports",
    "curl",
    ".",
)
# Added to the commands that train, so that they take a second.
SMALL = {
    "pretrain": "--updates 2 --warmup 1 --decay 1 --last-updates 0 --batch-tokens 64 --vocab-size 280 --hidden-size 16 "
    "--num-hidden-layers 2 --num-attention-heads 2 --intermediate-size 32",
    "distill": "--updates 2 --warmup 1 --decay 1 --batch-tokens 64",
    "finetune": "--epochs 1",
}


class Block(NamedTuple):
    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    name = page.relative_to(PROJECT).as_posix()
    return [Block(name, text.count("\n", 0, match.start()) + 1, match[1], match[2]) for match in found]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
README = [block for block in BLOCKS if block.page == "README.md"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder in which every name of a model is a folder, with the files that the commands read."""
    monkeypatch.chdir(tmp_path)
    for name in ("distilroberta-base", "roberta-base", "a/folder"):
        write_model(tmp_path / name)
    write_classifier(tmp_path / "SamLowe/roberta-base-go_emotions", ["joy", "anger", "neutral"])
    write_classifier(tmp_path / "cross-encoder/nli-distilroberta-base", ["contradiction", "entailment", "neutral"])
    write_classifier(tmp_path / "cross-encoder/stsb-distilroberta-base", ["LABEL_0"])
    labels = {"id2label": {"0": "B-PER", "1": "I-PER", "2": "B-LOC"}}
    tagger = tensors_with_head(token_classification_keys, **labels)
    write_model(tmp_path / "Jean-Baptiste/roberta-large-ner-english", tagger, **labels)
    write_model(tmp_path / "deepset/roberta-base-squad2", tensors_with_head(question_answering_keys))
    write_sentence_encoder(tmp_path / "sentence-transformers/all-distilroberta-v1")
    files = {
        "texts.txt": "One <mask>.\nTwo <mask>.\n",
        "sentences.txt": "It rains.\nSomeone is eating.\n",
        "corpus/all.txt": "A man eats.\nSomeone is eating a lot.\n\nIt rains on the house.\n" * 8,
        "train.tsv": "text\tlabel\nGood film.\tgood\nBad film.\tbad\n" * 4,
        "train.conll": "Ada B-PER\nlived O\nin O\nLondon B-LOC\n\n" * 4,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    answers = [{"text": "Berlin", "answer_start": 10}]
    question = {"id": "1", "question": "Where do I live?", "answers": answers}
    paragraph = {"context": "I live in Berlin.", "qas": [question]}
    write_json(tmp_path / "train.json", {"data": [{"title": "A title", "paragraphs": [paragraph]}]})
    for kind in ("tsv", "conll", "json"):
        (tmp_path / f"dev.{kind}").write_bytes((tmp_path / f"train.{kind}").read_bytes())
    return tmp_path


def run(command: str) -> int:
    """Run one command of a block in this process; 0 if it is not ours."""
    if command.startswith(OTHERS):
        return 0
    program, *arguments = shlex.split(command.partition(" > ")[0])
    if program == "python":
        assert arguments.pop(0) == "-m"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", arguments)
            runpy.run_module(arguments[0], run_name="__main__")
        return 0
    assert program == "distilroberta-np"
    if arguments[0] in NOT_RUN:
        make_parser().parse_args(arguments)
        return 0
    files = [sorted(map(str, Path().glob(argument))) if "*" in argument else [argument] for argument in arguments]
    arguments = [argument for group in files for argument in group]
    return cli.main([*arguments, *shlex.split(SMALL.get(arguments[0], ""))])


@pytest.mark.filterwarnings("ignore::UserWarning")  # the small vocabulary lacks whole words
@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_python(block, folder):
    exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "sh"], ids=str)
def test_commands(block, folder, capsys):
    for line in block.text.replace("\\\n", " ").splitlines():
        for command in line.partition("#")[0].split("&&"):
            assert run(command.strip()) == 0, capsys.readouterr().err


@pytest.mark.skipif(find_published() is not None, reason="the README shows the embedded model's answers")
def test_the_readme_shows_what_its_commands_print(folder, capsys, monkeypatch):
    compared = 0
    for command, shown in pairwise(README):
        if command.language == "sh" and shown.language == "text" and "pytest" not in command.text:
            monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
            run(command.text.split("&&")[-1].strip())
            printed = capsys.readouterr()
            assert shown.text == printed.err + printed.out, f"{shown}: replace the output by what is printed now"
            compared += 1
    assert compared == 2


def test_the_first_two_commands_are_those_that_the_gate_runs():
    first, second = [block.text.splitlines()[0] for block in README if block.language == "sh"][:2]
    assert first.startswith("pip install . && distilroberta-np ")
    assert second.startswith("pip install -e '.[test]' && pytest")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_links(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_the_readme_is_short():
    assert (PROJECT / "README.md").read_text(encoding="utf-8").count("\n") <= 200


def test_the_layers_are_those_that_the_linter_enforces():
    tools = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    layers = tools["importlinter"]["contracts"][0]["layers"]
    enforced = [name for line in layers for name in line.split(" | ") if name != "_version"]
    rows = re.findall(r"^\| (`.*?) \|", (PROJECT / "docs" / "design.md").read_text(encoding="utf-8"), re.MULTILINE)
    described = [name.rstrip("/").removesuffix(".py") for row in rows for name in re.findall("`(.*?)`", row)]
    assert set(enforced) <= set(described)
    order = [described.index(line.split(" | ")[0]) for line in layers]
    assert order == sorted(order)


def test_all_commands_are_shown():
    shown = {
        command for block in BLOCKS for command in re.findall(r"(?:^|&& )distilroberta-np ([\w-]+)", block.text, re.M)
    }
    assert shown == {command.name for command in find_commands()}
