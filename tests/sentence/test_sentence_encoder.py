"""`SentenceEncoder` on small seeded models in folders of sentence-transformers."""

import dataclasses
import inspect
import shutil
import sys

import numpy as np
import pytest

from distilroberta_np import ConfigError, PipelineException, SentenceEncoder
from distilroberta_np.runtime.batching import batches
from distilroberta_np.sentence import sentence_model
from distilroberta_np.sentence.quantization import quantize
from tests.support.seeded import write_model
from tests.support.sentence_folders import (
    HIDDEN,
    dense_config,
    dense_tensors,
    write_cross_encoder,
    write_sentence_encoder,
)

SENTENCES = ["the cat sat on the cat", "a", "", "on and on and on", "the cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_sentence_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def encoder(folder):
    return SentenceEncoder.from_pretrained(folder)


def token_states(encoder, sentence, prompt=""):
    """The final hidden states of all tokens, from a forward pass over one text."""
    ids = encoder.tokenizer.encode(prompt + sentence)
    return encoder.model(np.array([ids])).last_hidden_state[0]


class Column:
    """As pandas, polars and datasets have it."""

    def __init__(self, items):
        self._items = items

    def __len__(self):
        return len(self._items)

    def __getitem__(self, index):
        return self._items[index]


def assert_close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_sentence_and_a_list_of_sentences(encoder):
    one, many = encoder.encode(SENTENCES[0]), encoder.encode(SENTENCES)
    assert one.shape == (HIDDEN,) and many.shape == (len(SENTENCES), HIDDEN)
    assert one.dtype == many.dtype == np.float32
    assert encoder.get_embedding_dimension() == HIDDEN
    assert_close(many, [token_states(encoder, sentence).mean(axis=0) for sentence in SENTENCES])
    assert_close(one, many[0])
    assert_close(encoder.encode(tuple(SENTENCES)), many)
    assert_close(encoder.encode(np.array(SENTENCES)), many)
    assert_close(encoder.encode(Column(SENTENCES)), many)
    assert encoder.encode([]).shape == (0, HIDDEN)


def test_an_iterator_is_read_as_its_results_are_consumed(encoder):
    read = []

    def sentences():
        for sentence in SENTENCES:
            read.append(sentence)
            yield sentence

    embeddings = encoder.encode(sentences(), batch_size=2)
    first = next(embeddings)
    assert read == SENTENCES[:2]
    assert_close([first, *embeddings], encoder.encode(SENTENCES))


def test_memory_is_bounded_by_batches_of_tokens(encoder, monkeypatch):
    sentences = [f"{first} {second}" for first in SENTENCES for second in SENTENCES]
    expected = encoder.encode(sentences)
    held = []
    encode = encoder.model.encode
    monkeypatch.setattr(sentence_model, "batches", lambda lengths: batches(lengths, 40))
    monkeypatch.setattr(encoder.model, "encode", lambda ids, at: held.append(sum(map(len, ids))) or encode(ids, at))
    assert_close(encoder.encode(sentences), expected)
    assert len(held) > 5 and max(held) <= 40


@pytest.mark.parametrize("option", ["progress", "show_progress_bar"])
def test_a_progress_bar_counts_sentences(encoder, monkeypatch, bars, option):
    encoder.encode([*SENTENCES, "a"], **{option: True})
    list(encoder.encode(iter(SENTENCES), **{option: True}))
    encoder.encode("a", **{option: True})
    assert [(bar.total, bar.done) for bar in bars] == [(len(SENTENCES) + 1,) * 2, (None, len(SENTENCES))]


def test_equal_sentences_have_equal_embeddings(encoder):
    embeddings = encoder.encode([*SENTENCES, *SENTENCES])
    assert np.array_equal(embeddings[: len(SENTENCES)], embeddings[len(SENTENCES) :])


@pytest.mark.parametrize("modes", [("cls",), ("mean", "max")])
def test_pooling_by_the_config(tmp_path, encoder, modes):
    folder = write_sentence_encoder(tmp_path, pooling={"pooling_mode": list(modes)})
    pooled = {"cls": lambda x: x[0], "mean": lambda x: x.mean(axis=0), "max": lambda x: x.max(axis=0)}
    states = [token_states(encoder, sentence) for sentence in SENTENCES]
    expected = [np.concatenate([pooled[mode](state) for mode in modes]) for state in states]
    assert_close(SentenceEncoder.from_pretrained(folder).encode(SENTENCES), expected)


def test_layers_after_the_pooling(tmp_path):
    plain = SentenceEncoder.from_pretrained(write_sentence_encoder(tmp_path / "plain")).encode(SENTENCES)
    for number, bias in enumerate([True, False]):
        config = dense_config(bias=bias)
        layers = {"Dropout": {"dropout": 0.5}, "Dense": config, "Normalize": {}}
        encoder = SentenceEncoder.from_pretrained(write_sentence_encoder(tmp_path / str(number), layers=layers))
        tensors = dense_tensors(config)
        expected = np.tanh(plain @ tensors["linear.weight"].T + tensors.get("linear.bias", 0))
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        assert_close(encoder.encode(SENTENCES), expected)
        assert encoder.get_embedding_dimension() == 5
        assert encoder.encode([]).shape == (0, 5)


def test_embeddings_are_truncated_before_they_are_normalized(encoder):
    whole = encoder.encode(SENTENCES)
    assert_close(encoder.encode(SENTENCES, truncate_dim=3), whole[:, :3])
    cut = encoder.encode(SENTENCES, truncate_dim=3, normalize_embeddings=True)
    assert_close(np.linalg.norm(cut, axis=1), np.ones(len(SENTENCES)))
    assert_close(cut, whole[:, :3] / np.linalg.norm(whole[:, :3], axis=1, keepdims=True))
    assert encoder.encode(SENTENCES, truncate_dim=99).shape == whole.shape


def test_a_long_sentence_is_truncated(tmp_path):
    encoder = SentenceEncoder.from_pretrained(write_sentence_encoder(tmp_path, encoder_settings={"max_seq_length": 5}))
    ids = encoder.tokenizer.encode(SENTENCES[0])
    expected = encoder.model(np.array([[*ids[:4], ids[-1]]])).last_hidden_state[0].mean(axis=0)
    assert_close(encoder.encode(SENTENCES[0]), expected)
    encoder.max_seq_length = 4096  # more than the model reads
    assert_close(encoder.encode("on " * 3000), encoder.encode("on " * 2000))
    encoder.max_seq_length = 2
    with pytest.raises(ValueError, match="max_seq_length must be at least 3"):
        encoder.encode("a")


def test_prompts_by_name_by_default_and_as_text(tmp_path):
    settings = {"prompts": {"query": "the cat ", "corpus": "on "}, "default_prompt_name": "corpus"}
    encoder = SentenceEncoder.from_pretrained(write_sentence_encoder(tmp_path, settings=settings))
    bare = encoder.encode(SENTENCES, prompt="")
    with_query = encoder.encode([f"the cat {sentence}" for sentence in SENTENCES], prompt="")
    with_corpus = encoder.encode([f"on {sentence}" for sentence in SENTENCES], prompt="")
    assert_close(encoder.encode(SENTENCES, prompt_name="query"), with_query)
    assert_close(encoder.encode(SENTENCES), with_corpus)
    assert_close(encoder.encode_query(SENTENCES), with_query)
    assert_close(encoder.encode_query(SENTENCES, prompt="on "), with_corpus)
    assert_close(encoder.encode_document(SENTENCES), bare)  # "document" is "", and takes precedence over "corpus"
    del encoder.prompts["document"]
    assert_close(encoder.encode_document(SENTENCES), with_corpus)
    with pytest.raises(ValueError, match="no prompt is named 'passage'; the names are: query, corpus"):
        encoder.encode(SENTENCES, prompt_name="passage")


def test_given_settings_take_precedence_over_those_of_the_model(tmp_path):
    settings = {"prompts": {"query": "the cat ", "corpus": "on "}, "similarity_fn_name": "dot", "truncate_dim": 7}
    folder = write_sentence_encoder(tmp_path, settings=settings)
    encoder = SentenceEncoder.from_pretrained(
        folder, prompts={"query": "a"}, default_prompt_name="query", similarity_fn_name="euclidean", truncate_dim=3
    )
    assert encoder.prompts == {"query": "a", "document": "", "corpus": "on "}
    assert (encoder.default_prompt_name, encoder.similarity_fn_name, encoder.truncate_dim) == ("query", "euclidean", 3)
    assert encoder.encode("a").shape == (3,)
    encoder = SentenceEncoder.from_pretrained(folder)
    assert (encoder.similarity_fn_name, encoder.get_embedding_dimension()) == ("dot", 7)


def test_a_prompt_that_is_not_pooled(tmp_path):
    folder = write_sentence_encoder(tmp_path, pooling={"include_prompt": False})
    encoder = SentenceEncoder.from_pretrained(folder)
    prompt = "on the "
    skipped = len(encoder.tokenizer.encode(prompt)) - 1
    expected = [token_states(encoder, sentence, prompt)[skipped:].mean(axis=0) for sentence in SENTENCES]
    assert_close(encoder.encode(SENTENCES, prompt=prompt), expected)
    with pytest.raises(PipelineException, match=r"no tokens are left after the prompt.*\(input 1\)"):
        encoder.encode(["cat", "e"], prompt="t h th")  # "th" and "e" make one token


def test_similarity_functions(encoder):
    embeddings = encoder.encode(SENTENCES)
    assert encoder.similarity_fn_name == "cosine"
    assert_close(np.diag(encoder.similarity(embeddings, embeddings)), np.ones(len(embeddings)))
    assert_close(encoder.similarity_pairwise(embeddings, embeddings), np.ones(len(embeddings)))
    other = SentenceEncoder(encoder.model, encoder.tokenizer, similarity_fn_name="manhattan")
    assert_close(np.diag(other.similarity(embeddings, embeddings)), np.zeros(len(embeddings)))
    assert_close(
        other.similarity_pairwise(embeddings, embeddings[::-1]), -np.abs(embeddings - embeddings[::-1]).sum(axis=1)
    )


def test_an_old_folder_with_the_encoder_in_a_subfolder(tmp_path, encoder):
    folder = write_sentence_encoder(tmp_path, encoder="0_Transformer")
    assert_close(SentenceEncoder.from_pretrained(folder).encode(SENTENCES), encoder.encode(SENTENCES))


def test_a_model_without_modules_uses_mean_pooling_with_a_warning(tmp_path, encoder):
    bare = write_model(tmp_path)
    with pytest.warns(
        UserWarning, match=r"has no modules\.json, so it was not trained as a sentence encoder"
    ) as caught:
        embeddings = SentenceEncoder.from_pretrained(bare).encode(SENTENCES)
    assert caught[0].filename == __file__
    assert_close(embeddings, encoder.encode(SENTENCES))


def test_the_settings_of_a_cross_encoder_are_not_used(tmp_path, encoder):
    folder = write_cross_encoder(tmp_path, settings={"prompts": {"query": "on "}, "default_prompt_name": "query"})
    with pytest.warns(UserWarning, match="was saved as a CrossEncoder"):
        embeddings = SentenceEncoder.from_pretrained(folder).encode(SENTENCES)
    assert_close(embeddings, encoder.encode(SENTENCES))


@pytest.mark.parametrize("sentences", [5, None, b"a", {"a": 1}])
def test_inputs_of_the_wrong_type(encoder, sentences):
    with pytest.raises(TypeError, match="must be a text or an iterable of texts"):
        encoder.encode(sentences)


def test_errors_name_the_index_of_an_input(encoder):
    with pytest.raises(TypeError, match="input 1 must be a text, not int"):
        encoder.encode(["a", 5])
    with pytest.raises(PipelineException, match=r"U\+D800.*\(input 1\)"):
        encoder.encode(["a", "\ud800"])
    answers = list(encoder.answers(["a", "\ud800", "a"]))
    assert isinstance(answers[1], PipelineException)
    assert_close(answers[0], answers[2])
    (packed,) = encoder.answers(["a"], precision="ubinary")
    np.testing.assert_array_equal(packed, encoder.encode("a", precision="ubinary"))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"truncate_dim": 0}, ValueError, "truncate_dim must be at least 1"),
        ({"truncate_dim": 2.5}, TypeError, "truncate_dim must be an integer"),
        ({"normalize_embeddings": "yes"}, TypeError, "normalize_embeddings must be True or False"),
        ({"prompt": 5}, TypeError, "prompt must be"),
        ({"precision": "float16"}, ValueError, "precision must be"),
        ({"precision": "int8"}, ValueError, "int8 needs"),
        ({"output_value": "all"}, ValueError, "output_value must be"),
        ({"output_value": None}, ValueError, "output_value must be"),
        ({"output_value": "token_embeddings", "precision": "binary"}, ValueError, "precision binary is not supported"),
        ({"device": "cuda"}, ValueError, "device 'cuda' is not supported"),
        ({"convert_to_tensor": 1}, TypeError, "convert_to_tensor must be True or False"),
        ({"normalise": True}, TypeError, "unknown option 'normalise'"),
    ],
)
def test_invalid_arguments(encoder, arguments, error, message):
    with pytest.raises(error, match=message):
        encoder.encode("a", **arguments)


