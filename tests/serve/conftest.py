"""A server on the loopback with small seeded models of every task."""

import pytest

from tests.support.served_models import TASKS, write_models


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """One loaded model of every task; the first fills masks."""
    pytest.importorskip("starlette", reason="needs the serve extra: pip install '.[serve]'")
    from distilroberta_np.serve.loaded import ServedModel, Source

    folders = write_models(tmp_path_factory.mktemp("served"))
    return [ServedModel(Source(name, TASKS[name], str(folder))) for name, folder in folders.items()]


@pytest.fixture(scope="session")
def server(models):
    from distilroberta_np.serve.app import Options, make_app
    from tests.support.served import running

    with running(make_app(models, Options(access_log=False))) as server:
        yield server
