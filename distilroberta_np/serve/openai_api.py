"""OpenAI's embeddings interface."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from .protocol import RequestError, Service, option, read_dimensions
from .tei import EMBEDDING


async def embeddings(service: Service, body: dict[str, Any]) -> dict[str, Any]:
    """POST /v1/embeddings: floats, or base64 of little-endian float32 (the clients' default)."""
    names = [model.name for model in service.models]
    name = body.get("model")
    model = service.find(name if name in names else None, *EMBEDDING)
    texts = service.texts(body.get("input"), "input")
    encoding = option(body, "encoding_format", str, "float")
    if encoding not in ("float", "base64"):
        raise RequestError("encoding_format must be float or base64")
    rows = await service.compute(model.embed(normalize=True, dimensions=read_dimensions(body, model)), texts)
    tokens = sum(len(model.tokenizer.encode(text)) for text in texts)
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": row.tolist()
                if encoding == "float"
                else base64.b64encode(np.asarray(row, "<f4").tobytes()).decode("ascii"),
            }
            for index, row in enumerate(rows)
        ],
        "model": model.name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def models(service: Service) -> dict[str, Any]:
    """GET /v1/models."""
    data = [{"id": model.name, "object": "model", "created": 0, "owned_by": "local"} for model in service.models]
    return {"object": "list", "data": data}
