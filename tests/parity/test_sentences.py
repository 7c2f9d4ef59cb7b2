"""`SentenceEncoder` and `CrossEncoder` compared with sentence-transformers, on seeded models that it saved."""

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

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Implicit dimension choice for softmax"),
]

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
    # In tokenizer_config.json, because sentence-transformers reads 514 tokens with positions for 512.
    return transformers.AutoTokenizer.from_pretrained(find_embedded(), model_max_length=128)


@pytest.fixture(scope="module")
def bare(tmp_path_factory, tokenizer):
    """The folder of an encoder as transformers saves it."""
    folder = tmp_path_factory.mktemp("bare")
    seeded_roberta(0, **shape(len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def transformer(bare):
    return Transformer(str(bare))


@pytest.fixture
def both(transformer, tmp_path):
    """A function that makes a SentenceTransformer of modules, saves it, and loads the folder in both libraries."""

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
    """A function that makes a CrossEncoder, saves it, and loads the folder in both libraries."""

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


def assert_close(mine, theirs, atol=2e-6):
    assert np.asarray(mine).dtype == np.asarray(theirs).dtype
    assert np.shape(mine) == np.shape(theirs)
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=atol)


def assert_same(ours, reference, atol=2e-6, **arguments):
    for inputs in (SENTENCES, SENTENCES[0]):
        assert_close(ours.encode(inputs, **arguments), reference.encode(inputs, **arguments), atol)


@pytest.mark.parametrize("mode", [*POOLING_MODES, POOLING_MODES], ids=str)
def test_pooling(both, mode):
    assert_same(*both(Pooling(HIDDEN, mode)))


@pytest.mark.parametrize("mode", ["cls", "mean_sqrt_len_tokens", "lasttoken"])
def test_pooling_by_an_old_config(both, tmp_path, mode):
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


@pytest.mark.parametrize("activation", ["Tanh", "Identity", "Sigmoid", "ReLU", "GELU", "Softmax"])
def test_layers_after_the_pooling(both, activation):
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
    # Older versions write it here, where it takes precedence over that of the tokenizer.
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
    embeddings = reference.encode(SENTENCES)
    for method in ("similarity", "similarity_pairwise"):
        for first, second in [(embeddings, embeddings[::-1].copy()), (embeddings[0], embeddings[1])]:
            mine, theirs = (getattr(encoder, method)(first, second) for encoder in (ours, reference))
            assert mine.dtype == np.float32
            np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-4, atol=1e-4)


def test_a_model_without_modules(bare):
    with pytest.warns(UserWarning, match=r"has no modules\.json"):
        ours, reference = load(bare)
    assert_same(ours, reference)


def test_the_embedded_model():
    with pytest.warns(UserWarning, match=r"has no modules\.json"):
        ours, reference = load(find_embedded())
    # It is stored in float16. Trained, its hidden states are larger and so are both sides' rounding errors.
    assert_same(ours, reference.float(), atol=5e-6)


@pytest.mark.parametrize(
    ("labels", "activation"), [(1, None), (1, "Identity"), (1, "Tanh"), (3, None), (3, "Sigmoid"), (3, "Softmax")]
)
def test_predict(cross, labels, activation):
    ours, reference = cross(labels, None if activation is None else getattr(torch.nn, activation)())
    for arguments in ({}, {"apply_softmax": True}, {"prompt": "judge: "}):
        assert_close(ours.predict(PAIRS, **arguments), reference.predict(PAIRS, **arguments))
        assert_close(ours.predict(PAIRS[1], **arguments), reference.predict(PAIRS[1], **arguments))
    assert_close(ours.predict(PAIRS, activation_fn=np.exp), reference.predict(PAIRS, activation_fn=torch.exp))
    module = torch.nn.Tanh()
    assert_close(ours.predict(PAIRS, activation_fn=module), reference.predict(PAIRS, activation_fn=module))


