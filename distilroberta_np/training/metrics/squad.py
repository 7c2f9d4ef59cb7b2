"""Metrics of question answering: exact match and F1, as in SQuAD's official script.

Rajpurkar et al. 2016, "SQuAD", section 6.1, and Rajpurkar et al. 2018, "Know What You Don't Know" (SQuAD 2.0), whose
evaluate-v2.0.py is followed exactly. If every question has an answer, the script of SQuAD 1.1 gives the same numbers.
"""

from __future__ import annotations

import math
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


def squad_scores(
    predictions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    no_answer_probabilities: Mapping[str, float] | None = None,
    no_answer_threshold: float = 1.0,
) -> dict[str, float]:
    """Compute the metrics of answers, by the ids of the questions.

    Args:
        predictions: the answer to each question, "" for no answer. There may be answers to other questions.
        references: the correct answers to each question, each as good as the others; empty if it has no answer.
        no_answer_probabilities: the probability that a question has no answer.
        no_answer_threshold: a question with a greater probability counts as answered by "".

    Returns:
        `exact` and `f1`, in percent, and `total`, the number of questions; the same for the questions with an answer
        (`HasAns_exact`, `HasAns_f1`, `HasAns_total`) and for those without (`NoAns_...`), if there are any. With
        `no_answer_probabilities` also `best_exact`, `best_exact_thresh`, `best_f1` and `best_f1_thresh`: the value at
        the best threshold, and that threshold.

    Raises ValueError: no questions, or one without a prediction or probability (which the official script ignores).
    """
    if not references:
        raise ValueError("there are no questions to score")
    _check("prediction", references, predictions)
    if no_answer_probabilities is not None:
        _check("no-answer probability", references, no_answer_probabilities)
    has_answer = {key: len(answers) > 0 for key, answers in references.items()}
    # An answer of articles and punctuation only is no answer.
    correct = {key: list(filter(normalize_answer, answers)) or [""] for key, answers in references.items()}
    raw: dict[str, dict[str, float]] = {
        name: {key: max(measure(predictions[key], answer) for answer in correct[key]) for key in references}
        for name, measure in (("exact", exact_match), ("f1", f1))
    }
    probabilities = no_answer_probabilities or dict.fromkeys(references, -math.inf)
    counted = {
        name: {
            key: float(not has_answer[key]) if probabilities[key] > no_answer_threshold else value
            for key, value in values.items()
        }
        for name, values in raw.items()
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
    if no_answer_probabilities is not None:
        for name, values in raw.items():
            best, threshold = _best_threshold(predictions, values, no_answer_probabilities, has_answer)
            scores[f"best_{name}"], scores[f"best_{name}_thresh"] = best, threshold
    return scores


def _best_threshold(
    predictions: Mapping[str, str],
    values: Mapping[str, float],
    probabilities: Mapping[str, float],
    has_answer: Mapping[str, bool],
) -> tuple[float, float]:
    """The best mean over all thresholds, in percent, and the smallest threshold that gives it.

    Starting with no question answered, questions are answered in the order of their probabilities. An answer adds its
    score; an answer to a question without one costs a point.
    """
    score: float = sum(not answered for answered in has_answer.values())
    best, threshold = score, 0.0
    for key in sorted(values, key=lambda key: probabilities[key]):
        if has_answer[key]:
            score += values[key]
        elif predictions[key]:
            score -= 1
        if score > best:
            best, threshold = score, probabilities[key]
    return 100.0 * best / len(values), threshold


def _check(what: str, references: Mapping[str, Sequence[str]], given: Mapping[str, object]) -> None:
    missing = [key for key in references if key not in given]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(references)} questions have no {what}, the first of them {missing[0]!r}"
        )
