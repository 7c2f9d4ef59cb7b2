import pytest

from distilroberta_np import ConfigError
from distilroberta_np.sentence.sentence_settings import EncoderSettings, SentenceSettings
from tests.support.seeded import write_json

FILE = "config_sentence_transformers.json"
TASK = "feature-extraction"


def test_missing_settings_have_defaults(tmp_path):
    assert SentenceSettings.load(tmp_path) == SentenceSettings("SentenceTransformer", {}, None, None, None, None)
    assert EncoderSettings.load(tmp_path, TASK) == EncoderSettings({}, do_lower_case=False)
    write_json(tmp_path / FILE, {"prompts": {"query": None}, "future": 1})
    assert SentenceSettings.load(tmp_path).prompts == {"query": ""}


@pytest.mark.parametrize(
    "values",
    [[], {"prompts": [5]}, {"prompts": {"a": 5}}, {"truncate_dim": "3"}, {"truncate_dim": True}, {"truncate_dim": 0}],
)
def test_malformed_settings(tmp_path, values):
    write_json(tmp_path / FILE, values)
    with pytest.raises(ConfigError, match=r"config_sentence_transformers\.json"):
        SentenceSettings.load(tmp_path)


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta"])
def test_the_settings_of_an_encoder_have_several_file_names(tmp_path, name):
    write_json(tmp_path / f"sentence_{name}_config.json", {"max_seq_length": 9, "do_lower_case": True})
    assert EncoderSettings.load(tmp_path, TASK) == EncoderSettings({"model_max_length": 9}, do_lower_case=True)


def test_the_current_file_name_takes_precedence(tmp_path):
    write_json(tmp_path / "sentence_roberta_config.json", {"max_seq_length": 9})
    write_json(tmp_path / "sentence_bert_config.json", {"max_seq_length": 7})
    assert EncoderSettings.load(tmp_path, TASK).tokenizer == {"model_max_length": 7}


@pytest.mark.parametrize(
    ("values", "tokenizer"),
    [
        ({"tokenizer_args": {"add_prefix_space": True}}, {"add_prefix_space": True}),
        ({"processor_kwargs": {"model_max_length": 5}, "max_seq_length": 9}, {"model_max_length": 5}),
        ({"processing_kwargs": {"text": {"max_length": 4}}, "max_seq_length": 9}, {"model_max_length": 4}),
        ({"processing_kwargs": {"text": {"padding": True, "truncation": "longest_first"}, "audio": {"a": 1}}}, {}),
        ({"model_args": {"attn_implementation": "sdpa"}, "model_kwargs": {"dtype": "float16"}}, {}),
        ({"transformer_task": TASK, "module_output_name": "token_embeddings", "unpad_inputs": True}, {}),
        ({"query_length": None, "config_args": {}, "tokenizer_name_or_path": None}, {}),
        (
            {"modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}},
            {},
        ),
    ],
    ids=str,
)
def test_supported_settings_of_the_encoder(tmp_path, values, tokenizer):
    write_json(tmp_path / "sentence_bert_config.json", values)
    assert EncoderSettings.load(tmp_path, TASK).tokenizer == tokenizer


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_seq_length": "long"}, "max_seq_length must be a positive integer, not 'long'"),
        ({"max_seq_length": 0}, "max_seq_length must be a positive integer, not 0"),
        ({"tokenizer_args": {"model_max_length": -1}}, "model_max_length must be a positive integer, not -1"),
        ({"query_length": 32}, "query_length 32 is not supported"),
        ({"document_length": 32}, "document_length 32 is not supported"),
        ({"query_expansion": {"length": 32}}, "query_expansion .* is not supported"),
        ({"tokenizer_name_or_path": "other"}, "tokenizer_name_or_path 'other' is not supported"),
        ({"config_args": {"num_labels": 3}}, "config_args .* is not supported"),
        ({"model_args": {"subfolder": "x"}}, "subfolder 'x' is not supported"),
        ({"model_args": []}, "model_args must be an object"),
        ({"transformer_task": "fill-mask"}, "transformer_task 'fill-mask' is not supported, only 'feature-extraction'"),
        ({"module_output_name": "sentence_embedding"}, "module_output_name 'sentence_embedding' is not supported"),
        (
            {"modality_config": {"text": {"method": "forward", "method_output_name": "pooler_output"}}},
            "modality_config .* is not supported",
        ),
        ({"processing_kwargs": {"text": {"truncation": "only_first"}}}, "truncation 'only_first' is not supported"),
        ({"processing_kwargs": {"common": {"stride": 3}}}, "stride 3 is not supported"),
    ],
    ids=str,
)
def test_unsupported_settings_of_the_encoder_are_refused_by_name(tmp_path, values, message):
    write_json(tmp_path / "sentence_bert_config.json", values)
    with pytest.raises(ConfigError, match=rf"sentence_bert_config\.json: {message}"):
        EncoderSettings.load(tmp_path, TASK)


def test_round_trips(tmp_path):
    settings = SentenceSettings("CrossEncoder", {"a": "b"}, "a", None, None, "torch.nn.Tanh")
    settings.save(tmp_path)
    assert SentenceSettings.load(tmp_path) == settings
    EncoderSettings({"model_max_length": 9}).save(tmp_path, "sequence-classification")
    assert EncoderSettings.load(tmp_path, "sequence-classification").tokenizer == {"model_max_length": 9}
    with pytest.raises(ConfigError, match="transformer_task 'sequence-classification' is not supported"):
        EncoderSettings.load(tmp_path, TASK)
