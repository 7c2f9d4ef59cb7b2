"""`SentenceEncoder` and `CrossEncoder`, on small seeded models in folders of sentence-transformers."""

import json

import numpy as np
import pytest

from distilroberta_np import (
    CheckpointError,
    ConfigError,
    CrossEncoder,
    PipelineException,
    RobertaForSequenceClassification,
    RobertaModel,
    RobertaTokenizer,
    SentenceEncoder,
)
from distilroberta_np.sentence import sentence_encoder
from distilroberta_np.sentence.pooling import POOLING_MODES
from tests.support.seeded import write_json, write_model
from tests.support.sentence_folders import (
    HIDDEN,
    classifier_tensors,
    dense_config,
    dense_tensors,
    write_cross_encoder,
    write_sentence_encoder,
)

SENTENCES = ["the cat sat on the cat", "a", "", "on and on and on", "the cat"]
PAIRS = [("the cat", "sat"), ("a", "the cat sat on the cat"), ("", "")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_sentence_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def encoder(folder):
    return SentenceEncoder.from_pretrained(folder)


def token_vectors(encoder, sentence, prompt=""):
    """The last vectors of all tokens, by a forward pass over one text."""
    ids = encoder.tokenizer.encode(prompt + sentence).ids
    return encoder.model(np.array([ids])).last_hidden_state[0]


def assert_close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


# -- sentence encoder: results ---------------------------------------------------------------------------------------


def test_a_sentence_gives_its_mean_and_a_list_a_row_each(encoder):
    one, many = encoder.encode(SENTENCES[0]), encoder.encode(SENTENCES)
    assert one.shape == (HIDDEN,) and many.shape == (len(SENTENCES), HIDDEN)
    assert one.dtype == many.dtype == np.float32
    assert encoder.get_embedding_dimension() == HIDDEN
    assert_close(many, [token_vectors(encoder, sentence).mean(axis=0) for sentence in SENTENCES])
    assert_close(one, many[0])
    assert_close(encoder.encode(tuple(SENTENCES)), many)
    assert_close(encoder.encode(np.array(SENTENCES)), many)
    assert encoder.encode([]).shape == (0, HIDDEN)


def test_a_stream_gives_vectors_as_it_is_read(encoder):
    read = []

    def sentences():
        for sentence in SENTENCES:
            read.append(sentence)
            yield sentence

    vectors = encoder.encode(sentences(), batch_size=2)
    first = next(vectors)
    assert read == SENTENCES[:2]
    assert_close([first, *vectors], encoder.encode(SENTENCES))


def test_many_long_sentences_are_pooled_some_at_a_time(encoder, monkeypatch):
    sentences = [f"{first} {second}" for first in SENTENCES for second in SENTENCES]
    held = []
    encode_at = sentence_encoder.encode_at
    monkeypatch.setattr(sentence_encoder, "_MOST_TOKENS", 40)
    monkeypatch.setattr(
        sentence_encoder,
        "encode_at",
        lambda ids, *rest: held.append(sum(map(len, ids))) or encode_at(ids, *rest),
    )
    vectors = encoder.encode(sentences)
    assert len(held) > 5 and max(held) <= 40
    monkeypatch.undo()
    assert_close(vectors, encoder.encode(sentences))


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_pooling_by_the_config_of_today_and_of_old(tmp_path, mode):
    names = {"cls": "cls_token", "lasttoken": "lasttoken"}
    old = {
        "pooling_mode_mean_tokens": False,
        f"pooling_mode_{names.get(mode, mode.removesuffix('_tokens') + '_tokens')}": True,
    }
    vectors = [
        SentenceEncoder.from_pretrained(write_sentence_encoder(tmp_path / str(n), pooling=pooling)).encode(SENTENCES)
        for n, pooling in enumerate([{"pooling_mode": mode}, old, {"pooling_mode": [mode, "cls"]}])
    ]
    assert_close(vectors[1], vectors[0])
    assert_close(vectors[2][:, :HIDDEN], vectors[0])
    assert vectors[2].shape[1] == 2 * HIDDEN


def test_what_follows_the_pooling(tmp_path):
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


def test_vectors_are_cut_and_then_normalized(encoder):
    whole = encoder.encode(SENTENCES)
    assert_close(encoder.encode(SENTENCES, truncate_dim=3), whole[:, :3])
    cut = encoder.encode(SENTENCES, truncate_dim=3, normalize_embeddings=True)
    assert_close(np.linalg.norm(cut, axis=1), np.ones(len(SENTENCES)))
    assert_close(cut, whole[:, :3] / np.linalg.norm(whole[:, :3], axis=1, keepdims=True))
    assert encoder.encode(SENTENCES, truncate_dim=99).shape == whole.shape


def test_a_long_sentence_is_cut(tmp_path):
    encoder = SentenceEncoder.from_pretrained(write_sentence_encoder(tmp_path, encoder_settings={"max_seq_length": 5}))
    ids = encoder.tokenizer.encode(SENTENCES[0]).ids
    expected = encoder.model(np.array([[*ids[:4], ids[-1]]])).last_hidden_state[0].mean(axis=0)
    assert_close(encoder.encode(SENTENCES[0]), expected)
    encoder.max_seq_length = 4096  # more than the model has room for
    assert_close(encoder.encode("on " * 3000), encoder.encode("on " * 2000))
    encoder.max_seq_length = 2
    with pytest.raises(ValueError, match="max_seq_length must be at least 3"):
        encoder.encode("a")


# -- prompts ---------------------------------------------------------------------------------------------------------


def test_prompts_by_name_by_default_and_as_given(tmp_path):
    settings = {"prompts": {"query": "the cat ", "corpus": "on "}, "default_prompt_name": "corpus"}
    encoder = SentenceEncoder.from_pretrained(write_sentence_encoder(tmp_path, settings=settings))
    bare = encoder.encode(SENTENCES, prompt="")
    with_query = encoder.encode([f"the cat {sentence}" for sentence in SENTENCES], prompt="")
    with_corpus = encoder.encode([f"on {sentence}" for sentence in SENTENCES], prompt="")
    assert_close(encoder.encode(SENTENCES, prompt_name="query"), with_query)
    assert_close(encoder.encode(SENTENCES), with_corpus)
    assert_close(encoder.encode_query(SENTENCES), with_query)
    assert_close(encoder.encode_query(SENTENCES, prompt="on "), with_corpus)
    assert_close(encoder.encode_document(SENTENCES), bare)  # "document" is "", and goes before "corpus"
    del encoder.prompts["document"]
    assert_close(encoder.encode_document(SENTENCES), with_corpus)
    with pytest.raises(ValueError, match="there is no prompt 'passage', only 'query', 'corpus'"):
        encoder.encode(SENTENCES, prompt_name="passage")


def test_own_prompts_go_before_those_of_the_model(tmp_path):
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
    skipped = len(encoder.tokenizer.encode(prompt).ids) - 1
    expected = [token_vectors(encoder, sentence, prompt)[skipped:].mean(axis=0) for sentence in SENTENCES]
    assert_close(encoder.encode(SENTENCES, prompt=prompt), expected)
    with pytest.raises(PipelineException, match=r"none of the text's tokens are left beside the prompt's.*\(input 1\)"):
        encoder.encode(["cat", "e"], prompt="t h th")  # "th" and "e" make one token


# -- similarity ------------------------------------------------------------------------------------------------------


def test_similarity_by_the_name_of_the_function(encoder):
    vectors = encoder.encode(SENTENCES)
    assert encoder.similarity_fn_name == "cosine"
    assert_close(np.diag(encoder.similarity(vectors, vectors)), np.ones(len(vectors)))
    assert_close(encoder.similarity_pairwise(vectors, vectors), np.ones(len(vectors)))
    other = SentenceEncoder(encoder.model, encoder.tokenizer, similarity_fn_name="manhattan")
    assert_close(np.diag(other.similarity(vectors, vectors)), np.zeros(len(vectors)))
    assert_close(other.similarity_pairwise(vectors, vectors[::-1]), -np.abs(vectors - vectors[::-1]).sum(axis=1))


# -- folders ---------------------------------------------------------------------------------------------------------


def test_a_folder_of_old_with_the_encoder_in_one_of_its_own(tmp_path, encoder):
    folder = write_sentence_encoder(tmp_path, encoder="0_Transformer")
    assert_close(SentenceEncoder.from_pretrained(folder).encode(SENTENCES), encoder.encode(SENTENCES))


def test_a_model_alone_gives_the_mean_with_a_warning(tmp_path, encoder):
    bare = write_model(tmp_path)
    with pytest.warns(UserWarning, match=r"has no modules\.json, so it is no sentence encoder by itself") as caught:
        vectors = SentenceEncoder.from_pretrained(bare).encode(SENTENCES)
    assert caught[0].filename == __file__
    assert_close(vectors, encoder.encode(SENTENCES))


def test_a_cross_encoder_gives_the_mean_too_and_none_of_its_settings(tmp_path, encoder):
    folder = write_cross_encoder(tmp_path, settings={"prompts": {"query": "on "}, "default_prompt_name": "query"})
    with pytest.warns(UserWarning, match="was made as a CrossEncoder"):
        vectors = SentenceEncoder.from_pretrained(folder).encode(SENTENCES)
    assert_close(vectors, encoder.encode(SENTENCES))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": {"word_embedding_dimension": 8}}, r"1_Pooling/config\.json: pools vectors of 8 numbers"),
        ({"pooling": {"pooling_mode": "median"}}, r"1_Pooling/config\.json: pooling: modes must be of cls"),
        ({"pooling": {"pooling_mode": []}}, "modes must be of"),
        ({"pooling": {"pooling_mode": 5}}, "pooling_mode must be a name or a list"),
        ({"pooling": {"include_prompt": "no"}}, "include_prompt true or false"),
        ({"layers": {"CNN": {}}}, "the module 'CNN' is not computed here, only Pooling, Dense"),
        ({"layers": {"Normalize": {"module_input_name": "token_embeddings"}}}, "'token_embeddings' is not computed"),
        ({"layers": {"Dense": dense_config(in_features=7)}}, "takes 7 numbers, and is given 16"),
        ({"layers": {"Dense": dense_config(use_residual=True)}}, "use_residual is not computed here"),
        ({"layers": {"Dense": dense_config(activation_function="own.Swish")}}, r"2_Dense/config\.json: the activation"),
        ({"encoder_settings": {"query_length": 32}}, "query_length 32 is not computed here"),
        ({"encoder_settings": {"max_seq_length": "long"}}, "max_seq_length must be an integer"),
    ],
)
def test_what_is_not_computed_is_refused_by_name(tmp_path, changes, message):
    folder = write_sentence_encoder(tmp_path, **changes)
    with pytest.raises(ConfigError, match=message):
        SentenceEncoder.from_pretrained(folder)


