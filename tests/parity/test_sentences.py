"""`SentenceEncoder` and `CrossEncoder`, live against sentence-transformers, on seeded models that it has saved."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta_np[parity]'")
transformers = pytest.importorskip("transformers", reason="needs the parity extra")
sentence_transformers = pytest.importorskip("sentence_transformers", reason="needs the parity extra")

from sentence_transformers.base.modules import Dense, Normalize, Transformer  # noqa: E402
from sentence_transformers.sentence_transformer.modules import Dropout, Pooling  # noqa: E402

from distilroberta_np import CrossEncoder, SentenceEncoder  # noqa: E402
from distilroberta_np.hub import find_embedded  # noqa: E402
from distilroberta_np.sentence.pooling import POOLING_MODES  # noqa: E402
from distilroberta_np.sentence.similarity import SIMILARITY_FUNCTIONS  # noqa: E402
from tests.support.transformers_models import randomise, seeded_roberta  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

HIDDEN = 32
SENTENCES = ["A man is eating.", "", "naïve 🙂 日本", " two  spaces ", "A <mask> in it.", "long " * 40, "long " * 200]
PAIRS = [(first, second) for first in SENTENCES for second in SENTENCES]


def shape(vocab_size, **changes):
    return {
        "vocab_size": vocab_size,
        "hidden_size": HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 130,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "pad_token_id": 1,
    } | changes


@pytest.fixture(scope="module")
def tokenizer():
    # Said in tokenizer_config.json, because the reference reads 514 tokens where there are positions for 512.
    return transformers.AutoTokenizer.from_pretrained(find_embedded(), model_max_length=128)


@pytest.fixture(scope="module")
def bare(tmp_path_factory, tokenizer):
    """An encoder as transformers saves it."""
    folder = tmp_path_factory.mktemp("bare")
    seeded_roberta(0, **shape(len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def transformer(bare):
    return Transformer(str(bare))


@pytest.fixture
def both(transformer, tmp_path):
    """A function that makes the reference from what follows the encoder, has it saved, and loads that in both."""

    def make(*modules, **arguments):
        reference = sentence_transformers.SentenceTransformer(modules=[transformer, *modules], **arguments)
        reference.save(str(tmp_path), create_model_card=False)
        return load(tmp_path)

    return make


def load(folder, **arguments):
    return (
        SentenceEncoder.from_pretrained(folder, **arguments),
        sentence_transformers.SentenceTransformer(str(folder), device="cpu", **arguments),
    )


@pytest.fixture
def cross(bare, tmp_path):
    """A function that makes a cross-encoder, has the reference save it, and loads that in both."""

    def make(labels=1, activation_fn=None, **arguments):
        reference = sentence_transformers.CrossEncoder(
            str(bare), num_labels=labels, activation_fn=activation_fn, device="cpu", **arguments
        )
        randomise(reference.model, labels)
        reference.save(str(tmp_path), create_model_card=False)
        return load_cross(tmp_path)

    return make


def load_cross(folder):
    return CrossEncoder.from_pretrained(folder), sentence_transformers.CrossEncoder(str(folder), device="cpu")


def assert_close(mine, theirs):
    assert np.asarray(mine).dtype == np.asarray(theirs).dtype
    assert np.shape(mine) == np.shape(theirs)
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=2e-6)


def assert_same(ours, reference, **arguments):
    assert_close(ours.encode(SENTENCES, **arguments), reference.encode(SENTENCES, **arguments))
    assert_close(ours.encode(SENTENCES[0], **arguments), reference.encode(SENTENCES[0], **arguments))


# -- sentence encoder ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [*POOLING_MODES, POOLING_MODES], ids=str)
def test_pooling(both, mode):
    assert_same(*both(Pooling(HIDDEN, mode)))


@pytest.mark.parametrize("mode", ["cls", "mean_sqrt_len_tokens", "lasttoken"])
def test_pooling_by_a_config_of_old(both, tmp_path, mode):
    both(Pooling(HIDDEN, mode))
    keys = [f"pooling_mode_{name}" for name in ("cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens")]
    keys += ["pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"]
    values = {key: mode.removesuffix("_tokens") in key.removesuffix("_tokens") for key in keys}
    values |= {"pooling_mode_mean_tokens": mode == "mean"}
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": HIDDEN} | values))
    assert_same(*load(tmp_path))


@pytest.mark.parametrize("mode", ["cls", "mean", "weightedmean", POOLING_MODES], ids=str)
def test_a_prompt_that_is_not_pooled(both, mode):
    ours, reference = both(Pooling(HIDDEN, mode, include_prompt=False), prompts={"query": "query: "})
    assert_same(ours, reference, prompt="an instruction: ")
    assert_same(ours, reference, prompt_name="query")
    assert_same(ours, reference)
    assert_same(ours, reference, prompt="longer than the model reads " * 40)


@pytest.mark.parametrize("activation", ["Tanh", "Identity", "Sigmoid", "ReLU", "GELU"])
def test_what_follows_the_pooling(both, activation):
    dense = Dense(2 * HIDDEN, 8, bias=activation != "ReLU", activation_function=getattr(torch.nn, activation)())
    ours, reference = both(Pooling(HIDDEN, ("mean", "max")), Dropout(), dense, Normalize())
    assert_same(ours, reference)
    assert ours.get_embedding_dimension() == reference.get_embedding_dimension() == 8


@pytest.mark.parametrize("arguments", [{"truncate_dim": 5}, {"normalize_embeddings": True}], ids=str)
def test_arguments(both, arguments):
    ours, reference = both(Pooling(HIDDEN, "mean"))
    assert_same(ours, reference, **arguments)
    assert_same(ours, reference, **arguments | {"truncate_dim": 3, "normalize_embeddings": True})


@pytest.mark.parametrize("length", [3, 100])
def test_max_seq_length(both, tmp_path, length):
    ours, reference = both(Pooling(HIDDEN, "mean"))
    ours.max_seq_length = reference.max_seq_length = length
    reference.save(str(tmp_path), create_model_card=False)
    assert_same(ours, reference)
    assert SentenceEncoder.from_pretrained(tmp_path).max_seq_length == length
    # As older versions write it, which goes before the tokenizer's.
    settings = json.loads((tmp_path / "sentence_bert_config.json").read_text())
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps(settings | {"max_seq_length": length + 1}))
    ours, reference = load(tmp_path)
    assert ours.max_seq_length == reference.max_seq_length == length + 1
    assert_same(ours, reference)


def test_prompts(both, tmp_path):
    prompts = {"query": "query: ", "passage": "passage: "}
    ours, reference = both(Pooling(HIDDEN, "mean"), prompts=prompts, default_prompt_name="passage")
    assert ours.prompts == reference.prompts
    for arguments in ({}, {"prompt_name": "query"}, {"prompt": ""}, {"prompt": "own: "}):
        assert_same(ours, reference, **arguments)
    assert_close(ours.encode_query(SENTENCES), reference.encode_query(SENTENCES))
    assert_close(ours.encode_document(SENTENCES), reference.encode_document(SENTENCES))
    for encoder in (ours, reference):
        with pytest.raises(ValueError, match="other"):
            encoder.encode("a", prompt_name="other")
    ours, reference = load(tmp_path, prompts={"query": "mine: "}, default_prompt_name="query", truncate_dim=4)
    assert ours.prompts == reference.prompts
    assert_same(ours, reference)


@pytest.mark.parametrize("function", SIMILARITY_FUNCTIONS)
def test_similarity(both, function):
    ours, reference = both(Pooling(HIDDEN, "mean"), similarity_fn_name=function)
    assert ours.similarity_fn_name == reference.similarity_fn_name == function
    vectors = reference.encode(SENTENCES)
    for method in ("similarity", "similarity_pairwise"):
        for first, second in [(vectors, vectors[::-1].copy()), (vectors[0], vectors[1])]:
            mine, theirs = (getattr(encoder, method)(first, second) for encoder in (ours, reference))
            assert mine.dtype == np.float32
            np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-4, atol=1e-4)


def test_a_model_alone(bare):
    with pytest.warns(UserWarning, match=r"has no modules\.json"):
        ours, reference = load(bare)
    assert_same(ours, reference)


def test_the_embedded_model():
    with pytest.warns(UserWarning, match=r"has no modules\.json"):
        ours, reference = load(find_embedded())
    assert_same(ours, reference.float())  # it is stored in float16


# -- cross-encoder ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("labels", "activation"), [(1, None), (1, "Identity"), (1, "Tanh"), (3, None), (3, "Sigmoid")])
def test_predict(cross, labels, activation):
    ours, reference = cross(labels, None if activation is None else getattr(torch.nn, activation)())
    for arguments in ({}, {"apply_softmax": True}, {"prompt": "judge: "}):
        assert_close(ours.predict(PAIRS, **arguments), reference.predict(PAIRS, **arguments))
        assert_close(ours.predict(PAIRS[1], **arguments), reference.predict(PAIRS[1], **arguments))
    assert_close(ours.predict(PAIRS, activation_fn=np.exp), reference.predict(PAIRS, activation_fn=torch.exp))


def test_long_pairs(cross):
    ours, reference = cross(max_length=32)
    assert ours.max_seq_length == reference.max_seq_length == 32
    for length in (7, 8, 9, 31, 32):
        ours.max_seq_length = reference.max_seq_length = length
        assert_close(ours.predict(PAIRS), reference.predict(PAIRS))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity", "version": "4.0.1"}},
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
    ],
    ids=str,
)
def test_a_folder_of_old_without_modules(cross, tmp_path, said):
    cross()
    for name in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        (tmp_path / name).unlink()
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | said))
    ours, reference = load_cross(tmp_path)
    assert_close(ours.predict(PAIRS), reference.predict(PAIRS))


def test_rank(cross):
    ours, reference = cross()
    for arguments in ({}, {"top_k": 2}, {"return_documents": True}, {"prompt": "judge: ", "top_k": 3}):
        mine, theirs = (encoder.rank("A question?", SENTENCES, **arguments) for encoder in (ours, reference))
        assert [list(match) for match in mine] == [list(match) for match in theirs]
        assert [match["corpus_id"] for match in mine] == [match["corpus_id"] for match in theirs]
        assert_close([match["score"] for match in mine], [match["score"] for match in theirs])


def test_rank_needs_one_label(cross):
    for encoder in cross(3):
        with pytest.raises(ValueError, match="rank"):
            encoder.rank("a", ["b"])


def test_a_cross_encoder_as_a_sentence_encoder(cross, tmp_path):
    cross()
    with warnings.catch_warnings(action="ignore"):
        assert_same(*load(tmp_path))
