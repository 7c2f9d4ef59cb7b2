import itertools
import json
import re
import warnings
from functools import partial

import numpy as np
import pytest

from distilroberta_np import CheckpointError, PipelineException, pipeline
from distilroberta_np.layers.activation import softmax
from distilroberta_np.models.token_classification import token_classification_keys
from distilroberta_np.pipelines import token_classification
from distilroberta_np.pipelines.token_classification import TokenClassificationPipeline, merge_entities
from distilroberta_np.pipelines.truncation import cut_windows
from tests.support import answers
from tests.support.seeded import write_model
from tests.support.seeded_heads import tensors_with_head

BIO = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
STRATEGIES = ["none", "simple", "first", "average", "max"]
BY_WORD = STRATEGIES[2:]
TEXTS = [
    "the cat sat on a mat, and that cat was Théa's\n",
    "",
    "  🙂🙂 two  spaces <s> typed <unk><mask>",
    "Łódź " * 20,
    "the",
]

pytestmark = pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")


def write_token_classifier(folder, labels=BIO, seed=0, **shape):
    """The folder of a model that classifies tokens by these labels."""
    shape = shape | {"id2label": {str(position): label for position, label in enumerate(labels)}}
    return write_model(folder, tensors_with_head(token_classification_keys, seed, **shape), **shape)


