import warnings

import pytest

from distilroberta_np import DistilRobertaError, errors
from distilroberta_np.messages import printable, shown, warn


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\nb\tc\0", r"a\nb\tc\x00"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("user\u202etxt.exe", r"user\u202etxt.exe"),
        ("\u2066\u2069\u200f\u061c\u2028", r"\u2066\u2069\u200f\u061c\u2028"),
        ("\ud800", r"\ud800"),
    ],
    ids=repr,
)
def test_what_could_command_a_terminal_or_turn_the_text_around_is_escaped(text, expected):
    assert printable(text) == expected


@pytest.mark.parametrize("text", ["plain", "déjà vu", "日本語", "שלום", "👨‍👩‍👧", "می‌خواهم", "a\\nb", ""])
def test_all_other_text_stays(text):
    assert printable(text) == text


def test_every_error_of_ours_is_printable():
    for name in dir(errors):
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, DistilRobertaError):
            assert str(kind("bad\x1b]0;x\x07\u202e")) == r"bad\x1b]0;x\x07\u202e"


def test_long_deep_and_endless_values_are_shortened():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert len(shown("x" * 1000)) == 80
    assert shown(deep) == "a value of type list, too large to show"
    assert shown(10**5000) == "a value of type int, too large to show"


def test_a_warning_points_at_the_users_line_and_is_printable():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn("bad \x1b[31m")
    assert caught[0].filename == __file__
    assert str(caught[0].message) == r"bad \x1b[31m"


def test_the_reason_of_a_pipeline_exception_is_printable():
    assert errors.PipelineException("bad\x1b[31m", 3).reason == r"bad\x1b[31m"
