"""Files and settings of tokenizers. tests/parity/test_tokenizer.py compares the same ones with transformers."""

import json
import os

import pytest

from distilroberta_np import RobertaTokenizer, TokenizerError
from tests.support.seeded import VOCAB_SIZE, config_dict, tokenizer_dict, write_json
from tests.support.tokenizer_folders import GENERIC, decoder, token, write_tokenizer


def load(folder, settings=None, *, files=None, vocab=False, **parts):
    return RobertaTokenizer.from_folder(write_tokenizer(folder, settings, files=files, vocab=vocab, **parts))


def ids(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False)


# -- added and special tokens ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("vocab", [False, True])
@pytest.mark.parametrize(
    ("settings", "files"),
    [
        ({}, {"added_tokens.json": {"@USER": VOCAB_SIZE}}),
        ({"additional_special_tokens": ["@USER"]}, {}),
        ({"extra_special_tokens": ["@USER"]}, {}),
        ({"extra_special_tokens": {"user_token": "@USER"}}, {}),
        ({"user_token": "@USER"}, {}),
        ({}, {"special_tokens_map.json": {"additional_special_tokens": ["@USER"]}}),
        ({}, {"special_tokens_map.json": {"additional_special_tokens": [{"content": "@USER", "special": True}]}}),
    ],
)
def test_added_tokens_stay_whole_wherever_they_are_named(tmp_path, vocab, settings, files):
    tokenizer = load(tmp_path, settings, files=files, vocab=vocab)
    assert ids(tokenizer, "@USER") == [VOCAB_SIZE]
    assert tokenizer.vocab_size == VOCAB_SIZE + 1


@pytest.mark.parametrize(
    ("flags", "text", "expected"),
    [
        ({}, "a @USER b", ["a", "Ġ", "@USER", "Ġ", "b"]),
        ({"lstrip": True}, "a @USER b", ["a", " @USER", "Ġ", "b"]),
        ({"rstrip": True}, "a @USER b", ["a", "Ġ", "@USER ", "b"]),
        ({"single_word": True}, "a@USERb @USER", ["a", "@", "U", "S", "E", "R", "b", "Ġ", "@USER"]),
    ],
)
def test_the_flags_of_added_tokens(tmp_path, flags, text, expected):
    tokenizer = load(tmp_path, {"added_tokens_decoder": decoder(token("@USER", **flags))})
    assert tokenizer.encoding(text, add_special_tokens=False).tokens == expected


def test_an_added_token_with_another_id_is_refused(tmp_path):
    with pytest.raises(TokenizerError, match=f"'@USER' must have the id {VOCAB_SIZE + 5}, but the vocabulary gives it"):
        load(tmp_path, files={"added_tokens.json": {"@USER": VOCAB_SIZE + 5}}, vocab=True)


@pytest.mark.parametrize("vocab", [False, True])
def test_a_vocabulary_without_a_mask_is_no_hindrance(tmp_path, vocab):
    values = tokenizer_dict()
    values["added_tokens"] = [entry for entry in values["added_tokens"] if entry["content"] != "<mask>"]
    write_tokenizer(tmp_path, vocab=vocab)
    if vocab:
        (tmp_path / "vocab.json").write_text(json.dumps(values["model"]["vocab"]))
    else:
        write_json(tmp_path / "tokenizer.json", values)
    tokenizer = RobertaTokenizer.from_folder(tmp_path)
    assert tokenizer.encode("the cat") == [0, *ids(tokenizer, "the cat"), 2]
    assert tokenizer.mask_token_id == tokenizer.vocab_size - 1 == VOCAB_SIZE - 1


def test_a_generic_tokenizer_without_a_mask_says_so(tmp_path):
    values = tokenizer_dict()
    values["added_tokens"] = values["added_tokens"][:-1]
    tokenizer = load(tmp_path, GENERIC, added_tokens=values["added_tokens"])
    with pytest.raises(TokenizerError, match="the tokenizer has no mask token <mask>"):
        tokenizer.mask_token_id  # noqa: B018
    assert "mask_token" not in repr(tokenizer)


# -- other settings --------------------------------------------------------------------------------------------------


def test_bpe_dropout_is_off(tmp_path):
    for settings in ({}, GENERIC):
        model = tokenizer_dict()["model"] | {"dropout": 0.9}
        tokenizer = load(tmp_path, settings, model=model)
        assert {tuple(ids(tokenizer, "the cat sat on the cat")) for _ in range(20)} == {
            tuple(ids(load(tmp_path), "the cat sat on the cat"))
        }


def test_max_len_is_the_older_name_of_model_max_length(tmp_path):
    assert load(tmp_path, {"max_len": 12}).model_max_length == 12
    assert load(tmp_path, {"max_len": 12, "model_max_length": 5}).model_max_length == 5


