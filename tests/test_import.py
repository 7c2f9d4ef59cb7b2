"""What importing the package, and answering from a folder, may and may not do: each in a fresh process."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from distilroberta_np import DistilRobertaError, Pipeline
from tests.support.seeded import write_model

ROOT = Path(__file__).parents[1]

# Runs with every way to open a connection cut off, and ends with what changed.
_OBSERVE = """
import json, logging, os, signal, socket, sys, threading

def connect(*arguments, **keywords):
    raise AssertionError(f"a connection was tried: {arguments}")

before = {
    "environment": dict(os.environ),
    "handlers": list(logging.getLogger().handlers),
    "loggers": {
        name: list(getattr(logger, "handlers", ())) for name, logger in logging.root.manager.loggerDict.items()
    },
    "directory": os.getcwd(),
    "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
}
socket.socket.connect = socket.socket.connect_ex = connect
socket.create_connection = socket.getaddrinfo = connect
%s
added = {
    name for name, logger in logging.root.manager.loggerDict.items()
    if list(getattr(logger, "handlers", ())) != before["loggers"].get(name, [])
}
print(json.dumps({
    "modules": sorted(sys.modules),
    "environment": dict(os.environ) == before["environment"],
    "handlers": logging.getLogger().handlers == before["handlers"] and not added,
    "directory": os.getcwd() == before["directory"],
    "signals": {number: signal.getsignal(number) for number in signal.valid_signals()} == before["signals"],
    "threads": threading.active_count(),
}))
"""


def observe(code, **environment):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", _OBSERVE % code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout.splitlines()[-1])
    return seen, result


def loaded(seen, *names):
    return [module for module in seen["modules"] if module.split(".")[0] in names]


FOREIGN = ("torch", "transformers", "huggingface_hub", "scipy", "pytest", "requests", "httpx", "urllib3", "aiohttp")


@pytest.fixture(scope="module")
def imported():
    return observe("import distilroberta_np")


def test_the_import_loads_no_framework_and_no_hub(imported):
    seen, _ = imported
    assert "distilroberta_np.pipelines.fill_mask" in seen["modules"]
    assert loaded(seen, *FOREIGN) == []
    assert not {"distilroberta_np.analysis", "distilroberta_np.sentence"} & set(seen["modules"])


def test_the_import_changes_nothing_outside_itself_and_is_silent(imported):
    seen, result = imported
    assert {name: seen[name] for name in ("environment", "handlers", "directory", "signals", "threads")} == {
        "environment": True,
        "handlers": True,
        "directory": True,
        "signals": True,
        "threads": 1,
    }
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 1


def test_the_observer_sees_what_it_looks_for():
    seen, _ = observe(
        "import os, logging; os.environ['X'] = '1'; logging.getLogger('x').addHandler(logging.NullHandler())"
    )
    assert not seen["environment"]
    assert not seen["handlers"]
    assert loaded(seen, "logging")


def test_every_public_name_is_there():
    import distilroberta_np

    names = distilroberta_np.__all__
    assert len(names) == len(set(names))
    assert all(hasattr(distilroberta_np, name) for name in names)
    assert set(names) <= set(dir(distilroberta_np))
    assert not hasattr(distilroberta_np, "no_such_name")
    assert set(distilroberta_np.MODELS) <= set(names)
    for kind in (Pipeline, DistilRobertaError):
        assert {subclass.__name__ for subclass in public_subclasses(kind)} <= set(names)


def public_subclasses(kind):
    for subclass in kind.__subclasses__():
        public = not subclass.__name__.startswith("_") and not inspect.isabstract(subclass)
        if public and subclass.__module__.startswith("distilroberta_np"):
            yield subclass
        yield from public_subclasses(subclass)


def test_answering_from_a_folder_loads_no_framework_and_no_hub_and_opens_no_connection(tmp_path):
    folder = write_model(tmp_path)
    seen, result = observe(
        f"from distilroberta_np import pipeline\nprint(pipeline('fill-mask', {str(folder)!r})('the <mask> sat'))"
    )
    assert "'score'" in result.stdout
    assert loaded(seen, *FOREIGN) == []
    assert seen["environment"]
    assert seen["handlers"]
    assert result.stderr == ""


@pytest.mark.parametrize(
    "code",
    [
        "distilroberta_np.pipeline('fill-mask')('the <mask> sat')",
        "from distilroberta_np.hub import find_local; find_local('some/name')",
    ],
)
def test_choosing_the_default_or_looking_for_a_name_reads_only_the_hubs_constants(tmp_path, code):
    seen, _ = observe(f"import distilroberta_np\n{code}", HF_HOME=str(tmp_path))
    assert loaded(seen, *(set(FOREIGN) - {"huggingface_hub"})) == []
    assert not {"huggingface_hub.file_download", "huggingface_hub.hf_api"} & set(seen["modules"])