@pytest.mark.parametrize("kinds", [["Transformer"], ["Transformer", "Normalize", "Pooling"]])
def test_the_second_module_must_pool(tmp_path, kinds):
    folder = write_sentence_encoder(tmp_path, layers={"Normalize": {}})
    entries = {entry["type"].rpartition(".")[2]: entry for entry in json.loads((folder / "modules.json").read_text())}
    write_json(folder / "modules.json", [entries[kind] for kind in kinds])
    with pytest.raises(ConfigError, match="the second module must be a Pooling"):
        SentenceEncoder.from_pretrained(folder)


def test_dense_weights_of_another_shape_or_in_a_pickle(tmp_path):
    folder = write_sentence_encoder(tmp_path, layers={"Dense": dense_config(out_features=6)})
    with pytest.raises(CheckpointError, match=r"2_Dense: the weights are .* they must be"):
        SentenceEncoder.from_pretrained(folder)
    (folder / "2_Dense" / "model.safetensors").rename(folder / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="a pickle"):
        SentenceEncoder.from_pretrained(folder)


@pytest.mark.parametrize("sentences", [5, None, b"a", {"a": 1}])
def test_what_is_no_sentence(encoder, sentences):
    with pytest.raises(TypeError, match="must be a text or an iterable of texts"):
        encoder.encode(sentences)


