import copy
import json
import pickle
from html.parser import HTMLParser
from importlib.util import find_spec

import pytest

from distilroberta_np import pipeline
from distilroberta_np.hub import find_embedded
from distilroberta_np.pipelines.results import Results

CAT, DOG = {"score": 0.5, "token_str": " cat"}, {"score": 0.25, "token_str": " dog"}
PLAIN = [[CAT, DOG], [[CAT], [DOG]]]


@pytest.mark.parametrize("plain", [[], [CAT], [CAT, [CAT, DOG]], PLAIN])
def test_they_are_lists(plain):
    results = Results(plain)
    assert isinstance(results, list)
    assert results == plain and plain == results
    assert json.loads(json.dumps(results)) == plain
    assert repr(results) == repr(plain)
    for copied in (copy.copy(results), copy.deepcopy(results), pickle.loads(pickle.dumps(results)), results[:]):
        assert type(copied) is list and copied == plain
    assert pickle.dumps(results).count(b"distilroberta") == 0


@pytest.mark.parametrize(
    ("results", "records"),
    [
        (Results([]), []),
        (Results([CAT, DOG], single=True), [CAT, DOG]),
        (Results([CAT, DOG]), [{"input": 0, **CAT}, {"input": 1, **DOG}]),
        (Results([[], [CAT]]), [{"input": 1, **CAT}]),
        (Results([CAT, [DOG, CAT]]), [{"input": 0, **CAT}, {"input": 1, **DOG}, {"input": 1, **CAT}]),
        (Results([[CAT], [DOG]], single=True), [{"mask": 0, **CAT}, {"mask": 1, **DOG}]),
        (
            Results(PLAIN),
            [
                {"input": 0, "mask": 0, **CAT},
                {"input": 0, "mask": 0, **DOG},
                {"input": 1, "mask": 0, **CAT},
                {"input": 1, "mask": 1, **DOG},
            ],
        ),
    ],
)
def test_rows(results, records):
    assert results.to_records() == records


class Table(HTMLParser):
    """The cells of each row of a table."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.tags = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.tags[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_a_table_for_notebooks():
    results = Results([{"score": 0.123456, "words": [" a", " <b>"], "label": "<img src=x>"}, {"score": 1.0, "end": 7}])
    table = Table(results._repr_html_())
    assert table.rows == [
        ["input", "score", "words", "label", "end"],
        ["0", "0.1235", " a,  <b>", "<img src=x>", ""],
        ["1", "1", "", "", "7"],
    ]
    assert set(table.tags) == {"table", "thead", "tbody", "tr", "th", "td"}


def test_a_long_table_is_cut():
    page = Results([CAT] * 1234)._repr_html_()
    assert len(Table(page).rows) == 21
    assert page.endswith("<p>1,234 rows, 20 shown</p>")


def test_pandas_takes_them_as_a_column_and_as_rows():
    if find_spec("pandas") is None:
        pytest.skip("pandas is not installed")
    import pandas

    frame = pandas.DataFrame({"text": ["The man is a <mask>.", "I like <mask>.", "I like <mask>."]})
    unmasker = pipeline("fill-mask", find_embedded(), top_k=2)
    frame["best"] = unmasker(frame["text"])
    assert [row[0]["token_str"] for row in frame["best"]][1:] == [frame["best"][1][0]["token_str"]] * 2
    rows = pandas.DataFrame(unmasker(frame["text"]).to_records())
    assert list(rows.columns) == ["input", "score", "token", "token_str", "sequence"]
    assert rows["input"].tolist() == [0, 0, 1, 1, 2, 2]
    assert frame.join(rows.set_index("input"))["sequence"].notna().all()
