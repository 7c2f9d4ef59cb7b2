"""The protocol of text-embeddings-inference (TEI): embeddings, classification, ranking, tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import __version__
from .loaded import ServedModel
from .protocol import RequestError, Service, estimated_tokens, option, read_dimensions

# Any encoder gives embeddings, but a sentence encoder was trained for them.
EMBEDDING = ("sentence-similarity", "feature-extraction")


async def embed(service: Service, body: dict[str, Any], name: str | None = None) -> list[list[float]]:
    """POST /embed: one embedding per input."""
    model = service.find(name, *EMBEDDING)
    texts, prompt_name = service.texts(body.get("inputs")), option(body, "prompt_name", str)
    await _check_lengths(model, body, [[text] for text in texts], model.prompt(prompt_name))
    operation = model.embed(
        normalize=option(body, "normalize", bool, True),
        prompt_name=prompt_name,
        dimensions=read_dimensions(body, model),
    )
    return [embedding.tolist() for embedding in await service.compute(operation, texts)]


async def embed_all(service: Service, body: dict[str, Any]) -> list[Any]:
    """POST /embed_all: one embedding per token of each input."""
    model = service.find(None, *EMBEDDING)
    texts = service.texts(body.get("inputs"))
    await _check_lengths(model, body, [[text] for text in texts])
    await service.check_features(model, texts)
    options = {"tokenize_kwargs": {"truncation": True, "max_length": model.max_length}}
    results = await service.compute(model.predict("feature-extraction", options), texts)
    return [result[0] for result in results]


async def predict(service: Service, body: dict[str, Any]) -> Any:
    """POST /predict: all labels of a text, of a pair (a list of two strings), or of a batch of either."""
    model = service.find(None, "text-classification")
    inputs = body.get("inputs")
    batch = isinstance(inputs, list) and all(isinstance(item, list) for item in inputs)
    rows = [service.texts(item) for item in (inputs if isinstance(inputs, list) and batch else [inputs])]
    service.check_batch(len(rows))
    if any(len(texts) > 2 for texts in rows):
        raise RequestError("an input has one text or a pair; write a batch as a list of lists")
    await _check_lengths(model, body, rows)
    items = [texts[0] if len(texts) == 1 else {"text": texts[0], "text_pair": texts[1]} for texts in rows]
    options: dict[str, Any] = {"top_k": model.config.num_labels, "truncation": True}
    if option(body, "raw_scores", bool, False):
        options["function_to_apply"] = "none"
    results = await service.compute(model.predict("text-classification", options), items)
    return results if batch else results[0]


async def rerank(service: Service, body: dict[str, Any], name: str | None = None) -> list[dict[str, Any]]:
    """POST /rerank: the texts by their score for a query, best first."""
    model = service.find(name, "text-ranking")
    query, texts = body.get("query"), service.texts(body.get("texts"), "texts")
    if not isinstance(query, str):
        raise RequestError("query must be a string")
    service.check_text(query, "query")
    pairs = [[query, text] for text in texts]
    await _check_lengths(model, body, pairs)
    operation = model.rank(raw_scores=option(body, "raw_scores", bool, False))
    scores = await service.compute(operation, pairs, lambda pair: min(model.max_length, estimated_tokens(pair)))
    order = sorted(range(len(texts)), key=lambda index: (-scores[index], index))
    with_text = option(body, "return_text", bool, False)
    return [
        {"index": index, "score": float(scores[index])} | ({"text": texts[index]} if with_text else {})
        for index in order
    ]


async def similarity(service: Service, body: dict[str, Any], name: str | None = None) -> list[float]:
    """POST /similarity: the cosine of a sentence with each of several."""
    inputs = body.get("inputs")
    if not isinstance(inputs, dict) or not isinstance(inputs.get("source_sentence"), str):
        raise RequestError("inputs must have a source_sentence, a string, and sentences, a list of strings")
    texts = service.texts([inputs["source_sentence"], *service.texts(inputs.get("sentences"), "sentences")])
    model = service.find(name, *EMBEDDING)
    parameters = option(body, "parameters", dict, {})
    prompt_name = option(parameters, "prompt_name", str)
    await _check_lengths(model, parameters, [[text] for text in texts], model.prompt(prompt_name))
    operation = model.embed(normalize=True, prompt_name=prompt_name)
    source, *others = await service.compute(operation, texts)
    similarities: list[float] = (np.array(others) @ source).tolist()
    return similarities


async def tokenize(service: Service, body: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """POST /tokenize: the tokens of each input."""
    tokenizer, texts = service.models[0].tokenizer, service.texts(body.get("inputs"))
    if sum(map(len, texts)) > service.limits.text_characters:
        raise RequestError(f"inputs have more than {service.limits.text_characters} characters; send fewer texts")
    special = option(body, "add_special_tokens", bool, True)
    encodings = [tokenizer.encoding(text, add_special_tokens=special) for text in texts]
    return [
        [
            {
                "id": token,
                "text": tokenizer.id_to_token(token),
                "special": bool(is_special),
                "start": None if is_special else start,
                "stop": None if is_special else stop,
            }
            for token, (start, stop), is_special in zip(
                encoding.ids, encoding.offsets, encoding.special_tokens_mask, strict=True
            )
        ]
        for encoding in encodings
    ]


async def decode(service: Service, body: dict[str, Any]) -> list[str]:
    """POST /decode: the text of each list of token ids."""
    model, ids = service.models[0], body.get("ids")
    rows: list[Any] = ids if isinstance(ids, list) and all(isinstance(row, list) for row in ids) else [ids]
    service.check_batch(len(rows), "ids")
    for row in rows:
        if not isinstance(row, list) or not all(type(token) is int for token in row):
            raise RequestError("ids must be a list of integers, or a list of those")
        if any(not 0 <= token < model.tokenizer.vocab_size for token in row):
            raise RequestError(f"ids must be between 0 and {model.tokenizer.vocab_size - 1}")
    skip = option(body, "skip_special_tokens", bool, True)
    return [model.tokenizer.decode(row, skip_special_tokens=skip) for row in rows]


def info(service: Service) -> dict[str, Any]:
    """GET /info: the first model and the limits."""
    model = service.models[0]
    labels = {"id2label": model.config.id2label, "label2id": model.config.label2id}
    kind: dict[str, Any] = {model.task: {}}
    if model.task in EMBEDDING:
        kind = {"embedding": {"pooling": "+".join(model.sentence_encoder.pooling.modes)}}
    elif model.task in ("text-ranking", "text-classification"):
        kind = {"reranker" if model.task == "text-ranking" else "classifier": labels}
    return {
        "model_id": model.name,
        "model_sha": None,
        "model_dtype": "float32",
        "served_model_name": model.name,
        "model_type": kind,
        "max_input_length": model.max_length,
        "max_batch_tokens": service.scheduler.max_batch_tokens,
        "max_client_batch_size": service.limits.batch_size,
        "auto_truncate": True,
        "version": __version__,
    }


async def _check_lengths(
    model: ServedModel, options: dict[str, Any], inputs: Sequence[list[str]], prompt: str = ""
) -> None:
    """Raise RequestError if a text after its prompt, or a pair, is too long and may not be truncated, or only on the
    left."""
    if option(options, "truncation_direction", str, "right").lower() != "right":
        raise RequestError("truncation_direction must be right")
    if option(options, "truncate", bool, True):
        return

    def longest() -> int:
        return max(len(model.tokenizer.encode(prompt + first, *rest)) for first, *rest in inputs)

    length = await asyncio.to_thread(longest)  # which the other clients don't wait for
    if length > model.max_length:
        raise RequestError(f"an input has {length} tokens; the limit is {model.max_length}")
