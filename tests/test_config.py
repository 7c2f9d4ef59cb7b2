import dataclasses
import json
import random

import pytest

from distilroberta_np import ConfigError, HubError, RobertaConfig
from tests.support.seeded import CONFIG, config_dict, write_json

REQUIRED = [
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
]
SIZES = [*REQUIRED[:-1], "pad_token_id"]


def test_values_are_read_from_the_file(tmp_path):
    write_json(tmp_path / "config.json", config_dict(architectures=["RobertaForMaskedLM"], id2label={"0": "x"}))
    config = RobertaConfig.from_pretrained(tmp_path)
    assert {name: getattr(config, name) for name in CONFIG if name != "model_type"} == {
        name: value for name, value in CONFIG.items() if name != "model_type"
    }
    assert config.architectures == ("RobertaForMaskedLM",)
    assert config.max_sequence_length == 512
    assert (
        config
        == RobertaConfig.from_file(tmp_path / "config.json")
        == RobertaConfig.from_file(str(tmp_path / "config.json"))
    )


def test_a_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RobertaConfig.from_dict(CONFIG).hidden_size = 3


def test_only_the_names_of_labels_can_be_replaced():
    config = RobertaConfig.from_dict(config_dict(num_labels=2))
    config.id2label = {0: "no", 1: "yes"}
    assert (config.labels, config.label2id) == (("no", "yes"), {"no": 0, "yes": 1})
    config.label2id = {"yes": 0, "no": 1}
    assert (config.id2label, config.label2id) == ({0: "no", 1: "yes"}, {"yes": 0, "no": 1})
    with pytest.raises(ConfigError, match="id2label must have 2 labels, as the head"):
        config.id2label = {0: "no"}
    with pytest.raises(dataclasses.FrozenInstanceError, match="new_name cannot be changed"):
        config.new_name = 3


def test_a_config_is_saved_and_read_with_other_labels(tmp_path):
    config = RobertaConfig.from_dict(config_dict(id2label={0: "no", 1: "yes"}))
    config.save_pretrained(tmp_path / "new")
    assert RobertaConfig.from_pretrained(tmp_path / "new") == config
    assert RobertaConfig.from_pretrained(tmp_path / "new", id2label={0: "a", 1: "b"}).label2id == {"a": 0, "b": 1}
    assert RobertaConfig.from_pretrained(tmp_path / "new", num_labels=3, use_fast=True).num_labels == 3
    with pytest.raises(ValueError, match="trust_remote_code True is not supported: code of a model is never run"):
        RobertaConfig.from_pretrained(tmp_path / "new", trust_remote_code=True)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_value_is_named_and_not_guessed(name):
    values = config_dict()
    del values[name]
    with pytest.raises(ConfigError, match=rf"^config: {name} missing"):
        RobertaConfig.from_dict(values)


def test_all_missing_values_are_named_at_once():
    with pytest.raises(ConfigError, match=", ".join(REQUIRED)):
        RobertaConfig.from_dict({"model_type": "roberta"})


@pytest.mark.parametrize(("name", "value"), [("hidden_act", "gelu"), ("pad_token_id", 1), ("architectures", ())])
def test_what_every_roberta_shares_has_a_default(name, value):
    values = config_dict()
    values.pop(name, None)
    assert getattr(RobertaConfig.from_dict(values), name) == value


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize(
    "value", [None, True, False, "12", 12.0, float("nan"), float("inf"), [12], {}, -1, 10**9, 10**400], ids=repr
)
def test_a_size_must_be_an_integer_in_range(name, value):
    with pytest.raises(ConfigError, match=f"^config: {name} must be"):
        RobertaConfig.from_dict(config_dict(**{name: value}))


@pytest.mark.parametrize("name", SIZES[:-1])
def test_no_size_can_be_zero(name):
    with pytest.raises(ConfigError, match=f"{name} must be between 1 and"):
        RobertaConfig.from_dict(config_dict(**{name: 0}))


@pytest.mark.parametrize(
    "value", [None, True, "1e-5", 0, 0.0, -1e-5, 1, float("nan"), float("inf"), 10**400, [1e-5]], ids=repr
)
def test_epsilon_must_be_a_number_between_0_and_1(value):
    with pytest.raises(ConfigError, match="layer_norm_eps must be a number between 0 and 1"):
        RobertaConfig.from_dict(config_dict(layer_norm_eps=value))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bert"}, "model_type 'bert' is not supported, only 'roberta'"),
        ({"model_type": "xlm-roberta"}, "model_type 'xlm-roberta'"),
        ({"model_type": None}, "model_type None"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
        ({"is_decoder": True}, "is_decoder True is not supported, only False"),
        ({"add_cross_attention": True}, "add_cross_attention True"),
        ({"tie_word_embeddings": None}, "tie_word_embeddings must be true or false, not None"),
        ({"per_layer_config": {"0": {}}}, "per_layer_config {'0': {}}"),
        ({"quantization_config": {"bits": 4}}, "quantization_config {'bits': 4}"),
        ({"hidden_act": "gelu_new"}, "hidden_act 'gelu_new' is not supported, only 'gelu'"),
        ({"hidden_act": "relu"}, "hidden_act 'relu'"),
        ({"hidden_act": None}, "hidden_act None"),
        ({"num_attention_heads": 5}, "hidden_size 16 is not a multiple of num_attention_heads 5"),
        ({"num_attention_heads": 32}, "hidden_size 16 is not a multiple of num_attention_heads 32"),
        ({"pad_token_id": 10_000}, "pad_token_id 10000 is outside the vocabulary"),
        ({"max_position_embeddings": 2}, "max_position_embeddings 2 leaves no position"),
        ({"architectures": "RobertaForMaskedLM"}, "architectures must be a list of names"),
        ({"architectures": [1]}, "architectures must be a list of names"),
        ({"architectures": {"a": 1}}, "architectures must be a list of names"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers must be between 1 and 1,000"),
    ],
    ids=repr,
)
def test_what_can_not_be_computed_is_refused_by_name(changes, message):
    with pytest.raises(ConfigError, match=message):
        RobertaConfig.from_dict(config_dict(**changes))


