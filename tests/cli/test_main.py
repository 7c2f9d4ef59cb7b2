"""The command as a person meets it: as a process, with a terminal, a pipe that closes, and help."""

import contextlib
import os
import subprocess
import sys

import pytest

from distilroberta_np.cli import main
from distilroberta_np.hub import find_embedded, find_published

COMMAND = [sys.executable, "-m", "distilroberta_np"]


@pytest.mark.parametrize("command", [[], ["fill-mask"], ["info"], ["download"], ["verify"]])
def test_help_has_examples(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert "examples:\n  distilroberta-np" in capsys.readouterr().out


def test_without_a_command_the_usage_comes_and_status_2():
    done = subprocess.run(COMMAND, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: distilroberta-np")


def test_on_a_terminal_the_answer_is_a_table():
    pty = pytest.importorskip("pty")
    shown, terminal = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "fill-mask", "--model", find_embedded(), "The man worked as a <mask>.", "--top-k", "1"],
        stdout=terminal,
        stderr=terminal,
        close_fds=True,
    ) as process:
        os.close(terminal)
        output = b""
        with contextlib.suppress(OSError):  # how a terminal ends
            while data := os.read(shown, 4096):
                output += data
    os.close(shown)
    assert process.returncode == 0
    assert output.decode().replace("\r\n", "\n") == (
        "The man worked as a <mask>.\n  0.05302   teacher  The man worked as a teacher.\n"
    )


def test_a_reader_that_goes_away_ends_it_quietly():
    with subprocess.Popen(
        [*COMMAND, "fill-mask", "-", "--model", find_embedded()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        process.stdin.write(b"a <mask>\n" * 3)
        process.stdin.close()
        errors = process.stderr.read()
    assert process.returncode == 0
    assert errors == b""


@pytest.mark.skipif(find_published() is not None, reason="the published model is here, and answers")
def test_without_a_model_the_embedded_one_answers_and_stderr_says_so(tmp_path):
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        environment.pop(name, None)
    done = subprocess.run(
        [*COMMAND, "fill-mask", "The man worked as a <mask>."], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "1\t1\t0.05302\t teacher\tThe man worked as a teacher."
    assert done.stderr == (
        "Using the small embedded model: distilbert/distilroberta-base is not on this machine. "
        "Fetch it (331 MB) with `distilroberta-np download`, or name a model.\n"
    )