def test_unsupported_settings_are_refused_by_name(tmp_path):
    folder = write_sentence_encoder(tmp_path, encoder_settings={"query_length": 32})
    with pytest.raises(ConfigError, match=r"sentence_bert_config\.json: query_length 32 is not supported"):
        SentenceEncoder.from_pretrained(folder)


def test_repr_names_the_modules(tmp_path):
    folder = write_sentence_encoder(tmp_path, layers={"Normalize": {}}, encoder_settings={"max_seq_length": 9})
    text = repr(SentenceEncoder.from_pretrained(folder))
    assert text.startswith("SentenceEncoder(") and text.endswith(
        ", mean pooling, Normalize, 16 dimensions, max_seq_length=9)"
    )


def test_a_name_in_the_constructor(folder, encoder):
    assert_close(SentenceEncoder(str(folder), device="cpu").encode("a"), encoder.encode("a"))
    with pytest.raises(ValueError, match="device 'cuda' is not supported"):
        SentenceEncoder(folder, device="cuda")
    with pytest.raises(ValueError, match=r"needs its tokenizer: SentenceEncoder\(model, tokenizer\)"):
        SentenceEncoder(encoder.model)


def test_weights_can_be_read_into_memory_and_the_config_is_the_models_own(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    encoder = SentenceEncoder(copy, memory_map=False)
    expected = encoder.encode("a")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[::-1])
    assert_close(encoder.encode("a"), expected)
    with pytest.raises(ValueError, match="config is not the model's own"):
        SentenceEncoder(folder, config=dataclasses.replace(encoder.model.config, layer_norm_eps=0.5))


