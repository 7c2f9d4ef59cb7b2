"""The Starlette application: routes, error forms, access control, and its life from loading to a graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..explain.document import MOST_TOKENS_TO_ASK_WHY
from ..runtime.threads import worker_threads
from . import inference_api, openai_api, tei
from .loaded import TASKS, ServedModel
from .openapi import describe
from .protocol import Limits, RequestError, Service, read_json, refused
from .scheduler import Scheduler
from .telemetry import Metrics, log_access

_PUBLIC = ("/", "/health", "/ping", "/metrics")
_STATUS_NOBODY_READS = 499  # the client has gone; nginx's convention
Answer = Callable[[Service, dict[str, Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Options:
    """How the server behaves.

    Attributes:
        max_batch_tokens: as `Scheduler`; 1,024 per thread by default, with which the model is at its fastest.
        max_waiting_tokens: as `Scheduler`.
        limits: of one request.
        api_key: requests must send it as `Authorization: Bearer KEY`, if not None.
        allowed_origins: the origins of web pages that may send requests (CORS).
        access_log: write a JSON line to stderr for each request.
    """

    max_batch_tokens: int = field(default_factory=lambda: 1024 * worker_threads())
    max_waiting_tokens: int = 65_536
    limits: Limits = field(default_factory=Limits)
    api_key: str | None = None
    allowed_origins: Sequence[str] = ()
    access_log: bool = True


def make_app(models: Sequence[ServedModel], options: Options = Options()) -> Starlette:
    """The application that serves loaded models."""
    metrics = Metrics()
    scheduler = Scheduler(options.max_batch_tokens, options.max_waiting_tokens, metrics)
    service = Service(models, scheduler, options.limits)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        worker = asyncio.create_task(scheduler.run())
        try:
            yield
        finally:
            worker.cancel()

    def post(path: str, answer: Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            return await _respond(request, service, answer)

        return Route(path, endpoint, methods=["POST"])

    def get(path: str, answer: Callable[[], Response]) -> Route:
        async def endpoint(_: Request) -> Response:
            return answer()

        return Route(path, endpoint, methods=["GET"])

    async def by_model(request: Request) -> Response:
        """The hub's addresses: /models/ID, /pipeline/TASK/ID, /models/ID/pipeline/TASK, and / for the first model."""
        name, task = request.path_params.get("name"), request.path_params.get("task")

        async def answer(service: Service, body: dict[str, Any]) -> Any:
            if task is not None and task not in TASKS:
                raise RequestError(f"no task {task!r:.80}; there is {', '.join(TASKS)}", 404)
            model = service.models[0] if name is None else service.find(name, *TASKS)
            asked = task or inference_api.task_of(body, model)
            user_agent = request.headers.get("user-agent", "")
            return await inference_api.answer(service, asked, name, body, user_agent)

        return await _respond(request, service, answer)

    async def explain(request: Request) -> Response:
        """POST /explain/ID: the page that walks a sentence through a masked language model, as HTML."""

        async def answer(service: Service, body: dict[str, Any]) -> Any:
            model, inputs = service.find(request.path_params["name"], "fill-mask"), body.get("inputs")
            if not isinstance(inputs, str):
                raise RequestError("inputs must be a string")
            cost = functools.partial(_cost_of_explaining, model)
            return (await service.compute(model.explain(), service.texts(inputs), cost))[0]

        return await _respond(request, service, answer, HTMLResponse)

    page = (resources.files(__package__) / "static" / "index.html").read_text(encoding="utf-8")
    routes = [
        get("/", lambda: HTMLResponse(page)),
        get("/health", Response),
        get("/ping", Response),
        get("/metrics", lambda: PlainTextResponse(metrics.render())),
        get("/info", lambda: JSONResponse(tei.info(service))),
        get("/v1/models", lambda: JSONResponse(openai_api.models(service))),
        get("/models", lambda: JSONResponse([_about(model) for model in models])),
        get("/openapi.json", lambda: JSONResponse(describe(models))),
        Route("/", by_model, methods=["POST"]),
        # IDs of the hub have a slash, so the longer form comes first.
        Route("/models/{name:path}/pipeline/{task}", by_model, methods=["POST"]),
        Route("/models/{name:path}", by_model, methods=["POST"]),
        Route("/pipeline/{task}/{name:path}", by_model, methods=["POST"]),
        Route("/explain/{name:path}", explain, methods=["POST"]),
        post("/embed", tei.embed),
        post("/embed_all", tei.embed_all),
        post("/predict", tei.predict),
        post("/rerank", tei.rerank),
        post("/similarity", tei.similarity),
        post("/tokenize", tei.tokenize),
        post("/decode", tei.decode),
        post("/v1/embeddings", openai_api.embeddings),
        post("/embeddings", openai_api.embeddings),
    ]
    middleware = [Middleware(_Gate, options=options, metrics=metrics, routes=[route.path for route in routes])]
    if options.allowed_origins:
        methods, headers = ["GET", "POST"], ["authorization", "content-type"]
        origins = list(options.allowed_origins)
        # Before the gate: browsers ask without a key whether they may send one, and read no answer without its headers.
        cors = Middleware(CORSMiddleware, allow_origins=origins, allow_methods=methods, allow_headers=headers)
        middleware.insert(0, cors)
    return Starlette(
        routes=routes,
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_error, Exception: _internal_error},
    )


