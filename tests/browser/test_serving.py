"""The page of the server: lists models and tasks, sends requests, and opens the walk of a sentence."""

import json

import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra: pip install '.[serve]'")

from distilroberta_np.hub import find_embedded
from distilroberta_np.serve.app import Options, make_app
from distilroberta_np.serve.loaded import ServedModel, Source
from tests.support.served import running

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def models():
    return [ServedModel(Source("a/small model", None, str(find_embedded())))]


def test_try_a_model(models, open_page, answers):
    with running(make_app(models, Options(access_log=False))) as server:
        page = open_page(server.address + "/", bypass_csp=True)  # Playwright waits by eval
        page.wait_for_selector("#task option", state="attached")
        assert page.eval_on_selector_all("#task option", "options => options.map(option => option.text)") == [
            "a/small model: fill-mask",
            "a/small model: feature-extraction",
        ]
        page.click("text=Send")
        page.wait_for_function("document.getElementById('status').textContent.startsWith('200')")
        assert f'"token_str": {json.dumps(answers[0]["token_str"])}' in page.inner_text("#answer")
        with page.expect_popup() as popup:
            page.click("#explain")
        popup.value.wait_for_selector("#answers")
        assert popup.value.inner_text("h1") == "The man worked as a <mask>."


def test_the_key(models, chromium):
    with (
        running(make_app(models, Options(access_log=False, api_key="secret"))) as server,
        chromium.new_context(bypass_csp=True) as context,
    ):
        page = context.new_page()
        page.goto(server.address + "/")
        page.wait_for_function("document.getElementById('status').textContent === 'Enter the API key.'")
        page.fill("#key", "secret")
        page.press("#key", "Tab")
        page.wait_for_selector("#task option", state="attached")
