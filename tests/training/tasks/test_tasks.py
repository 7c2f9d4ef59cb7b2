"""The registry of tasks; what each does is tested with `finetune`."""

import subprocess
import sys

from distilroberta_np.training.tasks import find_task, task_names
from tests.support.seeded import write_model

# A task in one file: inputs are the lines of a text, and the label says whether a line is longer than the last.
NEW = """
import numpy as np
from dataclasses import replace
from distilroberta_np.models import RobertaForSequenceClassification
from distilroberta_np.training.tasks import Example, Task, predict

class Growing(Task[str]):
    model_class = RobertaForSequenceClassification
    count = staticmethod(len)

    def read(self, path, context):
        return path.read_text().splitlines()

    def configure(self, rows, config, context):
        return replace(config, labels=("no", "yes"), problem_type="single_label_classification")

    def encode(self, rows, config, context):
        ids = [np.array(context.tokenizer.encode(row)) for row in rows]
        return [Example(one, np.array(int(len(one) > len(ids[n - 1]))), n) for n, one in enumerate(ids)]

    def metric_names(self, config):
        return ("accuracy",)

    def evaluate(self, model, rows, examples):
        logits = np.concatenate(predict(model, examples, [[0]] * len(examples)))
        return {"accuracy": float(np.mean(logits.argmax(axis=1) == [example.labels for example in examples]))}

TASK = Growing()
"""


def test_every_file_is_a_task():
    assert task_names() == ("question-answering", "text-classification", "token-classification")
    for name in task_names():
        task = find_task(name)
        assert task.model_class.__name__.startswith("RobertaFor")
        assert {"read", "configure", "encode", "count", "metric_names", "evaluate"} <= set(dir(task))


def test_the_names_are_known_without_an_import():
    code = (
        "import sys; from distilroberta_np.training.settings import FinetuneSettings\n"
        "print([name for name in sys.modules if name.startswith('distilroberta_np.training.tasks.')])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_a_new_file_is_a_new_task(tmp_path):
    """With its choice in the command's help, and through a whole run."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "growing_lines.py").write_text(NEW, encoding="utf-8")
    write_model(tmp_path / "base", hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    (tmp_path / "a.txt").write_text("the cat\na cat sat on\nab\nthe\n" * 3, encoding="utf-8")
    code = (
        "import sys; from distilroberta_np.training import tasks; tasks.__path__.append(sys.argv[1])\n"
        "from distilroberta_np.cli import main; sys.exit(main(sys.argv[2:]))"
    )

    def run(*arguments):
        command = [sys.executable, "-c", code, str(tmp_path / "tasks"), "finetune", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True)

    assert "growing-lines" in run("--help").stdout
    data, model = str(tmp_path / "a.txt"), str(tmp_path / "base")
    arguments = ["--task", "growing-lines", "--model", model, "--train", data, "--eval", data, "--epochs", "1"]
    assert "epoch 1 of 1: accuracy" in run(*arguments, "--out", str(tmp_path / "run")).stderr
