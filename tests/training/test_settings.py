import argparse
import json
from dataclasses import MISSING, asdict, replace

import pytest

from distilroberta_np import TrainingError
from distilroberta_np.cli.main import make_parser
from distilroberta_np.cli.training_options import add_training_arguments, settings_from
from distilroberta_np.training.optim import OPTIMIZERS
from distilroberta_np.training.settings import (
    DistillSettings,
    FinetuneSettings,
    PretrainSettings,
    default_epochs,
    default_learning_rate,
    rules,
)

REQUIRED = {
    PretrainSettings: {},
    DistillSettings: {"teacher": "a"},
    FinetuneSettings: {"task": "text-classification", "train": "a.tsv"},
}


@pytest.mark.parametrize("kind", REQUIRED)
def test_every_setting_is_an_option_with_help_default_and_bounds(kind):
    parser = argparse.ArgumentParser()
    add_training_arguments(parser, kind)
    text = " ".join(parser.format_help().split())
    for name, (rule, _, default) in rules(kind).items():
        assert ("--no-" if default is True else "--") + name.replace("_", "-") in text
        assert rule.help in text
        if default not in (None, MISSING) and not isinstance(default, bool):
            assert f"(default: {default})" in text
    required = [f"--{name}={value}" for name, value in REQUIRED[kind].items()]
    options = parser.parse_args([*required, "--out", "run", "--optimizer", "muon", "--seed", "3"])
    options.model = options.revision = None
    assert settings_from(options, kind) == kind(**REQUIRED[kind], optimizer="muon", seed=3)


@pytest.mark.parametrize("kind", REQUIRED)
def test_numbers_out_of_bounds_are_named(kind):
    good = kind(**REQUIRED[kind])
    assert json.loads(json.dumps(asdict(good))) == asdict(good)
    for name, (rule, type_, default) in rules(kind).items():
        if type_ is int:
            wrong = [int(rule.at_least) - 1, 2.5, "2", float("nan"), None if default is not None else 1.5]
        elif type_ is float:
            wrong = [min(rule.above, rule.at_least) - 1 if rule.above > 0 else -1.0, float("nan"), float("inf"), "2"]
            wrong += [value for value in (rule.above, rule.below) if -1 < value < 10]
        elif rule.choices:
            wrong = ["something"]
        else:
            continue
        for value in wrong:
            with pytest.raises(TrainingError, match=f"^{name} must be "):
                replace(good, **{name: value})


@pytest.mark.parametrize("command", ["pretrain", "distill", "finetune"])
def test_the_commands_name_all_optimizers(command, capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args([command, "--help"])
    assert "{" + ",".join(OPTIMIZERS) + "}" in capsys.readouterr().out


def test_switches_are_flags():
    options = make_parser().parse_args(["pretrain", "a.txt", "--out", "run", "--whole-words"])
    assert settings_from(options, PretrainSettings).whole_words is True
    arguments = ["finetune", "--task", "text-classification", "--train", "a.tsv", "--out", "run", "--no-header"]
    options = make_parser().parse_args(arguments)
    assert settings_from(options, FinetuneSettings).header is False


@pytest.mark.parametrize(
    ("parameters", "rate"),
    [(1000, 2e-4), (9_100_000, 2e-4), (40_000_000, 1e-4), (81_500_000, 4.9e-5), (124_000_000, 3.2e-5),
     (354_000_000, 1.1e-5)],
)  # fmt: skip
def test_the_learning_rate_follows_the_size_of_the_model(parameters, rate):
    assert default_learning_rate(parameters) == rate


def test_the_learning_rate_of_pretraining_is_never_0_and_falls_at_the_end():
    settings = PretrainSettings(updates=10, warmup=4, decay=3, learning_rate=12.0)
    rates = [settings.learning_rate_at(update, settings.updates) for update in range(settings.updates)]
    assert rates == [3, 6, 9, 12, 12, 12, 12, 12, 8, 4]


def test_small_data_are_seen_more_often():
    assert [default_epochs(updates) for updates in (1, 4, 5, 10, 30, 50, 1000)] == [20, 20, 20, 10, 4, 3, 3]
