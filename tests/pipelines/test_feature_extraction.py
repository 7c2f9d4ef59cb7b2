import numpy as np
import pytest

from distilroberta_np import PipelineException, RobertaModel, RobertaTokenizer, pipeline
from distilroberta_np.pipelines import FeatureExtractionPipeline
from tests.support.seeded import write_model

TEXTS = ["the cat sat", "a", "", "on the cat and on the cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def extractor(folder):
    return pipeline("feature-extraction", folder)


def vectors(extractor, ids):
    """By a forward pass over one text: (1, S, H)."""
    return extractor.model(np.array([ids])).last_hidden_state


def assert_close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_text_gives_nested_lists_and_a_list_one_a_text(extractor):
    expected = [vectors(extractor, extractor.tokenizer.encode(text)) for text in TEXTS]
    answers = extractor(TEXTS)
    assert isinstance(answers, list) and len(answers) == 4
    for answer, wanted in zip(answers, expected, strict=True):
        assert isinstance(answer[0][0][0], float)
        assert_close(answer, wanted)
    assert_close(extractor(TEXTS[0]), expected[0])
    assert len(extractor(TEXTS[:1])) == 1
    assert extractor([]) == []


@pytest.mark.parametrize("return_tensors", [True, "np"])
def test_arrays_with_return_tensors(extractor, return_tensors):
    array = extractor(TEXTS[0], return_tensors=return_tensors)
    assert array.dtype == np.float32 and array.shape[0] == 1
    assert_close(array, extractor(TEXTS[0]))
    assert_close(extractor(TEXTS, return_tensors=return_tensors)[3], extractor(TEXTS[3]))
    assert isinstance(extractor(TEXTS[0], return_tensors=False), list)


def test_a_stream_is_answered_as_it_is_read(extractor):
    texts = iter(TEXTS)
    answers = extractor(texts, batch_size=2)
    first = next(answers)
    assert list(texts) == TEXTS[2:]
    assert_close(first, extractor(TEXTS[0]))


def test_long_texts_are_refused_or_cut(extractor):
    long = "on " * 600
    with pytest.raises(PipelineException, match=r"has 603 tokens .* reads at most 512.*truncation=True \(input 1\)"):
        extractor(["a", long])
    ids = extractor.tokenizer.encode(long)
    assert_close(extractor(long, truncation=True), vectors(extractor, [*ids[:511], ids[-1]]))
    five = vectors(extractor, [*ids[:4], ids[-1]])
    assert_close(extractor(long, tokenize_kwargs={"max_length": 5}), five)
    assert_close(extractor(long, truncation=True, tokenize_kwargs={"max_length": 5}), five)
    assert_close(extractor("on " * 9, tokenize_kwargs={"max_length": 5, "truncation": False}), extractor("on " * 9))
    with pytest.raises(PipelineException, match="max_length is 1, less than the 2 special tokens"):
        extractor(long, tokenize_kwargs={"max_length": 1})


def test_without_special_tokens(extractor):
    ids = extractor.tokenizer.encode(TEXTS[0])[1:-1]
    bare = {"add_special_tokens": False}
    assert_close(extractor(TEXTS[0], tokenize_kwargs=bare), vectors(extractor, ids))
    assert_close(extractor(TEXTS[0], tokenize_kwargs=bare | {"max_length": 1}), vectors(extractor, ids[:1]))
    with pytest.raises(PipelineException, match="has no tokens without special tokens"):
        extractor("", tokenize_kwargs=bare)


def test_parameters_become_defaults(folder, extractor):
    arrays = pipeline("feature-extraction", folder, return_tensors=True, tokenize_kwargs={"max_length": 3})
    assert arrays(TEXTS[3]).shape[1] == 3
    assert isinstance(arrays(TEXTS[3], return_tensors=False), list)
    model, tokenizer = RobertaModel.from_pretrained(folder), RobertaTokenizer.from_pretrained(folder)
    assert_close(FeatureExtractionPipeline(model, tokenizer)(TEXTS[0]), extractor(TEXTS[0]))


def test_without_a_model_the_embedded_one_answers(monkeypatch, capsys):
    monkeypatch.setattr("distilroberta_np.hub.find_published", lambda: None)
    array = pipeline("feature-extraction")("Hello.", return_tensors=True)
    assert array.shape[0] == 1 and array.shape[1] >= 3
    assert "embedded model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"return_tensors": "pt"}, ValueError, "return_tensors must be True, False or 'np', not 'pt'"),
        ({"tokenize_kwargs": {"stride": 3}}, TypeError, "not stride"),
        ({"tokenize_kwargs": {"padding": "max_length"}}, ValueError, "padding must be one of"),
        ({"tokenize_kwargs": []}, TypeError, "tokenize_kwargs must be a dict"),
        ({"tokenize_kwargs": {"truncation": True}, "truncation": True}, ValueError, "truncation is given twice"),
        ({"tokenize_kwargs": {"add_special_tokens": 1}}, TypeError, "add_special_tokens must be True or False"),
        ({"truncation": "sometimes"}, ValueError, "truncation must be True or False"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    ],
)
def test_arguments_out_of_range(extractor, arguments, error, message):
    with pytest.raises(error, match=message):
        extractor("a", **arguments)


def test_what_is_no_text(extractor):
    with pytest.raises(TypeError, match="input 1 must be a text, not int"):
        extractor(["a", 5])
    with pytest.raises(TypeError, match="must be a text or an iterable of texts"):
        extractor(5)
