"""What the page shows of one sentence, as plain numbers and texts ready for JSON.

It needs NumPy and `reference/` alone, so it also runs in the browser (Pyodide). `static/page.js` draws the result.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..reference import roberta
from ..reference.bpe import BYTES, LETTERS, Tokenizer, merge
from ..reference.checkpoint import Array, Params

Word = tuple[str, float]

_WORDS = 5
_LOGITS = 10
# Attention maps hold layers x heads x tokens^2 numbers of about five characters each. Beyond this many, a page would
# be larger than 2 MB, and it shows only the row of the mask.
_MOST_PROBABILITIES = 250_000
_DIMENSIONS = 64
_FEW_DIMENSIONS = 8
_MOST_STRIPS = 64  # tokens with strips of _DIMENSIONS numbers; longer texts have shorter strips
_FUNCTIONS = (
    "embeddings",
    "layer_norm",
    "attention",
    "softmax",
    "layer",
    "feed_forward",
    "gelu",
    "lm_head",
    "fill_mask",
)


def walk(
    text: str,
    ids: Sequence[int],
    offsets: Sequence[tuple[int, int]],
    mask: int,
    tokenizer: Tokenizer,
    params: Params,
    config: dict[str, Any],
) -> dict[str, Any]:
    """Run the reference model on a sentence and collect what the page shows.

    Args:
        offsets: the characters (start, end) of each token in the text.
        mask: the position of the mask token to explain.
        tokenizer: names the tokens and replays their merges.
        params: the weights by their names in the checkpoint, nested (`reference.checkpoint.nested`).

    Returns:
        A dictionary that `json.dumps` takes:

        - model: layers, heads, hidden, head_size, feed_forward, vocabulary
        - text, mask, tokens (text, id, start, end, merges: the subwords before and after each merge)
        - embeddings: strips and norms by kind (word, position, ...), per token; dimensions shown
        - lens: the head applied to the embeddings; layers: per layer attention [A][S][S] (null if too large) and
          attention_of_mask [A][S], norms [S] of what is added, lens and lens_attention
        - logits (word, logit, probability) and answers (word, probability), most likely first
        - source: functions of reference/roberta.py by name; left_out: reasons
    """
    record: dict[str, dict[str, Array]] = {}
    logits = roberta.forward(np.array(ids), params, config, record)[mask]  # [S, V] -> [V]
    probabilities = roberta.softmax(logits)
    best = np.argsort(-probabilities, kind="stable")[:_LOGITS].tolist()
    words = {word: _decode(tokenizer, word) for word in best}

    layers = [record[f"layer.{n}"] for n in range(config["num_hidden_layers"])]
    heads, tokens = config["num_attention_heads"], len(ids)
    # The hidden states at the mask: embeddings, then each layer after attention and after feed-forward.
    states = [record["embeddings"]["norm"][mask]]
    for layer in layers:
        states += [layer["attention_norm"][mask], layer["feed_forward_norm"][mask]]
    first, *halves = _lens(np.array(states), best[0], tokenizer, params, config)

    full = len(layers) * heads * tokens**2 <= _MOST_PROBABILITIES
    inputs = [record["embeddings"]["norm"], *(layer["feed_forward_norm"] for layer in layers)]
    return {
        "model": {
            "layers": len(layers),
            "heads": heads,
            "hidden": config["hidden_size"],
            "head_size": config["hidden_size"] // heads,
            "feed_forward": config["intermediate_size"],
            "vocabulary": len(logits),
        },
        "text": text,
        "mask": mask,
        "tokens": [
            {
                "text": _decode(tokenizer, token),
                "id": token,
                "start": start,
                "end": end,
                "merges": _merges(tokenizer, token),
            }
            for token, (start, end) in zip(ids, offsets, strict=True)
        ],
        "embeddings": _embeddings(record["embeddings"], tokens),
        "lens": first,
        "layers": [
            {
                "attention": rounded(layer["probabilities"], 3) if full else None,
                "attention_of_mask": rounded(layer["probabilities"][:, mask], 4),
                "residual": _norms(x),
                "attention_output": _norms(layer["attention_output"]),
                "feed_forward_output": _norms(layer["feed_forward_output"]),
                "output": _norms(layer["feed_forward_norm"]),
                "lens_attention": halves[2 * n]["lens"],
                **halves[2 * n + 1],
            }
            for n, (layer, x) in enumerate(zip(layers, inputs, strict=False))
        ],
        "logits": [(words[word], rounded(logits[word], 4), rounded(probabilities[word], 6)) for word in best],
        "answers": [(words[word], rounded(probabilities[word], 6)) for word in best[:_WORDS]],
        "source": source(Path(roberta.__file__).read_text(encoding="utf-8")),
        "left_out": []
        if full
        else [
            f"Full attention maps: {len(layers)} layers x {heads} heads x {tokens} x {tokens} numbers are too many "
            "for a page. The rows of the mask are shown."
        ],
    }


def _lens(
    states: Array, answer: int, tokenizer: Tokenizer, params: Params, config: dict[str, Any]
) -> list[dict[str, Any]]:
    """The head applied to hidden states [N, H]: the most likely words, and rank and probability of the answer."""
    embeddings = params["roberta"]["embeddings"]["word_embeddings"]["weight"]
    probabilities = roberta.softmax(
        roberta.lm_head(states, params["lm_head"], embeddings, config["layer_norm_eps"], {})
    )  # [N, V]
    return [
        {
            "lens": [
                (_decode(tokenizer, word), rounded(row[word], 5))
                for word in np.argsort(-row, kind="stable")[:_WORDS].tolist()
            ],
            "rank": 1 + int((row > row[answer]).sum()),
            "probability": rounded(row[answer], 6),
        }
        for row in probabilities
    ]


def _embeddings(record: dict[str, Array], tokens: int) -> dict[str, Any]:
    dimensions = min(record["sum"].shape[1], _DIMENSIONS if tokens <= _MOST_STRIPS else _FEW_DIMENSIONS)
    names = {"word": "word", "position": "position", "token type": "token_type", "sum": "sum", "layer norm": "norm"}
    arrays = {name: np.broadcast_to(record[key], record["sum"].shape) for name, key in names.items()}  # [S, H] each
    return {
        "dimensions": dimensions,
        "strips": {name: rounded(array[:, :dimensions], 2) for name, array in arrays.items()},
        "norms": {name: _norms(array) for name, array in arrays.items()},
    }


def _norms(rows: Array) -> Any:
    return rounded(np.linalg.norm(rows, axis=-1), 3)


def rounded(values: Array, digits: int) -> Any:
    """Numbers as lists, rounded, as JSON takes them."""
    return np.round(np.asarray(values, np.float64), digits).tolist()


def _is_byte_level(tokenizer: Tokenizer, token: int) -> bool:
    text = tokenizer.tokens[token]
    return all(letter in BYTES for letter in text) and not tokenizer.added.fullmatch(text)


def _decode(tokenizer: Tokenizer, token: int) -> str:
    return tokenizer.decode([token]) if _is_byte_level(tokenizer, token) else tokenizer.tokens[token]


def _merges(tokenizer: Tokenizer, token: int) -> list[list[str]]:
    """The subwords of a token before and after each merge; a special token comes whole."""
    if not _is_byte_level(tokenizer, token):
        return [[tokenizer.tokens[token]]]
    # A single byte need not be a whole character, so subwords show their bytes as GPT-2's letters, spaces as spaces.
    return [
        [subword.replace(LETTERS[ord(" ")], " ") for subword in subwords]
        for subwords in merge(list(tokenizer.tokens[token]), tokenizer.ranks)
    ]


def source(code: str) -> dict[str, dict[str, Any]]:
    """The functions of reference/roberta.py that the page shows: first line, lines, and the lines that compute."""
    functions = {node.name: node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)}
    lines = code.splitlines()
    shown = {}
    for name in filter(functions.__contains__, _FUNCTIONS):
        node = functions[name]
        marked = {
            line
            for statement in ast.walk(node)
            if isinstance(statement, ast.Assign | ast.AugAssign | ast.Return)
            for line in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
        }
        whole = lines[node.lineno - 1 : node.end_lineno]
        shown[name] = {"first": node.lineno, "lines": whole, "marked": sorted(marked)}
    return shown
