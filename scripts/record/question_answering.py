"""Record the outputs of transformers 4 that tests/pipelines/test_question_answering.py and
tests/training/metrics/test_squad.py compare with. transformers 5 has neither the pipeline nor the metrics, so this
needs an environment of its own:

    python -m venv old && old/bin/pip install -e . torch==2.13.0 'transformers<5'
    old/bin/python -m scripts.record.question_answering

Writes tests/data/question_answering.json. The current values are float32, recorded with torch 2.13.0 and
transformers 4.57.6.
"""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.data.metrics.squad_metrics import squad_evaluate
from transformers.data.processors.squad import SquadExample

from tests.support.seeded_question_answering import write_question_answering

PROJECT = Path(__file__).parents[2]

WHERE = "Where do I live?"
BERLIN = "My name is Wolfgang and I live in Berlin. "
RIVER = (
    "The river rises in the hills above the town, at a height of 1,203 metres, and reaches the sea after 345 km. "
    "In spring, when the snow melts, it floods the meadows on both banks; in a dry summer children wade across it. "
    "A bridge of stone was built in 1743 by order of the duke, whose masons took eleven years over its seven arches. "
    "It was blown up in the last days of the war and rebuilt in concrete, which nobody in the town has ever liked. "
    "Salmon came up as far as the weir until the mill was built, and the fishermen's guild sued the miller four times. "
)
LONG = "".join(f"Chapter {number}. {RIVER}" for number in range(1, 6))
UNICODE = (
    "Zażółć gęślą jaźń 🙂👩‍👩‍👧 in Kraków; שלום, 日本語の文 e\u0301t\u00e9,\u00a0naïve\t“quotes” – and\r\nnew lines…  "
    "two  spaces."
)

CALLS: list[dict[str, Any]] = [
    {"question": WHERE, "context": BERLIN},
    {"question": WHERE, "context": BERLIN, "top_k": 3},
    {"question": WHERE, "context": BERLIN, "top_k": 3, "align_to_words": False},
    {"question": WHERE, "context": BERLIN, "align_to_words": False},
    {"question": WHERE, "context": BERLIN, "top_k": 3, "handle_impossible_answer": True},
    {"question": WHERE, "context": BERLIN, "handle_impossible_answer": True},
    {"question": "?", "context": "Berlin"},
    {"question": "?", "context": "  "},
    {"question": "Who built the bridge?", "context": RIVER, "top_k": 10},
    {"question": "Who built the bridge?", "context": RIVER, "top_k": 3, "max_answer_len": 1},
    {"question": "Who built the bridge?", "context": RIVER, "top_k": 3, "max_answer_len": 200},
    {"question": "Who built the bridge?", "context": RIVER, "max_question_len": 2},
    {"question": "Who built the bridge?", "context": RIVER, "padding": "max_length"},
    {"question": "Who built the bridge?", "context": LONG},
    {"question": "Who built the bridge?", "context": LONG, "top_k": 3, "handle_impossible_answer": True},
    {"question": "Who built the bridge?", "context": LONG, "top_k": 10, "align_to_words": False},
    {"question": "Who built the bridge?", "context": LONG, "top_k": 3, "doc_stride": 0},
    {"question": "Who built the bridge?", "context": LONG, "top_k": 3, "doc_stride": 300},
    {"question": "Who built the bridge?", "context": LONG, "top_k": 3, "max_seq_len": 512},
    {"question": "Who built the bridge?", "context": LONG, "top_k": 3, "max_seq_len": 64},
    {"question": "Who built the bridge?", "context": LONG, "top_k": 3, "max_seq_len": 40, "doc_stride": 29},
    {"question": "Who built the bridge?", "context": RIVER, "top_k": 20, "max_seq_len": 11, "doc_stride": 1},
    {"question": "Who built the bridge?", "context": RIVER, "max_seq_len": 1000},
    {"question": "Why? " * 100, "context": LONG, "top_k": 3},
    {"question": "¿Dónde? 🙂 e\u0301 日本", "context": UNICODE, "top_k": 10},
    {"question": "¿Dónde? 🙂 e\u0301 日本", "context": UNICODE, "top_k": 10, "align_to_words": False},
    {"question": "¿Dónde? 🙂 e\u0301 日本", "context": UNICODE, "top_k": 5, "max_seq_len": 40, "doc_stride": 9},
    {
        "question": " Where  <mask> ? ",
        "context": "typed <s> specials </s>\n<mask> <pad> <unk> don't; it's IT'S",
        "top_k": 8,
    },
    {"question": [WHERE, "What is my name?"], "context": BERLIN},
    {"question": [WHERE, "Who built the bridge?"], "context": [BERLIN, RIVER], "top_k": 2},
    {"question": [WHERE], "context": [BERLIN]},
    {"question": [], "context": []},
]
# As the positional argument.
INPUTS: list[Any] = [
    {"question": WHERE, "context": BERLIN},
    [{"question": WHERE, "context": BERLIN}],
    [{"question": WHERE, "context": BERLIN}, {"question": "Who built the bridge?", "context": RIVER}],
    {"question": [WHERE, "What is my name?"], "context": [BERLIN, RIVER]},
    {"question": [WHERE], "context": [BERLIN]},
    [],
]


