"""A minimal server of transformers' pipeline, as tutorials show it: the contender of `server.py`.

MODEL=FOLDER uvicorn scripts.benchmarks.fastapi_server:app
"""

from __future__ import annotations

import os
from typing import Any

import transformers
from fastapi import FastAPI

app = FastAPI()
unmasker = transformers.pipeline("fill-mask", model=os.environ["MODEL"], device="cpu")


@app.get("/health")
def health() -> None:
    """Answer when the model is loaded."""


@app.post("/")
def fill_mask(body: dict[str, Any]) -> Any:
    """Fill the mask of one text."""
    return unmasker(body["inputs"])
