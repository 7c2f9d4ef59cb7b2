import pytest

from distilroberta_np.sentence.prompts import choose_prompt

PROMPTS = {"query": "query: ", "plain": ""}


@pytest.mark.parametrize(
    ("prompt", "name", "default", "expected"),
    [
        (None, None, None, ""),
        (None, "query", None, "query: "),
        (None, None, "query", "query: "),
        (None, "plain", "query", ""),
        ("", None, "query", ""),
        ("own: ", None, "query", "own: "),
    ],
)
def test_the_prompt_of_a_call(prompt, name, default, expected):
    assert choose_prompt(prompt, name, PROMPTS, default) == expected


def test_a_prompt_goes_before_a_name_with_a_warning():
    with pytest.warns(UserWarning, match="'query' is not used"):
        assert choose_prompt("own: ", "query", PROMPTS, None) == "own: "


def test_what_is_no_prompt():
    with pytest.raises(ValueError, match="there is no prompt 'document', only 'query', 'plain'"):
        choose_prompt(None, "document", PROMPTS, None)
    with pytest.raises(ValueError, match="only none at all"):
        choose_prompt(None, None, {}, "document")
    with pytest.raises(TypeError, match="prompt must be a text, not a int"):
        choose_prompt(5, None, PROMPTS, None)
