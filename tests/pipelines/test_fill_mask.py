import itertools
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from distilroberta_np import (
    CheckpointError,
    FillMaskPipeline,
    InputTypeError,
    PipelineException,
    TokenizerError,
    pipeline,
)
from distilroberta_np.hub import find_embedded
from distilroberta_np.layers.activation import softmax
from distilroberta_np.messages import printable
from tests.support import answers
from tests.support.seeded import VOCAB_SIZE, seeded_pipeline, seeded_tensors, tokenizer_dict, write_json, write_model

TEXT = "The man worked as a <mask>."
OTHER = "A <mask> is here, and it was there for a long time."
TWO = "The <mask> went to the <mask>."
NO_MASK = "No mask_token (<mask>) found on the input"
KEYS = ["score", "token", "token_str", "sequence"]


@pytest.fixture(scope="module")
def unmasker():
    return pipeline("fill-mask", find_embedded())


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Few words and seeded weights, for what is compared with going through everything."""
    return seeded_pipeline(tmp_path_factory.mktemp("small"))


def distribution(unmasker, ids, position):
    """The softmax over the vocabulary at a position, by a forward pass over all positions."""
    return softmax(unmasker.model(np.array([ids])).logits[0, position])


def ids_of(unmasker, text):
    return unmasker.tokenizer.encode(text)


assert_same = partial(answers.assert_same, rel=1e-4)


# -- the result ------------------------------------------------------------------------------------------------------


def test_one_mask_gives_five_predictions_best_first(unmasker):
    answer = unmasker(TEXT)
    assert len(answer) == 5
    for prediction in answer:
        assert list(prediction) == KEYS
        assert [type(value) for value in prediction.values()] == [float, int, str, str]
        assert prediction["sequence"] == f"The man worked as a{prediction['token_str']}."
    scores = [prediction["score"] for prediction in answer]
    assert scores == sorted(scores, reverse=True)


def test_scores_are_a_softmax_over_the_whole_vocabulary(unmasker):
    ids = ids_of(unmasker, TEXT)
    expected = distribution(unmasker, ids, ids.index(unmasker.tokenizer.mask_token_id))
    answer = unmasker(TEXT, top_k=unmasker.model.config.vocab_size)
    assert len(answer) == len(expected)
    assert sum(prediction["score"] for prediction in answer) == pytest.approx(1, abs=1e-4)
    for prediction in answer[::500]:
        assert prediction["score"] == pytest.approx(float(expected[prediction["token"]]), rel=1e-4)
        assert prediction["token_str"] == unmasker.tokenizer.decode([prediction["token"]])


def test_several_masks_give_a_row_each_and_the_others_stay(unmasker):
    answer = unmasker(TWO, top_k=2)
    assert [len(row) for row in answer] == [2, 2]
    first, second = answer[0][0], answer[1][0]
    # With <s> and </s>, and the mask without the space that it swallowed: as transformers shows it.
    assert first["sequence"] == f"<s>The{first['token_str']} went to the<mask>.</s>"
    assert second["sequence"] == f"<s>The<mask> went to the{second['token_str']}.</s>"
    ids = ids_of(unmasker, TWO)
    for row, position in zip(
        answer, [i for i, t in enumerate(ids) if t == unmasker.tokenizer.mask_token_id], strict=True
    ):
        expected = distribution(unmasker, ids, position)
        assert row[0]["token"] == expected.argmax()
        assert row[0]["score"] == pytest.approx(float(expected.max()), rel=1e-4)


def test_equal_scores_come_in_the_order_of_their_ids(tmp_path):
    tensors = seeded_tensors()
    tensors["roberta.embeddings.word_embeddings.weight"][:] = 0
    tensors["lm_head.bias"][:] = 0
    tensors["lm_head.bias"][[7, 100]] = 1
    flat = seeded_pipeline(tmp_path, tensors)
    answer = flat("the <mask> sat", top_k=VOCAB_SIZE)
    assert [prediction["token"] for prediction in answer] == [
        7,
        100,
        *(i for i in range(VOCAB_SIZE) if i not in (7, 100)),
    ]
    assert [p["token"] for p in flat("the <mask> sat", top_k=4)] == [7, 100, 0, 1]
    assert [p["token"] for p in flat("the <mask> sat", targets=["b", "a", "c"])] == sorted(
        ids_of(flat, "abc"[i])[1] for i in range(3)
    )
    assert [p["token"] for p in flat("<mask>", targets=["b", "a", "c"], whole_words=True)] == [
        [ids_of(flat, letter)[1]] for letter in "abc"
    ]
    pairs = [p["token"] for p in flat("<mask><mask>", joint=True, top_k=6)]
    assert pairs == [[7, 7], [7, 100], [100, 7], [100, 100], [0, 7], [0, 100]]


# -- top_k -----------------------------------------------------------------------------------------------------------


def test_top_k(unmasker):
    all_of_it = unmasker(TEXT, top_k=20)
    assert len(all_of_it) == 20
    for top_k in (1, 3, np.int64(7), np.uint8(2)):
        assert unmasker(TEXT, top_k=top_k) == all_of_it[: int(top_k)]
    assert unmasker(TEXT, top_k=None) == all_of_it[:5]
    assert unmasker(TEXT, top_k=0) == []
    assert unmasker(TWO, top_k=0) == [[], []]


@pytest.mark.parametrize(
    ("top_k", "error", "message"),
    [
        (16385, ValueError, "top_k is 16385, and the vocabulary has only 16384 tokens"),
        (-1, ValueError, "top_k must be at least 0, not -1"),
        (True, TypeError, "top_k must be an integer, not a boolean"),
        (np.True_, TypeError, "top_k must be an integer, not a boolean"),
        (2.0, TypeError, "top_k must be an integer, not 2.0"),
        ("2", TypeError, "top_k must be an integer, not '2'"),
        ([2], TypeError, r"top_k must be an integer, not \[2\]"),
    ],
    ids=repr,
)
def test_a_top_k_out_of_range_or_no_integer(unmasker, top_k, error, message):
    with pytest.raises(error, match=message):
        unmasker(TEXT, top_k=top_k)


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_batch_size_out_of_range_or_no_integer(unmasker, value, error):
    with pytest.raises(error, match="batch_size must be"):
        unmasker([TEXT], batch_size=value)


@pytest.mark.parametrize("name", ["joint", "keep_text", "whole_words"])
@pytest.mark.parametrize("value", [1, 0, "yes"])
def test_a_switch_must_be_a_boolean(unmasker, name, value):
    with pytest.raises(TypeError, match=f"{name} must be True or False, not {value!r}"):
        unmasker(TEXT, targets=" a", **{name: value})


# -- targets ---------------------------------------------------------------------------------------------------------


def warned(unmasker, *arguments, **parameters):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = unmasker(*arguments, **parameters)
    assert {warning.filename for warning in caught} <= {__file__}, "a warning must point at the user's call"
    return answer, [str(warning.message) for warning in caught]


def test_an_entry_as_it_is_written_is_found_silently(unmasker):
    answer, messages = warned(unmasker, TEXT, targets="Ġboy")
    assert messages == []
    assert [p["token_str"] for p in answer] == [" boy"]


def test_a_word_with_its_space_stands_for_its_entry_without_a_warning(unmasker):
    answer, messages = warned(unmasker, TEXT, targets=[" boy"])
    assert messages == []
    assert_same(answer, unmasker(TEXT, targets=["Ġboy"]))


def test_scores_of_targets_are_not_renormalized(unmasker):
    plain = {p["token"]: p["score"] for p in unmasker(TEXT, top_k=16384)}
    answer = unmasker(TEXT, targets=["Ġboy", "Ġgirl", "Ġdog"])
    assert [p["score"] for p in answer] == sorted((plain[p["token"]] for p in answer), reverse=True)
    assert len(answer) == 3


def test_a_word_of_several_subwords_stands_for_its_first_and_the_way_out_is_named(unmasker):
    subwords = unmasker.tokenizer.encode(" unbelievably", add_special_tokens=False)
    assert len(subwords) > 1
    answer, (message,) = warned(unmasker, TEXT, targets=" unbelievably")
    assert [p["token"] for p in answer] == subwords[:1]
    entry = unmasker.tokenizer.id_to_token(subwords[0])
    assert message == (
        "The specified target token ` unbelievably` does not exist in the model vocabulary. "
        f"Replacing with `{entry}`. whole_words=True scores the word with all its subwords."
    )


def test_the_trap_of_the_missing_space_is_named(unmasker):
    answer, (message,) = warned(unmasker, TEXT, targets="pizza")
    assert answer[0]["token"] == unmasker.tokenizer.encode("pizza", add_special_tokens=False)[0]
    assert message.startswith(
        "The specified target token `pizza` does not exist in the model vocabulary. Replacing with `p"
    )
    assert "did you mean ` pizza`?" in message


def test_an_empty_target_is_left_out_with_a_warning(unmasker):
    answer, messages = warned(unmasker, TEXT, targets=["", "Ġboy"])
    assert [p["token_str"] for p in answer] == [" boy"]
    assert messages == [
        "The specified target token `` does not exist in the model vocabulary. "
        "We cannot replace it with anything meaningful, ignoring it"
    ]


@pytest.mark.parametrize("whole_words", [False, True])
@pytest.mark.parametrize("targets", ["", [], [""], ("", "")])
@pytest.mark.filterwarnings("ignore:The specified target")
def test_no_target_left_is_an_error(unmasker, targets, whole_words):
    with pytest.raises(ValueError, match=re.escape("At least one target must be provided when passed.")):
        unmasker(TEXT, targets=targets, whole_words=whole_words)


def test_repeated_targets_count_once_and_cap_top_k(unmasker):
    answer = unmasker(TEXT, targets=["Ġboy", "Ġgirl", "Ġboy"], top_k=5)
    assert sorted(p["token_str"] for p in answer) == [" boy", " girl"]
    assert unmasker(TEXT, targets=["Ġboy", "Ġgirl"], top_k=1) == answer[:1]
    assert unmasker(TEXT, targets=["Ġboy", "Ġgirl"], top_k=10**9) == answer


def test_one_string_is_one_target_and_any_collection_will_do(unmasker):
    expected = unmasker(TEXT, targets=["Ġboy"])
    for targets in ("Ġboy", ("Ġboy",), {"Ġboy"}, iter(["Ġboy"]), np.array(["Ġboy"])):
        assert_same(unmasker(TEXT, targets=targets), expected)


@pytest.mark.parametrize("whole_words", [False, True])
@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        (["Ġboy", 5], ValueError, "a target must be a string, not int: 5"),
        ([None], ValueError, "a target must be a string, not NoneType"),
        ([["Ġboy"]], ValueError, "a target must be a string, not list"),
        (b"boy", ValueError, "a target must be a string, not int"),
        (5, TypeError, "targets must be a string or a list of strings, not 5"),
        (["\ud800"], TokenizerError, r"U\+D800"),
    ],
)
def test_targets_that_are_no_strings(unmasker, targets, error, message, whole_words):
    with pytest.raises(error, match=message):
        unmasker(TEXT, targets=targets, whole_words=whole_words)


def test_special_tokens_can_be_targets(unmasker):
    assert [p["token"] for p in unmasker(TEXT, targets=["<mask>"])] == [unmasker.tokenizer.mask_token_id]


# -- inputs ----------------------------------------------------------------------------------------------------------


def test_no_text_one_text_and_several(unmasker):
    assert unmasker([]) == unmasker(()) == []
    single = unmasker(TEXT)
    assert unmasker([TEXT]) == unmasker((TEXT,)) == single
    several = unmasker([TEXT, TWO, OTHER])
    assert_same(several, [single, unmasker(TWO), unmasker(OTHER)])
    assert_same(unmasker((TEXT, TWO, OTHER)), several)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 64])
def test_batch_size_changes_nothing_beyond_rounding(unmasker, batch_size):
    texts = [TEXT, TWO, OTHER, "<mask>", "  a <mask>  "]
    expected = [unmasker(text) for text in texts]
    assert_same(unmasker(texts, batch_size=batch_size), expected)
    assert_same(list(unmasker(iter(texts), batch_size=batch_size)), expected)
    assert_same(list(unmasker.answers(texts, batch_size=batch_size)), expected)


def test_whitespace_nul_and_other_scripts_are_texts(unmasker):
    for text in ["<mask>", "\n<mask>", "nul \0 <mask>", "日本の<mask>です", "🎉 <mask> \u200b"]:
        assert len(unmasker(text)) == 5


@pytest.mark.parametrize("text", ["", "no mask", "< mask >", "mask"])
def test_a_text_without_a_mask(unmasker, text):
    with pytest.raises(PipelineException, match=re.escape(NO_MASK)) as caught:
        unmasker(text)
    assert caught.value.index is None
    with pytest.raises(PipelineException, match=re.escape(f"{NO_MASK} (input 1)")) as caught:
        unmasker([TEXT, text])
    assert (caught.value.index, caught.value.reason) == (1, NO_MASK)


def test_a_lone_surrogate_is_named_with_its_input(unmasker):
    with pytest.raises(PipelineException, match=r"U\+D800.*\(input 1\)"):
        unmasker([TEXT, "\ud800 <mask>"])


@pytest.mark.parametrize("item", [["nested <mask>"], None, 5, b"<mask>", {"text": "<mask>"}])
def test_an_item_that_is_no_text_is_named(unmasker, item):
    with pytest.raises(
        TypeError, match=rf"input 1 must be a text, not {type(item).__name__}: .*{re.escape(str(item)[:5])}"
    ):
        unmasker([TEXT, item])


@pytest.mark.parametrize("inputs", [None, 5, 1.5, b"<mask>", bytearray(b"<mask>"), {"text": TEXT}])
def test_inputs_that_are_no_texts(unmasker, inputs):
    with pytest.raises(TypeError, match=f"inputs must be a text or an iterable of texts, not {type(inputs).__name__}"):
        unmasker(inputs)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_generator_is_read_no_further_than_a_batch_ahead(small, batch_size):
    read = []

    def texts():
        for number in itertools.count():
            read.append(number)
            yield TEXT

    answers = small(texts(), batch_size=batch_size)
    assert read == []
    for answered in range(1, 8):
        assert len(next(answers)) == 5
        assert len(read) == -(-answered // batch_size) * batch_size


def test_by_default_a_generator_is_read_further_and_further_ahead(small):
    read = []
    answers = small(read.append(number) or f"{number} <mask>" for number in itertools.count())
    ahead = [len(read) for _ in zip(range(400), answers, strict=False)]
    assert ahead[:8] == [1, 3, 3, 7, 7, 7, 7, 15]
    assert [ahead[254], ahead[255], ahead[382], ahead[383]] == [255, 383, 383, 511]


@pytest.mark.parametrize("batch_size", [1, 2, 10])
def test_texts_before_a_failure_of_their_source_are_answered_first(small, batch_size):
    def texts():
        yield from [TEXT, TWO, TEXT]
        raise OSError("the disk is gone")

    answers = small(texts(), batch_size=batch_size)
    assert_same([next(answers) for _ in range(3)], small([TEXT, TWO, TEXT]))
    with pytest.raises(OSError, match="the disk is gone"):
        next(answers)


def test_a_stream_can_be_left_before_its_end(small):
    answers = small(iter([TEXT, TWO, TEXT]), batch_size=2)
    next(answers)
    answers.close()


def test_one_pipeline_serves_several_threads(small):
    texts = [TEXT, TWO, "the <mask> sat on the cat", "<mask>"] * 5
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(small, texts))
    assert_same(together, [small(text) for text in texts])


def test_arguments_of_a_generator_are_checked_at_the_call(small):
    with pytest.raises(ValueError, match="top_k"):
        small(iter([TEXT]), top_k=-1)
    with pytest.raises(ValueError, match="top_k"):
        small.answers([TEXT], top_k=-1)
    with pytest.raises(TypeError, match="put it into a list"):
        small.answers(TEXT)


@pytest.mark.parametrize("batch_size", [1, 2, 10])
@pytest.mark.parametrize(("bad", "error"), [("no mask", PipelineException), (["a"], TypeError), (None, TypeError)])
def test_texts_before_a_bad_one_are_answered_first(small, batch_size, bad, error):
    answers = small(iter([TEXT, TWO, TEXT, bad, TEXT]), batch_size=batch_size)
    assert_same([next(answers) for _ in range(3)], small([TEXT, TWO, TEXT]))
    with pytest.raises(error, match="input 3"):
        next(answers)


@pytest.mark.parametrize("batch_size", [1, 2, 10])
def test_answers_gives_the_exception_of_an_input_and_goes_on(small, batch_size):
    long = "word " * 600 + "<mask>"
    texts = ["no mask", TEXT, 5, TWO, long, "\ud800<mask>", OTHER]
    results = list(small.answers(texts, batch_size=batch_size))
    kinds = [PipelineException, list, InputTypeError, list, PipelineException, PipelineException, list]
    assert [type(result) for result in results] == kinds
    assert [result.index for result in results if isinstance(result, PipelineException)] == [0, 4, 5]
    assert_same([results[1], results[3], results[6]], small([TEXT, TWO, OTHER]))


def test_a_list_with_a_bad_text_is_refused_before_anything_is_computed(small, monkeypatch):
    monkeypatch.setattr(FillMaskPipeline, "_answer", lambda *_: pytest.fail("computed"))
    with pytest.raises(PipelineException, match="input 2"):
        small([TEXT, TEXT, "no mask"])


# -- long texts ------------------------------------------------------------------------------------------------------


def words(count):
    """As many tokens as words."""
    return " the" * count


def test_512_tokens_are_read_and_513_refused_with_the_way_out(small):
    assert len(small(words(509) + "<mask>")) == 5
    with pytest.raises(PipelineException, match=r"513 tokens .* at most 512; .*truncation=True \(input 1\)"):
        small([TEXT, words(510) + "<mask>"])


@pytest.mark.parametrize("truncation", [True, "longest_first", "only_first"])
@pytest.mark.parametrize("kwargs", [False, True])
def test_truncation_keeps_the_beginning_as_transformers_does(small, truncation, kwargs):
    parameters = {"tokenizer_kwargs": {"truncation": truncation}} if kwargs else {"truncation": truncation}
    (cut,) = small("A<mask>" + words(700), targets="a", **parameters)
    # 512 tokens are <s>, two before the words, the words, and </s>.
    assert_same(cut, small("A<mask>" + words(508), targets="a")[0])
    assert cut["sequence"] == "Aa" + words(508)


@pytest.mark.parametrize("truncation", [False, "do_not_truncate"])
def test_no_truncation_is_no_truncation(small, truncation):
    with pytest.raises(PipelineException, match="tokens"):
        small("<mask>" + words(700), truncation=truncation)


@pytest.mark.parametrize("before", [300, 509, 510, 600, 990, 1990, 2000])
def test_the_cut_is_moved_so_that_the_mask_stays(small, before):
    after = 2000 - before
    (cut,) = small(words(before) + "<mask>" + words(after), targets="z", truncation=True)
    kept, rest = (part.count(" the") for part in cut["sequence"].split("z"))
    assert cut["sequence"] == words(kept) + "z" + words(rest)
    assert kept + rest == 509
    if before <= 509:
        assert kept == before, "the beginning stays where it can, as in transformers"
    elif after < 254:
        assert rest == after, "no room is wasted at the end"
    else:
        assert abs(kept - rest) <= 1, "a mask past the cut keeps as much before it as after it"


def test_all_masks_stay_where_they_can_and_where_they_can_not_it_is_said(small):
    far = words(600) + "<mask>" + words(508) + "<mask>" + words(50)
    assert len(small(far, truncation=True)) == 2
    with pytest.raises(PipelineException, match="the masks span 511 tokens, and only 510 fit"):
        small(words(600) + "<mask>" + words(509) + "<mask>", truncation=True)
    results = list(small.answers(["<mask>" + words(600) + "<mask>", TEXT], truncation=True))
    assert isinstance(results[0], PipelineException)
    assert len(results[1]) == 5


@pytest.mark.parametrize("max_length", [3, 4, 7, 8])
def test_max_length_is_counted_in_tokens_and_cuts_by_itself(small, max_length):
    (cut,) = small("<mask>" + words(9), top_k=1, tokenizer_kwargs={"max_length": max_length})
    assert_same(cut, small("<mask>" + words(max_length - 3), top_k=1)[0])
    assert_same(
        cut, small("<mask>" + words(9), top_k=1, truncation=True, tokenizer_kwargs={"max_length": max_length})[0]
    )


def test_max_length_without_truncation_is_no_cut(small):
    parameters = {"tokenizer_kwargs": {"max_length": 5, "truncation": False}}
    assert_same(small("<mask>" + words(9), **parameters), small("<mask>" + words(9)))
    assert_same(
        small("<mask>" + words(9), truncation=False, tokenizer_kwargs={"max_length": 5}), small("<mask>" + words(9))
    )


def test_a_max_length_above_the_models_is_the_models(small):
    parameters = {"truncation": True, "tokenizer_kwargs": {"max_length": 10_000}}
    assert_same(small("<mask>" + words(900), **parameters), small("<mask>" + words(900), truncation=True))


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"truncation": "yes"}, ValueError, "truncation must be True or False, not 'yes'"),
        ({"truncation": 5}, ValueError, "truncation must be True or False, not 5"),
        ({"tokenizer_kwargs": {"truncation": "yes"}}, ValueError, "truncation must be"),
        (
            {"tokenizer_kwargs": {"padding": True, "stride": 1}},
            TypeError,
            "takes truncation, max_length, padding, not stride",
        ),
        ({"tokenizer_kwargs": "truncation"}, TypeError, "tokenizer_kwargs must be a dict, not 'truncation'"),
        ({"tokenizer_kwargs": 5}, TypeError, "tokenizer_kwargs must be a dict, not 5"),
        ({"tokenizer_kwargs": {"max_length": 2}}, ValueError, "max_length must be at least 3, not 2"),
        ({"tokenizer_kwargs": {"max_length": True}}, TypeError, "max_length must be an integer"),
        ({"tokenizer_kwargs": {"max_length": "9"}}, TypeError, "max_length must be an integer, not '9'"),
        ({"top": 5}, TypeError, "top"),
    ],
)
def test_arguments_of_truncation_are_checked(small, parameters, error, message):
    with pytest.raises(error, match=message):
        small(TEXT, **parameters)


def test_the_tokenizers_own_limit_is_what_truncation_cuts_to_and_no_more(small, tmp_path):
    write_model(tmp_path)
    write_json(tmp_path / "tokenizer_config.json", {"model_max_length": 10})
    limited = pipeline("fill-mask", tmp_path)
    assert limited.max_length == 10
    text = "<mask>" + words(8)
    assert limited(text) == small(text)
    assert limited(text, tokenizer_kwargs={"truncation": True, "max_length": 11}) == small(text)
    assert limited(text, truncation=True) == small(text, tokenizer_kwargs={"max_length": 10})


# -- whole words -----------------------------------------------------------------------------------------------------


def test_a_word_of_one_subword_scores_as_it_does_without(unmasker):
    (whole,) = unmasker(TEXT, targets="boy", whole_words=True)
    (plain,) = unmasker(TEXT, targets="Ġboy")
    assert list(whole) == KEYS
    assert whole["score"] == pytest.approx(plain["score"], rel=1e-5)
    assert whole == plain | {"score": whole["score"], "token": [plain["token"]]}


@pytest.mark.parametrize("word", ["unbelievably", "New York", "waiter", "extraterrestrials"])
def test_a_word_of_several_subwords_is_scored_by_the_chain_rule(unmasker, word):
    subwords = unmasker.tokenizer.encode(" " + word, add_special_tokens=False)
    assert len(subwords) > 1
    ids, mask = ids_of(unmasker, TEXT), unmasker.tokenizer.mask_token_id
    position = ids.index(mask)
    product = 1.0
    for done in range(len(subwords)):
        filled = [*ids[:position], *subwords[:done], *[mask] * (len(subwords) - done), *ids[position + 1 :]]
        product *= float(distribution(unmasker, filled, position + done)[subwords[done]])
    (answer,) = unmasker(TEXT, targets=word, whole_words=True)
    assert answer["score"] == pytest.approx(product, rel=1e-4)
    assert answer["token"] == subwords
    assert answer["token_str"] == " " + word
    assert answer["sequence"] == f"The man worked as a {word}."


def test_words_together_score_as_each_by_itself(small):
    targets = ["cat", "the", "thecat", "a cat", "sat on", "theth", "xyz", "thea"]
    together = small("the <mask> on", targets=targets, whole_words=True, top_k=8)
    apart = [small("the <mask> on", targets=target, whole_words=True)[0] for target in targets]
    assert_same(together, sorted(apart, key=lambda p: -p["score"]))
    assert_same(small("the <mask> on", targets=targets, whole_words=True, top_k=2), together[:2])


def test_more_words_than_are_computed_at_once(small):
    targets = [a + b + c for a in "abcd" for b in "efgh" for c in "ijkl"]
    together = {p["token_str"]: p["score"] for p in small("<mask>", targets=targets, whole_words=True, top_k=64)}
    assert len(together) == 64
    for target in targets[::9]:
        assert together[target] == pytest.approx(
            small("<mask>", targets=target, whole_words=True)[0]["score"], rel=1e-4
        )


def test_scores_of_all_words_of_two_subwords_sum_to_less_than_one(small):
    letters = "abcdefghijklmnopqrstuvwxyz"
    targets = [a + b for a in letters for b in letters]
    answer = small("x<mask>", targets=targets, whole_words=True, top_k=VOCAB_SIZE)
    assert 0 < sum(p["score"] for p in answer if len(p["token"]) == 2) < 1


@pytest.mark.parametrize(
    ("text", "word", "token_str"),
    [
        ("the <mask> sat", "cat", " cat"),
        ("the <mask> sat", " cat", " cat"),
        ("the\n<mask> sat", "cat", " cat"),
        ("<mask> sat", "cat", "cat"),
        ("<mask> sat", " cat", " cat"),
        ("(<mask>)", "cat", "cat"),
        ("the<mask>", "cat", "cat"),
        ("the<mask>", " cat", " cat"),
    ],
)
def test_a_word_is_spelled_as_it_would_stand_in_the_text(small, text, word, token_str):
    (answer,) = small(text, targets=word, whole_words=True)
    assert answer["token"] == small.tokenizer.encode(token_str, add_special_tokens=False)
    assert answer["token_str"] == token_str


def test_each_mask_has_its_own_spelling_and_the_others_stay_masks(small):
    first, second = small("<mask> <mask>", targets="cat", whole_words=True)
    assert (first[0]["token_str"], second[0]["token_str"]) == ("cat", " cat")
    assert first[0]["sequence"] == "<s>cat<mask></s>"
    assert second[0]["sequence"] == "<s><mask> cat</s>"
    plain = small("<mask> <mask>", targets=["cat", "Ġcat"], top_k=2)
    for row, whole in zip(plain, (first, second), strict=True):
        scores = {p["token"]: p["score"] for p in row}
        assert [whole[0]["score"]] == [pytest.approx(scores.get(whole[0]["token"][0]), rel=1e-5)]


def test_the_same_word_twice_counts_once(small):
    assert len(small("the <mask>", targets=["cat", " cat", "cat"], whole_words=True)) == 1


@pytest.mark.parametrize("batch_size", [1, 4])
def test_whole_words_of_many_texts(small, batch_size):
    texts = ["the <mask> sat", "<mask>", "a <mask> and <mask>"]
    expected = [small(text, targets=["cat", "sat on"], whole_words=True) for text in texts]
    assert_same(small(texts, targets=["cat", "sat on"], whole_words=True, batch_size=batch_size), expected)


def test_whole_words_that_can_not_be(unmasker):
    with pytest.raises(ValueError, match="whole_words says how to read targets, but there are none"):
        unmasker(TEXT, whole_words=True)
    with pytest.raises(ValueError, match="joint and whole_words can't be combined"):
        unmasker(TEXT, targets="a", whole_words=True, joint=True)
    with pytest.raises(ValueError, match="the target 'a <mask>' contains <mask>"):
        unmasker(iter([TEXT]), targets="a <mask>", whole_words=True)


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_a_blank_word_is_left_out_with_a_warning(unmasker, blank):
    answer, messages = warned(unmasker, TEXT, targets=[blank, "boy"], whole_words=True)
    assert [p["token_str"] for p in answer] == [" boy"]
    said = f"The specified target `{printable(blank)}` is not a word. We cannot replace it with anything meaningful"
    assert messages == [said + ", ignoring it"]


def test_a_text_with_no_room_for_the_longest_word_is_refused_by_its_index(small):
    subwords = len(small.tokenizer.encode(" satcats", add_special_tokens=False))
    assert subwords > 2
    full, room = words(509) + " <mask>", words(510 - subwords) + " <mask>"
    results = list(small.answers([TEXT, full, room], targets=["cat", "satcats"], whole_words=True))
    assert [type(result) for result in results] == [list, PipelineException, list]
    assert re.search(rf"512 tokens .* at most 512 \({513 - subwords} with the longest target\)", results[1].reason)
    assert results[1].index == 1


def test_truncation_leaves_room_for_the_longest_word(small):
    answer = small(words(800) + " <mask>", targets=["cat", "satcats"], whole_words=True, truncation=True)
    assert {p["token_str"] for p in answer} == {" cat", " satcats"}


# -- joint -----------------------------------------------------------------------------------------------------------


def brute_force(small, text):
    """Every pair for two masks, the second given the first, by full forward passes."""
    ids, mask = ids_of(small, text), small.tokenizer.mask_token_id
    first, second = (position for position, token in enumerate(ids) if token == mask)
    marginal = distribution(small, ids, first).astype(np.float64)
    filled = np.repeat([ids], VOCAB_SIZE, axis=0)
    filled[:, first] = np.arange(VOCAB_SIZE)
    # A pad in the text is a token here, as in the pipeline, which gives the model no mask for it.
    conditional = np.concatenate([softmax(small.model(part).logits[:, second]) for part in np.array_split(filled, 8)])
    return marginal[:, None] * conditional


def test_two_masks_filled_jointly_equal_going_through_all_pairs(small):
    text = "the <mask> on <mask>"
    scores = brute_force(small, text)
    answer = small(text, joint=True, top_k=VOCAB_SIZE)
    assert len(answer) == VOCAB_SIZE
    order = np.argsort(-scores, axis=None)[:VOCAB_SIZE]
    np.testing.assert_allclose([p["score"] for p in answer], scores.ravel()[order], rtol=1e-4)
    for prediction in answer:
        assert prediction["score"] == pytest.approx(scores[tuple(prediction["token"])], rel=1e-4)
    assert len({tuple(p["token"]) for p in answer}) == VOCAB_SIZE
    assert [p["score"] for p in answer] == sorted((p["score"] for p in answer), reverse=True)


def test_a_joint_answer_fills_all_masks_at_once(small):
    answer = small("the <mask> on <mask>", joint=True, top_k=3)
    assert len(answer) == 3
    for prediction in answer:
        assert list(prediction) == KEYS
        assert [len(prediction["token"]), len(prediction["token_str"])] == [2, 2]
        assert prediction["token_str"] == [small.tokenizer.decode([token]) for token in prediction["token"]]
        first, second = prediction["token"]
        skipped = small.tokenizer.decode(
            [*ids_of(small, "the")[:2], first, *ids_of(small, "a on")[2:3], second], skip_special_tokens=True
        )
        assert prediction["sequence"] == skipped


def test_a_joint_answer_for_one_mask_scores_as_a_plain_one(small):
    joint, plain = small("the <mask>", joint=True), small("the <mask>")
    assert [p["token"] for p in joint] == [[p["token"]] for p in plain]
    assert [p["score"] for p in joint] == [pytest.approx(p["score"], rel=1e-5) for p in plain]


def test_joint_answers_keep_to_the_targets(small):
    targets = ["Ġcat", "Ġa", "Ġthe"]
    ids = sorted(small.tokenizer.token_to_id(target) for target in targets)
    answer = small("the <mask> on <mask>", joint=True, targets=targets, top_k=20)
    assert sorted(p["token"] for p in answer) == [[a, b] for a in ids for b in ids]
    scores = brute_force(small, "the <mask> on <mask>")
    for prediction in answer:
        assert prediction["score"] == pytest.approx(scores[tuple(prediction["token"])], rel=1e-4)


def test_three_masks_and_many_texts(small):
    texts = ["<mask><mask><mask>", "a <mask>", "the <mask> on <mask>"]
    answers = small(texts, joint=True, top_k=2, batch_size=2)
    assert [[len(p["token"]) for p in answer] for answer in answers] == [[3, 3], [1, 1], [2, 2]]
    assert_same(answers, [small(text, joint=True, top_k=2) for text in texts])
    assert small("<mask><mask>", joint=True, top_k=0) == []


# -- keep_text -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "word", "sequence"),
    [
        ("So  the   <mask> sat , on", " cat", "So  the   cat sat , on"),
        ("the\n<mask> sat\n", " cat", "the\ncat sat\n"),
        ("the\t<mask>\tsat", " cat", "the\tcat\tsat"),
        ("the<mask> sat", " cat", "the cat sat"),
        ("the <mask> sat", "s", "thes sat"),
        ("the  <mask> sat", "s", "thes sat"),
        ("the<mask> sat", "s", "thes sat"),
        ("<mask> sat", " cat", "cat sat"),
        ("<mask> sat", "cat", "cat sat"),
        ("  <mask> sat", " cat", "  cat sat"),
        ("🎉 é <mask>  !", " cat", "🎉 é cat  !"),
        ("the <mask>", " cat", "the cat"),
        ("a <s> b <mask>  c", " cat", "a <s> b cat  c"),
    ],
)
def test_keep_text_puts_the_word_into_the_text_as_it_was_typed(small, text, word, sequence):
    entry = small.tokenizer.id_to_token(small.tokenizer.encode(word, add_special_tokens=False)[0])
    (answer,) = small(text, targets=entry, keep_text=True)
    assert answer["token_str"] == word
    assert answer["sequence"] == sequence


def test_keep_text_fills_one_of_several_masks_and_leaves_the_others_as_typed(small):
    rows = small("the  <mask>  sat <mask>,  on", targets="Ġcat", keep_text=True)
    assert [row[0]["sequence"] for row in rows] == ["the  cat  sat <mask>,  on", "the  <mask>  sat cat,  on"]


@pytest.mark.parametrize(
    ("text", "targets", "sequence"),
    [
        ("a  <mask>  <mask> !", "Ġcat", "a  cat  cat !"),
        ("a  <mask><mask> !", "Ġcat", "a  cat cat !"),
        ("a  <mask>  <mask> !", "s", "ass !"),
        ("<mask>  <mask>", "Ġcat", "cat  cat"),
    ],
)
def test_keep_text_with_joint_fills_all(small, text, targets, sequence):
    (answer,) = small(text, targets=targets, joint=True, keep_text=True)
    assert answer["sequence"] == sequence


@pytest.mark.parametrize(
    ("text", "word", "sequence"),
    [
        ("the  <mask>  !", "sat on", "the  sat on  !"),
        ("the\n<mask>", "cats", "the\ncats"),
        ("<mask>  on", "Cats", "Cats  on"),
        ("un<mask>", "sat", "unsat"),
    ],
)
def test_keep_text_with_whole_words(small, text, word, sequence):
    (answer,) = small(text, targets=word, whole_words=True, keep_text=True)
    assert answer["sequence"] == sequence


def test_keep_text_keeps_what_truncation_cuts(small):
    text = "<mask>" + "  the" * 900
    (answer,) = small(text, targets="a", keep_text=True, truncation=True)
    assert answer["sequence"] == "a" + "  the" * 900


def test_keep_text_changes_nothing_else(small):
    for text in (TEXT, TWO):
        kept, plain = small([text, text], keep_text=True), small([text, text])
        drop = [[{**p, "sequence": ""} for p in np.ravel(answer)] for answer in (kept, plain)]
        assert drop[0] == drop[1]


# -- defaults --------------------------------------------------------------------------------------------------------


def test_defaults_hold_until_a_call_says_otherwise(small):
    def make(**parameters):
        return FillMaskPipeline(small.model, small.tokenizer, **parameters)

    three = make(top_k=3)
    assert len(three(TEXT)) == len(three(TEXT, top_k=None)) == 3
    assert len(three(TEXT, top_k=1)) == 1
    assert len(three(TEXT)) == 3, "a call must not change the defaults"

    joint = make(joint=True, top_k=1)
    assert len(joint(TWO)) == 1
    assert len(joint(TWO, joint=False)) == 2
    kept = make(keep_text=True)
    assert " \n" in kept(" \nA <mask>")[0]["sequence"]
    assert kept("A  <mask>  .", keep_text=False) == small("A  <mask>  .")
    batched = make(batch_size=2)
    assert_same(batched([TEXT, TEXT, TWO]), small([TEXT, TEXT, TWO]))


def test_default_targets_and_the_way_to_take_them_can_be_given_apart(unmasker):
    def make(**parameters):
        return FillMaskPipeline(unmasker.model, unmasker.tokenizer, **parameters)

    def tokens(answer):
        return [p["token"] for p in answer]

    boy, girl = unmasker.tokenizer.token_to_id("Ġboy"), unmasker.tokenizer.token_to_id("Ġgirl")
    targets = make(targets="Ġboy")
    assert tokens(targets(TEXT)) == [boy]
    assert tokens(targets(TEXT, targets="Ġgirl")) == [girl]
    assert tokens(targets(TEXT, whole_words=False)) == [boy]
    words_by_default = make(whole_words=True)
    assert tokens(words_by_default(TEXT, targets="boy")) == [[boy]]
    assert tokens(words_by_default(TEXT, targets="Ġboy", whole_words=False)) == [boy]
    with pytest.raises(ValueError, match="there are none"):
        words_by_default(TEXT)
    both = make(targets="boy", whole_words=True)
    assert tokens(both(TEXT)) == tokens(both(TEXT, whole_words=True)) == [[boy]]
    assert tokens(both(TEXT, targets="girl")) == [[girl]]
    with pytest.raises(ValueError, match="joint and whole_words can't be combined"):
        both(TEXT, joint=True)
    plain = make(targets=" boy")
    assert tokens(plain(TEXT)) == [boy]
    assert tokens(plain(TEXT, whole_words=True)) == [[boy]]


def test_default_truncation_and_max_length_can_be_given_apart(small):
    long, cut = "<mask>" + words(700), {"max_length": 5}

    def make(**parameters):
        return FillMaskPipeline(small.model, small.tokenizer, **parameters)

    short = small("<mask>" + words(2))
    assert_same(make(truncation=True)(long), small("<mask>" + words(509)))
    assert_same(make(truncation=True)(long, tokenizer_kwargs=cut), short)
    assert_same(make(tokenizer_kwargs=cut)(long), short)
    assert_same(make(tokenizer_kwargs=cut)(long, truncation=True), short)
    with pytest.raises(PipelineException, match="tokens"):
        make(truncation=True)(long, truncation=False)


# -- models and tokenizers that don't fit ----------------------------------------------------------------------------


def test_a_tokenizer_with_more_tokens_than_the_model_has(tmp_path, small, unmasker):
    # Only the tokens that occur must be the model's.
    filler = FillMaskPipeline(small.model, unmasker.tokenizer)
    with pytest.raises(PipelineException, match=f"the id 16383, but the model has only {VOCAB_SIZE} tokens"):
        filler("<mask>")


def test_another_pad_token(tmp_path):
    with pytest.raises(
        PipelineException, match="<pad> is token 1 of the tokenizer, but the model's config has pad_token_id 0"
    ):
        seeded_pipeline(tmp_path, pad_token_id=0)


def test_ids_beyond_the_models_vocabulary_are_named_where_they_come_up(tmp_path):
    write_model(tmp_path)
    tokenizer = tokenizer_dict()
    tokenizer["model"]["vocab"]["b"] = 100_000
    tokenizer["model"]["merges"].remove("a b")
    write_json(tmp_path / "tokenizer.json", tokenizer)
    sparse = pipeline("fill-mask", tmp_path)
    assert len(sparse("a <mask>")) == 5
    with pytest.raises(PipelineException, match=r"the id 100000, but the model has only 274 .*\(input 1\)"):
        sparse(["a <mask>", "b <mask>"])
    for whole_words in (False, True):
        with pytest.raises(PipelineException, match="the id 100000"):
            sparse("a <mask>", targets="b", whole_words=whole_words)
    results = list(sparse.answers(["b <mask>", "a <mask>"]))
    assert isinstance(results[0], PipelineException)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_weights_so_large_that_nothing_can_be_computed_are_no_wrong_answer(tmp_path):
    tensors = seeded_tensors()
    tensors["lm_head.dense.weight"][:] = 3e38
    broken = seeded_pipeline(tmp_path, tensors)
    with pytest.raises(CheckpointError, match="the logits contain NaN or infinity"):
        broken("the <mask> sat")


def test_padding_is_accepted_and_changes_nothing(unmasker):
    assert unmasker(TEXT, tokenizer_kwargs={"padding": True}) == unmasker(TEXT)


def test_a_target_longer_than_the_model_reads_is_named(small):
    with pytest.raises(PipelineException, match=r"the longest target has \d+ tokens, too many"):
        small("<mask>", targets=["the " * 600], whole_words=True, truncation=True)


# -- hostile and mistyped texts ----------------------------------------------------------------------------------------


def test_many_masks_take_time_linear_in_the_text(small):
    encoding = small.tokenizer.encoding("<mask>" * 4000)
    accesses = []

    class Counted:
        ids = encoding.ids

        @property
        def offsets(self):
            accesses.append(1)
            return encoding.offsets

    small_read = small._read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "_encode", lambda *_, **__: Counted())
        with pytest.raises(PipelineException, match="4002 tokens"):
            small_read("<mask>" * 4000, None, small._options())
    assert len(accesses) == 1  # each access builds the list anew


def test_a_text_that_is_far_too_long_is_refused_before_it_is_tokenized(small, monkeypatch):
    text = "<mask>" + words(100_000)
    monkeypatch.setattr(small.tokenizer, "encode", lambda *_, **__: pytest.fail("tokenized"))
    with pytest.raises(
        PipelineException, match=r"400,006 characters, far more than the model's 512 tokens.*\(input 0\)"
    ):
        small([text])
    with pytest.raises(PipelineException, match="No mask_token"):
        small(words(100_000), truncation=True)


def test_spaces_before_a_mask_are_no_reason_to_refuse_it(small):
    assert small("the" + " " * 100_000 + "<mask>")[0]["score"] == small("the <mask>")[0]["score"]


@pytest.mark.parametrize("typed", ["[MASK]", "<MASK>", "[mask]", "<Mask>", "{mask}"])
def test_another_way_to_write_the_mask_is_named(small, typed):
    with pytest.raises(PipelineException, match=re.escape(f"; write <mask> instead of {typed}")):
        small(f"the {typed} sat")


def test_the_left_side_is_truncated_if_the_tokenizer_says_so(small, monkeypatch):
    monkeypatch.setattr(small.tokenizer, "truncation_side", "left")
    (cut,) = small(words(700) + "<mask>A", targets="a", truncation=True)
    assert cut["sequence"] == words(508) + "aA"
    (cut,) = small("<mask>" + words(700), targets="a", truncation=True)
    assert cut["sequence"] == "a" + words(509)
