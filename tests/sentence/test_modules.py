import json

import pytest

from distilroberta_np import ConfigError
from distilroberta_np.checkpoint.sentence_folder import read_modules
from distilroberta_np.sentence.dense import Dense
from distilroberta_np.sentence.modules import check_modules, load_modules, output_size
from distilroberta_np.sentence.normalize import Normalize
from distilroberta_np.sentence.pooling import Pooling
from tests.support.seeded import write_json
from tests.support.sentence_folders import HIDDEN, PACKAGE, dense_config, write_sentence_encoder

LAYERS = {"Dropout": {"dropout": 0.5}, "Dense": dense_config(), "Normalize": {}}


def test_pooling_and_layers_in_order_without_dropout(tmp_path):
    write_sentence_encoder(tmp_path, layers=LAYERS)
    pooling, layers = load_modules(tmp_path, read_modules(tmp_path), HIDDEN)
    assert pooling == Pooling()
    assert [type(layer) for layer in layers] == [Dense, Normalize]
    assert output_size(layers, HIDDEN) == 5
    assert output_size([], HIDDEN) == HIDDEN


@pytest.mark.parametrize("kinds", [["Transformer"], ["Transformer", "Normalize", "Pooling"]])
def test_the_second_module_must_be_the_pooling(tmp_path, kinds):
    write_sentence_encoder(tmp_path, layers={"Normalize": {}})
    entries = {entry["type"].rpartition(".")[2]: entry for entry in json.loads((tmp_path / "modules.json").read_text())}
    write_json(tmp_path / "modules.json", [entries[kind] for kind in kinds])
    with pytest.raises(ConfigError, match="the second module must be a Pooling"):
        load_modules(tmp_path, read_modules(tmp_path), HIDDEN)


def test_other_modules_are_refused_by_name(tmp_path):
    write_json(
        tmp_path / "modules.json", [{"type": f"{PACKAGE}.Transformer", "path": ""}, {"type": "own.CNN", "path": ""}]
    )
    modules = read_modules(tmp_path)
    with pytest.raises(ConfigError, match=r"the module 'own\.CNN' is not supported, only Pooling, Dense"):
        load_modules(tmp_path, modules, HIDDEN)
    with pytest.raises(ConfigError, match=r"the module 'own\.CNN' is not supported$"):
        check_modules(tmp_path, modules, ())
    with pytest.raises(ConfigError, match=r"the first module must be a Transformer, not 'own\.CNN'"):
        check_modules(tmp_path, modules[1:], ())
