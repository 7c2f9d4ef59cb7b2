"""`distilroberta-np bias` on the embedded model: piped, as JSON and on a terminal."""

import json
import os
import subprocess
import sys

import pytest

from distilroberta_np import pipeline
from distilroberta_np.analysis.bias import compare_groups
from distilroberta_np.cli import main
from distilroberta_np.cli.bias import _bar
from distilroberta_np.hub import find_embedded

MODEL = ["--model", str(find_embedded())]
TEMPLATE = "The {man|woman} worked as a <mask>."


@pytest.fixture(scope="module")
def comparison():
    return compare_groups(pipeline("fill-mask", find_embedded()), TEMPLATE)


def run(capsys, *arguments):
    status = main(["bias", *arguments, *MODEL])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def on_a_terminal(*arguments, encoding="utf-8", columns="80"):
    """The lines that a terminal shows."""
    pty = pytest.importorskip("pty")
    shown, terminal = pty.openpty()
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": columns}
    command = [sys.executable, "-m", "distilroberta_np", "bias", *arguments, *MODEL]
    with subprocess.Popen(command, stdout=terminal, stderr=terminal, env=environment) as process:
        os.close(terminal)
        output = b""
        try:
            while data := os.read(shown, 4096):
                output += data
        except OSError:  # the terminal was closed
            pass
    os.close(shown)
    assert process.returncode == 0, output
    return output.decode().splitlines()


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bias", "--help"])
    assert stop.value.code == 0
    assert f'examples:\n  distilroberta-np bias "{TEMPLATE}"' in capsys.readouterr().out


def test_piped_lines_begin_with_their_kind(capsys, comparison):
    status, output, errors = run(capsys, TEMPLATE, "--top-k", "2")
    assert (status, errors) == (0, "")
    rows = [line.split("\t") for line in output.splitlines()]
    first = comparison.groups[0].predictions[0]
    assert rows[0] == ["prediction", "man", f"{first['score']:.4g}", first["token_str"], first["sequence"]]
    assert [row[:2] for row in rows[1:4]] == [["prediction", "man"]] + [["prediction", "woman"]] * 2
    words = rows[4:-1]
    assert [row[0] for row in words] == ["word"] * len(words)
    assert [row[2] for row in words] == ["man", "woman"] * (len(words) // 2)
    assert {row[4] for row in words[::2]} == {"0.00"}  # the baseline's own ratio
    assert [len(row) for row in words] == [6] * len(words)
    assert rows[-1][:3] == ["divergence", "man", "woman"]
    assert len(rows[-1]) == 5


def test_json_is_one_object_with_the_whole_comparison(capsys):
    status, output, _ = run(
        capsys, "The {} sat.<mask>", "--groups", "old man", "{cat}", "--json", "--baseline", "{cat}"
    )
    assert status == 0
    comparison = compare_groups(
        pipeline("fill-mask", find_embedded()), "The {} sat.<mask>", ["old man", "{cat}"], baseline="{cat}"
    )
    found = json.loads(output)
    assert found["baseline"] == "{cat}"
    assert [group["text"] for group in found["groups"]] == ["The old man sat.<mask>", "The {cat} sat.<mask>"]
    assert [word["log_ratios"] for word in found["words"]] == [word.log_ratios for word in comparison.words]
    assert found["divergences"][0]["total_variation"] == comparison.divergences[0].total_variation


def test_targets_of_several_tokens_are_compared(capsys):
    _, output, _ = run(capsys, TEMPLATE, "--targets", "nurse", "police officer", "--json")
    assert {word["token_str"] for word in json.loads(output)["words"]} == {" nurse", " police officer"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["The man sat <mask>."], "contains no {...|...}"),
        (["The {man|woman} sat."], "must contain exactly one <mask>"),
        (["The {} sat <mask>.", "--groups", "man"], "only one group"),
        ([TEMPLATE, "--baseline", "cat"], "baseline 'cat' is not a group"),
        ([TEMPLATE, "--plot", "x.gif"], "must end in .png"),
    ],
)
def test_errors_end_with_status_2_and_one_line(capsys, arguments, message):
    status, output, errors = run(capsys, *arguments)
    assert (status, output) == (2, "")
    assert errors.startswith("distilroberta-np: ")
    assert message in errors
    assert len(errors.splitlines()) == 1


