"""The reference next to the fast path, which has its own tests against loops, recorded outputs and transformers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from distilroberta_np import RobertaForMaskedLM, pipeline, reference
from distilroberta_np.hub import find_embedded
from tests.support.recorded import PREDICTIONS, recorded_model
from tests.support.seeded import VOCAB_SIZE, seeded_tensors, write_model

FOLDER = Path(reference.__file__).parent
SHAPES = {
    "as it is": {},
    "3 heads of 5": {"hidden_size": 15, "num_attention_heads": 3, "intermediate_size": 7},
    "1 layer, 1 head": {"num_hidden_layers": 1, "num_attention_heads": 1},
    "heads of size 1": {"hidden_size": 7, "num_attention_heads": 7},
    "2 token types": {"type_vocab_size": 2},
    "pad token 0": {"pad_token_id": 0},
    "pad token 3": {"pad_token_id": 3},
    "eps 0.1": {"layer_norm_eps": 0.1},
    "5 layers": {"num_hidden_layers": 5, "intermediate_size": 3},
}


def close(ours, expected, atol):
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("length", [1, 2, 9, 40])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_hidden_state_and_attention_map_equals_the_fast_path(tmp_path, shape, length):
    folder = write_model(tmp_path, seeded_tensors(length, **shape), **shape)
    ids = np.random.default_rng(length).integers(5, VOCAB_SIZE, length)
    params, config = reference.load(folder)
    record = {}
    logits = reference.forward(ids, params, config, record)
    expected = RobertaForMaskedLM.from_pretrained(folder)(ids[None], output_hidden_states=True, output_attentions=True)
    layers = [record[f"layer.{n}"] for n in range(config["num_hidden_layers"])]
    states = [record["embeddings"]["norm"], *(layer["feed_forward_norm"] for layer in layers)]
    for ours, state in zip(states, expected.hidden_states, strict=True):
        close(ours, state[0], 3e-5)
    for layer, attention in zip(layers, expected.attentions, strict=True):
        close(layer["probabilities"], attention[0], 1e-5)
    close(logits, expected.logits[0], 2e-4)
    np.testing.assert_array_equal(logits, reference.forward(ids, params, config))


def test_the_record_has_every_intermediate_with_the_shape_that_the_comments_give(tmp_path):
    params, config = reference.load(write_model(tmp_path))
    tokens, hidden, heads, size, wide = 6, 16, 4, 4, 32
    record = {}
    logits = reference.forward(np.arange(5, 5 + tokens), params, config, record)
    per_token = (tokens, hidden)
    layer = {
        "query": (heads, tokens, size),
        "key": (heads, tokens, size),
        "value": (heads, tokens, size),
        "scores": (heads, tokens, tokens),
        "probabilities": (heads, tokens, tokens),
        "context": per_token,
        "attention_output": per_token,
        "attention_sum": per_token,
        "attention_norm": per_token,
        "feed_forward_inner": (tokens, wide),
        "feed_forward_activation": (tokens, wide),
        "feed_forward_output": per_token,
        "feed_forward_sum": per_token,
        "feed_forward_norm": per_token,
    }
    assert {part: {name: array.shape for name, array in arrays.items()} for part, arrays in record.items()} == {
        "embeddings": {
            "word": per_token,
            "position": per_token,
            "token_type": (hidden,),
            "sum": per_token,
            "norm": per_token,
        },
        "layer.0": layer,
        "layer.1": layer,
        "lm_head": {"dense": per_token, "activation": per_token, "norm": per_token, "logits": (tokens, VOCAB_SIZE)},
    }
    first, second = record["layer.0"], record["layer.1"]
    np.testing.assert_array_equal(first["attention_sum"], record["embeddings"]["norm"] + first["attention_output"])
    np.testing.assert_array_equal(second["feed_forward_sum"], second["attention_norm"] + second["feed_forward_output"])
    assert record["lm_head"]["logits"] is logits
    assert all(array.dtype == np.float32 for arrays in record.values() for array in arrays.values())


@pytest.mark.parametrize("text", ["The man worked as a <mask>.", "<mask>", "Ça coûte <mask> € — n'est-ce pas?\n"])
def test_fill_mask_on_the_embedded_model_equals_the_pipeline(text):
    expected = pipeline("fill-mask", find_embedded())(text)
    answers = reference.fill_mask(text, find_embedded())
    assert [word for _, word in answers] == [answer["token_str"] for answer in expected]
    np.testing.assert_allclose([score for score, _ in answers], [a["score"] for a in expected], rtol=2e-5)


def test_fill_mask_on_the_embedded_model_equals_recorded_outputs_of_transformers():
    folder, cases = recorded_model(), PREDICTIONS["cases"]
    calls = [case for case in cases if set(case["call"]) == {"inputs"} and isinstance(case["call"]["inputs"], str)]
    single = [case for case in calls if case["call"]["inputs"].count("<mask>") == 1]
    assert len(single) > 4
    for case in single[:5]:
        answers = reference.fill_mask(case["call"]["inputs"], folder)
        assert [word for _, word in answers] == [answer["token_str"] for answer in case["output"]]
        np.testing.assert_allclose([score for score, _ in answers], [a["score"] for a in case["output"]], rtol=1e-4)


def run(*arguments, cwd, **environment):
    result = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


TEXT = "The man worked as a <mask>."


def test_the_command_answers_from_the_embedded_model_or_a_folder(tmp_path):
    root = str(FOLDER.parents[1])
    lines = run("-m", "distilroberta_np.reference", TEXT, cwd=tmp_path, PYTHONPATH=root).splitlines()
    answers = reference.fill_mask(TEXT, find_embedded())
    assert lines == [f"{score:.4f} {word.strip()}" for score, word in answers]
    folder = write_model(tmp_path / "model")
    lines = run("-m", "distilroberta_np.reference", TEXT, str(folder), cwd=tmp_path, PYTHONPATH=root).splitlines()
    assert len(lines) == 5
    assert [line.split()[0] for line in lines] == [f"{score:.4f}" for score, _ in reference.fill_mask(TEXT, folder)]


_ONLY_NUMPY = """
import runpy, sys

class OnlyNumPy:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "numpy", "reference"}:
            raise ModuleNotFoundError(f"No module named {name!r} where only NumPy is")

sys.meta_path.insert(0, OnlyNumPy())
runpy.run_module("reference", run_name="__main__", alter_sys=True)
"""


def test_a_copy_of_the_folder_answers_with_numpy_and_the_standard_library_alone(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "reference")
    lines = run("-c", _ONLY_NUMPY, TEXT, str(find_embedded()), cwd=tmp_path, PYTHONPATH=str(tmp_path)).splitlines()
    assert [line.split()[1] for line in lines] == [
        word.strip() for _, word in reference.fill_mask(TEXT, find_embedded())
    ]


def test_it_is_short():
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in FOLDER.glob("*.py")}
    assert sum(lines.values()) <= 350
    assert lines["roberta.py"] <= 150