def test_long_pairs(cross):
    ours, reference = cross(max_length=32)
    assert ours.max_seq_length == reference.max_seq_length == 32
    for length in (7, 8, 9, 31, 32):
        ours.max_seq_length = reference.max_seq_length = length
        assert_close(ours.predict(PAIRS), reference.predict(PAIRS))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity", "version": "4.0.1"}},
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
    ],
    ids=str,
)
def test_an_old_folder_without_modules(cross, tmp_path, settings):
    cross()
    for name in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        (tmp_path / name).unlink()
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | settings))
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


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "settings",
    [
        {"do_lower_case": True},
        {"tokenizer_args": {"add_prefix_space": True, "model_max_length": 9}},
        {"processor_kwargs": {"model_max_length": 9, "truncation_side": "left"}, "max_seq_length": 20},
        {"processing_kwargs": {"text": {"max_length": 7}}, "max_seq_length": 20},
        {"processing_kwargs": {"common": {"padding": "longest"}}, "unpad_inputs": False},
        {"model_args": {"attn_implementation": "eager"}, "query_length": None},
    ],
    ids=str,
)
def test_settings_of_the_encoder(both, tmp_path, settings):
    both(Pooling(HIDDEN, "mean"))
    path = tmp_path / "sentence_bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    assert_same(*load(tmp_path))
    path.rename(tmp_path / "sentence_xlnet_config.json")
    assert_same(*load(tmp_path))


@pytest.mark.filterwarnings("ignore")
def test_activations_of_other_packages(both, cross, tmp_path):
    both(Pooling(HIDDEN, "mean"), Dense(HIDDEN, 8))
    path = tmp_path / "2_Dense" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"activation_function": "own.Swish"}))
    assert_same(*load(tmp_path))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("config", [{}, {"sbert_ce_default_activation_function": "torch.nn.modules.activation.Tanh"}])
def test_an_activation_of_another_package_in_a_cross_encoder(cross, tmp_path, config):
    cross()
    path = tmp_path / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"activation_fn": "own.Scale"}))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    ours, reference = load_cross(tmp_path)
    assert_close(ours.predict(PAIRS), reference.predict(PAIRS))


@pytest.mark.parametrize("arguments", [{}, {"normalize_embeddings": True}, {"truncate_dim": 13}], ids=str)
def test_tensors_and_precisions(both, arguments):
    ours, reference = both(Pooling(HIDDEN, "mean"))
    for precision in ("float32", "binary", "ubinary"):
        assert_same(ours, reference, precision=precision, **arguments)
    # Rounding differs where a value is close to the border of two of the 256 steps.
    for precision in ("int8", "uint8"):
        mine, theirs = (encoder.encode(SENTENCES, precision=precision, **arguments) for encoder in (ours, reference))
        assert mine.dtype == theirs.dtype and np.abs(mine.astype(int) - theirs.astype(int)).max() <= 1
        assert (mine == theirs).mean() > 0.98
    for flags in ({"convert_to_tensor": True}, {"convert_to_numpy": False}):
        for inputs in (SENTENCES, SENTENCES[0]):
            mine, theirs = (encoder.encode(inputs, **flags, **arguments) for encoder in (ours, reference))
            assert type(mine) is type(theirs)
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=2e-6)


def test_token_embeddings(both):
    ours, reference = both(Pooling(HIDDEN, "mean"), Normalize(), prompts={"query": "query: "})
    for arguments in ({}, {"prompt_name": "query"}):
        mine, theirs = (
            encoder.encode(SENTENCES, output_value="token_embeddings", **arguments) for encoder in (ours, reference)
        )
        for one, other in zip(mine, theirs, strict=True):
            assert_close(one, other.numpy())


def test_pairs_as_inputs(both):
    ours, reference = both(Pooling(HIDDEN, "mean"), prompts={"query": "query: "})
    for arguments in ({}, {"prompt_name": "query"}):
        assert_close(ours.encode(PAIRS, **arguments), reference.encode(PAIRS, **arguments))


