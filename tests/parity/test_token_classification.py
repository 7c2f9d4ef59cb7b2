"""The token-classification pipeline: transformers' result, or where that crashes or drops input, ours next to it."""

import itertools
import warnings
from functools import partial

import pytest

torch = pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
transformers = pytest.importorskip("transformers", reason="needs the parity extra")

from tokenizers import Tokenizer  # noqa: E402

from distilroberta_np import (  # noqa: E402
    PipelineException,
    RobertaConfig,
    RobertaForTokenClassification,
    RobertaTokenizer,
    pipeline,
)
from distilroberta_np.layers.params import tree_map  # noqa: E402
from distilroberta_np.models.token_classification import token_classification_keys  # noqa: E402
from distilroberta_np.pipelines import TokenClassificationPipeline  # noqa: E402
from tests.support import answers  # noqa: E402
from tests.support.transformers_models import DISTILROBERTA, randomise  # noqa: E402

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:Tokenizer does not support real words"),
    pytest.mark.filterwarnings("ignore:.*num_workers"),
]

SHAPE = DISTILROBERTA | {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
STRATEGIES = ["none", "simple", "first", "average", "max"]
BY_WORD = ["first", "average", "max"]
BIO = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
LABELS = {
    "BIO": BIO,
    "BIO, O last": ["B-PER", "I-PER", "O"],
    "IOBES": ["O", "B-X", "I-X", "E-X", "S-X"],
    "without prefix": ["O", "PER", "LOC"],
    "with hyphens": ["O", "B-geo-political", "I-geo-political", "sub-word", "I-", "-"],
    "only one": ["THING"],
    "the default": ["LABEL_0", "LABEL_1"],
}
# A window for the tests of what is longer than one.
SHORT = 32


class Word(str):
    """A decoded string that remembers what it was decoded from."""

    tokens: list[str]


def decode_once(tokenizer):
    """Have transformers decode the tokens of an entity together.

    By words it decodes each by itself, and what came of that once more as if it were entries of the vocabulary: that
    leaves ASCII as it is, and breaks other text (`test_words_are_decoded_once`).
    """
    decode = tokenizer.convert_tokens_to_string

    def convert_tokens_to_string(words):
        tokens = [token for word in words for token in getattr(word, "tokens", [word])]
        word = Word(decode(tokens))
        word.tokens = tokens
        return word

    tokenizer.convert_tokens_to_string = convert_tokens_to_string


def pair(tokenizer_json, labels, seed=0, length=512):
    """transformers' pipeline and ours on the same weights and tokenizer; texts are of `length` tokens at most."""
    config = transformers.RobertaConfig(**SHAPE, id2label=dict(enumerate(labels)))
    model = transformers.RobertaForTokenClassification._from_config(config, attn_implementation="eager").eval()
    randomise(model, seed)
    special = {
        "bos": "<s>",
        "eos": "</s>",
        "cls": "<s>",
        "sep": "</s>",
        "unk": "<unk>",
        "pad": "<pad>",
        "mask": "<mask>",
    }
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer_json),
        model_max_length=length,
        **{f"{role}_token": token for role, token in special.items()},
    )
    decode_once(tokenizer)
    our_config = RobertaConfig.from_dict(model.config.to_dict())
    state = model.state_dict()
    weights = tree_map(lambda key: state[key.name].numpy(), token_classification_keys(our_config))
    our_tokenizer = RobertaTokenizer(Tokenizer.from_file(str(tokenizer_json)), {"model_max_length": length})
    return (
        transformers.pipeline("token-classification", model=model, tokenizer=tokenizer),
        TokenClassificationPipeline(RobertaForTokenClassification(our_config, weights), our_tokenizer),
    )


@pytest.fixture(scope="module")
def both(roberta_tokenizer_json):
    return pair(roberta_tokenizer_json, BIO)


@pytest.fixture(scope="module")
def short(roberta_tokenizer_json):
    return pair(roberta_tokenizer_json, BIO, seed=1, length=SHORT)


assert_same = partial(answers.assert_same, rel=6e-5)