@pytest.fixture(scope="module")
def ner(tmp_path_factory):
    return pipeline("token-classification", write_token_classifier(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A model that reads 20 tokens at most."""
    folder = write_token_classifier(tmp_path_factory.mktemp("short"), max_position_embeddings=22)
    return pipeline("ner", folder, ignore_labels=[])


@pytest.fixture
def scored(monkeypatch, tmp_path):
    """A pipeline that gives the tokens of its texts the probabilities that it is told."""

    def make(rows, labels=BIO):
        ner = pipeline("ner", write_token_classifier(tmp_path / str(len(labels)), labels))
        monkeypatch.setattr(ner.model, "logits_at", lambda *_: [np.array(rows, np.float32)])
        monkeypatch.setattr(token_classification, "softmax", lambda rows: rows)
        return ner

    return make


assert_same = partial(answers.assert_same, rel=1e-4)


# -- tokens ----------------------------------------------------------------------------------------------------------


def test_every_token_has_its_most_likely_label_by_a_softmax(ner):
    text = TEXTS[0]
    encoding = ner.tokenizer.encoding(text)
    rows = softmax(ner.model(np.array([encoding.ids])).logits[0])
    answer = ner(text, ignore_labels=[])
    assert len(answer) == len(encoding.ids) - 2
    for position, token in enumerate(answer, start=1):
        assert list(token) == ["entity", "score", "index", "word", "start", "end"]
        assert [type(value) for value in token.values()] == [str, float, int, str, int, int]
        assert token["entity"] == BIO[rows[position].argmax()]
        assert token["score"] == pytest.approx(float(rows[position].max()), rel=1e-4)
        assert (token["index"], token["word"]) == (position, encoding.tokens[position])
        assert (token["start"], token["end"]) == encoding.offsets[position]
    assert json.loads(json.dumps(answer)) == answer
    assert len({token["entity"] for token in answer}) > 2


def test_ignored_labels_are_left_out_by_the_name_that_answers_show(ner):
    everything = ner(TEXTS[0], ignore_labels=[])
    assert_same(ner(TEXTS[0]), [token for token in everything if token["entity"] != "O"])
    assert_same(ner(TEXTS[0], ignore_labels=["B-PER"]), [item for item in everything if item["entity"] != "B-PER"])
    assert_same(ner(TEXTS[0], ignore_labels=["PER"]), everything)
    groups = ner(TEXTS[0], ignore_labels=[], aggregation_strategy="simple")
    left = ner(TEXTS[0], ignore_labels=("PER", "O"), aggregation_strategy="simple")
    assert_same(left, [group for group in groups if group["entity_group"] == "LOC"])


# -- entities --------------------------------------------------------------------------------------------------------


def one_hot(labels, names=BIO):
    return [[0.75 if name == label else 0.25 / (len(names) - 1) for name in names] for label in labels]


@pytest.mark.parametrize(
    ("labels", "names", "entities"),
    [
        ("O O O O", BIO, [("O", " the cat sat on")]),
        ("B-PER I-PER O O", BIO, [("PER", " the cat"), ("O", " sat on")]),
        ("B-PER B-PER I-PER I-PER", BIO, [("PER", " the"), ("PER", " cat sat on")]),
        ("I-PER I-PER I-LOC I-PER", BIO, [("PER", " the cat"), ("LOC", " sat"), ("PER", " on")]),
        ("B-PER I-LOC B-LOC I-LOC", BIO, [("PER", " the"), ("LOC", " cat"), ("LOC", " sat on")]),
        ("PER PER O PER", ["O", "PER"], [("PER", " the cat"), ("O", " sat"), ("PER", " on")]),
        # E- and S- are no prefixes when neighbours are compared, and are left out of the name.
        ("B-X I-X E-X S-X", ["B-X", "I-X", "E-X", "S-X"], [("X", " the cat"), ("X", " sat"), ("X", " on")]),
        ("B-a-b I-a-b O a-b", ["B-a-b", "I-a-b", "O", "a-b"], [("a-b", " the cat"), ("O", " sat"), ("b", " on")]),
    ],
)
@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_neighbours_with_the_same_tag_are_one_entity(scored, labels, names, entities, strategy):
    ner = scored(one_hot(labels.split(), names), names)
    text = " the cat sat on"
    answer = ner(text, aggregation_strategy=strategy, ignore_labels=[])
    assert [(item["entity_group"], item["word"]) for item in answer] == entities
    for item in answer:
        assert list(item) == ["entity_group", "score", "word", "start", "end"]
        assert [type(value) for value in item.values()] == [str, float, str, int, int]
        assert text[item["start"] : item["end"]] == item["word"].strip()
        assert item["score"] == 0.75


WORDS = {
    "simple": [("PER", 0.6, " cat"), ("LOC", 0.675, "abon"), ("PER", 0.7, " the")],
    "first": [("PER", 0.6, " catabon"), ("PER", 0.7, " the")],
    "average": [("LOC", 0.55, " catabon"), ("PER", 0.7, " the")],
    "max": [("LOC", 0.9, " catabon"), ("PER", 0.7, " the")],
}


@pytest.mark.parametrize("strategy", WORDS)
def test_a_word_has_one_label_by_some_strategies(scored, strategy):
    # " cat", "ab" and "on" are tokens of a word, " the" is one.
    ner = scored([[0.6, 0.3], [0.4, 0.45], [0.1, 0.9], [0.7, 0.2]], ["B-PER", "LOC"])
    answer = ner(" catabon the", aggregation_strategy=strategy)
    assert [(item["entity_group"], item["score"], item["word"]) for item in answer] == [
        (name, pytest.approx(score), word) for name, score, word in WORDS[strategy]
    ]


def test_entities_are_scored_by_the_mean(scored):
    rows = [[0.1, 0.5], [0.1, 0.9], [0.1, 0.6], [0.1, 0.8]]
    ner = scored(rows, ["O", "PER"])
    for strategy in ("simple", "first"):
        (entity,) = ner(" the cat sat on", aggregation_strategy=strategy)
        assert entity["score"] == pytest.approx(0.7)


def test_words_are_what_stands_between_spaces_and_that_is_said(ner):
    text = "the cat's mat,the cat\nsat <unk>x on"
    with pytest.warns(UserWarning, match="using fallback heuristic: a word is the text between spaces") as caught:
        answer = ner(text, aggregation_strategy="first", ignore_labels=[])
    assert {warning.filename for warning in caught} == {__file__}
    assert "".join(item["word"] for item in answer) == text
    edges = {0, *(match.start() + 1 for match in re.finditer(" ", text))}
    assert {item["start"] for item in answer} <= edges


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the catab,\non the", ["the", " catab,\non", " the"]),
        ("a  cat ", ["a", " ", " cat", " "]),
        ("ab<unk>x<s>", ["ab", "<unk>x<s>"]),
    ],
)
def test_where_words_begin(tmp_path, text, words):
    ner = pipeline("ner", write_token_classifier(tmp_path, ["B-WORD"]))
    for strategy in BY_WORD:
        assert [item["word"] for item in ner(text, aggregation_strategy=strategy)] == words


def test_a_word_begins_at_a_space_of_its_own(tmp_path):
    ner = pipeline("ner", write_token_classifier(tmp_path, ["B-WORD"]), aggregation_strategy="first")
    assert len(ner("the cat", offset_mapping=[(0, 0), (0, 3), (3, 7), (7, 7)])) == 2
    assert len(ner("the cat", offset_mapping=[(0, 0), (0, 3), (2, 7), (7, 7)])) == 1


def test_text_that_is_no_ascii_is_decoded_whole(tmp_path):
    ner = pipeline("ner", write_token_classifier(tmp_path, ["THING"]))
    text = "été at Ådland 🙂"
    for strategy in STRATEGIES[1:]:
        (entity,) = ner(text, aggregation_strategy=strategy)
        assert (entity["word"], entity["start"], entity["end"]) == (text, 0, len(text))


# -- many texts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_many_texts_give_what_each_gives_alone(ner, strategy):
    parameters = {"aggregation_strategy": strategy, "ignore_labels": []}
    alone = [ner(text, **parameters) for text in TEXTS]
    assert_same(ner(TEXTS, **parameters), alone)
    assert_same(ner(tuple(TEXTS), **parameters), alone)
    assert_same(ner(TEXTS, batch_size=2, **parameters), alone)
    assert_same(list(ner(iter(TEXTS), **parameters)), alone)
    assert_same(list(ner(iter(TEXTS), batch_size=3, **parameters)), alone)
    assert_same(ner(TEXTS[:1], **parameters), alone[:1])


def test_nothing_in_nothing_out(ner):
    assert ner("") == []
    assert ner([]) == []
    assert ner(["", ""]) == [[], []]
    assert list(ner(iter([]))) == []
    assert ner([[]], is_split_into_words=True) == [[]]
    assert ner([], is_split_into_words=True) == []


def test_an_iterator_is_read_as_its_results_are_consumed(ner):
    read = []

    def texts():
        for text in itertools.cycle(TEXTS):
            read.append(text)
            yield text

    answers = ner(texts())
    assert read == []
    assert_same(list(itertools.islice(answers, 3)), ner(TEXTS[:3]))
    assert read == TEXTS[:3]


def test_texts_that_cannot_be_answered(ner):
    with pytest.raises(PipelineException, match=r"U\+D800") as caught:
        ner(["fine", "\ud800"])
    assert caught.value.index == 1
    with pytest.raises(TypeError, match="input 1 must be a text, not list"):
        ner(["fine", ["a", "list"]])
    with pytest.raises(TypeError, match="inputs must be a text or an iterable of texts, not int"):
        ner(5)
    good, bad, also = ner.answers(["the cat", None, "the"])
    assert_same([good, also], ner(["the cat", "the"]))
    assert isinstance(bad, TypeError)


# -- long texts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens", [0, 1, 17, 18, 19, 36, 37, 100])
@pytest.mark.parametrize("stride", [0, 1, 5, 17])
def test_windows_cover_a_text_and_share_stride_tokens(tokens, stride):
    windows = cut_windows(tokens, 18, stride)
    assert {token for window in windows for token in window} == set(range(tokens))
    assert all(len(window) == 18 for window in windows[:-1])
    for one, next_one in itertools.pairwise(windows):
        assert one.stop - next_one.start == stride
        assert next_one.stop > one.stop
    mirrored = [range(tokens - window.stop, tokens - window.start) for window in windows]
    assert cut_windows(tokens, 18, stride, "left") == mirrored


@pytest.mark.parametrize(
    ("spans", "kept"),
    [
        ([], []),
        ([(0, 3, 0.5), (3, 5, 0.5)], [0, 1]),
        ([(5, 8, 0.5), (0, 3, 0.5)], [1, 0]),
        ([(0, 3, 0.5), (0, 3, 0.6)], [1]),
        ([(0, 3, 0.6), (0, 3, 0.5)], [0]),
        ([(0, 3, 0.5), (1, 4, 0.5)], [0]),
        ([(0, 3, 0.5), (2, 6, 0.1)], [1]),
        ([(0, 4, 0.1), (2, 5, 0.9)], [0]),
        ([(0, 4, 0.1), (2, 7, 0.1), (6, 8, 0.1)], [1]),
        # An empty one, of a space alone, that both windows found.
        ([(2, 2, 0.5), (2, 2, 0.6), (4, 4, 0.1)], [1, 2]),
    ],
)
def test_of_entities_that_overlap_one_stays(spans, kept):
    entities = [{"start": start, "end": end, "score": score} for start, end, score in spans]
    assert merge_entities(entities) == [entities[position] for position in kept]


LONG = " the cat sat on a mat and that was that, said Thea." * 3


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_a_long_text_is_read_in_windows(short, strategy):
    assert short.max_length == 20
    encoding = short.tokenizer.encoding(LONG)
    answer = short(LONG, aggregation_strategy=strategy, stride=5)
    windows = [
        short.tokenizer.decode(encoding.ids[1:-1][window.start : window.stop])
        for window in cut_windows(len(encoding.ids) - 2, 18, 5)
    ]
    assert len(windows) > 5
    # What the windows give as texts by themselves is all there is to choose from.
    alone = [item["word"] for window in windows for item in short(window, aggregation_strategy=strategy)]
    assert {item["word"] for item in answer} <= set(alone)
    assert all(one["end"] <= other["start"] for one, other in itertools.pairwise(answer))
    assert all(LONG[item["start"] : item["end"]].strip() == item["word"].strip() for item in answer)
    assert answer[-1]["end"] > len(LONG) - 20
    both = short([LONG, "the cat"], aggregation_strategy=strategy, stride=5)
    assert_same(both, [answer, short("the cat", aggregation_strategy=strategy)])


def test_a_long_text_without_stride_is_cut_and_that_is_said(short):
    def said(call):
        with warnings.catch_warnings(record=True, action="always") as caught:
            answer = call()
        assert {warning.filename for warning in caught} <= {__file__}, "a warning must point at the user's call"
        return answer, [str(warning.message) for warning in caught]

    tokens = short.tokenizer.encoding(LONG)
    end = tokens.offsets[18][1]
    answer, (message,) = said(lambda: short(LONG))
    assert [item["index"] for item in answer] == list(range(1, 19))
    assert message == (
        f"the input has {len(tokens.ids)} tokens and the model reads at most 20: the text after character {end} "
        "is left out. An aggregation_strategy with stride, such as stride=5, reads all of it"
    )
    answers, (message,) = said(lambda: short(["the", LONG]))
    assert_same(answers[1], answer)
    assert message.startswith("input 1 has")
    answers, (message,) = said(lambda: list(short(iter(["the", LONG]))))
    assert_same(answers[1], answer)
    assert message.startswith("input 1 has")
    _, messages = said(lambda: short(LONG[:20]))
    assert messages == []


def test_a_model_that_reads_no_text(tmp_path):
    folder = write_token_classifier(tmp_path, max_position_embeddings=4)
    with pytest.raises(PipelineException, match="reads at most 2 tokens, too few for any text"):
        pipeline("ner", folder)


# -- words and offsets of one's own ----------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [None, "", "\n", " | "])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_words(ner, strategy, delimiter):
    words = ["the", "cat", "", "Théa's mat", "🙂", " on "]
    text = (" " if delimiter is None else delimiter).join(words)
    parameters = {"aggregation_strategy": strategy, "ignore_labels": [], "is_split_into_words": True}
    (answer,) = ner(words, delimiter=delimiter, **parameters)
    assert_same(ner([words, ("the",), []], delimiter=delimiter, **parameters)[0], answer)
    assert_same(list(ner(iter([words]), delimiter=delimiter, **parameters)), [answer])
    assert_same(ner(tuple(words), delimiter=delimiter, **parameters), [answer])
    assert answer[0]["start"] == 0
    assert answer[-1]["end"] == len(text)
    if strategy == "none":
        ids = [token for word in words for token in ner.tokenizer.encode(word, add_special_tokens=False)]
        assert [item["word"] for item in answer] == list(map(ner.tokenizer.id_to_token, ids))
        starts = {text[item["start"] : item["end"]] for item in answer}
        assert starts >= {"the", "cat", "🙂", "é"}


def test_words_that_are_none(ner):
    with pytest.raises(TypeError, match="with is_split_into_words the input must be a list of words, not str"):
        ner("the cat", is_split_into_words=True)
    with pytest.raises(TypeError, match="word 1 of input 0 must be a string, not int: 5"):
        ner(["the", 5], is_split_into_words=True)
    with pytest.raises(TypeError, match="input 1 must be a list of words, not str"):
        list(ner(iter([["the"], "cat"]), is_split_into_words=True))
    with pytest.raises(PipelineException, match=r"U\+D800") as caught:
        ner([["the"], ["cat", "\ud800"]], is_split_into_words=True)
    assert caught.value.index == 1


def test_offsets_of_ones_own(ner):
    offsets = [(0, 0), (10, 13), (14, 17), (0, 0)]
    assert [(item["start"], item["end"]) for item in ner("the cat", offset_mapping=offsets, ignore_labels=[])] == [
        (10, 13),
        (14, 17),
    ]
    both = ner(["the", "the cat"], offset_mapping=[[(0, 0), (5, 8), (8, 8)], offsets], ignore_labels=[])
    assert [[item["start"] for item in answer] for answer in both] == [[5], [10, 14]]
    with pytest.raises(PipelineException, match="has 4 entries, and the text 3 tokens, <s> and </s> included"):
        ner("the", offset_mapping=offsets)
    with pytest.raises(ValueError, match="offset_mapping is for 1 texts, and there are 2"):
        ner(["the", "the cat"], offset_mapping=offsets)
    with pytest.raises(PipelineException, match="no offset_mapping for it") as caught:
        list(ner(iter(["the cat", "the cat"]), offset_mapping=offsets))
    assert caught.value.index == 1
    for more in ({"stride": 2, "aggregation_strategy": "simple"}, {"is_split_into_words": True}):
        with pytest.raises(ValueError, match="offset_mapping can't be combined with"):
            ner("the cat", offset_mapping=offsets, **more)


# -- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"aggregation_strategy": "best"}, ValueError, "one of none, simple, first, average, max, not 'best'"),
        ({"aggregation_strategy": 1}, ValueError, "aggregation_strategy must be one of .*, not 1"),
        ({"ignore_labels": "O"}, TypeError, "ignore_labels must be a list of strings, not 'O'"),
        ({"ignore_labels": 5}, TypeError, "ignore_labels must be a list of strings, not 5"),
        ({"ignore_labels": ["O", None]}, TypeError, "every item must be a string, not None"),
        ({"stride": -1}, ValueError, "stride must be at least 0, not -1"),
        ({"stride": 510}, ValueError, "stride must be less than 510, the tokens of a window .*, not 510"),
        ({"stride": 1.5}, TypeError, "stride must be an integer, not 1.5"),
        ({"stride": True}, TypeError, "stride must be an integer, not a boolean"),
        ({"stride": 1}, ValueError, "needs an aggregation_strategy other than 'none'"),
        ({"stride": 1, "aggregation_strategy": "none"}, ValueError, "needs an aggregation_strategy other than 'none'"),
        ({"is_split_into_words": 1}, TypeError, "is_split_into_words must be True or False, not 1"),
        ({"delimiter": 5}, TypeError, "delimiter must be a string, not 5"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, not 0"),
        ({"offset_mapping": 5}, TypeError, "offset_mapping must be a list of"),
        ({"offset_mapping": []}, TypeError, "offset_mapping must be a list of"),
        ({"offset_mapping": [(0, 1), (0,)]}, TypeError, "offset_mapping must be a list of"),
        ({"offset_mapping": [(0, 1.5)]}, TypeError, "offset_mapping must be a list of"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be(ner, parameters, error, message):
    with pytest.raises(error, match=message):
        ner("the cat", **parameters)


def test_defaults_of_the_pipeline_and_arguments_of_a_call(ner):
    simple = TokenClassificationPipeline(ner.model, ner.tokenizer, aggregation_strategy="SIMPLE", ignore_labels=["PER"])
    assert_same(simple(TEXTS), ner(TEXTS, aggregation_strategy="simple", ignore_labels=["PER"]))
    assert_same(simple(TEXTS, aggregation_strategy="none", ignore_labels=["O"]), ner(TEXTS))
    split = TokenClassificationPipeline(ner.model, ner.tokenizer, is_split_into_words=True, delimiter="_", stride=3)
    words = ["the", "cat"]
    assert_same(
        split(words, aggregation_strategy="simple"),
        ner(words, aggregation_strategy="simple", is_split_into_words=True, delimiter="_"),
    )
    assert_same(
        split("the cat", is_split_into_words=False, aggregation_strategy="max"),
        ner("the cat", aggregation_strategy="max"),
    )


def test_a_task_with_a_model_of_its_own(ner, tmp_path):
    with pytest.raises(ValueError, match="needs a fine-tuned model"):
        pipeline("ner")
    with pytest.raises(TypeError, match="unknown option 'grouped_entities'"):
        pipeline("ner", ner.model, ner.tokenizer, grouped_entities=True)
    with pytest.raises(CheckpointError, match="the checkpoint has no token-classification head"):
        pipeline("ner", write_model(tmp_path))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_weights_so_large_that_nothing_can_be_computed_are_no_wrong_answer(tmp_path):
    tensors = tensors_with_head(token_classification_keys)
    tensors["classifier.weight"][:] = 3e38
    damaged = pipeline("ner", write_model(tmp_path, tensors))
    with pytest.raises(CheckpointError, match="the logits contain NaN or infinity"):
        damaged("the cat")
