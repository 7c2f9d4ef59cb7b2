"""The page of `explain` in a browser: what it shows equals the arrays, by mouse and by keyboard."""

import pytest

from distilroberta_np import pipeline
from distilroberta_np.explain.document import explain
from distilroberta_np.explain.walk import walk
from distilroberta_np.hub import find_embedded
from distilroberta_np.reference import Tokenizer, load

pytestmark = pytest.mark.browser
TEXT = "The unbelievable man worked as a <mask>."


@pytest.fixture(scope="module")
def unmasker():
    return pipeline("fill-mask", find_embedded())


@pytest.fixture(scope="module")
def numbers():
    tokenizer, (params, config) = Tokenizer.from_folder(find_embedded()), load(find_embedded())
    ids, offsets = tokenizer.encode(TEXT)
    return walk(TEXT, ids, offsets, ids.index(tokenizer.ids["<mask>"]), tokenizer, params, config)


@pytest.fixture
def page(unmasker, open_page, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(explain(unmasker, TEXT), encoding="utf-8")
    return open_page(path.as_uri())


def rows(page, selector):
    return [
        [cell.inner_text().strip() for cell in row.query_selector_all("th, td")]
        for row in page.query_selector_all(f"{selector} tbody tr")
    ]


def test_answers(page, numbers):
    assert [row[1] for row in rows(page, "#answers")] == [word.replace(" ", "␣") for word, _ in numbers["answers"]]
    for row, (_, probability) in zip(rows(page, "#answers"), numbers["answers"], strict=True):
        assert float(row[2].rstrip("%")) / 100 == pytest.approx(probability, abs=5.1e-4)


def test_lens(page, numbers):
    shown = rows(page, "#lens table")
    assert [row[6] for row in shown[1:]] == [str(layer["rank"]) for layer in numbers["layers"]]
    assert [row[1].split(" ")[0] for row in shown[1:]] == [
        layer["lens"][0][0].replace(" ", "␣") for layer in numbers["layers"]
    ]


def looks(page):
    return {int(position): float(probability) for _, position, probability in rows(page, ".looks")}


def attention(numbers, layer, head, query):
    row = numbers["layers"][layer]["attention"][head][query]
    best = sorted(range(len(row)), key=lambda key: -row[key])[:12]
    return {key: pytest.approx(row[key], abs=1e-9) for key in best}


def test_layer_head_and_query_by_mouse(page, numbers):
    assert looks(page) == attention(numbers, 0, 0, numbers["mask"])
    page.click("#attention [aria-label=Layer] button:nth-of-type(4)")
    page.click("#attention .head:nth-of-type(2)")
    assert looks(page) == attention(numbers, 3, 1, numbers["mask"])
    page.locator("#attention .hit").nth(2).hover()
    assert page.get_attribute("#attention [aria-label=Query] button:nth-of-type(3)", "aria-checked") == "true"
    assert looks(page) == attention(numbers, 3, 1, 2)


def test_layer_and_query_by_keyboard(page, numbers):
    page.focus("#attention [aria-label=Layer] button[tabindex='0']")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.focus("#attention [aria-label=Query] button[tabindex='0']")
    page.keyboard.press("ArrowLeft")
    assert looks(page) == attention(numbers, 2, 0, numbers["mask"] - 1)
    page.focus("#attention .head:nth-of-type(3)")
    page.keyboard.press("Enter")
    assert looks(page) == attention(numbers, 2, 2, numbers["mask"] - 1)


def test_the_large_map_has_the_probabilities(page, numbers):
    titles = page.eval_on_selector_all("#attention .large title", "titles => titles.map(title => title.textContent)")
    shown = [float(title.rsplit(" ", 1)[1]) for title in titles]
    expected = [weight for row in numbers["layers"][0]["attention"][0] for weight in row if weight >= 0.004]
    assert shown == pytest.approx(expected)


def test_merges_of_the_selected_token(page, numbers):
    token = next(n for n, token in enumerate(numbers["tokens"]) if len(token["merges"]) > 3)
    page.click(f"#text [aria-label=Token] button:nth-of-type({token + 1})")
    steps = page.eval_on_selector_all(
        "#text .merges li", "items => items.map(item => [...item.children].map(c => c.textContent))"
    )
    assert steps == [[subword.replace(" ", "␣") for subword in step] for step in numbers["tokens"][token]["merges"]]


def test_markup_in_the_sentence_is_shown_and_not_run(unmasker, open_page, tmp_path):
    text = "<img src=x onerror=document.title='run'><script>document.title='run'</script> is <mask>."
    path = tmp_path / "page.html"
    path.write_text(explain(unmasker, text), encoding="utf-8")
    page = open_page(path.as_uri())
    assert page.title() == text
    assert page.inner_text("h1") == text
    assert page.query_selector("main img, main script") is None


@pytest.mark.parametrize("options", [{"color_scheme": "dark"}, {"viewport": {"width": 360, "height": 700}}])
def test_dark_and_narrow(unmasker, open_page, tmp_path, options):
    path = tmp_path / "page.html"
    path.write_text(explain(unmasker, TEXT), encoding="utf-8")
    page = open_page(path.as_uri(), **options)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "the page scrolls sideways"
    if "color_scheme" in options:
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 28)"


def test_a_long_sentence(unmasker, open_page, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(explain(unmasker, "long " * 500 + "<mask>"), encoding="utf-8")
    assert path.stat().st_size < 4_000_000
    page = open_page(path.as_uri())
    assert "too many" in page.inner_text("#left-out")
    assert len(looks(page)) == 12