TEXTS = [
    "Ada Lovelace was born in London, and Charles Babbage's engine wasn't built there.",
    "",
    " ",
    "   \t \n ",
    "one",
    "  two  spaces   and\ttabs\nnew lines\r\n\n and the end   ",
    "Zażółć gęślą jaźń, the naïve café of Ådland at Łódź",
    "🙂 smile🙂🙂 and 👩‍👩‍👧 family,🏳️‍🌈",
    "שלום עולם مرحبا 日本語 テキスト ไทย",
    "e\u0301 combining, non\u00a0breaking, zero\u200bwidth, \u2028separators\u2029, nul \x00, bell \x07",
    "don't , it 's \"quoted\" ( yes ) , isn't it ?! ... --- $1,000.00 a@b.c https://x.y/z?q=1",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 4,
    "<s> typed specials</s> <mask> a<mask> <pad> <unk> x<unk>y <unk>",
    "ABC abc 123 A1b2 \U0001d400\U0001d401 \ufffd \ufeff",
    "The quick brown fox jumps over the lazy dog. " * 8,
]


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_hard_text(roberta_tokenizer_json, labels):
    reference, ours = pair(roberta_tokenizer_json, labels, seed=7)
    for strategy in STRATEGIES:
        parameters = {"aggregation_strategy": strategy, "ignore_labels": []}
        expected = reference(TEXTS, **parameters)
        assert_same(ours(TEXTS, **parameters), expected)
        # Enough variety that each strategy has something to do.
        found = {entity.get("entity", entity.get("entity_group")) for text in expected for entity in text}
        assert len(found) > 1 or len(labels) == 1


def test_one_text_and_lists(both):
    reference, ours = both
    assert_same(ours(TEXTS[0]), reference(TEXTS[0]))
    assert_same(ours([TEXTS[0]]), reference([TEXTS[0]]))
    with pytest.raises(ValueError, match="must be an untokenized string"):
        reference(tuple(TEXTS[:2]))
    assert_same(ours(tuple(TEXTS[:2])), reference(TEXTS[:2]))
    for batch_size in (1, 4, 100):
        assert_same(ours(TEXTS, batch_size=batch_size), reference(TEXTS, batch_size=batch_size))
    assert_same(list(ours(text for text in TEXTS)), list(reference(text for text in TEXTS)))
    assert_same(ours([""]), reference([""]))
    with pytest.raises(ValueError, match="At least one input"):
        reference([])
    assert ours([]) == []
    with pytest.raises(ValueError, match="At least one input"):
        reference(map(str, TEXTS))
    assert_same(list(ours(map(str, TEXTS))), reference(TEXTS))


@pytest.mark.parametrize("ignore", [["O"], ["PER"], ["B-PER", "O"], ["LOC", "O"], ["unknown"], ("O", "PER")])
@pytest.mark.parametrize("strategy", ["none", "simple"])
def test_ignored_labels(both, strategy, ignore):
    reference, ours = both
    parameters = {"aggregation_strategy": strategy, "ignore_labels": ignore}
    assert_same(ours(TEXTS, **parameters), reference(TEXTS, **parameters))


def test_names_of_strategies(both):
    reference, ours = both
    from transformers.pipelines.token_classification import AggregationStrategy

    for strategy in ("SIMPLE", "Simple", AggregationStrategy.SIMPLE):
        assert_same(ours(TEXTS[0], aggregation_strategy=strategy), reference(TEXTS[0], aggregation_strategy=strategy))
    with pytest.raises(KeyError):
        reference(TEXTS[0], aggregation_strategy="best")
    with pytest.raises(ValueError, match="one of none, simple, first, average, max, not 'best'"):
        ours(TEXTS[0], aggregation_strategy="best")


@pytest.mark.parametrize("strategy", BY_WORD)
def test_the_rule_for_words_is_said_in_transformers_words(both, strategy):
    messages = []
    for classifier in both:
        with warnings.catch_warnings(record=True, action="always") as caught:
            classifier(TEXTS[0], aggregation_strategy=strategy)
        messages.append({str(warning.message) for warning in caught})
    (theirs,), (mine,) = messages
    assert mine.startswith(theirs)


