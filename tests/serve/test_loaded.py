"""Which model an argument names, what it is for, and what is fetched of it."""

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs the serve extra: pip install '.[serve]'")

from distilroberta_np import SentenceEncoder
from distilroberta_np.errors import ServeError
from distilroberta_np.serve.loaded import ServedModel, Source
from tests.support.seeded import write_model
from tests.support.sentence_folders import dense_config, write_sentence_encoder
from tests.support.standin_hub import StandinHub


def test_sources(tmp_path, monkeypatch):
    folder = tmp_path / "mood" / "best"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert Source.parse("org/model") == Source("org/model", None, "org/model")
    assert Source.parse(str(folder)) == Source("best", None, str(folder))
    assert Source.parse(".") == Source("best", None, ".")
    assert Source.parse("../../mood/") == Source("mood", None, "../../mood/")
    assert Source.parse("a/b=fill-mask:org/model=1") == Source("a/b", "fill-mask", "org/model=1")
    assert Source.parse_all([]) == [Source("default", None, None)]


@pytest.mark.parametrize("argument", ["mood=", "mood=best", "mood=fly:best", "mood=fill-mask:", "=fill-mask:best"])
def test_arguments_that_are_no_source(argument):
    with pytest.raises(ServeError, match="write NAME=TASK:MODEL, with a task of fill-mask, "):
        Source.parse(argument)


def test_names_are_unique(tmp_path):
    folders = [tmp_path / name / "best" for name in ("mood", "spam")]
    for folder in folders:
        folder.mkdir(parents=True)
    with pytest.raises(ServeError, match="several models have the name best; name them with NAME=TASK:MODEL"):
        Source.parse_all(list(map(str, folders)))
    names = [source.name for source in Source.parse_all([str(folders[0]), f"spam=fill-mask:{folders[1]}"])]
    assert names == ["best", "spam"]


def test_a_config_without_a_known_architecture(tmp_path):
    folder = write_model(tmp_path / "model", architectures=["RobertaForCausalLM"])
    with pytest.raises(ServeError, match="names no known architecture; use --model NAME=TASK:MODEL"):
        ServedModel(Source.parse(str(folder)))
    assert ServedModel(Source.parse(f"a=fill-mask:{folder}")).tasks == ("fill-mask", "feature-extraction")


def test_a_name_is_fetched_with_its_tokenizer_and_its_modules(tmp_path, monkeypatch):
    from huggingface_hub import constants

    folder = write_sentence_encoder(tmp_path / "encoder", layers={"Dense": dense_config()})
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with StandinHub() as hub:
        hub.add("org/encoder", files)
        for name, value in {
            "ENDPOINT": hub.url,
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_HUB_OFFLINE": False,
        }.items():
            monkeypatch.setattr(constants, name, value)
        model = ServedModel(Source.parse("org/encoder"))
    assert model.task == "sentence-similarity"
    assert np.array_equal(model.sentence_encoder.encode("the cat"), SentenceEncoder(folder).encode("the cat"))