def test_a_sentence_among_others_that_is_none_is_named(encoder):
    with pytest.raises(TypeError, match="input 1 must be a text, not a int"):
        encoder.encode(["a", 5])
    with pytest.raises(PipelineException, match=r"U\+D800.*\(input 1\)"):
        encoder.encode(["a", "\ud800"])
    answers = list(encoder.answers(["a", "\ud800", "a"]))
    assert isinstance(answers[1], PipelineException)
    assert_close(answers[0], answers[2])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"batch_size": 0}, ValueError),
        ({"truncate_dim": 0}, ValueError),
        ({"truncate_dim": 2.5}, TypeError),
        ({"normalize_embeddings": "yes"}, TypeError),
        ({"prompt": 5}, TypeError),
        ({"convert_to_tensor": True}, TypeError),
    ],
)
def test_arguments_out_of_range(encoder, arguments, error):
    with pytest.raises(error):
        encoder.encode("a", **arguments)


# -- cross-encoder ---------------------------------------------------------------------------------------------------


def logits(folder, pairs):
    """By a forward pass over one pair at a time."""
    model, tokenizer = (
        RobertaForSequenceClassification.from_pretrained(folder),
        RobertaTokenizer.from_pretrained(folder),
    )
    return np.concatenate([model(np.array([tokenizer.encode(*pair).ids])).logits for pair in pairs])


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def test_one_label_gives_a_sigmoid_a_pair(tmp_path):
    encoder = CrossEncoder.from_pretrained(write_cross_encoder(tmp_path))
    scores = encoder.predict(PAIRS)
    assert scores.shape == (3,) and scores.dtype == np.float32
    assert_close(scores, sigmoid(logits(tmp_path, PAIRS))[:, 0])
    one = encoder.predict(PAIRS[0])
    assert one.shape == () and one.dtype == np.float32
    assert_close(one, scores[0])
    assert_close(encoder.predict(list(map(list, PAIRS))), scores)
    assert_close(encoder.predict(np.array(PAIRS)), scores)
    assert_close(list(encoder.predict(iter(PAIRS), batch_size=2)), scores)
    assert encoder.predict([]).shape == (0,)