@pytest.mark.parametrize("strategy", BY_WORD)
@pytest.mark.parametrize(
    ("text", "broken"),
    [("été", "\ufffdt\ufffd"), ("at Ådland", "at \ufffd\ufffddland"), ("New York, it's", "New York, it's")],
)
def test_words_are_decoded_once(both, strategy, text, broken):
    reference, ours = both
    parameters = {"aggregation_strategy": strategy, "ignore_labels": []}
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(reference.tokenizer, "convert_tokens_to_string")
        theirs = reference(text, **parameters)
    mine = ours(text, **parameters)
    assert "".join(entity["word"] for entity in theirs) == broken
    assert "".join(entity["word"] for entity in mine) == text


LONG = [
    "Ada Lovelace lived in London with her mother, Lady Byron, and met Charles Babbage there in 1833. " * 3,
    "short",
    "",
    "  ".join(f"a🙂{number}b" for number in range(12)),
    " ".join(f"Zażółć{number}" for number in range(15)),
]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("stride", [0, 8, 15, SHORT - 8])
@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_stride(short, strategy, stride, side, monkeypatch):
    reference, ours = short
    for each in short:
        monkeypatch.setattr(each.tokenizer, "truncation_side", side)
    for ignore in (None, []):
        parameters = {"aggregation_strategy": strategy, "stride": stride, "ignore_labels": ignore}
        assert_same(ours(LONG, **parameters), [once(entities) for entities in reference(LONG, **parameters)])


def once(entities):
    """Entities of the same place made one, of the greatest score: an empty one, of a space alone, transformers gives
    once a window, and where it is a text's first once more."""
    places = itertools.groupby(entities, key=lambda entity: (entity["start"], entity["end"]))
    return [max(same, key=lambda entity: entity["score"]) for _, same in places]


def test_windows_of_every_length(short):
    reference, ours = short
    long = TEXTS[0] * 4
    ends = [end for _, end in ours.tokenizer.encoding(long).offsets[25:60]]
    texts = [long[:end] for end in ends]
    lengths = {len(ours.tokenizer.encode(text)) for text in texts}
    assert lengths >= {*range(SHORT - 2, SHORT + 3), 2 * SHORT - 9, 2 * SHORT - 8}
    parameters = {"aggregation_strategy": "simple", "stride": 7, "ignore_labels": []}
    assert_same(ours(texts, **parameters), reference(texts, **parameters))


def test_a_stride_that_cannot_be(short):
    reference, ours = short
    for stride, error in ((SHORT, ValueError), (SHORT - 2, BaseException), (-1, OverflowError)):
        with pytest.raises(error):
            reference(LONG[0], aggregation_strategy="simple", stride=stride)
        with pytest.raises(ValueError, match="stride must be"):
            ours(LONG[0], aggregation_strategy="simple", stride=stride)
    for classifier in short:
        with pytest.raises(ValueError, match="stride"):
            classifier(LONG[0], aggregation_strategy="none", stride=4)


def test_a_stride_without_a_strategy(short):
    reference, ours = short
    text = "🙂🙂 " * 20
    assert len(reference(text, stride=4, ignore_labels=[])) < len(ours.tokenizer.encode(text)) - 2  # some are lost
    with pytest.raises(ValueError, match="needs an aggregation_strategy other than 'none'"):
        ours(text, stride=4, ignore_labels=[])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_text_too_long_is_cut_as_transformers_does_and_that_is_said(short, strategy):
    reference, ours = short
    expected = reference(LONG, aggregation_strategy=strategy, ignore_labels=[])
    with warnings.catch_warnings(record=True, action="always") as caught:
        assert_same(ours(LONG, aggregation_strategy=strategy, ignore_labels=[]), expected)
    messages = [str(warning.message) for warning in caught if "tokens and the model reads" in str(warning.message)]
    assert [message.split(" has ")[0] for message in messages] == ["input 0", "input 3", "input 4"]


