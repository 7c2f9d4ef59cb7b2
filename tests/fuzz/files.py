"""Cases of the fuzzer: a folder or file that is fine, one of whose files is mutated, and what reads it."""

from __future__ import annotations

import json
import random
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distilroberta_np import CrossEncoder, SentenceEncoder, cli, pipeline, reference
from distilroberta_np.models.question_answering import question_answering_keys
from distilroberta_np.models.token_classification import token_classification_keys
from distilroberta_np.training.data.conll import read_conll
from distilroberta_np.training.data.questions import read_squad
from distilroberta_np.training.data.tables import read_table
from tests.fuzz.mutations import mutate_kind, mutation_for
from tests.support.seeded import tokenizer_dict, write_json, write_model
from tests.support.seeded_heads import tensors_with_head, write_classifier
from tests.support.sentence_folders import dense_config, write_cross_encoder, write_sentence_encoder

TEXT = "The cat sat on <mask>"
SMALL = {"num_hidden_layers": 1, "max_position_embeddings": 40}


# `reference/` reads few of the settings of a tokenizer.
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


class Case(NamedTuple):
    """A case: what to call it in a report, and the function to run."""

    name: str
    run: Callable[[], Any]


class Target(NamedTuple):
    write: Callable[[Path], Any]
    read: Callable[[Path], Any]
    check: Callable[[Path, Any], bool | None] = lambda folder, answer: None  # True: it was compared with `reference/`
    weight: int = 1
    writes: bool = False  # into its folder


def check_scores(folder: Path, answer: Any) -> None:
    """Probabilities, and nothing that is not a number."""
    for item in answer:
        for one in item if isinstance(item, list) else [item]:
            assert 0 <= one["score"] <= 1, one


def check_words(folder: Path, answer: Any) -> bool:
    """The words and scores that `reference/` computes from the same files, where it can read them."""
    check_scores(folder, answer)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            words = reference.fill_mask(TEXT, folder)
    except Exception:
        return False  # it checks nothing, so it fails in any way on files that we may repair
    scores = [score for score, _ in words]
    ours = [item["score"] for item in answer]
    assert len(ours) == len(scores) and np.allclose(ours, scores, rtol=1e-3, atol=1e-6), (ours, scores)
    return True


def check_finite(folder: Path, answer: Any) -> None:
    assert np.isfinite(answer).all()


def check_rows(folder: Path, rows: Any) -> None:
    """Rows of text, none empty."""
    for row in rows:
        text = " ".join(row.words) if hasattr(row, "words") else row.question if hasattr(row, "question") else row.text
        assert text.strip()


def write_vocab_and_merges(folder: Path) -> None:
    """The slow tokenizer's files, with all the places where special and added tokens can stand."""
    write_model(folder, tokenizer=False, **SMALL)
    model, added = tokenizer_dict()["model"], tokenizer_dict()["added_tokens"]
    vocab = model["vocab"] | {token["content"]: token["id"] for token in added}
    write_json(folder / "vocab.json", vocab)
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(model["merges"]) + "\n", encoding="utf-8")
    write_json(folder / "added_tokens.json", {"<mask>": vocab["<mask>"]})
    write_json(folder / "special_tokens_map.json", {"mask_token": {"content": "<mask>", "lstrip": True}})
    settings = {"model_max_length": 32, "add_prefix_space": False, "mask_token": "<mask>", "pad_token": "<pad>"}
    write_json(folder / "tokenizer_config.json", settings | {"added_tokens_decoder": {"0": {"content": "<s>"}}})


def write_tagger(folder: Path) -> None:
    labels = {"id2label": {"0": "O", "1": "B-PER", "2": "I-PER"}, "label2id": {"O": 0, "B-PER": 1, "I-PER": 2}}
    write_model(folder, tensors_with_head(token_classification_keys, **labels, **SMALL), **labels, **SMALL)


def write_encoder(folder: Path) -> None:
    write_sentence_encoder(
        folder,
        pooling={"pooling_mode_mean_tokens": True},
        layers={"Dense": dense_config(), "Normalize": {}},
        settings={"prompts": {"query": "query: "}, "default_prompt_name": None, "similarity_fn_name": "cosine"},
        encoder_settings={"max_seq_length": 32, "do_lower_case": False},
    )


TABLE = [("text", "text_pair", "label"), *[("A man eats.", "It rains.", "yes"), ("A cat.", "A dog, too.", "no")] * 3]


