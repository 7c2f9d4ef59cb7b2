"""The page as one file: nothing from elsewhere, and no text that becomes markup."""

import json
import re

from distilroberta_np.explain.page import render

HOSTILE = "</script><script>alert(1)</script><!--<img src=x onerror=alert(1)>&{{DATA}}"


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_data_survives_and_stays_data():
    data = {"pages": [{"text": HOSTILE}], "compare": None}
    page = render(data, HOSTILE)
    assert data_of(page) == data
    assert page.count("<script") == 2
    assert "<img" not in page


def test_nothing_comes_from_elsewhere():
    page = render({"pages": [], "compare": None}, "A title")
    assert not re.search(r'(src|href)="', page)
    assert "import " not in page
    assert set(re.findall(r"https?://[\w./]+", page)) == {"http://www.w3.org/2000/svg"}
    assert "{{" not in page
