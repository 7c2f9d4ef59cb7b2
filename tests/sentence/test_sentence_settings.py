import pytest

from distilroberta_np import ConfigError
from distilroberta_np.sentence.sentence_settings import SentenceSettings, read_max_seq_length
from tests.support.seeded import write_json

FILE = "config_sentence_transformers.json"


def test_missing_settings_have_defaults(tmp_path):
    assert SentenceSettings.load(tmp_path) == SentenceSettings("SentenceTransformer", {}, None, None, None, None)
    assert read_max_seq_length(tmp_path) is None
    write_json(tmp_path / FILE, {"prompts": {"query": None}, "future": 1})
    assert SentenceSettings.load(tmp_path).prompts == {"query": ""}


@pytest.mark.parametrize(
    "values", [[], {"prompts": [5]}, {"prompts": {"a": 5}}, {"truncate_dim": "3"}, {"truncate_dim": True}]
)
def test_malformed_settings(tmp_path, values):
    write_json(tmp_path / FILE, values)
    with pytest.raises(ConfigError, match=r"config_sentence_transformers\.json"):
        SentenceSettings.load(tmp_path)


def test_the_settings_of_the_encoder(tmp_path):
    write_json(tmp_path / "sentence_roberta_config.json", {"max_seq_length": 9})
    assert read_max_seq_length(tmp_path) == 9
    path = tmp_path / "sentence_bert_config.json"
    write_json(path, {"max_seq_length": 7, "do_lower_case": False})
    assert read_max_seq_length(tmp_path) == 7
    write_json(path, {"do_lower_case": True})
    with pytest.raises(ConfigError, match="do_lower_case True is not supported"):
        read_max_seq_length(tmp_path)
    write_json(path, {"max_seq_length": "long"})
    with pytest.raises(ConfigError, match="max_seq_length must be an integer"):
        read_max_seq_length(tmp_path)
