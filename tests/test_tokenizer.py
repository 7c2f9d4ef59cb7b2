import contextlib
import copy
import json
import random

import numpy as np
import pytest
from tokenizers import Tokenizer

from distilroberta_np import HubError, RobertaTokenizer, TokenizerError
from distilroberta_np.hub import find_embedded
from tests.support.seeded import MERGES, VOCAB_SIZE, tokenizer_dict, write_json

TEXTS = ["the cat sat on", "", " ", "naïve 日本 🎉", "a\nb\tc", "nul \0 inside", "a <mask> b", "x" * 500]


def load(folder, values=None, settings=None):
    write_json(folder / "tokenizer.json", tokenizer_dict() if values is None else values)
    if settings is not None:
        write_json(folder / "tokenizer_config.json", settings)
    return RobertaTokenizer.from_folder(folder)


def edited(**changes):
    """tokenizer.json with other parts; `vocab` adds entries."""
    values = tokenizer_dict()
    values["model"]["vocab"] |= changes.pop("vocab", {})
    return values | changes


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def embedded():
    return RobertaTokenizer.from_pretrained(find_embedded())


# -- what it does ----------------------------------------------------------------------------------------------------


def test_special_tokens_and_limits_are_read(embedded):
    assert (embedded.mask_token, embedded.mask_token_id) == ("<mask>", 16383)
    assert (embedded.pad_token, embedded.pad_token_id) == ("<pad>", 1)
    assert embedded.vocab_size == 16384
    assert embedded.model_max_length == 512


def test_pieces_and_the_space_before_the_mask(tokenizer):
    encoding = tokenizer.encoding("the cat <mask> on")
    assert [tokenizer.id_to_token(i) for i in encoding.ids] == ["<s>", "the", "Ġcat", "<mask>", "Ġon", "</s>"]
    assert encoding.offsets[3][1] == len("the cat <mask>")
    assert tokenizer.encode("the", add_special_tokens=False) == [tokenizer.token_to_id("the")]


@pytest.mark.parametrize("text", TEXTS)
def test_decoding_gives_the_text_back(tokenizer, embedded, text):
    for each in (tokenizer, embedded):
        ids = each.encode(text.replace(" <mask>", "<mask>"))
        assert each.decode(ids, skip_special_tokens=False) == f"<s>{text.replace(' <mask>', '<mask>')}</s>"
        assert each.decode(np.array(ids), skip_special_tokens=True) == text.replace(" <mask>", "")


def test_entries_that_do_not_exist(tokenizer):
    assert tokenizer.token_to_id("nothing") is None
    assert tokenizer.token_to_id("") is None
    assert tokenizer.token_to_id("\ud800") is None
    with pytest.raises(ValueError, match=f"no token has the id 99999; the vocabulary has {VOCAB_SIZE}"):
        tokenizer.id_to_token(99999)
    for beyond in (-1, 2**32):
        with pytest.raises(ValueError, match=f"no token has the id {beyond}"):
            tokenizer.id_to_token(beyond)


@pytest.mark.parametrize("text", ["\ud800", "the cat \udc80", "ok 🎉 \ud83d end"])
def test_a_lone_surrogate_is_named_with_its_place(tokenizer, text):
    place = next(i for i, c in enumerate(text) if "\ud800" <= c <= "\udfff")
    with pytest.raises(TokenizerError, match=rf"character {place} of the text is U\+{ord(text[place]):04X}"):
        tokenizer.encoding(text)


@pytest.mark.parametrize("text", [None, 5, b"the", ["the"]])
def test_what_is_no_string_is_a_type_error(tokenizer, text):
    with pytest.raises(TypeError, match=f"a text must be a string, not {type(text).__name__}"):
        tokenizer.encoding(text)


