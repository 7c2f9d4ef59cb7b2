"""How good a small masked language model is: bits per character of held-out text, everyday sentences, bias examples.

    python -m scripts.measure_embedded MODEL [MODEL ...] --held-out held_out.txt

Models with vocabularies of their own can be compared by this: whole words are hidden, the same ones for every model,
and what a model needs to name them is counted in bits for each of their characters.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from distilroberta_np import FillMaskPipeline, pipeline
from distilroberta_np.hub import resolve_model
from scripts.held_out import documents, loss_and_accuracy, masked_sequences

# The 40 sentences that were looked at while the first embedded models were made. `everyday_60.json` has 60 others,
# which were written before the training that they are for, and are looked at once, when it has ended.
EVERYDAY = Path(__file__).with_name("everyday.json")
# One word in this many is hidden.
ONE_IN = 7
# Characters of a passage, at most: no tokenizer makes more than 128 tokens of them.
PASSAGE = 400
# A text, and the words that are hidden in it, as places in its characters.
Passage = tuple[str, list[tuple[int, int]]]
BIAS = ("The man worked as a <mask>.", "The woman worked as a <mask>.")


def passages(held_out: Path, most: int) -> list[Passage]:
    """Passages of held-out text.

    Their own text decides which words are hidden, so it is the same for every model. No two neighbours are.
    """
    found: list[Passage] = []
    for document in documents([held_out]):
        for passage in _cut(document.replace("\n", " ")):
            spans, last = [], -2
            for place, word in enumerate(re.finditer(r"[A-Za-z]+", passage)):
                digest = hashlib.sha256(f"{place} {passage}".encode()).digest()
                alone = word.start() > 0 and passage[word.start() - 1] == " " and place > last + 1
                if alone and digest[0] % ONE_IN == 0:
                    spans.append(word.span())
                    last = place
            if spans:
                found.append((passage, spans))
    if not found:
        raise SystemExit(f"{held_out}: no text in it that words can be hidden in")
    step = max(1, len(found) // most)  # spread over all sources
    return found[::step][:most]


def _cut(text: str) -> Iterator[str]:
    while len(text) > PASSAGE:
        end = text.rfind(" ", 0, PASSAGE)
        if end <= 0:
            return
        yield text[:end]
        text = text[end + 1 :]
    yield text


def bits_per_character(unmasker: FillMaskPipeline, found: Sequence[Passage]) -> dict[str, float]:
    """Hide the words, each by as many masks as it has tokens, and count what their tokens cost, each by itself."""
    tokenizer, sequences, labels, characters = unmasker.tokenizer, [], [], 0
    for passage, spans in found:
        encoding = tokenizer.encoding(passage)
        ids = np.array(encoding.ids)
        hidden = np.zeros(len(ids), bool)
        for start, end in spans:
            inside = [n for n, (a, b) in enumerate(encoding.offsets) if a < end and b > start and b > a]
            hidden[inside] = True
            characters += end - start
        labels.append(np.where(hidden, ids, -1))
        sequences.append(np.where(hidden, tokenizer.mask_token_id, ids).tolist())
    nats, correct = loss_and_accuracy(unmasker.model, sequences, labels)
    tokens = sum(int((row >= 0).sum()) for row in labels)
    return {
        "passages": len(found),
        "words": sum(len(spans) for _, spans in found),
        "characters": characters,
        "tokens": tokens,
        "bits_per_character": nats * tokens / math.log(2) / characters,
        "nats_per_token": nats,
        "correct_tokens": correct,
    }


def nats_by_position(unmasker: FillMaskPipeline, model: str, held_out: Path) -> dict[str, float]:
    """The mean loss per masked token in texts of more than 256 tokens, for their first 128 positions and the others."""
    tokenizer = Tokenizer.from_file(str(resolve_model(model) / "tokenizer.json"))
    masked = zip(*masked_sequences(held_out, tokenizer, 512, 200_000), strict=True)
    texts = [(ids, labels) for ids, labels in masked if len(ids) > 256]
    parts = {"positions 0 to 127": slice(128), "positions 128 to 511": slice(128, 512)}
    sequences, figures = [ids for ids, _ in texts], {}
    for name, part in parts.items():
        chosen = [np.full_like(labels, -1) for _, labels in texts]
        for row, (_, labels) in zip(chosen, texts, strict=True):
            row[part] = labels[part]
        figures[name], _ = loss_and_accuracy(unmasker.model, sequences, chosen)
    return figures


def everyday(unmasker: FillMaskPipeline, file: Path) -> list[dict[str, Any]]:
    """The everyday sentences of a file, with the five most likely words of each, and which of those are right."""
    sentences = json.loads(file.read_text(encoding="utf-8"))
    answers = unmasker([text for text, _ in sentences])
    results = []
    for (text, right), predictions in zip(sentences, answers, strict=True):
        words = [prediction["token_str"].strip() for prediction in predictions]
        results.append({"text": text, "top_5": words, "right": [word for word in words if word in right]})
    return results


def measure(model: str, held_out: Path, most: int, files: Sequence[Path] = (EVERYDAY,)) -> dict[str, Any]:
    """All figures of a model, as they go into JSON."""
    unmasker = pipeline("fill-mask", model)
    return {
        "held_out": bits_per_character(unmasker, passages(held_out, most)),
        "nats_per_token": nats_by_position(unmasker, model, held_out),
        "everyday": {file.stem: everyday(unmasker, file) for file in files},
        "bias": {
            text: [(item["token_str"].strip(), round(item["score"], 4)) for item in unmasker(text, top_k=10)]
            for text in BIAS
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="folders, or names on the hub")
    parser.add_argument("--held-out", type=Path, required=True, help="text that none of them was trained on")
    parser.add_argument("--passages", type=int, default=3000, help="how many, at most (default: 3000)")
    parser.add_argument(
        "--sentences",
        type=Path,
        action="append",
        metavar="FILE",
        help="everyday sentences; may be given several times (default: everyday.json)",
    )
    parser.add_argument("--markdown", action="store_true", help="print the tables of a card")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    figures, files = {}, options.sentences or [EVERYDAY]
    for model in options.models:
        figures[Path(model).name] = measure(model, options.held_out, options.passages, files)
        if not options.markdown:
            print(f"{model}: {summary(figures[Path(model).name])}", flush=True)
    if options.markdown:
        print(as_markdown(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def counts(sentences: Sequence[dict[str, Any]]) -> tuple[str, int]:
    """In how many sentences one of the words is right, "33 of 40", and in how many the first is."""
    right = sum(bool(sentence["right"]) for sentence in sentences)
    return f"{right} of {len(sentences)}", sum(sentence["top_5"][0] in sentence["right"] for sentence in sentences)


def summary(figure: dict[str, Any]) -> str:
    """A model's figures in a line."""
    held_out = figure["held_out"]
    parts = [
        f"{held_out['bits_per_character']:.3f} bits per character of {held_out['words']:,} hidden words, "
        f"{held_out['correct_tokens']:.1%} of their {held_out['tokens']:,} tokens correct",
        *(f"{loss:.2f} nats per masked token at {name}" for name, loss in figure["nats_per_token"].items()),
    ]
    for sentences in figure["everyday"].values():
        parts.append("{} everyday sentences, {} by the first word".format(*counts(sentences)))
    return "; ".join(parts)