def test_a_pair_is_one_input(encoder):
    pairs = [("the cat", "sat"), ["a", "on " * 600]]
    ids = encoder.tokenizer.encode(*pairs[0])
    expected = encoder.model(np.array([ids])).last_hidden_state[0].mean(axis=0)
    embeddings = encoder.encode([*pairs, "a"])
    assert_close(embeddings[0], expected)
    assert_close(embeddings[2], encoder.encode("a"))
    assert_close(encoder.encode([("sat", "a")], prompt="the cat "), encoder.encode([("the cat sat", "a")]))


def test_token_embeddings(encoder):
    tokens = encoder.encode(SENTENCES, output_value="token_embeddings")
    assert isinstance(tokens, list)
    for sentence, states in zip(SENTENCES, tokens, strict=True):
        assert_close(states, token_states(encoder, sentence))
    assert_close(encoder.encode("a", output_value="token_embeddings"), token_states(encoder, "a"))
    assert encoder.encode([], output_value="token_embeddings") == []


def test_lower_precision(encoder):
    embeddings = encoder.encode(SENTENCES)
    for precision in ("int8", "uint8", "binary", "ubinary"):
        np.testing.assert_array_equal(encoder.encode(SENTENCES, precision=precision), quantize(embeddings, precision))
    one = next(encoder.encode(iter(SENTENCES), precision="binary"))
    np.testing.assert_array_equal(one, quantize(embeddings[0], "binary"))


