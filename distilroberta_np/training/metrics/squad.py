"""How good answers to questions are: exact match and F1, as SQuAD's official script counts them.

Rajpurkar et al. 2016, "SQuAD", section 6.1, and Rajpurkar et al. 2018, "Know What You Don't Know" (SQuAD 2.0), whose
evaluate-v2.0.py is followed to the letter. Where no question is without an answer, SQuAD 1.1's gives the same numbers.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """A text without case, ASCII punctuation, English articles and spaces too many, in that order."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(predicted: str, wanted: str) -> int:
    """1 where both normalise to the same, else 0."""
    return int(normalize_answer(predicted) == normalize_answer(wanted))


def f1(predicted: str, wanted: str) -> float:
    """The harmonic mean of precision and recall of the normalised words, each as often as it occurs. Where one side has
    no words: 1 if the other has none either, else 0."""
    ours, theirs = normalize_answer(predicted).split(), normalize_answer(wanted).split()
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
    """The scores of the answers to some questions, by the questions' ids.

    Args:
        predictions: the answer to each question, "" for none. There may be answers to others.
        references: the right answers to each question, any of which counts; none where it can't be answered.
        no_answer_probabilities: how likely it is that a question can't be answered.
        no_answer_threshold: a question for which that is greater counts as answered by "".

    Returns:
        `exact` and `f1`, in percent, and `total`, the number of questions; the same of those that have an answer
        (`HasAns_exact`, `HasAns_f1`, `HasAns_total`) and of those that have none (`NoAns_...`), where there are any.
        With `no_answer_probabilities` also `best_exact`, `best_exact_thresh`, `best_f1` and `best_f1_thresh`: what the
        best threshold would have given, and that threshold.

    Raises:
        ValueError: no questions, or one without a prediction or probability (which the official script leaves out of
            its mean).
    """
    if not references:
        raise ValueError("there are no questions to score")
    _check("prediction", references, predictions)
    if no_answer_probabilities is not None:
        _check("no-answer probability", references, no_answer_probabilities)
    has_answer = {key: len(answers) > 0 for key, answers in references.items()}
    measures = {"exact": exact_match, "f1": f1}
    raw: dict[str, dict[str, float]] = {name: {} for name in measures}
    for key, answers in references.items():
        # An answer that is nothing but articles and punctuation is none.
        wanted = [answer for answer in answers if normalize_answer(answer)] or [""]
        for name, measure in measures.items():
            raw[name][key] = max(measure(predictions[key], answer) for answer in wanted)

    scores: dict[str, float] = {}
    counted = {name: dict(values) for name, values in raw.items()}
    if no_answer_probabilities is not None:
        for key in references:
            if no_answer_probabilities[key] > no_answer_threshold:
                for values in counted.values():
                    values[key] = float(not has_answer[key])
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
    """The greatest mean that a threshold gives, in percent, and the least such threshold.

    From nothing answered on, the question is answered next that most likely has an answer: that is worth its score, or
    a point less where it has none and is answered all the same.
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
