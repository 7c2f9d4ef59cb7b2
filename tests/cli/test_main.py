"""The command as a person meets it: as a process, with a terminal, a pipe that closes, and help."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from distilroberta_np import pipeline
from distilroberta_np.cli import main
from distilroberta_np.cli.main import find_commands, make_parser
from distilroberta_np.hub import find_embedded, find_published
from distilroberta_np.pipelines import PIPELINES
from tests.support.seeded import write_model

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


def test_on_a_terminal_the_answer_is_a_table(answers):
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
    first = answers[0]
    assert output.decode().replace("\r\n", "\n") == (
        f"The man worked as a <mask>.\n  {first['score']:#.4g}  {first['token_str']}  {first['sequence']}\n"
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
def test_without_a_model_the_embedded_one_answers_and_stderr_says_so(tmp_path, answers):
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        environment.pop(name, None)
    done = subprocess.run(
        [*COMMAND, "fill-mask", "The man worked as a <mask>."], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0
    first = answers[0]
    assert done.stdout.splitlines()[0] == f"1\t1\t{first['score']:.4g}\t{first['token_str']}\t{first['sequence']}"
    assert done.stderr == (
        "Using the small embedded model: distilbert/distilroberta-base is not on this machine. "
        "Fetch it (331 MB) with `distilroberta-np download`, or name a model.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["fil-mask"], "fill-mask"),
        (["fill-mask", "a <mask>", "--topk", "3"], "--top-k"),
        (["fill-mask", "a <mask>", "--trunkation=yes"], "--truncation"),
        (["text-classification", "a", "--function-to-apply", "softmx"], "softmax"),
        (["finetune", "--taks", "text-classification"], "--task"),
    ],
)
def test_a_misspelled_command_option_or_choice_is_named_with_the_one_that_was_meant(capsys, arguments, meant):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert f"; did you mean {meant}?" in capsys.readouterr().err


def test_a_text_that_begins_with_dashes_stands_after_two_of_them(capsys):
    assert main(["fill-mask", "--model", str(find_embedded()), "--", "--a <mask>"]) == 0


def test_a_folder_that_is_misspelled_is_named_without_a_network(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "run" / "checkpoint")
    assert main(["fill-mask", "a <mask>", "--model", "prun/checkpoint"]) == 2
    assert capsys.readouterr().err == (
        "distilroberta-np: there is no folder prun/checkpoint; did you mean run/checkpoint?\n"
    )


@pytest.mark.parametrize("command", find_commands(), ids=lambda command: command.name)
def test_examples_are_commands(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = command.examples.replace("\\\n", " ").splitlines()
    examples = [line.partition(" > ")[0].split("|")[-1] for line in lines if line.startswith("  ")]
    examples = [shlex.split(line) for line in examples if "distilroberta-np " in line]
    assert examples
    for example in examples:
        make_parser().parse_args(example[1:])


def offline(command):
    """The commands of a help page that run without a network: those that say so, else the first."""
    first = command.examples.partition("\n")[0]
    block = re.search(r"offline:\n((?:  .*\n?)+)", command.examples)
    if block is None:
        return first
    return block[1] + (first if "A small model" in command.examples else "")


TRAINING = [command for command in find_commands() if re.search("pretrain|finetune", offline(command))]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, id=command.name, marks=pytest.mark.slow if command in TRAINING else ())
        for command in find_commands()
        if command.name != "serve"  # which does not end
    ],
)
def test_every_command_has_an_example_that_runs_offline(command, tmp_path):
    script = f'set -e\ndistilroberta-np() {{ {shlex.join(COMMAND)} "$@"; }}\n{offline(command)}'
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    if command.name == "verify" and find_published() is None:
        assert done.returncode == 2 and "`distilroberta-np download`" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() or "the model is in" in done.stderr


@pytest.mark.parametrize("task", [name for name, kind in PIPELINES.items() if kind.suggested_model])
def test_without_a_fine_tuned_model_one_line_says_how_to_get_one(capsys, task):
    with pytest.raises(ValueError, match=r"name one on the hub, such as \S+, or make a small one with") as caught:
        pipeline(task)
    (made,) = re.findall("`distilroberta-np (.*)`", str(caught.value))
    make_parser().parse_args(shlex.split(made))
    kind = "text" if task in ("sentiment-analysis", "zero-shot-classification") else task.partition("-")[0]
    assert f"--task {kind.replace('ner', 'token')}-" in made


def test_rank_says_which_model_it_needs(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["rank", "a", "b"])
    assert stop.value.code == 2
    assert "such as cross-encoder/stsb-distilroberta-base, or make one with finetune" in capsys.readouterr().err