@pytest.mark.parametrize(
    "settings",
    [{"hidden_act": "gelu_python"}, {"position_embedding_type": None}, {"tie_word_embeddings": False}],
    ids=repr,
)
def test_settings_that_change_nothing_by_another_name(settings):
    RobertaConfig.from_dict(config_dict(**settings))


def test_what_was_read_is_saved():
    settings = {
        "bos_token_id": 5,
        "eos_token_id": None,
        "hidden_dropout_prob": 0.3,
        "attention_probs_dropout_prob": 0.0,
        "tie_word_embeddings": False,
        "hidden_act": "gelu_python",
        "problem_type": "regression",
    }
    saved = RobertaConfig.from_dict(config_dict(**settings)).to_dict()
    assert {name: saved[name] for name in settings} == settings


def test_a_model_type_must_be_given():
    values = config_dict()
    del values["model_type"]
    with pytest.raises(ConfigError, match="model_type is missing"):
        RobertaConfig.from_dict(values)


@pytest.mark.parametrize("values", [None, [], "roberta", 5, [["model_type", "roberta"]]])
def test_a_config_must_be_an_object(values):
    with pytest.raises(ConfigError, match="must be a JSON object"):
        RobertaConfig.from_dict(values)


def test_errors_do_not_repeat_a_hostile_value_at_length():
    with pytest.raises(ConfigError) as caught:
        RobertaConfig.from_dict(config_dict(hidden_size="x" * 10**6))
    assert len(str(caught.value)) < 200


VALID = json.dumps(CONFIG).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b"\0" * 100, "not valid JSON"),
        (VALID[:-1], "not valid JSON"),
        (VALID + b"}", "not valid JSON"),
        (b'{"model_type": "roberta\xff"}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"vocab_size": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (VALID[:-1] + b', "hidden_size": 32}', "an object has the key 'hidden_size' twice"),
        (VALID[:-1] + b', "x": {"y": 1, "y": 1}}', "an object has the key 'y' twice"),
        (b"null", "must be a JSON object"),
        (b"[1]", "must be a JSON object"),
        (b"{}", "model_type is missing"),
        (VALID.replace(b"1e-05", b"NaN"), "layer_norm_eps must be"),
        (VALID.replace(b"1e-05", b"1e999"), "layer_norm_eps must be"),
        (
            VALID.replace(b'"num_hidden_layers": 2', b'"num_hidden_layers": ' + b"[" * 400 + b"]" * 400),
            "num_hidden_layers",
        ),
    ],
    ids=range(15),
)
def test_a_hostile_file_gives_an_error_that_names_it(tmp_path, content, message):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        RobertaConfig.from_file(path)
    assert str(caught.value).startswith(str(path))


def test_no_file_a_folder_and_an_enormous_file_are_refused(tmp_path):
    path = tmp_path / "config.json"
    with pytest.raises(ConfigError, match=r"config\.json: no such file"):
        RobertaConfig.from_file(path)
    with open(path, "wb") as file:
        file.truncate(2**30)
    with pytest.raises(ConfigError, match="larger than 64 MiB"):
        RobertaConfig.from_file(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="not a regular file"):
        RobertaConfig.from_file(path)


def test_a_folder_that_is_not_there_is_the_hubs_error(tmp_path):
    with pytest.raises(HubError, match="nowhere"):
        RobertaConfig.from_pretrained(tmp_path / "nowhere")


def test_damaged_bytes_give_our_error_or_a_config_that_says_what_the_file_says(tmp_path):
    rng, path, refused = random.Random(0), tmp_path / "config.json", 0
    for _ in range(600):
        content = bytearray(VALID)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(content))
            if rng.random() < 0.5:
                content[place] = rng.randrange(256)
            else:
                del content[place : place + rng.randint(1, 8)]
        path.write_bytes(content)
        try:
            config = RobertaConfig.from_file(path)
        except ConfigError as error:
            assert str(path) in str(error)
            refused += 1
        else:
            written = json.loads(content)
            assert {name: written[name] for name in REQUIRED} == {name: getattr(config, name) for name in REQUIRED}
    assert 300 < refused < 600
