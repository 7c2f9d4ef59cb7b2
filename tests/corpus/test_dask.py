"""Tasks on a Dask data frame and a job on a local cluster, with a worker killed on the way."""

import functools
import json
import os
import signal
import threading
import time

import pytest

distributed = pytest.importorskip("distributed", reason="needs the dask extra: pip install '.[dask]'")
pandas = pytest.importorskip("pandas", reason="needs the dask extra: pip install '.[dask]'")

from distilroberta_np import CorpusError  # noqa: E402
from distilroberta_np.corpus.columns import Task  # noqa: E402
from distilroberta_np.corpus.dask import map_partitions  # noqa: E402
from distilroberta_np.corpus.job import map_on_dask, on_dask, run_job  # noqa: E402
from tests.corpus.test_job import read_lines, write_lines  # noqa: E402
from tests.support.answers import close  # noqa: E402
from tests.support.seeded import write_model  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster


def test_partitions_have_the_columns_of_the_direct_run(cluster, tmp_path):
    import dask.dataframe

    model = str(write_model(tmp_path / "model"))
    frame = pandas.DataFrame({"id": range(40), "text": ["a <mask>", "b"] * 20}, index=range(100, 140))
    with distributed.Client(cluster):
        lazy = map_partitions(dask.dataframe.from_pandas(frame, npartitions=4), "fill-mask", model=model, top_k=2)
        result = lazy.compute()
    assert list(result.columns) == list(lazy.columns) == ["id", "text", "predictions", "error"]
    assert result[["id", "text"]].to_dict() == frame.to_dict()
    assert result["error"].isna().tolist() == [True, False] * 20
    assert all(len(json.loads(row)) == 2 for row in result["predictions"].iloc[::2])


def test_a_column_that_is_missing_or_taken_is_said_at_once():
    import dask.dataframe

    frame = dask.dataframe.from_pandas(pandas.DataFrame({"text": ["a"], "label": ["b"]}), npartitions=1)
    with pytest.raises(CorpusError, match="the data frame has a column label already; rename it"):
        map_partitions(frame, "text-classification")
    with pytest.raises(CorpusError, match="the data frame has no column sentence; the columns are text, label"):
        map_partitions(frame, "fill-mask", column="sentence")


def wait_once(marker, source):
    """Stands in for computing a part; the first process that gets one waits for the test to kill it."""
    if not marker.exists():
        marker.write_text(str(os.getpid()))
        time.sleep(60)
    return source.name


def test_parts_outlive_a_worker(cluster, tmp_path):
    marker = tmp_path / "marker"

    def kill():
        while not marker.exists() or not marker.read_text():
            time.sleep(0.05)
        os.kill(int(marker.read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    sources = [tmp_path / f"{name}.txt" for name in "abcd"]
    compute = functools.partial(wait_once, marker)
    assert sorted(map_on_dask(cluster.scheduler_address, compute, sources)) == [source.name for source in sources]
    killer.join()


def test_a_job_has_the_rows_of_the_direct_run(cluster, tmp_path):
    model = str(write_model(tmp_path / "model"))
    sources = [write_lines(tmp_path / f"{name}.txt") for name in "abcd"]
    task = Task("fill-mask", model, ("text",))
    run_job(task, sources, tmp_path / "cluster", run=functools.partial(on_dask, cluster.scheduler_address))
    run_job(task, sources, tmp_path / "direct")
    for source in sources:
        name = f"{source.stem}.jsonl"
        assert close(read_lines(tmp_path / "cluster" / name), read_lines(tmp_path / "direct" / name))
