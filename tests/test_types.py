"""The types of the public names, as mypy sees them in a user's code (`tests/data/user_code.py`)."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

USER_CODE = Path(__file__).parent / "data" / "user_code.py"


@pytest.fixture(scope="module")
def messages():
    """What mypy says of each line of the user's code, by the line's number."""
    if find_spec("mypy") is None:
        pytest.skip("mypy is not installed: pip install 'distilroberta-np[lint]'")
    arguments = ["--config-file=", "--strict", "--follow-imports=silent", str(USER_CODE)]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *arguments],
        capture_output=True,
        text=True,
        cwd=USER_CODE.parents[2],
        check=False,
    )
    found = re.findall(r"user_code\.py:(\d+): (?:note|error): (.*)", done.stdout)
    assert found, done.stdout + done.stderr
    lines: dict[int, str] = {}
    for number, message in found:
        lines[int(number)] = f"{lines.get(int(number), '')} {message}"
    return lines


def test_every_call_has_the_type_that_its_comment_says(messages):
    code = USER_CODE.read_text(encoding="utf-8").splitlines()
    revealed = {number: line.split("  # ")[1] for number, line in enumerate(code, 1) if "reveal_type(" in line}
    assert len(revealed) > 20
    for number, wanted in revealed.items():
        type_name = re.search(r'Revealed type is "(.*)"', messages[number])[1]
        short = re.sub(r"TypedDict\(([\w.]+), \{.*?\}\)", r"\1", type_name)
        short = re.sub(r"(?:\w+\.)+(\w+)", r"\1", short)
        assert short == wanted, f"line {number}: {code[number - 1]}: {type_name}"


def test_what_is_wrong_is_an_error_and_nothing_else_is(messages):
    code = USER_CODE.read_text(encoding="utf-8").splitlines()
    wrong = [number for number, line in enumerate(code, 1) if "# error: " in line]
    assert len(wrong) == 4
    assert set(wrong) == {number for number, message in messages.items() if "Revealed type" not in message}


def test_no_public_function_returns_any():
    import inspect
    import typing

    import distilroberta_np

    untyped = []
    for name in distilroberta_np.__all__:
        value = getattr(distilroberta_np, name)
        members = inspect.getmembers(value, inspect.isroutine) if inspect.isclass(value) else [("", value)]
        for member, function in members:
            public = not member.startswith("_") or member == "__call__"
            if (
                public
                and inspect.isroutine(function)
                and (getattr(function, "__module__", None) or "").startswith("distilr")
            ):
                overloads = typing.get_overloads(function) or [function]
                returns = [overload.__annotations__.get("return") for overload in overloads]
                untyped += [f"{name}.{member}" for annotation in returns if annotation in ("Any", None)]
    assert untyped == []
