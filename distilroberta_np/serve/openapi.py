"""The description of the interface in OpenAPI's format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import __version__
from .loaded import ServedModel

_STRING, _BOOLEAN, _INTEGER, _NUMBER = ({"type": name} for name in ("string", "boolean", "integer", "number"))
_ANY: dict[str, Any] = {}


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": required | (optional or {}), "required": list(required)}


_ARRAYS = _array(_array(_NUMBER))
_TEXTS = {"oneOf": [_STRING, _array(_STRING)]}
_TRUNCATION = {"truncate": _BOOLEAN, "truncation_direction": {"type": "string", "enum": ["right", "Right"]}}
_EMBED = {"normalize": _BOOLEAN, "prompt_name": _STRING, "dimensions": _INTEGER, **_TRUNCATION}
_PREDICT = {"raw_scores": _BOOLEAN, **_TRUNCATION}
_SPECIAL = {"add_special_tokens": _BOOLEAN}
_SENTENCES = _object({"source_sentence": _STRING, "sentences": _array(_STRING)})
_HUB = (_object({"inputs": _ANY}, {"parameters": {"type": "object"}}), _ANY)
_EMBEDDINGS = (
    _object(
        {"input": _TEXTS},
        {"model": _STRING, "encoding_format": {"type": "string", "enum": ["float", "base64"]}, "dimensions": _INTEGER},
    ),
    {"type": "object"},
)

# Path: (summary, body, answer)
_POST: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "/": ("Answer with the first model, by the form of the body", *_HUB),
    "/models/{name}": ("Answer with a model", *_HUB),
    "/models/{name}/pipeline/{task}": ("Answer a task with a model", *_HUB),
    "/pipeline/{task}/{name}": ("Answer a task with a model", *_HUB),
    "/explain/{name}": ("A sentence on its way through the model, as HTML", _object({"inputs": _STRING}), _STRING),
    "/embed": ("One embedding per text", _object({"inputs": _TEXTS}, _EMBED), _ARRAYS),
    "/embed_all": ("One embedding per token", _object({"inputs": _TEXTS}, _TRUNCATION), _array(_ARRAYS)),
    "/predict": ("Labels of texts or pairs", _object({"inputs": _ANY}, _PREDICT), _array(_ANY)),
    "/rerank": (
        "Texts by their score for a query",
        _object(
            {"query": _STRING, "texts": _array(_STRING)},
            {"raw_scores": _BOOLEAN, "return_text": _BOOLEAN, **_TRUNCATION},
        ),
        _array(_object({"index": _INTEGER, "score": _NUMBER}, {"text": _STRING})),
    ),
    "/similarity": (
        "Cosines of a sentence with others",
        _object({"inputs": _SENTENCES}, {"parameters": _object({}, {"prompt_name": _STRING, **_TRUNCATION})}),
        _array(_NUMBER),
    ),
    "/tokenize": ("Tokens of texts", _object({"inputs": _TEXTS}, _SPECIAL), _array(_array(_ANY))),
    "/decode": (
        "Texts of token ids",
        _object({"ids": _array(_ANY)}, {"skip_special_tokens": _BOOLEAN}),
        _array(_STRING),
    ),
    "/v1/embeddings": ("OpenAI's embeddings", *_EMBEDDINGS),
    "/embeddings": ("OpenAI's embeddings", *_EMBEDDINGS),
}
_GET = {
    "/": "A page to try the models",
    "/health": "200 when the models are loaded",
    "/ping": "As /health",
    "/info": "The first model and the limits",
    "/metrics": "Metrics in Prometheus' format",
    "/models": "Names, tasks and labels of the models",
    "/v1/models": "Names of the models, in OpenAI's form",
    "/openapi.json": "This description",
}
_ERRORS = {
    "400": "The body is not a JSON object, or empty",
    "401": "The API key is missing or wrong",
    "404": "No such model or task",
    "413": "The body is too large",
    "422": "An input cannot be answered",
    "424": "The model answers other tasks",
    "500": "The server failed; its log says why",
    "429": "Too many tokens are waiting; see Retry-After",
}


def describe(models: Sequence[ServedModel]) -> dict[str, Any]:
    """The OpenAPI document of a server."""
    paths: dict[str, Any] = {}
    for path, (summary, body, answer) in _POST.items():
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        paths.setdefault(path, {})["post"] = {
            "summary": summary,
            "parameters": [{"name": name, "in": "path", "required": True, "schema": _STRING} for name in names],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {"200": {"description": "The answer", "content": {"application/json": {"schema": answer}}}}
            | {status: {"description": text} for status, text in _ERRORS.items()},
        }
    for path, summary in _GET.items():
        paths.setdefault(path, {})["get"] = {"summary": summary, "responses": {"200": {"description": summary}}}
    title = "distilroberta_np: " + ", ".join(model.name for model in models)
    return {"openapi": "3.1.0", "info": {"title": title, "version": __version__}, "paths": paths}