async def _respond(
    request: Request, service: Service, answer: Answer, response: type[Response] = JSONResponse
) -> Response:
    """Answer a request, unless its client goes away first; then its inputs are dropped from the queue."""
    try:
        body = await read_json(request, service.limits)
    except RequestError as error:
        return _error_response(error, request.scope["path"])
    except ClientDisconnect:
        return Response(status_code=_STATUS_NOBODY_READS)
    computing = asyncio.ensure_future(answer(service, body))
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((computing, gone), return_when=asyncio.FIRST_COMPLETED)
        if not computing.done():
            return Response(status_code=_STATUS_NOBODY_READS)
        return response(computing.result())
    except Exception as error:
        return _error_response(refused(error), request.scope["path"])
    finally:
        gone.cancel()
        computing.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _error_response(error: RequestError, path: str) -> Response:
    """An error in the form of the protocol that a path belongs to: OpenAI's, the hub's, or else TEI's."""
    content: dict[str, Any] = {"error": str(error)}
    if path.startswith(("/v1/", "/embeddings")):
        kind = "invalid_request_error" if error.status < 429 else "server_error"
        content = {"error": {"message": str(error), "type": kind, "param": None, "code": error.status}}
    elif path != "/" and not path.startswith(("/models", "/pipeline", "/explain")):
        content["error_type"] = error.kind
    return JSONResponse(content, error.status, error.headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error_response(RequestError(error.detail, error.status_code, headers=error.headers), request.scope["path"])


async def _internal_error(request: Request, _: Exception) -> Response:
    return _error_response(RequestError("internal error", 500, "Backend"), request.scope["path"])


def _cost_of_explaining(model: ServedModel, text: str) -> int:
    """About how many tokens the model reads for a page of `explain`."""
    tokens, config = len(model.tokenizer.encode(text)), model.config
    # Each head, feed-forward block and token is left out once. Gradients at 34 points take as long as 100 sequences.
    if tokens > MOST_TOKENS_TO_ASK_WHY:
        return tokens
    return tokens * (config.num_hidden_layers * (config.num_attention_heads + 1) + tokens + 100)


def _about(model: ServedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "task": model.task,
        "tasks": list(model.tasks),
        "labels": list(model.config.id2label.values()) if model.config.labels else [],
    }


class _Gate:
    """Checks the API key, counts requests, and writes the access log."""

    def __init__(self, app: ASGIApp, options: Options, metrics: Metrics, routes: Sequence[str]) -> None:
        self.app, self.options, self.metrics = app, options, metrics
        self.routes = {path.split("/{")[0] for path in routes}
        self._expected = None if options.api_key is None else f"Bearer {options.api_key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.monotonic(), 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if self._may_pass(scope):
                await self.app(scope, receive, watch)
            else:
                message = "the API key is missing or wrong; send it as Authorization: Bearer KEY"
                error = RequestError(message, 401, "Unauthorized", {"WWW-Authenticate": "Bearer"})
                await _error_response(error, scope["path"])(scope, receive, watch)
        finally:
            seconds, route = time.monotonic() - started, self._route(scope["path"])
            self.metrics.request(route, seconds, status)
            if self.options.access_log:
                log_access(scope["method"], route, status, seconds)

    def _may_pass(self, scope: Scope) -> bool:
        if self._expected is None or (scope["path"] in _PUBLIC and scope["method"] in ("GET", "HEAD")):
            return True
        sent = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(sent, self._expected)

    def _route(self, path: str) -> str:
        """The route of a path, without what a client put into it; "other" where there is none."""
        if path in self.routes:
            return path
        return next((route for route in ("/models", "/pipeline", "/explain") if path.startswith(f"{route}/")), "other")
