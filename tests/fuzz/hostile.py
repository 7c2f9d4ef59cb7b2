"""Hostile requests for a running server: each must get a well-formed answer or a closed connection.

    python -m tests.fuzz.hostile [--requests 10000] [--first 0]

A case is a number: it seeds a valid request, and what is done to it. After every tenth case a good request must be
answered, and at the end the server's log must have no traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.served_models import TASKS, write_models

PATIENCE = 30  # seconds
ENOUGH = 0.3  # seconds after which an answer is no longer expected to a request that may lack its end
GOOD = ("/", {"inputs": "a <mask>"})
QUESTION = {"question": "Where?", "context": "I live in Berlin."}
SIMILARITY = {"source_sentence": "a b", "sentences": ["the cat", "a"]}
VALID: list[tuple[str, Any]] = [
    ("/", {"inputs": ["a <mask>", "<mask> b"], "parameters": {"top_k": 2, "targets": ["a"]}}),
    ("/models/fill/pipeline/fill-mask", {"inputs": "a <mask>", "parameters": {"truncation": True}}),
    ("/models/mood", {"inputs": "a b", "parameters": {"top_k": 1, "function_to_apply": "softmax"}}),
    ("/models/nli", {"inputs": "a", "parameters": {"candidate_labels": ["cat", "on"], "multi_label": True}}),
    ("/models/tags", {"inputs": "the cat", "parameters": {"aggregation_strategy": "simple", "stride": 0}}),
    ("/models/answers", {"inputs": QUESTION, "parameters": {"top_k": 2, "max_answer_len": 9, "doc_stride": 4}}),
    ("/pipeline/sentence-similarity/an/encoder", {"inputs": SIMILARITY}),
    ("/similarity", {"inputs": SIMILARITY, "parameters": {"prompt_name": None}}),
    ("/models/an/encoder", {"inputs": "a b"}),
    ("/embed", {"inputs": ["a b"], "normalize": True, "truncate": True, "dimensions": 3, "prompt_name": None}),
    ("/embed_all", {"inputs": "a b"}),
    ("/predict", {"inputs": [["a"], ["a", "b"]], "raw_scores": False}),
    ("/rerank", {"query": "a", "texts": ["the cat", "sat"], "return_text": True, "raw_scores": True}),
    ("/tokenize", {"inputs": "the cat", "add_special_tokens": True}),
    ("/decode", {"ids": [[0, 5, 2]], "skip_special_tokens": True}),
    ("/v1/embeddings", {"input": ["a"], "model": "an/encoder", "encoding_format": "base64", "dimensions": 2}),
    ("/explain/fill", {"inputs": "a <mask>"}),
]
ODD: list[Callable[[random.Random], Any]] = [
    lambda rng: None,
    lambda rng: rng.random() < 0.5,
    lambda rng: rng.choice([0, -1, 1, 2**31, 2**63, -(2**64), 10**400]),
    lambda rng: rng.choice([0.5, -0.0, 1e308, float("nan"), float("inf"), -float("inf")]),
    lambda rng: rng.choice(["", " ", "\0", "\ud800", "<mask>", "<mask>" * 600, "\U0001f600" * 99, "a " * 60_000]),
    lambda rng: "".join(chr(rng.choice([rng.randrange(128), rng.randrange(0xD800), 0x202E])) for _ in range(9)),
    lambda rng: [],
    lambda rng: {},
    lambda rng: [rng.choice(["a", 1, None, [], {}])] * rng.choice([1, 3, 300]),
    lambda rng: {rng.choice(["", "text", "question", "inputs", "a" * 999]): rng.choice(["a", None, 3, ["b"]])},
    lambda rng: json.loads("[" * (depth := rng.choice([5, 300, 900])) + "]" * depth),
    lambda rng: json.loads('{"a":' * (depth := rng.choice([5, 300, 900])) + "1" + "}" * depth),
]


# -- making a case ---------------------------------------------------------------------------------------------------


def odd_value(rng: random.Random, value: Any) -> Any:
    """A value with one of its parts replaced, removed or added."""
    if isinstance(value, dict | list) and value and rng.random() < 0.75:
        value = value.copy()
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        value[key] = odd_value(rng, value[key])
        if rng.random() < 0.1:
            del value[key]
        elif rng.random() < 0.1 and isinstance(value, dict):
            value[rng.choice(["top_k", "inputs", "parameters", "targets", "batch_size", "\0"])] = rng.choice(ODD)(rng)
        return value
    return rng.choice(ODD)(rng)


def odd_bytes(rng: random.Random, data: bytes) -> bytes:
    """Bytes with some of them changed, removed, repeated or added."""
    for _ in range(rng.choice([1, 1, 3, 20])):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice([0, 1, 1, 5, 50]))
        junk = rng.choice([b"", rng.randbytes(rng.choice([1, 4])), data[start:end] * 2, b"\xff", b"[" * 2000, b"\r\n"])
        data = data[:start] + junk + data[end:]
    return data


def request(path: str, body: bytes, *headers: bytes, method: bytes = b"POST", length: bytes | None = None) -> bytes:
    lines = [
        method + b" " + path.encode("utf-8", "surrogatepass") + b" HTTP/1.1",
        b"host: x",
        b"content-type: application/json",
        b"content-length: " + (str(len(body)).encode() if length is None else length),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def make_case(number: int) -> tuple[bytes, str, bytes]:
    """What to send, how ("at once", "slowly", "half" or "reset"), and the method."""
    rng = random.Random(number)
    path, value = rng.choice(VALID)
    body = json.dumps(value).encode()
    how, method = "at once", b"POST"
    kind = rng.randrange(12)
    if kind < 4:
        data = request(path, json.dumps(odd_value(rng, value)).encode())
    elif kind == 4:
        data = request(path, odd_bytes(rng, body))
    elif kind == 5:
        data = odd_bytes(rng, request(path, body))
    elif kind == 6:
        lengths = [b"0", b"1", b"-1", b"+5", b"1e9", b"", b"99999999999", b"9" * 400, b"5, 6", b"\xb2", b"0x10"]
        data = request(path, body, length=rng.choice(lengths))
    elif kind == 7:
        chunks = [
            b"5\r\n{}",
            b"zz\r\n\r\n",
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
            b"f" * 20 + b"\r\n",
            b"-1\r\n",
        ]
        head = request(path, b"", b"transfer-encoding: " + rng.choice([b"chunked", b"gzip", b"chunked, chunked"]))
        if rng.random() < 0.7:
            head = head.replace(b"content-length: 0\r\n", b"")
        data = head + rng.choice(chunks)
    elif kind == 8:
        method = rng.choice(
            [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"post", b"\xc3\xa9"]
        )
        paths = [
            path,
            "/health",
            "/metrics",
            "/info",
            "/models",
            "/../../etc/passwd",
            "/models/%00%ff%2e%2e",
            "//",
            "*",
        ]
        paths += ["/" + "a" * 70_000, "/models/" + "%41" * 999, "/?" + "a=b&" * 999, "/é", "http://x/", "/pipeline/x/y"]
        data = request(rng.choice(paths), b"", method=method)
    elif kind == 9:
        headers = [
            b"a: " + b"b" * 100_000,
            b"no colon",
            b": empty",
            b"a: \0",
            b" folded",
            b"a\xff: b",
            b"expect: 100-continue",
        ]
        headers += [b"x-%d: y" % 7 + b"\r\nx: y" * 2000, b"upgrade: websocket\r\nconnection: upgrade", b"host: y"]
        headers += [b"authorization: \xff", b"user-agent: hf_hub/" + b"9" * 5000 + b".1", b"content-type: text/plain"]
        data = request(path, body, *rng.sample(headers, rng.choice([1, 1, 2])))
    elif kind == 10:
        data = rng.choice([
            rng.randbytes(rng.choice([1, 100, 100_000])),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(200),
            b"GET /\r\n\r\n",
            b"POST / HTTP/9.9\r\n\r\n",
            b"\r\n" * 1000,
            request(path, body) * 3,
        ])  # fmt: skip
    else:
        data = request(path, body)
        how = rng.choice(["slowly", "half", "half", "reset"])
    return data, how, method


# -- sending it ------------------------------------------------------------------------------------------------------


def send(port: int, case: tuple[bytes, str, bytes], half_open: deque[socket.socket]) -> tuple[str, str | None]:
    """Send a case, and return what happened (a status, or "closed") and what is wrong with it."""
    data, how, method = case
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
    if how == "half":
        connection.sendall(data[: len(data) // 2])
        half_open.append(connection)
        if len(half_open) > 50:
            half_open.popleft().close()
        return "half open", None
    with connection:
        try:
            if how == "slowly":
                for start in range(0, len(data), 1 + len(data) // 8):
                    connection.sendall(data[start : start + 1 + len(data) // 8])
                    time.sleep(0.005)
            else:
                connection.sendall(data)
            if how == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return "reset", None
            if not select.select([connection], [], [], ENOUGH)[0]:
                connection.shutdown(socket.SHUT_WR)  # the server waits for more
            response = http.client.HTTPResponse(connection, method=method.decode("latin-1"))
            response.begin()
            answer = response.read()
        except TimeoutError:
            return "nothing", f"no answer within {PATIENCE} s"
        except OSError:
            return "closed", None
        except http.client.HTTPException as error:
            return "malformed", f"malformed answer: {error!r}"
    finding = None
    if response.status in (500, 503):
        finding = f"status {response.status}: {answer[:200]!r}"
    elif b"Traceback" in answer:
        finding = "a traceback in the answer"
    elif response.getheader("content-type") == "application/json" and answer:
        try:
            json.loads(answer)
        except ValueError:
            finding = f"not JSON: {answer[:200]!r}"
    return str(response.status), finding


def attack(port: int, first: int, count: int) -> tuple[Counter[str], list[str]]:
    """Send cases from several threads, and return what happened how often, and the findings."""
    half_open: deque[socket.socket] = deque()

    def one(number: int) -> tuple[str, str | None]:
        outcome, finding = send(port, make_case(number), half_open)
        if not finding and number % 10 == 0 and not answers(port):
            finding = "the next good request is not answered"
        return outcome, finding and f"case {number}: {finding}"

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(one, range(first, first + count)))
    for connection in half_open:
        connection.close()
    findings = [finding for _, finding in results if finding]
    if not answers(port):
        findings.append("at the end a good request is not answered")
    return Counter(outcome for outcome, _ in results), findings


def answers(port: int) -> bool:
    """Whether a good request is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("POST", GOOD[0], json.dumps(GOOD[1]), {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status == 200 and len(json.loads(response.read())) == 5


@contextlib.contextmanager
def serving(folder: Path, log: Path) -> Iterator[int]:
    """The port of a server with a small model of every task, in a process of its own that writes a log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    models = write_models(folder)
    arguments = [word for name, path in models.items() for word in ("--model", f"{name}={TASKS[name]}:{path}")]
    command = [sys.executable, "-m", "distilroberta_np", "serve", "--port", str(port), "--no-access-log", *arguments]
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    try:
        began = time.monotonic()
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > began + PATIENCE:
                    raise RuntimeError(f"the server did not start: {log.read_text()}") from None
                time.sleep(0.05)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(90)


def fuzz(count: int, first: int = 0) -> tuple[Counter[str], list[str]]:
    """Start a server, send cases to it, stop it, read its log, and return what happened, and the findings."""
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log"
        with serving(Path(name), log) as port:
            outcomes, findings = attack(port, first, count)
        text = log.read_text(errors="replace")
        if "Traceback" in text:
            findings.append(f"a traceback in the log: {text[text.index('Traceback') :][:2000]}")
        return outcomes, findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, help="number of cases (default: 10000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (default: 0)")
    options = parser.parse_args()
    outcomes, findings = fuzz(options.requests, options.first)
    print(", ".join(f"{outcome}: {count}" for outcome, count in sorted(outcomes.items())))
    print("\n".join([*findings, f"{options.requests} hostile requests, {len(findings)} findings"]))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
