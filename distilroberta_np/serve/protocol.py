"""What the protocols share: reading a request, counting tokens, computing, and refusing."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from ..errors import CheckpointError, PipelineException
from ..messages import printable
from .loaded import ServedModel
from .scheduler import Operation, OverloadError, Scheduler


class RequestError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: the HTTP status.
        kind: the kind of error in TEI's words, such as "Validation".
        headers: of the answer.
    """

    def __init__(
        self, message: str, status: int = 422, kind: str = "Validation", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(printable(message))  # lone surrogates of a request cannot be sent
        self.status, self.kind, self.headers = status, kind, headers


@dataclass(frozen=True)
class Limits:
    """What one request may ask for."""

    body_bytes: int = 2_000_000
    batch_size: int = 256
    text_characters: int = 100_000
    tokens: int = 1_000_000  # that the model reads
    top_k: int = 1000
    answer_characters: int = 20_000_000  # of predictions, each with its text
    features: int = 10_000_000  # numbers: of each token one per dimension


def estimated_tokens(item: Any) -> int:
    """About how many tokens an input has: two special tokens, and one per four characters."""
    if isinstance(item, str):
        return 2 + len(item) // 4
    values = item.values() if isinstance(item, dict) else item
    return 2 + sum(estimated_tokens(value) for value in values if isinstance(value, str))


@dataclass(frozen=True)
class Service:
    """The models, in the order in which they were named, and the scheduler that computes with them."""

    models: Sequence[ServedModel]
    scheduler: Scheduler
    limits: Limits

    def find(self, name: str | None, *tasks: str) -> ServedModel:
        """The model of a name, or the first one, that answers one of the tasks, the first of them if possible.

        Raises RequestError: there is none.
        """
        named = [model for model in self.models if name is None or model.name == name]
        if not named:
            raise RequestError(
                f"no model {name!r} here; there is {', '.join(model.name for model in self.models)}", 404
            )
        for task in tasks:
            for model in named:
                if task in model.tasks:
                    return model
        raise RequestError(f"no model here answers {' or '.join(tasks)}", 404 if name is None else 424, "Backend")

    def texts(self, value: Any, what: str = "inputs") -> list[str]:
        """A text or a list of texts, within the limits. Raises RequestError."""
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise RequestError(f"{what} must be a string or a list of strings")
        self.check_batch(len(texts), what)
        for text in texts:
            self.check_text(text, what)
        return texts

    def check_batch(self, size: int, what: str = "inputs") -> None:
        """Raise RequestError if a batch is empty or too large."""
        if size == 0:
            raise RequestError(f"{what} is empty", 400, "Empty")
        if size > self.limits.batch_size:
            raise RequestError(f"{what} has {size} entries; the limit is {self.limits.batch_size}")

    def check_text(self, text: str, what: str = "inputs") -> None:
        """Raise RequestError if a text is too long."""
        if len(text) > self.limits.text_characters:
            raise RequestError(
                f"{what} has a text of {len(text)} characters; the limit is {self.limits.text_characters}"
            )

    def check_predictions(self, top_k: Any, characters: int) -> None:
        """Raise RequestError if `top_k` times the predictions of masks or questions, in characters, is too much."""
        if not isinstance(top_k, int):
            return  # which the pipeline refuses
        if top_k > self.limits.top_k:
            raise RequestError(f"top_k is {top_k}; the limit is {self.limits.top_k}")
        if characters * top_k > self.limits.answer_characters:
            raise RequestError(
                f"the predictions would have {characters * top_k} characters; the limit is "
                f"{self.limits.answer_characters}: decrease top_k, or send fewer or shorter texts"
            )

    async def check_features(self, model: ServedModel, texts: Sequence[str]) -> None:
        """Raise RequestError if the features of all tokens are too many numbers."""

        def count() -> int:
            return sum(min(model.max_length, len(model.tokenizer.encode(text))) for text in texts)

        tokens = await asyncio.to_thread(count)
        if tokens * model.config.hidden_size > self.limits.features:
            most = self.limits.features // model.config.hidden_size
            raise RequestError(f"inputs have {tokens} tokens; the limit for their features is {most}: send fewer texts")

    async def compute(
        self, operation: Operation, items: Sequence[Any], cost: Callable[[Any], int] = estimated_tokens
    ) -> list[Any]:
        """Compute inputs and return their results. Raises RequestError for the first one that cannot be answered.

        Args:
            operation: what to compute.
            items: the inputs.
            cost: about how many tokens the model reads for an input.
        """
        tokens = [cost(item) for item in items]
        if sum(tokens) > self.limits.tokens:
            raise RequestError(
                f"the model would read about {sum(tokens)} tokens for this request; the limit is {self.limits.tokens}"
            )
        results = await self.scheduler.submit(operation, items, tokens)
        for result in results:
            if isinstance(result, Exception):
                raise refused(result)
        return results


def refused(error: Exception) -> RequestError:
    """The error of a computation as an answer."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, OverloadError):
        return RequestError(str(error), 429, "Overloaded", {"Retry-After": str(error.retry_after)})
    if isinstance(error, PipelineException):
        return RequestError(error.reason)  # without the index, which is that of the batch
    if isinstance(error, CheckpointError):  # a ValueError, but not the client's fault, such as a changed file
        print(f"distilroberta-np: {error}", file=sys.stderr, flush=True)
    elif isinstance(error, ValueError | TypeError):
        return RequestError(str(error))
    return RequestError("internal error", 500, "Backend")


async def read_json(request: Request, limits: Limits) -> dict[str, Any]:
    """The body of a request, a JSON object. Raises RequestError."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limits.body_bytes:
            raise RequestError(f"the body is larger than {limits.body_bytes} bytes", 413)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError("the body is not valid JSON", 400) from None
    if not isinstance(value, dict):
        raise RequestError("the body must be a JSON object", 400)
    return value


def option(values: dict[str, Any], name: str, kind: type, default: Any = None) -> Any:
    """An optional value of a body. Raises RequestError if it has another type."""
    value = values.get(name)
    if value is None:
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RequestError(f"{name} must be {'a boolean' if kind is bool else f'of type {kind.__name__}'}")
    return value


def read_dimensions(body: dict[str, Any], model: ServedModel) -> int | None:
    """The optional number of dimensions of embeddings. Raises RequestError."""
    dimensions: int | None = option(body, "dimensions", int)
    most = model.sentence_encoder.get_embedding_dimension()
    if dimensions is not None and not 1 <= dimensions <= most:
        raise RequestError(f"dimensions must be between 1 and {most}")
    return dimensions
