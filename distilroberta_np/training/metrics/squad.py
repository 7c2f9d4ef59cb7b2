"""Metrics of question answering: exact match and F1, as in SQuAD's official script.

Rajpurkar et al. 2016, "SQuAD", section 6.1, and Rajpurkar et al. 2018, "Know What You Don't Know" (SQuAD 2.0), whose
evaluate-v2.0.py is followed exactly. If every question has an answer, the script of SQuAD 1.1 gives the same numbers.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Lowercase a text, and remove ASCII punctuation, English articles and redundant spaces, in that order."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(predicted: str, reference: str) -> int:
    """1 if both texts are equal after normalization, else 0."""
    return int(normalize_answer(predicted) == normalize_answer(reference))


def f1(predicted: str, reference: str) -> float:
    """The harmonic mean of precision and recall of the normalized words, with repetitions. If one text has no words: 1
    if the other has none either, else 0."""
    ours, theirs = normalize_answer(predicted).split(), normalize_answer(reference).split()
    if not ours or not theirs:
        return float(ours == theirs)
    same = (Counter(ours) & Counter(theirs)).total()
    if same == 0:
        return 0.0
    precision, recall = same / len(ours), same / len(theirs)
    return 2 * precision * recall / (precision + recall)


def squad_scores(predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Compute the metrics of answers, by the ids of the questions.

    Args:
        predictions: the answer to each question, "" for no answer. There may be answers to other questions.
        references: the correct answers to each question, each as good as the others; empty if it has no answer.

    Returns:
        `exact` and `f1`, in percent, and `total`, the number of questions; the same for the questions with an answer
        (`HasAns_exact`, `HasAns_f1`, `HasAns_total`) and for those without (`NoAns_...`), if there are any.

    Raises ValueError: no questions, or one without a prediction (which the official script ignores).
    """
    if not references:
        raise ValueError("there are no questions to score")
    missing = [key for key in references if key not in predictions]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(references)} questions have no prediction, the first of them {missing[0]!r}"
        )
    has_answer = {key: len(answers) > 0 for key, answers in references.items()}
    # An answer of articles and punctuation only is no answer.
    correct = {key: list(filter(normalize_answer, answers)) or [""] for key, answers in references.items()}
    counted: dict[str, dict[str, float]] = {
        name: {key: max(measure(predictions[key], answer) for answer in correct[key]) for key in references}
        for name, measure in (("exact", exact_match), ("f1", f1))
    }
    scores: dict[str, float] = {}
    parts = {
        "": list(references),
        "HasAns_": [key for key in references if has_answer[key]],
        "NoAns_": [key for key in references if not has_answer[key]],
    }
    for part, keys in parts.items():
        if keys:
            for name, values in counted.items():
                scores[part + name] = 100.0 * sum(values[key] for key in keys) / len(keys)
            scores[f"{part}total"] = len(keys)
    return scores