def test_tensors(encoder):
    torch = pytest.importorskip("torch", reason="needs the parity extra")
    expected = encoder.encode(SENTENCES)
    tensor = encoder.encode(SENTENCES, convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor) and np.array_equal(tensor.numpy(), expected)
    tensors = encoder.encode(SENTENCES, convert_to_numpy=False)
    assert isinstance(tensors, list) and np.array_equal(torch.stack(tensors).numpy(), expected)
    assert encoder.encode("a", convert_to_tensor=True).shape == (HIDDEN,)
    for compare in (encoder.similarity, encoder.similarity_pairwise):
        assert np.array_equal(compare(tensor, tensor).numpy(), compare(expected, expected))
    assert next(encoder.encode(iter(SENTENCES), convert_to_tensor=True)).shape == (HIDDEN,)


def test_without_torch_the_error_says_what_to_install(encoder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="pip install torch"):
        encoder.encode("a", convert_to_tensor=True)


def test_the_interfaces_of_langchain_and_chroma(encoder):
    expected = encoder.encode(SENTENCES)
    assert encoder.embed_documents(SENTENCES) == expected.tolist()
    assert_close(encoder.embed_query(SENTENCES[0]), expected[0])
    arrays = encoder(SENTENCES)
    assert isinstance(arrays, list) and arrays[0].dtype == np.float32 and np.array_equal(arrays, expected)
    assert list(inspect.signature(type(encoder).__call__).parameters) == ["self", "input"]  # Chroma checks this