def test_its_own_padding_and_truncation_are_switched_off(tmp_path, tokenizer):
    own = load(
        tmp_path,
        edited(
            padding={
                "strategy": {"Fixed": 64},
                "direction": "Left",
                "pad_to_multiple_of": None,
                "pad_id": 1,
                "pad_type_id": 0,
                "pad_token": "<pad>",
            },
            truncation={"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        ),
    )
    for text in TEXTS:
        assert own.encode(text) == tokenizer.encode(text)


# -- vocab.json and merges.txt ---------------------------------------------------------------------------------------


def write_parts(folder, *, without=(), **settings):
    vocab = tokenizer_dict()["model"]["vocab"] | {"<mask>": VOCAB_SIZE - 1}
    write_json(folder / "vocab.json", {token: index for token, index in vocab.items() if token not in without})
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]), encoding="utf-8")
    if settings:
        write_json(folder / "tokenizer_config.json", settings)


def test_vocab_and_merges_make_the_same_tokenizer(tmp_path, tokenizer):
    write_parts(tmp_path)
    parts = RobertaTokenizer.from_folder(tmp_path)
    for text in TEXTS:
        assert parts.encode(text) == tokenizer.encode(text)
        assert parts.decode(parts.encode(text)) == tokenizer.decode(tokenizer.encode(text))
    assert parts.encoding("a <mask>").offsets == tokenizer.encoding("a <mask>").offsets


def test_add_prefix_space_is_obeyed(tmp_path):
    write_parts(tmp_path, add_prefix_space=True)
    assert RobertaTokenizer.from_folder(tmp_path).encoding("the").tokens == ["<s>", "Ġthe", "</s>"]


def test_add_prefix_space_goes_before_what_tokenizer_json_says(tmp_path):
    for settings, token in (({}, "the"), ({"add_prefix_space": True}, "Ġthe"), ({"add_prefix_space": False}, "the")):
        encoding = load(tmp_path, settings=settings).encoding("the")
        assert encoding.tokens == ["<s>", token, "</s>"]
        assert encoding.offsets[1] == (0, 3)


@pytest.mark.parametrize("token", ["<s>", "<pad>", "</s>"])
def test_a_vocabulary_without_a_special_token_is_refused(tmp_path, token):
    write_parts(tmp_path, without=[token])
    with pytest.raises(TokenizerError, match=rf"vocab\.json: the vocabulary has no {token}"):
        RobertaTokenizer.from_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vocab.json", b""),
        ("vocab.json", b"[]"),
        ("vocab.json", b'{"<s>": "a"}'),
        ("vocab.json", b'{"<s>": -1}'),
        ("vocab.json", b"\xff\xfe"),
        ("merges.txt", b"\xff\xfe"),
        ("merges.txt", b"#version: 0.2\nt h e\n"),
        ("merges.txt", b"#version: 0.2\nabc\n"),
        ("merges.txt", b"#version: 0.2\nqqq zzz\n"),
    ],
)
def test_malformed_vocab_and_merges_are_refused(tmp_path, name, content):
    write_parts(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TokenizerError, match=r"vocab\.json|merges\.txt: not UTF-8"):
        RobertaTokenizer.from_folder(tmp_path)


@pytest.mark.parametrize("names", [[], ["vocab.json"], ["merges.txt"]])
def test_files_that_are_not_there_are_named(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(TokenizerError, match=r"has no tokenizer\.json, and no vocab\.json with merges\.txt"):
        RobertaTokenizer.from_folder(tmp_path)
    with pytest.raises(HubError):
        RobertaTokenizer.from_pretrained(tmp_path / "nowhere")


# -- hostile files ---------------------------------------------------------------------------------------------------


VALID = json.dumps(tokenizer_dict()).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"nonsense",
        b"\xff" * 50,
        b"\0" * 50,
        VALID[:-1],
        VALID[: len(VALID) // 2],
        b"[" * 10**5,
    ],
)
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: (not valid JSON|not UTF-8|must be|not a tokenizer)"):
        RobertaTokenizer.from_folder(tmp_path)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").mkdir()
    with pytest.raises(TokenizerError, match=r"tokenizer\.json"):
        RobertaTokenizer.from_folder(tmp_path)


def with_option(**option):
    return edited(model=tokenizer_dict()["model"] | option)


