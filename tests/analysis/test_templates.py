import pytest

from distilroberta_np import PipelineException
from distilroberta_np.analysis.templates import fill_template


def fill(template, groups=None):
    return fill_template(template, groups, "<mask>")


def texts(template, groups=None):
    return [group.text for group in fill(template, groups)]


def test_slots_vary_together():
    filled = fill("the { man | woman } and {his|her} <mask>")
    assert [group.name for group in filled] == ["man/his", "woman/her"]
    assert [group.text for group in filled] == ["the man and his <mask>", "the woman and her <mask>"]
    for group in filled:
        assert "/".join(group.text[start:end] for start, end in group.spans) == group.name


def test_groups_fill_empty_braces():
    groups = ["cat", "old cat", "{a|b}"]
    filled = fill("the {} sat, {} <mask>", groups)
    assert [group.name for group in filled] == groups
    assert [group.text for group in filled] == [f"the {name} sat, {name} <mask>" for name in groups]
    assert [group.name for group in fill("the {} and {his|its} <mask>", ["man", "cat"])] == ["man/his", "cat/its"]


def test_doubled_braces_are_literal_braces():
    assert texts("{{{a|b}}} }}{{ <mask>") == ["{a} }{ <mask>", "{b} }{ <mask>"]


@pytest.mark.parametrize(
    ("template", "groups", "message"),
    [
        ("the {a|b} sat", None, "must contain exactly one <mask>"),
        ("the {a|b} <mask> <mask>", None, "must contain exactly one <mask>"),
        ("the {a|<mask>} <mask>", None, "group 2 contains <mask>"),
        ("the {<mask>|<mask>}", None, "must contain exactly one <mask>"),
        ("the cat <mask>", None, r"no \{...\|...\}"),
        ("the {a|b} {c|d|e} <mask>", None, r"\{a\|b\} has 2, \{c\|d\|e\} has 3"),
        ("the {} {c|d|e} <mask>", ["a", "b"], r"the groups has 2, \{c\|d\|e\} has 3"),
        ("the {a} <mask>", None, r"\{a\}: only one group, 'a'"),
        ("the {} <mask>", ["a"], "the groups: only one group, 'a'"),
        ("the {a|} <mask>", None, r"\{a\|\}: alternative 2 is empty"),
        ("the {|a} <mask>", None, r"\{\|a\}: alternative 1 is empty"),
        ("the {} <mask>", ["a", " "], "the groups: alternative 2 is empty"),
        ("the {} <mask>", None, r"contains \{\}, but no groups are given"),
        ("the {a|b} <mask>", ["c", "d"], r"groups are given, but the template contains no \{\}"),
        ("the {a|b <mask>", None, r"the \{ at character 5 has no partner.*write \{\{"),
        ("the } {a|b} <mask>", None, r"the \} at character 5 has no partner.*write \}\}"),
        ("the {a|{b|c}} <mask>", None, r"the \{ at character 5"),
    ],
)
def test_a_malformed_template_is_explained_with_an_example(template, groups, message):
    with pytest.raises(PipelineException, match=message) as caught:
        fill(template, groups)
    assert 'Example: "The {' in str(caught.value)


def test_the_examples_are_well_formed():
    assert len(texts("The {man|woman} worked as a <mask>.")) == 2
    assert len(texts("The {} worked as a <mask>.", ["man", "woman"])) == 2
