"""`distilroberta-np info`, on the embedded model, whose numbers are known."""

import json

from distilroberta_np.cli import main
from distilroberta_np.hub import find_embedded


def test_info_counts_what_is_there(capsys):
    assert main(["info", "--model", str(find_embedded()), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["parameters"]["in all"] == 9_147_904
    assert sum(facts["parameters"].values()) == 2 * 9_147_904
    assert facts["model"]["dtype"] == ["F16"]
    assert facts["model"]["bytes"] == (find_embedded() / "model.safetensors").stat().st_size
    assert facts["model"]["bytes in memory"] == 4 * 9_147_904
    assert facts["config"]["num_hidden_layers"] == 6
    assert facts["tokenizer"]["entries"] == 16_384
    assert facts["tokenizer"]["mask"] == "<mask> (16383)"


def test_piped_info_is_a_line_a_fact(capsys):
    assert main(["info", "--model", str(find_embedded())]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert ["parameters", "in all", "9,147,904"] in lines


def test_a_folder_without_a_model_ends_with_2(capsys, tmp_path):
    assert main(["info", "--model", str(tmp_path)]) == 2
    assert "config.json" in capsys.readouterr().err