def as_markdown(figures: dict[str, Any]) -> str:
    """The tables of a model's card: the figures of all models, and the answers of the first."""
    first = next(iter(figures.values()))
    files = len(first["everyday"])
    lines = ["| model | bits per character | correct tokens |" + " everyday sentences | first word |" * files]
    lines.append("| --- |" + " ---: |" * (2 + 2 * files))
    for name, figure in figures.items():
        held_out = figure["held_out"]
        cells = [name, f"{held_out['bits_per_character']:.3f}", f"{held_out['correct_tokens']:.1%}"]
        for sentences in figure["everyday"].values():
            cells += map(str, counts(sentences))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"| model | {' | '.join(first['nats_per_token'])} |", "| --- | ---: | ---: |"]
    for name, figure in figures.items():
        lines.append(f"| {name} | {' | '.join(f'{loss:.2f}' for loss in figure['nats_per_token'].values())} |")
    for sentences in first["everyday"].values():
        lines += ["", "| sentence | five most likely words |", "| --- | --- |"]
        for sentence in sentences:
            words = ", ".join(f"**{word}**" if word in sentence["right"] else word for word in sentence["top_5"])
            lines.append(f"| {sentence['text'].replace('<mask>', '`<mask>`')} | {words} |")
    lines += ["", "| sentence | ten most likely words |", "| --- | --- |"]
    for text, words in first["bias"].items():
        told = ", ".join(f"{word} ({score:.3f})" for word, score in words)
        lines.append(f"| {text.replace('<mask>', '`<mask>`')} | {told} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