def test_sides(tmp_path):
    assert (load(tmp_path).truncation_side, load(tmp_path).padding_side) == ("right", "right")
    assert load(tmp_path, {"truncation_side": "left"}).truncation_side == "left"
    truncation = {"direction": "Left", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
    assert load(tmp_path, truncation=truncation).truncation_side == "left"
    assert load(tmp_path, {"truncation_side": "right"}, truncation=truncation).truncation_side == "right"
    batch = load(tmp_path, {"padding_side": "left"})(["the", "the cat"], padding=True)
    assert batch["input_ids"][0][0] == 1
    assert batch["attention_mask"] == [[0, 1, 1, 1], [1, 1, 1, 1]]


def test_special_tokens_may_be_split(tmp_path):
    assert len(ids(load(tmp_path, {"split_special_tokens": True}), "<mask>")) > 1


def test_the_tokens_around_a_text_have_names_of_their_own(tmp_path):
    tokenizer = load(tmp_path, {"cls_token": "<pad>", "bos_token": "<unk>"}, vocab=True)
    assert tokenizer.encode("the") == [1, *ids(tokenizer, "the"), 2]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (1, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fast_tokenizer_files": ["tokenizer.json", "tokenizer.4.0.0.json"]}, "fast_tokenizer_files"),
        ({"vocab": {"a": 0}}, "vocab is not supported"),
        ({"truncation_side": "middle"}, "truncation_side must be left or right, not 'middle'"),
        ({"padding_side": 5}, "padding_side must be"),
        ({"add_prefix_space": "yes"}, "add_prefix_space must be true or false"),
        ({"tokenizer_class": 5}, "tokenizer_class 5 is no name"),
        ({"added_tokens_decoder": []}, "added_tokens_decoder must be a JSON object"),
        ({"added_tokens_decoder": {"x": {}}}, "added_tokens_decoder has"),
        ({"added_tokens_decoder": {"5": "a"}}, "added_tokens_decoder has"),
        ({"added_tokens_decoder": {"5": {"content": 5}}}, "must be a string"),
        ({"extra_special_tokens": "<e>"}, "must be a list"),
        ({"extra_special_tokens": [5]}, "must be a string, not 5"),
        ({"extra_special_tokens": [""]}, "must be a string"),
        ({"model_input_names": "input_ids"}, "model_input_names must be a list"),
    ],
)
def test_settings_that_are_not_followed_are_refused_by_name(tmp_path, settings, message):
    with pytest.raises(TokenizerError, match=message):
        load(tmp_path, settings)


def pair_template():
    """A post-processor that gives the second text the type 1."""

    def part(name, type_id):
        return {"Sequence" if len(name) == 1 else "SpecialToken": {"id": name, "type_id": type_id}}

    names = {"<s>": 0, "</s>": 2}
    return {
        "type": "TemplateProcessing",
        "single": [part("<s>", 0), part("A", 0), part("</s>", 0)],
        "pair": [part("<s>", 0), part("A", 0), part("</s>", 0), part("B", 1), part("</s>", 1)],
        "special_tokens": {name: {"id": name, "ids": [index], "tokens": [name]} for name, index in names.items()},
    }


def test_token_types_are_refused_where_they_would_count(tmp_path):
    tokenizer = load(tmp_path, GENERIC, post_processor=pair_template())
    assert tokenizer.encode("the") == [0, *ids(tokenizer, "the"), 2]
    with pytest.raises(TokenizerError, match="gives tokens the type 1, but only type 0 is supported"):
        tokenizer.encoding("the", "cat")
    # RoBERTa's own class builds another post-processor, and without token_type_ids they go nowhere.
    assert load(tmp_path, {}, post_processor=pair_template()).encode("the", "cat").count(2) == 3
    settings = {**GENERIC, "model_input_names": ["input_ids", "attention_mask"]}
    assert load(tmp_path, settings, post_processor=pair_template()).encode("the", "cat").count(2) == 2


def test_config_json_can_name_the_class_too(tmp_path):
    normalizer = {"type": "Lowercase"}
    write_tokenizer(tmp_path, {"pad_token": "<pad>"}, normalizer=normalizer)
    with pytest.raises(TokenizerError, match="normalizer"):
        RobertaTokenizer.from_folder(tmp_path)
    write_json(tmp_path / "config.json", config_dict(tokenizer_class="PreTrainedTokenizerFast"))
    tokenizer = RobertaTokenizer.from_folder(tmp_path)
    assert ids(tokenizer, "THE CAT") == ids(tokenizer, "the cat")


