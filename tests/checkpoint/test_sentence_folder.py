import json

import pytest

from distilroberta_np import ConfigError
from distilroberta_np.checkpoint.sentence_folder import read_modules


@pytest.mark.parametrize("path", ["../elsewhere", "/etc", "a/b", "..", "a\\b", "C:", "~", 5, None])
def test_a_path_that_leads_elsewhere(tmp_path, path):
    (tmp_path / "modules.json").write_text(
        json.dumps([{"type": "sentence_transformers.models.Transformer", "path": path}])
    )
    with pytest.raises(ConfigError, match="must have a type and a plain path"):
        read_modules(tmp_path)


def test_far_too_many_modules(tmp_path):
    entry = {"type": "sentence_transformers.models.Normalize", "path": ""}
    (tmp_path / "modules.json").write_text(json.dumps([entry] * 101))
    with pytest.raises(ConfigError, match=r"modules\.json: lists 101 modules; at most 100 are supported"):
        read_modules(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "[5]", "[{}]", '[{"type": 5, "path": ""}]'])
def test_a_malformed_list(tmp_path, text):
    (tmp_path / "modules.json").write_text(text)
    with pytest.raises(ConfigError, match=r"modules\.json"):
        read_modules(tmp_path)