def test_a_chart_is_drawn(capsys, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the plot extra: pip install 'distilroberta-np[plot]'")
    status, output, _ = run(capsys, TEMPLATE, "--plot", str(tmp_path / "bias.png"))
    assert status == 0
    assert output.startswith("prediction\t")
    assert (tmp_path / "bias.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_error_says_what_to_install(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, output, errors = run(capsys, TEMPLATE, "--plot", str(tmp_path / "bias.png"))
    assert (status, output) == (2, "")
    assert errors == "distilroberta-np: charts need matplotlib: pip install 'distilroberta-np[plot]'\n"


def bars_of(comparison, signs):
    """The bars of a comparison without the spaces around them."""
    ratios = [word.log_ratios["woman"] for word in comparison.words]
    return [_bar(ratio, max(map(abs, ratios)), signs).strip() for ratio in ratios]


def test_on_a_terminal_lists_are_side_by_side_and_bars_share_one_zero(comparison):
    lines = on_a_terminal(TEMPLATE)
    assert max(map(len, lines)) <= 80
    assert lines[0] == TEMPLATE
    assert lines[1].split() == ["man", "woman"]
    man, woman = (
        [f"{item['score']:.4g} {item['token_str']}".split() for item in group.predictions]
        for group in comparison.groups
    )
    assert [line.split() for line in lines[2:7]] == [one + other for one, other in zip(man, woman, strict=True)]
    zero = next(line for line in lines if "log2" in line and "0  " in line).rindex("0  ")
    bars = [line for line in lines if "│" in line]
    assert len(bars) == len({item["token_str"] for group in comparison.groups for item in group.predictions})
    assert {line.index("│") for line in bars} == {zero}
    assert [line.split()[-1] for line in bars] == bars_of(comparison, "█▌▐│")
    assert lines[-1].split()[:3] == ["man", ":", "woman"]


def test_a_terminal_without_block_characters_gets_ascii(comparison):
    lines = on_a_terminal(TEMPLATE, encoding="ascii")
    assert all(line.isascii() for line in lines)
    assert not any("\\u" in line for line in lines)
    assert [line.split()[-1] for line in lines[1:] if "|" in line] == bars_of(comparison, "#  |")


def test_groups_that_do_not_fit_side_by_side_follow_below():
    groups = ["man", "woman", "very old gentleman", "teacher"]
    lines = on_a_terminal("The {} worked as a <mask>.", "--top-k", "2", "--groups", *groups, columns="50")
    assert max(map(len, lines[:7])) <= 50
    assert lines[1].split() == ["man", "woman"]
    assert lines[4] == ""
    assert "very old gentleman" in lines[5]
    assert sum("log2  " in line for line in lines) == 3


@pytest.mark.parametrize(
    ("value", "blocks", "ascii"),
    [
        (0.0, " " * 12 + "│", " " * 12 + "|"),
        (2.0, " " * 12 + "│" + "█" * 12, " " * 12 + "|" + "#" * 12),
        (-2.0, "█" * 12 + "│", "#" * 12 + "|"),
        (0.25, " " * 12 + "│█▌", " " * 12 + "|# "),
        (-0.25, " " * 10 + "▐█│", " " * 11 + "#|"),
    ],
)
def test_a_bar_extends_from_zero_to_one_side(value, blocks, ascii):
    assert _bar(value, 2.0, "█▌▐│") == blocks
    assert _bar(value, 2.0, "#  |") == ascii


def test_the_bars_of_zeros_are_empty():
    assert _bar(0.0, 0.0, "█▌▐│") == " " * 12 + "│"
