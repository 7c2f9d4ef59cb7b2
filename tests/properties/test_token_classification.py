"""What must hold for the entities of any text."""

import itertools

import pytest

pytest.importorskip("hypothesis", reason="needs the test extra: pip install 'distilroberta-np[test]'")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distilroberta_np import pipeline
from tests.pipelines.test_token_classification import BIO, BY_WORD, STRATEGIES, write_token_classifier

pytestmark = pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")

# The same examples every time: a default run must not fail by chance.
EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
# Of everything, and of what makes words, spaces and specials; but <mask>, which swallows the space before it.
PIECES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    st.sampled_from([" ", "  ", "the", " cat", "é", "🙂", "\n", ", ", "<unk>", "<s>", "\u00a0"]),
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@pytest.fixture(scope="module")
def ner(tmp_path_factory):
    return pipeline("ner", write_token_classifier(tmp_path_factory.mktemp("model"), seed=3), ignore_labels=[])


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A model that reads 12 tokens at most."""
    folder = write_token_classifier(tmp_path_factory.mktemp("short"), seed=3, max_position_embeddings=14)
    return pipeline("ner", folder, ignore_labels=[])


def assert_of_the_text(item, word, text):
    """The word is what stands there, but for the spaces round it, which may belong to it or not. Of a character cut
    in two, each half has U+FFFD in its word and the whole of it in its place."""
    shown = text[item["start"] : item["end"]]
    if word.count("\ufffd") == text.count("\ufffd") == 0:
        assert word.strip() == shown.strip()
    else:
        assert word.strip().strip("\ufffd").strip() in shown


def assert_in_order(answer, tokens):
    """One begins where the last ends or behind it; only a character of several tokens can belong to two."""
    characters = [(start, end) for start, end in tokens.offsets[1:-1]]
    for one, other in itertools.pairwise(answer):
        assert one["start"] <= other["start"]
        if other["start"] < one["end"]:
            shared = (other["start"], one["end"])
            assert shared[1] - shared[0] == 1
            assert characters.count(shared) > 1 or any(start <= shared[0] < end for start, end in characters)


@EXAMPLES
@given(text=TEXTS)
def test_every_token_is_answered_once_in_order(ner, text):
    tokens = ner.tokenizer.encoding(text)
    answer = ner(text)
    assert [item["index"] for item in answer] == list(range(1, len(tokens.ids) - 1))
    assert_in_order(answer, tokens)
    for item, token_id in zip(answer, tokens.ids[1:-1], strict=True):
        assert item["word"] == ner.tokenizer.id_to_token(token_id)
        assert item["entity"] in BIO
        assert 1 / len(BIO) < item["score"] <= 1
        assert_of_the_text(item, ner.tokenizer.decode([token_id]), text)


@EXAMPLES
@given(text=TEXTS)
def test_entities_are_the_text_cut_into_pieces(ner, text):
    tokens = ner.tokenizer.encoding(text)
    for strategy in STRATEGIES[1:]:
        answer = ner(text, aggregation_strategy=strategy)
        assert_in_order(answer, tokens)
        for item in answer:
            assert_of_the_text(item, item["word"], text)
        if strategy in BY_WORD:
            # A word is never cut, but in its first character: what joins two entities is a space.
            for _, other in itertools.pairwise(answer):
                joint = text[max(other["start"] - 1, 0) : other["start"] + 1]
                assert " " in joint or "<unk>" in text or other["start"] == 0


@EXAMPLES
@given(text=TEXTS)
def test_simple_entities_are_the_tokens_put_together(ner, text):
    parts = []
    for token in ner(text):
        tag = token["entity"].removeprefix("B-").removeprefix("I-")
        if not parts or parts[-1][0] != tag or token["entity"].startswith("B-"):
            parts.append((tag, []))
        parts[-1][1].append(token)
    entities = ner(text, aggregation_strategy="simple")
    assert len(entities) == len(parts)
    for entity, (tag, tokens) in zip(entities, parts, strict=True):
        assert entity["entity_group"] == tag
        assert (entity["start"], entity["end"]) == (tokens[0]["start"], tokens[-1]["end"])
        ids = [ner.tokenizer.token_to_id(token["word"]) for token in tokens]
        assert entity["word"] == ner.tokenizer.decode(ids)
        assert entity["score"] == pytest.approx(sum(token["score"] for token in tokens) / len(tokens), rel=1e-5)


@EXAMPLES
@given(text=TEXTS.map(lambda text: f"{text} the cat sat on {text}"), stride=st.integers(0, 9))
def test_entities_of_windows_do_not_overlap(short, text, stride):
    for strategy in ("simple", "average"):
        answer = short(text, aggregation_strategy=strategy, stride=stride)
        for item in answer:
            assert_of_the_text(item, item["word"], text)
        if len(short.tokenizer.encode(text)) > short.max_length:
            assert all(one["end"] <= other["start"] for one, other in itertools.pairwise(answer))
            assert len({(item["start"], item["end"]) for item in answer}) == len(answer)