def test_a_tokenizer_without_a_limit(roberta_tokenizer_json):
    reference, ours = pair(roberta_tokenizer_json, BIO, length=int(1e30))
    with pytest.raises((IndexError, RuntimeError)), warnings.catch_warnings(action="ignore"):
        reference("word " * 600)
    with pytest.warns(UserWarning, match="the input has 603 tokens and the model reads at most 512"):
        assert ours("word " * 600) == ours("word " * 509 + "word")


WORDS = [
    ["Ada", "Lovelace", "lived", "in", "London", "."],
    ["New York", " is", "big ", "", "🙂", "Zażółć", "don't", "a  b"],
    ["one"],
    [],
]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("delimiter", [None, " ", "", "\n", " | "])
def test_words(both, strategy, delimiter):
    reference, ours = both
    parameters = {
        "aggregation_strategy": strategy,
        "is_split_into_words": True,
        "delimiter": delimiter,
        "ignore_labels": [],
    }
    assert_same(ours(WORDS, **parameters), reference(WORDS, **parameters))
    assert_same(ours(WORDS[0], **parameters), reference(WORDS[0], **parameters))


@pytest.mark.parametrize("strategy", ["simple", "first"])
def test_many_words(short, strategy):
    reference, ours = short
    words = [LONG[0].split(), LONG[3].split(), WORDS[0]]
    parameters = {"aggregation_strategy": strategy, "is_split_into_words": True, "stride": 5, "ignore_labels": []}
    assert_same(ours(words, **parameters), reference(words, **parameters))


def test_words_where_transformers_fails(both):
    reference, ours = both
    assert reference((words for words in WORDS), is_split_into_words=True) == []  # all of it dropped in silence
    assert_same(
        list(ours((words for words in WORDS), is_split_into_words=True)), reference(WORDS, is_split_into_words=True)
    )
    with pytest.raises(ValueError):
        reference("a text", is_split_into_words=True)
    with pytest.raises(TypeError, match="must be a list of words, not str"):
        ours("a text", is_split_into_words=True)
    # A default that each call puts back.
    other = transformers.pipeline("ner", model=reference.model, tokenizer=reference.tokenizer, is_split_into_words=True)
    assert_same(ours(WORDS[0]), other(WORDS[0]))
    mine = TokenClassificationPipeline(ours.model, ours.tokenizer, is_split_into_words=True)
    assert_same(mine(WORDS[0]), reference(WORDS[0], is_split_into_words=True))


def test_offsets_of_ones_own(both):
    reference, ours = both
    text, offsets = "New York", [(0, 0), (2, 3), (5, 8), (0, 0)]
    for strategy in STRATEGIES:
        parameters = {"aggregation_strategy": strategy, "offset_mapping": offsets, "ignore_labels": []}
        assert_same(ours(text, **parameters), reference(text, **parameters))
    texts = [text, text.lower()]
    with pytest.raises(ValueError, match="same batch size"):
        reference(texts, offset_mapping=offsets)
    with pytest.raises(ValueError, match="offset_mapping is for 1 texts, and there are 2"):
        ours(texts, offset_mapping=offsets)
    # transformers gives all texts the offsets of the first.
    mappings = [offsets, [(0, 0), (0, 1), (4, 5), (4, 5), (0, 0)]]
    mine = ours(texts, offset_mapping=mappings, ignore_labels=[])
    assert [(entity["start"], entity["end"]) for entity in mine[1]] == [(0, 1), (4, 5), (4, 5)]
    with pytest.raises(PipelineException, match="has 4 entries, and the text 5 tokens"):
        ours(texts[1], offset_mapping=offsets)


def test_a_saved_model(both, tmp_path):
    reference, _ = both
    reference.model.save_pretrained(tmp_path)
    reference.tokenizer.save_pretrained(tmp_path)
    ours = pipeline("ner", tmp_path, aggregation_strategy="simple")
    assert_same(ours(TEXTS), reference(TEXTS, aggregation_strategy="simple"))