def write_table(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        rows = [json.dumps(dict(zip(TABLE[0], row, strict=True))) for row in TABLE[1:]]
        separator = {".csv": ",", ".tsv": "\t"}.get(Path(name).suffix)
        if separator is not None:
            rows = [separator.join(f'"{cell}"' if separator in cell else cell for cell in row) for row in TABLE]
        (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")

    return write


def write_conll(folder: Path) -> None:
    words = "-DOCSTART- -X- O\n\n# id 7 domain=en\nAda NNP B-PER\nlived VBD O\n\nIn\tIN\tO\nLondon\tNNP\tB-LOC\n\n"
    (folder / "train.conll").write_text(words * 2, encoding="utf-8")


def write_squad(folder: Path) -> None:
    answers = [{"text": "Berlin", "answer_start": 10}]
    questions = [
        {"id": "1", "question": "Where do I live?", "answers": answers},
        {"id": "2", "question": "Who?", "answers": [], "is_impossible": True},
    ]
    paragraph = {"context": "I live in Berlin.", "qas": questions}
    write_json(folder / "train.json", {"version": "v2.0", "data": [{"title": "x", "paragraphs": [paragraph]}]})


def write_run(folder: Path) -> None:
    """A finished run of `finetune`."""
    (folder / "data").mkdir()
    write_table("a.tsv")(folder / "data")
    write_model(folder / "model", hidden_size=8, num_attention_heads=2, intermediate_size=8, **SMALL)
    finetune(folder)


def finetune(folder: Path) -> None:
    """Start a run, or continue it. It can have nothing left to do."""
    table = str(folder / "data" / "a.tsv")
    arguments = ["--train", table, "--eval", table, "--model", str(folder / "model"), "--out", str(folder / "run")]
    options = ["--task", "text-classification", "--epochs", "1", "--learning-rate", "1e-3"]
    assert cli.main(["finetune", *options, *arguments]) in (0, 1, 2)


def map_rows(folder: Path) -> None:
    """Apply a model to the rows of a file."""
    source, target = str(folder / "a.jsonl"), str(folder / "out")
    arguments = ["--model", str(folder / "model"), "--input", source, "--output", target]
    assert cli.main(["map", "text-classification", *arguments]) in (0, 1, 2)


def write_rows(folder: Path) -> None:
    write_table("a.jsonl")(folder)
    write_classifier(folder / "model", ["no", "yes"], **SMALL)


def answer_question(folder: Path) -> Any:
    return [pipeline("question-answering", folder)(question="Where?", context="The cat sat on the mat. " * 9)]


TARGETS = {
    "masked lm": Target(
        lambda folder: write_model(folder, **SMALL),
        lambda folder: pipeline("fill-mask", folder)(TEXT),
        check_words,
        weight=5,
    ),
    "shards": Target(
        lambda folder: write_model(folder, shards=2, **SMALL),
        lambda folder: pipeline("fill-mask", folder)(TEXT),
        check_scores,
        weight=2,
    ),
    "half precision": Target(
        lambda folder: write_model(folder, dtype="BF16", **SMALL),
        lambda folder: pipeline("fill-mask", folder)(TEXT),
        check_words,
    ),
    "vocab and merges": Target(
        write_vocab_and_merges, lambda folder: pipeline("fill-mask", folder)(TEXT), check_scores, weight=4
    ),
    "classifier": Target(
        lambda folder: write_classifier(folder, ["no", "yes"], **SMALL),
        lambda folder: pipeline("text-classification", folder)(["The cat.", "sat"]),
        check_scores,
        weight=2,
    ),
    "zero-shot": Target(
        lambda folder: write_classifier(folder, ["contradiction", "entailment"], **SMALL),
        lambda folder: pipeline("zero-shot-classification", folder)("The cat.", ["a", "the"])["scores"],
        check_finite,
    ),
    "tagger": Target(
        write_tagger, lambda folder: pipeline("ner", folder, aggregation_strategy="simple")("The cat."), check_scores
    ),
    "questions": Target(
        lambda folder: write_model(folder, tensors_with_head(question_answering_keys, **SMALL), **SMALL),
        answer_question,
        check_scores,
    ),
    "sentence encoder": Target(
        write_encoder,
        lambda folder: SentenceEncoder.from_pretrained(folder).encode(["The cat.", "sat"]),
        check_finite,
        weight=3,
    ),
    "cross encoder": Target(
        lambda folder: write_cross_encoder(folder, settings={"prompts": {}, "activation_fn": "torch.nn.Identity"}),
        lambda folder: CrossEncoder.from_pretrained(folder).predict([("The cat.", "sat")]),
        check_finite,
        weight=2,
    ),
    "csv": Target(write_table("a.csv"), lambda folder: read_table(folder / "a.csv"), check_rows, weight=2),
    "tsv": Target(write_table("a.tsv"), lambda folder: read_table(folder / "a.tsv"), check_rows, weight=2),
    "jsonl": Target(write_table("a.jsonl"), lambda folder: read_table(folder / "a.jsonl"), check_rows, weight=2),
    "conll": Target(write_conll, lambda folder: read_conll(folder / "train.conll"), check_rows, weight=2),
    "run": Target(write_run, finetune, weight=2, writes=True),
    "map": Target(write_rows, map_rows, writes=True),
    "squad": Target(write_squad, lambda folder: read_squad(folder / "train.json"), check_rows, weight=2),
}


class Files:
    """Makes cases in a folder; each leaves it as it found it.

    Attributes:
        compared: whether the answer of the last case was compared with that of `reference/`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.compared = False
        self.names = [name for name, target in TARGETS.items() for _ in range(target.weight)]

    @contextmanager
    def case(self, number: int) -> Iterator[Case]:
        rng = random.Random(f"file {number}")
        name = rng.choice(self.names)
        target, folder = TARGETS[name], self.folder / name
        if not folder.exists():
            folder.mkdir()
            target.write(folder)
            shutil.copytree(folder, self.folder / "unchanged" / name)
        path = rng.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
        original = path.read_bytes()
        if rng.random() < 0.05:
            mutate_kind(path, rng)
        else:
            path.write_bytes(mutation_for(path.name, rng)(original, rng))

        self.compared = False

        def run() -> None:
            answer = target.read(folder)
            if path.name not in TOKENIZER_FILES or target.check is not check_words:
                self.compared = bool(target.check(folder, answer))

        try:
            yield Case(f"{name}: {path.relative_to(folder)}", run)
        finally:
            if target.writes:
                shutil.rmtree(folder)
                shutil.copytree(self.folder / "unchanged" / name, folder)
            elif path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            if not target.writes:
                path.write_bytes(original)