def test_several_labels_give_their_logits_and_a_softmax_if_asked_for(tmp_path):
    encoder = CrossEncoder.from_pretrained(write_cross_encoder(tmp_path, labels=3))
    expected = logits(tmp_path, PAIRS)
    assert_close(encoder.predict(PAIRS), expected)
    assert encoder.predict(PAIRS[0]).shape == (3,)
    assert encoder.predict([]).shape == (0, 3)
    assert_close(encoder.predict(PAIRS, apply_softmax=True).sum(axis=1), np.ones(3))
    assert_close(encoder.predict(PAIRS, activation_fn=np.tanh), np.tanh(expected))
    with pytest.raises(ValueError, match="rank needs a model with one label, and this one has 3"):
        encoder.rank("a", ["the cat"])


@pytest.mark.parametrize(
    ("settings", "config"),
    [
        ({"activation_fn": "torch.nn.modules.linear.Identity"}, {}),
        (None, {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}),
        (None, {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}),
        # The newest of the places goes first.
        (
            {"activation_fn": "torch.nn.modules.linear.Identity"},
            {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Tanh"}},
        ),
    ],
)
def test_the_activation_by_each_of_the_places_where_it_may_be_said(tmp_path, settings, config):
    write_cross_encoder(tmp_path, settings=settings)
    saved = json.loads((tmp_path / "config.json").read_text())
    write_json(tmp_path / "config.json", saved | config)
    assert_close(CrossEncoder.from_pretrained(tmp_path).predict(PAIRS), logits(tmp_path, PAIRS)[:, 0])


def test_an_activation_that_is_not_computed_is_refused_unless_another_one_is_given(tmp_path):
    folder = write_cross_encoder(tmp_path, settings={"activation_fn": "own.Scale"})
    with pytest.raises(ConfigError, match=r"'own\.Scale' is not computed here.*give another one as activation_fn"):
        CrossEncoder.from_pretrained(folder)
    encoder = CrossEncoder.from_pretrained(folder, activation_fn=lambda x: 5 * x)
    assert_close(encoder.predict(PAIRS), 5 * logits(tmp_path, PAIRS)[:, 0])
    with pytest.raises(ValueError, match="it must keep the shape"):
        encoder.predict(PAIRS, activation_fn=lambda x: x[:, 0])
    with pytest.raises(TypeError, match="activation_fn must be a function"):
        encoder.predict(PAIRS, activation_fn="sigmoid")


def test_ranks_are_best_first(tmp_path):
    encoder = CrossEncoder.from_pretrained(write_cross_encoder(tmp_path))
    documents = ["sat", "the cat", "on the cat", "sat"]
    scores = encoder.predict([("a", document) for document in documents])
    ranked = encoder.rank("a", documents, return_documents=True)
    assert sorted(match["corpus_id"] for match in ranked) == [0, 1, 2, 3]
    assert [match["score"] for match in ranked] == sorted(scores.tolist(), reverse=True)
    assert all(match["text"] == documents[match["corpus_id"]] for match in ranked)
    places = [match["corpus_id"] for match in ranked]
    assert places.index(0) < places.index(3)  # equal scores, in their order
    best = [{key: match[key] for key in ("corpus_id", "score")} for match in ranked[:2]]
    assert encoder.rank("a", iter(documents), top_k=2) == best
    assert encoder.rank("a", []) == []
    with pytest.raises(TypeError, match="documents must be a list of texts"):
        encoder.rank("a", "the cat")


def test_equal_inputs_of_one_call_have_equal_scores(tmp_path):
    encoder = CrossEncoder.from_pretrained(write_cross_encoder(tmp_path / "cross"))
    documents = ["sat", "the cat", *["on the cat"] * 300, "sat"]
    scores = encoder.predict([("a", document) for document in documents])
    assert len(set(scores.tolist())) == len(set(documents))
    vectors = SentenceEncoder.from_pretrained(write_sentence_encoder(tmp_path / "sentence")).encode(documents)
    assert len(np.unique(vectors, axis=0)) == len(set(documents))


def test_a_long_pair_is_cut_the_longer_text_first(tmp_path):
    encoder = CrossEncoder.from_pretrained(write_cross_encoder(tmp_path), max_length=9)
    short, long = encoder.tokenizer.encode("a").ids, encoder.tokenizer.encode("on " * 20).ids
    ids = [*short, 2, *long[1 : 9 - len(short) - 1], 2]
    assert len(ids) == 9
    expected = encoder.activation_fn(encoder.model(np.array([ids])).logits)[0, 0]
    assert_close(encoder.predict(("a", "on " * 20)), expected)
    encoder.max_seq_length = 4
    with pytest.raises(ValueError, match="max_seq_length must be at least 6"):
        encoder.predict(("a", "a"))


def test_prompts_of_pairs_stand_before_the_first_text(tmp_path):
    settings = {"prompts": {"judge": "on "}, "default_prompt_name": "judge"}
    encoder = CrossEncoder.from_pretrained(write_cross_encoder(tmp_path, settings=settings))
    expected = encoder.predict([("on " + first, second) for first, second in PAIRS], prompt="")
    assert_close(encoder.predict(PAIRS), expected)
    assert_close(encoder.predict(PAIRS, prompt_name="judge"), expected)


@pytest.mark.parametrize("pairs", ["a text", ["a"], ["a", "b", "c"], [("a",)], [("a", "b"), "c"], [("a", "b"), 5]])
def test_what_is_no_pair(tmp_path, pairs):
    encoder = CrossEncoder.from_pretrained(write_cross_encoder(tmp_path))
    with pytest.raises(TypeError, match="must be a pair of texts, not"):
        encoder.predict(pairs) if not isinstance(pairs, str) else list(encoder.predict(pairs))
    with pytest.raises(TypeError, match="input 1 must be a text, not a int"):
        encoder.predict([("a", "b"), ("a", 5)])


def test_what_is_no_cross_encoder(tmp_path):
    folder = write_sentence_encoder(tmp_path / "sentences")
    with pytest.raises(ConfigError, match="was made as a SentenceTransformer, and is no CrossEncoder"):
        CrossEncoder.from_pretrained(folder)
    with pytest.raises(CheckpointError, match="no sequence-classification head"):
        CrossEncoder.from_pretrained(write_model(tmp_path / "masked_lm"))


def test_models_and_tokenizers_by_hand(tmp_path):
    folder = write_model(tmp_path / "labels", classifier_tensors(1), id2label={"0": "score"})
    tokenizer = RobertaTokenizer.from_pretrained(folder)
    pairs = CrossEncoder(RobertaForSequenceClassification.from_pretrained(folder), tokenizer)
    assert_close(pairs.predict(PAIRS), sigmoid(logits(folder, PAIRS))[:, 0])
    sentences = SentenceEncoder(RobertaModel.from_pretrained(folder), tokenizer)
    assert sentences.encode("a").shape == (HIDDEN,)
