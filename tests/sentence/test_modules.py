import json

import numpy as np
import pytest

from distilroberta_np import ConfigError
from distilroberta_np.checkpoint.sentence_folder import Module, encoder_path, read_modules
from distilroberta_np.sentence.modules import (
    activation,
    check_modules,
    read_max_seq_length,
    read_sentence_settings,
)


def module(kind, path=""):
    return {"type": kind, "path": path}


def test_modules_of_today_and_of_old_and_of_others(tmp_path):
    entries = [
        module("sentence_transformers.models.Transformer", "0_Transformer"),
        module("sentence_transformers.sentence_transformer.modules.pooling.Pooling", "1_Pooling"),
        module("own_code.Pooling", "2_Own"),
    ]
    (tmp_path / "modules.json").write_text(json.dumps(entries))
    modules = read_modules(tmp_path)
    assert modules[:2] == [Module("Transformer", "0_Transformer"), Module("Pooling", "1_Pooling")]
    assert encoder_path(modules) == "0_Transformer"
    check_modules(tmp_path, modules[:2], ["Pooling"])
    with pytest.raises(ConfigError, match=r"modules\.json: the module 'own_code\.Pooling' is not computed here"):
        check_modules(tmp_path, modules, ["Pooling"])
    with pytest.raises(ConfigError, match="the first module must be a Transformer, not 'Pooling'"):
        check_modules(tmp_path, modules[1:], ["Pooling"])


def test_settings_that_are_not_there_are_as_by_default(tmp_path):
    settings = read_sentence_settings(tmp_path)
    assert (settings.model_type, settings.prompts, settings.default_prompt_name) == ("SentenceTransformer", {}, None)
    assert read_max_seq_length(tmp_path) is None
    (tmp_path / "config_sentence_transformers.json").write_text('{"prompts": {"query": null}, "future": 1}')
    assert read_sentence_settings(tmp_path).prompts == {"query": ""}


@pytest.mark.parametrize(
    "text", ["[]", '{"prompts": [5]}', '{"prompts": {"a": 5}}', '{"truncate_dim": "3"}', '{"truncate_dim": true}']
)
def test_malformed_settings(tmp_path, text):
    (tmp_path / "config_sentence_transformers.json").write_text(text)
    with pytest.raises(ConfigError, match=r"config_sentence_transformers\.json"):
        read_sentence_settings(tmp_path)


def test_the_settings_of_the_encoder(tmp_path):
    (tmp_path / "sentence_roberta_config.json").write_text('{"max_seq_length": 9}')
    assert read_max_seq_length(tmp_path) == 9
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 7, "do_lower_case": false}')
    assert read_max_seq_length(tmp_path) == 7
    (tmp_path / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    with pytest.raises(ConfigError, match="do_lower_case True is not computed here"):
        read_max_seq_length(tmp_path)


def test_activations_by_torchs_names():
    x = np.array([-200, -1, 0, 2, 200], np.float32)
    expected = {
        "Identity": x,
        "Tanh": np.tanh(x),
        "ReLU": [0, 0, 0, 2, 200],
        "Sigmoid": [0, 0.26894142, 0.5, 0.880797, 1],
        "GELU": [0, -0.15865526, 0, 1.9544997, 200],
    }
    for name, values in expected.items():
        result = activation(f"torch.nn.modules.activation.{name}")(x)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["torch.nn.modules.activation.Softmax", "builtins.exec", "os.system", "", 5])
def test_no_other_name_is_run(name):
    with pytest.raises(ConfigError, match="is not computed here, only Identity, Sigmoid"):
        activation(name)
