"""The requests of docs/serving.md, sent to a running server: each answer has the form that the page shows."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sh\n(curl .*?)```\n+```json\n(.*?)```", PAGE, re.DOTALL)


def same_form(answer, shown):
    if isinstance(shown, dict):
        return (
            isinstance(answer, dict)
            and answer.keys() == shown.keys()
            and all(same_form(answer[key], shown[key]) for key in shown)
        )
    if isinstance(shown, list):
        return isinstance(answer, list) and bool(answer) and all(same_form(item, shown[0]) for item in answer)
    return isinstance(answer, bool) == isinstance(shown, bool) and isinstance(answer, int | float) == isinstance(
        shown, int | float
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(("command", "shown"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_example(server, command, shown):
    command = command.replace("http://127.0.0.1:8000", server.address)
    output = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, timeout=60).stdout
    assert same_form(json.loads(output), json.loads(shown)), output


def test_every_protocol_has_an_example():
    commands = " ".join(command for command, _ in EXAMPLES)
    for path in (
        "/models/mood",
        "/models/nli",
        "/models/tags",
        "/models/answers",
        "/embed",
        "/rerank",
        "/predict",
        "/tokenize",
        "/v1/embeddings",
    ):
        assert path in commands
