"""A stand-in for the Hugging Face hub on 127.0.0.1, for the real huggingface_hub to talk to through HF_ENDPOINT.

It serves what the hub serves for a download: a model's description, the headers of a file, and the file, the large ones
by a redirect to a second server (the hub's CDN). It notes every request, and does wrong what a test tells it to: it
fails, damages a file, or lies as a hostile hub would.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit

COMMIT = "c0ffee" + 34 * "0"


@dataclass
class Repo:
    """A model: its files, and who may have them.

    Attributes:
        lies: values of its description that are not true.
        lies_about: values of a file's description that are not true, by the file's name.
    """

    files: dict[str, bytes]
    commit: str = COMMIT
    gated: bool = False
    lies: Mapping[str, object] = field(default_factory=dict)
    lies_about: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def is_lfs(self, filename: str) -> bool:
        return filename.endswith((".safetensors", ".bin"))

    def sha256(self, filename: str) -> str:
        return hashlib.sha256(self.files[filename]).hexdigest()

    def blob_id(self, filename: str) -> str:
        content = self.files[filename]
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    def etag(self, filename: str) -> str:
        return self.sha256(filename) if self.is_lfs(filename) else self.blob_id(filename)

    def info(self, name: str) -> dict[str, object]:
        about = {"id": name, "sha": self.commit, "private": False, "downloads": 0, "likes": 0, "tags": []}
        siblings = [self.sibling(filename) for filename in self.files]
        return about | {"gated": "manual" if self.gated else False, "siblings": siblings} | dict(self.lies)

    def sibling(self, filename: str) -> dict[str, object]:
        size = len(self.files[filename])
        lfs = {"lfs": {"sha256": self.sha256(filename), "size": size, "pointerSize": 134}}
        about: dict[str, object] = {"rfilename": filename, "size": size, "blobId": self.blob_id(filename)}
        return about | (lfs if self.is_lfs(filename) else {}) | dict(self.lies_about.get(filename, {}))


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    range: str | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Fault:
    """Something to do wrong: answer with a status, cut a file short, change its bytes, keep silent for 10 s, send
    without end, or send a byte at a time."""

    method: str
    path_end: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    hides_the_cut: bool = False  # by a Content-Length that fits
    damaged: bool = False
    hangs: bool = False
    endless: bool = False
    drips: bool = False
    times: int | None = None  # how often; None: always

    def applies_to(self, request: Request) -> bool:
        if request.method != self.method or not request.path.endswith(self.path_end) or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class StandinHub:
    """The hub and its CDN, as a context manager.

    Attributes:
        url: for HF_ENDPOINT.
        repos: the models by their names; `renamed` leads from old names to them.
        faults: what to do wrong.
        requests: what was requested, in order.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.renamed: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._servers = [self._server(self._answer_hub), self._server(self._answer_cdn)]
        self.url, self._cdn = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)

    def __enter__(self) -> StandinHub:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.closing.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def add(self, name: str, files: Mapping[str, bytes], **attributes: object) -> Repo:
        self.repos[name] = Repo(dict(files), **attributes)  # type: ignore[arg-type]
        return self.repos[name]

    def fault(self, method: str, path_end: str, **what: object) -> None:
        self.faults.append(Fault(method, path_end, **what))  # type: ignore[arg-type]

    def asked(self, method: str) -> list[str]:
        """The last parts of the paths requested with a method, in order."""
        return [request.path.rsplit("/", 1)[1] for request in self.requests if request.method == method]

    def _server(self, answer: Callable[[_Handler, Request], None]) -> ThreadingHTTPServer:
        handler = type("Handler", (_Handler,), {"hub": self, "answer": staticmethod(answer)})
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def _answer_hub(self, handler: _Handler, request: Request) -> None:
        path = request.path
        if path == "/api/agent-harnesses":
            handler.send(200, {}, b'{"standardEnvVars": [], "harnesses": {}}')
            return
        name, separator, rest = (
            path.removeprefix("/api/models/").partition("/revision/")
            if path.startswith("/api/models/")
            else path.removeprefix("/").partition("/resolve/")
        )
        revision, _, filename = rest.partition("/")
        if name in self.renamed:
            moved = path.replace(name, self.renamed[name], 1)
            handler.send(307, {"Location": moved})
            return
        repo = self.repos.get(name)
        if repo is None or not separator:
            # What the hub tells someone who isn't logged in about a name that there isn't.
            handler.send(401, {"X-Error-Message": "Invalid username or password."})
        elif revision not in ("main", repo.commit):
            handler.send(404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": f"Invalid rev id: {revision}"})
        elif not filename:
            handler.send(200, {}, json.dumps(repo.info(name)).encode())
        elif repo.gated:
            handler.send(401, {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to {name} is restricted."})
        elif filename not in repo.files:
            handler.send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repo.commit})
        elif repo.is_lfs(filename):
            headers = {
                "Location": f"{self._cdn}/{name}/{filename}",
                "X-Repo-Commit": repo.commit,
                "X-Linked-Etag": f'"{repo.etag(filename)}"',
                "X-Linked-Size": str(len(repo.files[filename])),
            }
            handler.send(302, headers)
        else:
            headers = {"X-Repo-Commit": repo.commit, "ETag": f'"{repo.etag(filename)}"'}
            handler.send_file(headers, repo.files[filename])

    def _answer_cdn(self, handler: _Handler, request: Request) -> None:
        path = request.path.removeprefix("/")
        name = next(name for name in self.repos if path.startswith(f"{name}/"))
        filename = path.removeprefix(f"{name}/")
        repo = self.repos[name]
        handler.send_file({"ETag": f'"{repo.etag(filename)}"'}, repo.files[filename])


class _Handler(BaseHTTPRequestHandler):
    hub: StandinHub
    answer: Callable[[_Handler, Request], None]
    fault: Fault | None

    def do_GET(self) -> None:
        request = Request(self.command, urlsplit(self.path).path, self.headers.get("Range"))
        self.hub.requests.append(request)
        self.fault = next((fault for fault in self.hub.faults if fault.applies_to(request)), None)
        if self.fault is not None and self.fault.hangs:
            self.hub.closing.wait(10)
        elif self.fault is not None and (self.fault.endless or self.fault.drips):
            self.send_for_ever(self.fault)
        elif self.fault is not None and self.fault.status is not None:
            self.send(self.fault.status, self.fault.headers)
        else:
            self.answer(self, request)

    do_HEAD = do_GET  # noqa: N815 (the name that http.server looks for)

    def send_file(self, headers: Mapping[str, str], content: bytes) -> None:
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        ranged = {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"} if first else {}
        sent, length = content[first:], len(content) - first
        if self.fault is not None and self.fault.cut_at is not None:
            sent = content[first : self.fault.cut_at]
            length = len(sent) if self.fault.hides_the_cut else length
        if self.fault is not None and self.fault.damaged:
            sent = sent[:-1] + bytes([sent[-1] ^ 1])
        self.send(206 if first else 200, {**headers, **ranged, "Content-Length": str(length)}, sent)

    def send_for_ever(self, fault: Fault) -> None:
        self.send_response(fault.status or 200)
        self.end_headers()
        with suppress(OSError):  # until the other side has had enough
            while not self.hub.closing.is_set():
                self.wfile.write(b" " if fault.drips else bytes(2**16))
                if fault.drips:
                    self.hub.closing.wait(0.02)

    def send(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass
