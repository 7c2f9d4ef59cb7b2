"""Tests in a real browser: Debian's Chromium, driven by Playwright. Run with `pytest -m browser`."""

import functools
import os
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest


@pytest.fixture(scope="session")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the browser extra: pip install '.[browser]'")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Open an address; the page must log no error, and request nothing from other hosts."""
    contexts, problems = [], []

    def open_address(address, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        origin = address.split("/", 3)[:3]

        def check(request):
            if request.url.split("/", 3)[:3] != origin and not request.url.startswith(("data:", "blob:")):
                problems.append(f"requested {request.url}")

        page.on("request", check)
        page.goto(address)
        return page

    yield open_address
    for context in contexts:
        context.close()
    assert not problems


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def serve_folder():
    """Serve a folder on the loopback, as any static host would; gives its address."""
    servers = []

    def serve(folder):
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def pyodide_folder():
    """A folder with Pyodide 0.27.7 and its numpy wheel, named by the environment variable PYODIDE_FOLDER."""
    folder = os.environ.get("PYODIDE_FOLDER")
    if not folder:
        pytest.skip("set PYODIDE_FOLDER to a folder with Pyodide 0.27.7 and its numpy wheel (scripts/fetch_pyodide.sh)")
    return folder