def test_tensors_of_a_cross_encoder(cross):
    ours, reference = cross()
    for flags in ({"convert_to_tensor": True}, {"convert_to_numpy": False}):
        for inputs in (PAIRS, PAIRS[0]):
            mine, theirs = (encoder.predict(inputs, **flags) for encoder in (ours, reference))
            assert type(mine) is type(theirs)
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("include_prompt", [True, False])
def test_a_saved_sentence_encoder_is_equal_in_sentence_transformers(both, tmp_path, include_prompt):
    dense = Dense(2 * HIDDEN, 8, activation_function=torch.nn.GELU())
    pooling = Pooling(HIDDEN, ("max", "lasttoken"), include_prompt=include_prompt)
    ours, reference = both(
        pooling, Dropout(), dense, Normalize(), prompts={"query": "query: "}, similarity_fn_name="dot", truncate_dim=5
    )
    ours.max_seq_length = reference.max_seq_length = 21
    ours.default_prompt_name = reference.default_prompt_name = "query"
    ours.save_pretrained(tmp_path / "saved")
    again, theirs = load(tmp_path / "saved")
    for name in ("prompts", "default_prompt_name", "similarity_fn_name", "truncate_dim", "max_seq_length"):
        assert getattr(theirs, name) == getattr(again, name) == getattr(reference, name)
    assert_close(theirs.encode(SENTENCES), reference.encode(SENTENCES))
    assert_same(again, theirs)
    theirs.save(str(tmp_path / "back"), create_model_card=False)
    assert_same(*load(tmp_path / "back"))


@pytest.mark.parametrize("settings", [{}, {"do_lower_case": True}, {"tokenizer_args": {"add_prefix_space": True}}])
def test_saved_tokenizer_settings_are_equal_in_sentence_transformers(both, tmp_path, settings):
    both(Pooling(HIDDEN, "mean"))
    path = tmp_path / "sentence_bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    ours, reference = load(tmp_path)
    ours.save_pretrained(tmp_path / "saved")
    again, theirs = load(tmp_path / "saved")
    assert_close(theirs.encode(SENTENCES), reference.encode(SENTENCES))
    assert_same(again, theirs)


@pytest.mark.parametrize(("labels", "activation"), [(1, None), (1, "Tanh"), (3, None), (3, "Softmax")])
def test_a_saved_cross_encoder_is_equal_in_sentence_transformers(cross, tmp_path, labels, activation):
    ours, reference = cross(labels, None if activation is None else getattr(torch.nn, activation)())
    ours.max_seq_length = reference.max_seq_length = 32
    ours.prompts, ours.default_prompt_name = {"judge": "judge: "}, "judge"
    ours.save_pretrained(tmp_path / "saved")
    again, theirs = load_cross(tmp_path / "saved")
    assert theirs.max_seq_length == again.max_seq_length == 32
    expected = reference.predict(PAIRS, prompt="judge: ")
    assert_close(theirs.predict(PAIRS), expected)
    assert_close(again.predict(PAIRS), expected)


def test_evaluators_of_sentence_transformers_take_the_encoders(both, cross, tmp_path):
    from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator
    from sentence_transformers.sentence_transformer.evaluation import (
        EmbeddingSimilarityEvaluator,
        InformationRetrievalEvaluator,
        TripletEvaluator,
    )

    first, second = SENTENCES[:4], SENTENCES[1:5]
    ids = [str(number) for number in range(4)]
    evaluators = [
        EmbeddingSimilarityEvaluator(first, second, [0.1, 0.9, 0.4, 0.6]),
        TripletEvaluator(first, second, SENTENCES[2:6]),
        InformationRetrievalEvaluator(
            dict(zip(ids, first, strict=True)),
            dict(zip(ids, second, strict=True)),
            {number: {number} for number in ids},
            map_at_k=[2],
            ndcg_at_k=[2],
            accuracy_at_k=[1],
            precision_recall_at_k=[2],
            mrr_at_k=[2],
        ),
    ]
    ours, reference = both(Pooling(HIDDEN, "mean"))
    for evaluator in evaluators:
        assert evaluator(ours) == pytest.approx(evaluator(reference), abs=1e-4)
    ours, reference = cross()
    samples = [{"query": "A question?", "positive": first[:1], "negative": second}]
    reranking = CrossEncoderRerankingEvaluator(samples)
    assert reranking(ours) == pytest.approx(reranking(reference), abs=1e-4)
