"""A server in a thread, on a free port of the loopback, and a client of it. Needs the serve extra."""

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request

import uvicorn


class Server:
    """A running server; `request` sends one request and returns status, headers and the parsed body."""

    def __init__(self, address):
        self.address = address

    def request(self, path, body=None, headers=(), raw=None, method=None):
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.address + path, data, {"content-type": "application/json", **dict(headers)}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                status, answer, received = response.status, response.read(), response.headers
        except urllib.error.HTTPError as error:
            status, answer, received = error.code, error.read(), error.headers
        with contextlib.suppress(ValueError):
            answer = json.loads(answer)
        return status, received, answer

    def post(self, path, body, **options):
        status, _, answer = self.request(path, body, **options)
        assert status == 200, answer
        return answer


@contextlib.contextmanager
def running(app):
    """Serve an application on a free port of the loopback."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield Server(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join(30)


def by_task(models, task):
    """The first of the served models with a task."""
    return next(model for model in models if model.task == task)
