"""The Python examples of docs/corpus.md, which need extras: from raw files to a data frame and to an index."""

import json
import re
from pathlib import Path

import pytest

from distilroberta_np import SentenceEncoder
from distilroberta_np.corpus.columns import Task
from distilroberta_np.corpus.job import run_job
from tests.support.seeded_heads import write_classifier
from tests.support.sentence_folders import write_sentence_encoder

PAGE = (Path(__file__).parents[2] / "docs" / "corpus.md").read_text(encoding="utf-8")
DASK, INDEX = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_dask(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas", reason="needs the dask extra: pip install '.[dask]'")
    pytest.importorskip("dask.dataframe", reason="needs the dask extra: pip install '.[dask]'")
    monkeypatch.chdir(tmp_path)
    write_classifier(tmp_path / "tuned" / "best", ["bad", "good"])
    (tmp_path / "documents").mkdir()
    pandas.DataFrame({"text": ["the cat", "sat"]}).to_parquet("documents/0.parquet")
    exec(DASK, {})
    assert set(pandas.read_parquet("labelled")["label"]) <= {"bad", "good"}


def test_index(tmp_path, monkeypatch, capsys):
    pytest.importorskip("usearch", reason="pip install usearch")
    monkeypatch.chdir(tmp_path)
    folder = write_sentence_encoder(tmp_path / "sentence-transformers" / "all-distilroberta-v1")
    (tmp_path / "sentences.txt").write_text("the cat sat\non the cat\na cat\n")
    run_job(Task("encode", str(folder), ("text",)), [tmp_path / "sentences.txt"], tmp_path / "vectors")
    exec(INDEX.replace("Is somebody having lunch?", "on the cat"), {})
    assert capsys.readouterr().out.splitlines()[0].startswith("on the cat ")
    rows = [json.loads(line) for line in (tmp_path / "vectors" / "sentences.jsonl").read_text().splitlines()]
    assert len(rows[0]["embedding"]) == SentenceEncoder.from_pretrained(folder).get_embedding_dimension()