def without_added(token):
    values = tokenizer_dict()
    values["added_tokens"] = [each for each in values["added_tokens"] if each["content"] != token]
    values["model"]["vocab"].pop(token, None)
    return values


def template(*parts):
    """A post-processor that sets the parts around a text; $A is the text."""
    return {
        "type": "TemplateProcessing",
        "single": [
            {"Sequence": {"id": "A", "type_id": 0}} if part == "$A" else {"SpecialToken": {"id": part, "type_id": 0}}
            for part in parts
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {
            "<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]},
            "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]},
        },
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (without_added("<pad>"), "the vocabulary has no <pad>"),
        (edited(post_processor=None), "does not put <s> before a text and </s> after it"),
        (edited(post_processor=template("<s>", "$A")), "does not put"),
        (edited(post_processor=template("$A")), "does not put"),
        (edited(post_processor=template("<s>", "</s>", "$A")), "does not put"),
        (edited(post_processor=template("$A", "<s>", "</s>")), "does not put"),
        (edited(post_processor=template("</s>", "$A", "<s>")), "does not put"),
        (edited(model=None), "not a tokenizer"),
        (edited(model={"type": "BPE", "vocab": [], "merges": []}), "not a tokenizer"),
        (edited(model={"type": "Nonsense"}), "the model 'Nonsense' is not supported"),
        (with_option(continuing_subword_prefix="##"), "continuing_subword_prefix '##' is not supported for RoBERTa"),
        (with_option(end_of_word_suffix="</w>"), "end_of_word_suffix '</w>' is not supported for RoBERTa"),
        (with_option(byte_fallback=True), "byte_fallback True is not supported for RoBERTa"),
        (with_option(ignore_merges=True), "ignore_merges True is not supported for RoBERTa"),
        (edited(added_tokens=5), "not a tokenizer"),
        (edited(pre_tokenizer={"type": "Nonsense"}), "pre_tokenizer {'type': 'Nonsense'} is not supported"),
        (edited(pre_tokenizer=7), "pre_tokenizer 7 is not supported"),
        (edited(vocab={"<s>": -1}), "not a tokenizer"),
        (edited(vocab={"<s>": 2**40}), "not a tokenizer"),
        (edited(vocab={"<s>": 1.5}), "not a tokenizer"),
        (edited(version="9.9"), "version '9.9' of the format"),
    ],
    ids=range(21),
)
def test_parts_that_do_not_fit_are_refused(tmp_path, values, message):
    with pytest.raises(TokenizerError, match=message) as caught:
        load(tmp_path, values)
    assert str(tmp_path / "tokenizer.json") in str(caught.value)


def test_a_template_that_does_what_robertas_does_is_taken(tmp_path, tokenizer):
    own = load(tmp_path, edited(post_processor=template("<s>", "$A", "</s>")))
    assert own.encode("the") == tokenizer.encode("the")