def test_the_older_names(encoder):
    assert encoder.get_sentence_embedding_dimension() == HIDDEN
    assert encoder.get_max_seq_length() == encoder.max_seq_length == 512
    assert encoder.device == "cpu"


def test_lower_case_but_not_in_special_tokens(tmp_path, encoder):
    lower = SentenceEncoder(write_sentence_encoder(tmp_path, encoder_settings={"do_lower_case": True}))
    assert_close(lower.encode(["THE Cat", "<mask> ON"]), encoder.encode(["the cat", "<mask> on"]))
    lower.save_pretrained(tmp_path / "saved")
    assert_close(SentenceEncoder(tmp_path / "saved").encode("THE Cat"), encoder.encode("the cat"))


def test_tokenizer_settings_of_the_encoder(tmp_path, encoder):
    folder = write_sentence_encoder(tmp_path, encoder_settings={"tokenizer_args": {"add_prefix_space": True}})
    assert_close(SentenceEncoder(folder).encode("the cat"), encoder.encode(" the cat"))


def test_a_round_trip(tmp_path):
    folder = write_sentence_encoder(
        tmp_path,
        pooling={"pooling_mode": ["max", "cls"], "include_prompt": False},
        layers={"Dropout": {}, "Dense": dense_config(in_features=2 * HIDDEN), "Normalize": {}},
        settings={"prompts": {"query": "on "}, "similarity_fn_name": "dot", "truncate_dim": 3},
        encoder_settings={"max_seq_length": 9},
    )
    encoder = SentenceEncoder(folder, default_prompt_name="query")
    encoder.save_pretrained(tmp_path / "saved")
    saved = SentenceEncoder(tmp_path / "saved")
    for name in ("pooling", "prompts", "default_prompt_name", "similarity_fn_name", "truncate_dim", "max_seq_length"):
        assert getattr(saved, name) == getattr(encoder, name)
    np.testing.assert_array_equal(saved.encode(SENTENCES), encoder.encode(SENTENCES))


def test_other_layers_cannot_be_saved(tmp_path, encoder):
    own = SentenceEncoder(encoder.model, encoder.tokenizer, layers=[np.tanh])
    with pytest.raises(ValueError, match="layers other than Dense and Normalize cannot be saved"):
        own.save_pretrained(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_arguments_of_loading(folder, encoder):
    harmless = {"device": None, "token": True, "trust_remote_code": False, "backend": "torch", "cache_folder": None}
    loaded = SentenceEncoder(folder, **harmless, model_kwargs={"torch_dtype": "float32"})
    assert_close(loaded.encode("a"), encoder.encode("a"))
    for argument in ("tokenizer_kwargs", "processor_kwargs"):
        prefixed = SentenceEncoder(folder, **{argument: {"add_prefix_space": True}})
        assert_close(prefixed.encode("the cat"), encoder.encode(" the cat"))
    for name, value in {"trust_remote_code": True, "backend": "onnx"}.items():
        with pytest.raises(ValueError, match=name):
            SentenceEncoder(folder, **{name: value})
    with pytest.raises(TypeError, match="unknown option 'revison'; did you mean revision"):
        SentenceEncoder(folder, revison="main")
    assert encoder.to("cpu") is encoder
    with pytest.raises(ValueError, match="device 'cuda' is not supported"):
        encoder.to("cuda")


def test_truncation_on_the_left(folder, encoder):
    left = SentenceEncoder(folder, max_seq_length=4, tokenizer_kwargs={"truncation_side": "left"})
    ids = encoder.tokenizer.encode(SENTENCES[0])
    expected = encoder.model(np.array([[ids[0], *ids[-3:]]])).last_hidden_state[0].mean(axis=0)
    assert_close(left.encode(SENTENCES[0]), expected)