def record_pipeline(folder: Path) -> dict[str, Any]:
    model, loading = transformers.RobertaForQuestionAnswering.from_pretrained(folder, output_loading_info=True)
    assert not loading["missing_keys"], loading
    tokenizer = transformers.RobertaTokenizerFast.from_pretrained(folder)
    oracle = transformers.pipeline("question-answering", model=model, tokenizer=tokenizer)
    cases = [{"call": call, "output": oracle(**call)} for call in CALLS]
    cases += [{"inputs": inputs, "output": oracle(inputs)} for inputs in INPUTS]
    for case in cases:
        for answers in lists([case["output"]]):
            for better, worse in pairwise(answer["score"] for answer in answers):
                if better - worse < 1e-4 * better:
                    raise SystemExit(f"scores {better} and {worse} are too close to hold their order: {case}")
    weights = (folder / "model.safetensors").read_bytes()
    return {"sha256 of model.safetensors": hashlib.sha256(weights).hexdigest(), "cases": cases}


def lists(outputs: list[Any]) -> list[Any]:
    """The lists of answers in outputs."""
    return [output for output in outputs if isinstance(output, list) and output and isinstance(output[0], dict)]


def record_metrics() -> list[dict[str, Any]]:
    """Metrics of random answers of a few words; a third of the questions have none."""
    rng = random.Random(0)
    words = [
        "the",
        "The",
        "a",
        "an",
        "duke",
        "Duke's",
        "river,",
        "1743",
        "(stone)",
        "bridge",
        "bridge",
        "  ",
        "–",
        "été",
    ]

    def text() -> str:
        return " ".join(rng.choices(words, k=rng.randint(1, 4)))

    cases = []
    for size in (1, 7, 60):
        gold = {str(index): [text() for _ in range(rng.randint(1, 3))] * (index % 3 > 0) for index in range(size)}
        said = {key: rng.choice(["", text(), *(answers and [rng.choice(answers)])]) for key, answers in gold.items()}
        examples = [
            SquadExample(key, "?", "", None, None, None, [{"text": answer} for answer in answers], not answers)
            for key, answers in gold.items()
        ]
        scores = squad_evaluate(examples, said)
        cases.append([gold, said, {name: value for name, value in scores.items() if not name.startswith("best_")}])
    return cases


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        recorded = {
            "recorded_with": {"torch": torch.__version__, "transformers": transformers.__version__},
            **record_pipeline(write_question_answering(Path(folder))),
            "squad_metrics": record_metrics(),
        }
    path = PROJECT / "tests" / "data" / "question_answering.json"
    path.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