@pytest.mark.parametrize("name", ["special_tokens_map.json", "added_tokens.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["[]", "null", "5", "{", '{"a": 1, "a": 2}'])
def test_malformed_files_are_named(tmp_path, name, content):
    write_tokenizer(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(TokenizerError, match=name):
        RobertaTokenizer.from_folder(tmp_path)


# -- components ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("normalizer", {"type": "Lowercase"}),
        ("pre_tokenizer", {"type": "Whitespace"}),
        ("pre_tokenizer", None),
        ("pre_tokenizer", {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}),
    ],
)
def test_what_only_some_versions_of_transformers_follow_is_refused_with_the_way_out(tmp_path, part, value):
    with pytest.raises(TokenizerError, match=f"{part} .* is not supported for RoBERTa; set tokenizer_class to"):
        load(tmp_path, **{part: value})
    load(tmp_path, GENERIC, **{part: value})


def replace(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("normalizer", {"type": "Unheard"}, "the normalizer 'Unheard' is not supported"),
        ("normalizer", {"type": "Sequence", "normalizers": [{"type": "Unheard"}]}, "the normalizer 'Unheard'"),
        (
            "pre_tokenizer",
            {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False},
            "'Split'",
        ),
        ("normalizer", replace({"Regex": "(a+)+$"}, "b"), r"the pattern .* is not supported"),
        ("normalizer", replace({"String": ""}, "b"), r"the pattern .* is not supported"),
        ("normalizer", replace({"String": "a"}, "b" * 1000), "can make a text 1,000 times as long"),
        (
            "normalizer",
            {"type": "Sequence", "normalizers": [replace({"String": "a"}, "aa")] * 36},
            "can make a text 68,719,476,736 times as long",
        ),
        ("normalizer", {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 1000}, "more than 100 components"),
        ("normalizer", {"type": "Prepend", "prepend": "a" * 1000}, "can make a text"),
        ("decoder", {"type": "Unheard"}, "the decoder 'Unheard'"),
        ("post_processor", {"type": "Unheard"}, "the post_processor 'Unheard'"),
    ],
)
def test_components_that_are_unknown_or_without_bounds_are_refused_by_name(tmp_path, part, value, message):
    with pytest.raises(TokenizerError, match=message):
        load(tmp_path, GENERIC, **{part: value})


def nested(depth):
    value = {"type": "NFC"}
    for _ in range(depth):
        value = {"type": "Sequence", "normalizers": [value]}
    return value


def test_deeply_nested_components_are_refused(tmp_path):
    with pytest.raises(TokenizerError, match="has more than 100 components"):
        load(tmp_path, GENERIC, normalizer=nested(400))
    assert load(tmp_path, GENERIC, normalizer=nested(5))


def test_known_normalizers_are_followed(tmp_path):
    parts = [{"type": "NFKC"}, {"type": "Lowercase"}, replace({"Regex": " {2,}"}, " "), replace({"String": "``"}, '"')]
    tokenizer = load(tmp_path, GENERIC, normalizer={"type": "Sequence", "normalizers": parts})
    assert ids(tokenizer, "THE   cat") == ids(tokenizer, "the cat")


# -- hostile files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer.json",
        "vocab.json",
        "merges.txt",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
    ],
)
def test_pipes_devices_and_enormous_files_are_refused_at_once(tmp_path, name):
    write_tokenizer(tmp_path, {}, vocab=name in ("vocab.json", "merges.txt"))
    path = tmp_path / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with pytest.raises(TokenizerError, match=f"{name}: not a regular file"):
        RobertaTokenizer.from_folder(tmp_path)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(TokenizerError, match=f"{name}: not a regular file"):
        RobertaTokenizer.from_folder(tmp_path)
    path.unlink()
    with open(path, "wb") as file:
        file.truncate(2**30)
    with pytest.raises(TokenizerError, match=f"{name}: larger than 64 MiB"):
        RobertaTokenizer.from_folder(tmp_path)


def test_a_timeout_of_others_passes_through(tmp_path, monkeypatch):
    class Timeout(BaseException):
        pass

    class Impatient:
        def encode(self, *arguments, **options):
            raise Timeout

    tokenizer = load(tmp_path)
    monkeypatch.setattr(tokenizer, "_tokenizer", Impatient())
    with pytest.raises(Timeout):
        tokenizer.encoding("the cat")


# -- saving ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "vocab"),
    [
        ({}, False),
        ({}, True),
        ({"add_prefix_space": True, "trim_offsets": False, "model_max_length": 9, "truncation_side": "left"}, True),
        ({"extra_special_tokens": ["@USER"], "split_special_tokens": False, "padding_side": "left"}, False),
        (GENERIC, False),
    ],
)
def test_what_is_saved_gives_the_same_ids(tmp_path, settings, vocab):
    tokenizer = load(tmp_path / "read", settings, vocab=vocab)
    tokenizer.save_pretrained(tmp_path / "saved")
    again = RobertaTokenizer.from_folder(tmp_path / "saved")
    for text in ("the cat", " the <mask> @USER", "@USER"):
        assert again.encode(text) == tokenizer.encode(text)
        assert again.encoding(text).offsets == tokenizer.encoding(text).offsets
    for name in ("model_max_length", "truncation_side", "padding_side", "mask_token_id", "vocab_size"):
        assert getattr(again, name) == getattr(tokenizer, name)