def test_a_tokenizer_that_fails_on_a_text_gives_our_error(tmp_path):
    # Loads, and has no word for what it doesn't know.
    values = edited(model={"type": "WordLevel", "vocab": tokenizer_dict()["model"]["vocab"], "unk_token": "none"})
    tokenizer = load(tmp_path, values)
    with pytest.raises(TokenizerError, match="the tokenizer cannot read the text 'the dog'"):
        tokenizer.encoding("the dog")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([], "must be a JSON object, not list"),
        ("x", "must be a JSON object, not str"),
        (None, "must be a JSON object, not NoneType"),
        ({"mask_token": 5}, "mask_token must be a string, not 5"),
        ({"mask_token": ["<mask>"]}, "mask_token must be a string"),
        ({"mask_token": {"content": None}}, "mask_token must be a string"),
        ({"mask_token": {"text": "<mask>"}}, "mask_token must be a string"),
        ({"mask_token": "\ud800"}, "surrogates not allowed"),
        ({"pad_token": "[PAD]", "bos_token": "[CLS]"}, r"the vocabulary has no \[PAD\]"),
        ({"cls_token": "</s>"}, "does not put </s> before a text"),
    ],
)
def test_hostile_settings_are_refused(tmp_path, settings, message):
    write_json(tmp_path / "tokenizer.json", tokenizer_dict())
    write_json(tmp_path / "tokenizer_config.json", settings)
    with pytest.raises(TokenizerError, match=message):
        RobertaTokenizer.from_folder(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xff", b"[" * 10**5, b'{"mask_token": "<mask>", "mask_token": "a"}']
)
def test_settings_that_are_no_json_are_refused(tmp_path, content):
    write_json(tmp_path / "tokenizer.json", tokenizer_dict())
    (tmp_path / "tokenizer_config.json").write_bytes(content)
    with pytest.raises(TokenizerError, match=r"tokenizer_config\.json: not valid JSON"):
        RobertaTokenizer.from_folder(tmp_path)


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (512, 512),
        (128.0, 128),
        (10**30, None),
        (1e30, None),
        (0, None),
        (0.5, None),
        (-5, None),
        (True, None),
        (None, None),
        ("512", None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_model_max_length_is_a_limit_only_where_it_is_one(tmp_path, value, length):
    assert load(tmp_path, settings={"model_max_length": value}).model_max_length == length


def test_a_special_token_may_be_written_as_an_object(tmp_path):
    assert load(tmp_path, settings={"mask_token": {"content": "<mask>", "lstrip": True}}).mask_token == "<mask>"


def paths(value, prefix=()):
    """Every place in a JSON value."""
    yield prefix
    if isinstance(value, dict):
        for key in value:
            yield from paths(value[key], (*prefix, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from paths(value[index], (*prefix, index))


@contextlib.contextmanager
def only_our_errors(refused):
    """Lets pass what works and what gives our error. Panics are BaseExceptions, so they'd be seen here."""
    try:
        yield
    except TokenizerError:
        refused.append(1)


def use(tokenizer):
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert all(isinstance(token, int) and token >= 0 for token in ids)
        assert isinstance(tokenizer.decode(ids), str)


def test_any_part_replaced_or_deleted_gives_our_error_or_a_tokenizer_that_works(tmp_path, capfd):
    rng = random.Random(0)
    valid = tokenizer_dict()
    # A small part of the vocabulary is as good as all of it, and doesn't drown the other parts.
    places = [path for path in paths(valid) if path and path[:2] != ("model", "vocab")] * 4 + [("model", "vocab", "a")]
    junk = [None, True, 0, -1, 1.5, 2**40, "", "x", "\0", [], {}, [[]], {"type": "BPE"}, ["a", 1], {"a": None}, "Ġ"]
    refused = []
    for _ in range(400):
        values = copy.deepcopy(valid)
        for path in rng.sample(places, rng.randint(1, 2)):
            with contextlib.suppress(KeyError, IndexError, TypeError):  # its parent has gone already
                parent = values
                for key in path[:-1]:
                    parent = parent[key]
                if rng.random() < 0.3:
                    del parent[path[-1]]
                else:
                    parent[path[-1]] = rng.choice(junk)
        write_json(tmp_path / "tokenizer.json", values)
        with only_our_errors(refused):
            use(RobertaTokenizer.from_folder(tmp_path))
    assert 100 < len(refused) < 400


def test_damaged_bytes_give_our_error_or_a_tokenizer_that_works(tmp_path, capfd):
    rng, refused = random.Random(1), []
    for _ in range(300):
        content = bytearray(VALID)
        start = rng.randrange(len(content))
        content[start : start + rng.choice([0, 1, 1, 5, 100])] = rng.randbytes(rng.choice([0, 1, 1, 3]))
        (tmp_path / "tokenizer.json").write_bytes(content)
        with only_our_errors(refused):
            use(RobertaTokenizer.from_folder(tmp_path))
    assert 50 < len(refused) < 300


def test_a_loaded_tokenizer_can_be_wrapped(tokenizer):
    wrapped = RobertaTokenizer(Tokenizer.from_str(VALID.decode()))
    assert wrapped.encode("the cat") == tokenizer.encode("the cat")
