"""`distilroberta-np serve`: answer requests over HTTP."""

from __future__ import annotations

import argparse
import os
import warnings

from ..errors import DistilRobertaError
from .command import Command

_EXAMPLES = """\
  distilroberta-np serve
  distilroberta-np serve --model roberta-base --port 8000
  distilroberta-np serve --model mood=text-classification:tuned/best --model sentence-transformers/all-distilroberta-v1
  curl -s localhost:8000 -H 'content-type: application/json' -d '{"inputs": "The man worked as a <mask>."}'

It speaks the protocols of the hub (InferenceClient(model="http://127.0.0.1:8000")), of
text-embeddings-inference (/embed, /rerank, /predict ...) and of OpenAI's embeddings
(/v1/embeddings). /openapi.json describes them, and / is a page to try them.

The API key can also be given as the environment variable DISTILROBERTA_NP_API_KEY,
where other users of the machine do not see it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        action="append",
        metavar="MODEL",
        help="a folder, a name on the hub, or NAME=TASK:MODEL with either as MODEL; repeat it to serve several models "
        "(default: distilroberta-base where it is already on this machine, else the small embedded model)",
    )
    parser.add_argument("--revision", help="branch, tag or commit of a model on the hub")
    parser.add_argument("--local-files-only", action="store_true", help="never connect to the hub")
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1, this machine)"
    )
    parser.add_argument("--port", type=int, default=8000, help="the port to listen on (default: 8000)")
    parser.add_argument("--api-key", metavar="KEY", help="answer only requests with this bearer token")
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let web pages of this origin send requests (CORS)",
    )
    parser.add_argument("--max-batch-tokens", type=int, metavar="N", help="tokens per batch (default: 1024 per thread)")
    parser.add_argument(
        "--max-waiting-tokens",
        type=int,
        default=65_536,
        metavar="N",
        help="answer 429 while more tokens than this are waiting (default: 65536)",
    )
    parser.add_argument("--max-batch-size", type=int, default=256, metavar="N", help="texts per request (default: 256)")
    parser.add_argument("--no-access-log", action="store_true", help="do not log requests")


def run(options: argparse.Namespace) -> int:
    for name in ("max_batch_tokens", "max_waiting_tokens", "max_batch_size"):
        if (value := getattr(options, name)) is not None and value < 1:
            options.parser.error(f"--{name.replace('_', '-')} must be at least 1")
    api_key = os.environ.get("DISTILROBERTA_NP_API_KEY") if options.api_key is None else options.api_key
    if api_key is not None and not api_key.strip():  # such as that of a shell's variable which is not set
        options.parser.error("the API key is empty; set it, or leave out --api-key and unset DISTILROBERTA_NP_API_KEY")
    try:
        import uvicorn

        from ..serve.app import Options, make_app
        from ..serve.loaded import ServedModel, Source
        from ..serve.protocol import Limits
    except ModuleNotFoundError as error:
        raise DistilRobertaError(
            f"serving needs {error.name}; install it with: pip install 'distilroberta-np[serve]'"
        ) from None
    models = [
        ServedModel(source, revision=options.revision, local_files_only=options.local_files_only)
        for source in Source.parse_all(options.model or ())
    ]
    app = make_app(
        models,
        Options(
            **({} if options.max_batch_tokens is None else {"max_batch_tokens": options.max_batch_tokens}),
            max_waiting_tokens=options.max_waiting_tokens,
            limits=Limits(batch_size=options.max_batch_size),
            api_key=api_key,
            allowed_origins=options.allow_origin,
            access_log=not options.no_access_log,
        ),
    )
    for model in models:
        print(f"{model.name}: {', '.join(model.tasks)}")
    print(f"serving on http://{options.host}:{options.port}", flush=True)
    # From here on, warnings are about requests: the log must not have their texts, nor Python remember each of them.
    warnings.simplefilter("ignore", UserWarning)
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=60,
        h11_max_incomplete_event_size=64 * 1024,
    )
    return 0


COMMAND = Command("serve", "models", "answer requests over HTTP", _EXAMPLES, add_arguments, run)
