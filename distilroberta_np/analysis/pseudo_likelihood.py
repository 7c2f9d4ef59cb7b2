"""Pseudo-log-likelihood: how probable a masked language model finds a sentence.

Each token is masked in turn, and the log-probabilities of the tokens at their masks are summed (Salazar et al. 2020,
"Masked Language Model Scoring", equation 1). It is no log-likelihood, as the factors are not those of the chain rule,
but it ranks sentences of about equal length well.

A word of several subwords gets too high a score: its other subwords, which are visible, give each one away. With
`within_word` the subwords to the right in the same word are masked too (Kauf & Ivanova 2023, "A Better Way to Do Masked
Language Model Scoring", PLL-word-l2r).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Annotated, Any, NamedTuple, TypedDict, Unpack, overload

from ..errors import PipelineException
from ..models import RobertaForMaskedLM
from ..pipelines.base import Pipeline
from ..pipelines.options import SWITCH, CallOptions, Option, as_boolean
from ..pipelines.results import Results
from ..runtime.batching import batches
from ..tokenizer import RobertaTokenizer
from .masked_sentence import log_softmax


class SentenceScore(TypedDict):
    """The pseudo-log-likelihood of a sentence, in natural logarithms."""

    pseudo_log_likelihood: float  # the sum
    tokens: list[str]  # without <s> and </s>
    log_probabilities: list[float]  # of each token at its mask


class PseudoLikelihoodOptions(CallOptions, total=False):
    """Options of `PseudoLikelihoodScorer`."""

    within_word: Annotated[
        bool | None,
        Option(False, as_boolean, "also mask the subwords to the right in the same word (PLL-word-l2r)", SWITCH),
    ]


class _Sentence(NamedTuple):
    ids: tuple[int, ...]
    words: tuple[int | None, ...]  # which word each token belongs to; None for <s> and </s>


class PseudoLikelihoodScorer(Pipeline[_Sentence, SentenceScore]):
    """Score sentences by their pseudo-log-likelihood.

    Args:
        **options: defaults for the options of a call.

    Raises:
        PipelineException: model and tokenizer do not belong together.
    """

    model_type = RobertaForMaskedLM
    options_type = PseudoLikelihoodOptions

    def __init__(
        self, model: RobertaForMaskedLM, tokenizer: RobertaTokenizer, **options: Unpack[PseudoLikelihoodOptions]
    ) -> None:
        super().__init__(model, tokenizer, **options)

    @overload
    def __call__(self, inputs: str, **options: Unpack[PseudoLikelihoodOptions]) -> SentenceScore: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, inputs: Sequence[str], **options: Unpack[PseudoLikelihoodOptions]) -> Results[SentenceScore]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(
        self, inputs: Iterable[str], **options: Unpack[PseudoLikelihoodOptions]
    ) -> Iterator[SentenceScore]: ...
    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Score one text, or many.

        Args:
            inputs: a text; a list or tuple of them; or any other iterable, which is read as its results are consumed.
            **options: see below.

        Returns:
            The score of a text, a list of scores for a list, or an iterator over them for another iterable.

        Raises:
            PipelineException: a text is empty, too long, or contains a mask; its `index` says which.
            TypeError: an input or option of the wrong type.
        """
        return self._run(inputs, self._options(**options))

    def _read(self, item: Any, index: int | None, options: SimpleNamespace) -> _Sentence:
        encoding = self._encode(item, index)
        if len(encoding.ids) > self.max_length:
            raise PipelineException(
                f"the text has {len(encoding.ids)} tokens, more than the model's {self.max_length}; shorten it", index
            )
        if len(encoding.ids) == 2:
            raise PipelineException("the text is empty; there is nothing to score", index)
        if self.tokenizer.mask_token_id in encoding.ids:
            raise PipelineException(
                f"the text contains {self.tokenizer.mask_token}; write the word that is to be scored", index
            )
        return _Sentence(tuple(encoding.ids), tuple(encoding.word_ids))

    def _cost(self, item: _Sentence, options: SimpleNamespace) -> int:
        return len(item.ids) ** 2  # a sentence of S tokens becomes S - 2 sequences of S tokens

    def _answer(self, items: Sequence[_Sentence], options: SimpleNamespace) -> list[SentenceScore]:
        parts = batches([self._cost(sentence, options) for sentence in items])
        return [score for part in parts for score in self._score(items[part], options.within_word)]

    def _score(self, sentences: Sequence[_Sentence], within_word: bool) -> Iterator[SentenceScore]:
        sequences, positions = [], []
        for ids, words in sentences:
            for position in range(1, len(ids) - 1):
                hidden = [
                    index == position or (within_word and index > position and word == words[position])
                    for index, word in enumerate(words)
                ]
                mask = self.tokenizer.mask_token_id
                sequences.append([mask if hide else token for hide, token in zip(hidden, ids, strict=True)])
                positions.append([position])
        blocks = self.model.map_logits(log_softmax, sequences, positions)
        rows = (row for block in blocks for row in block)  # (V,) each
        for ids, _ in sentences:
            tokens = ids[1:-1]
            scores = [float(row[token]) for token, row in zip(tokens, rows, strict=False)]
            yield SentenceScore(
                pseudo_log_likelihood=math.fsum(scores),
                tokens=[self.tokenizer.decode([token]) for token in tokens],
                log_probabilities=scores,
            )


def pseudo_perplexity(scores: Iterable[SentenceScore]) -> float:
    """Pseudo-perplexity of a corpus (Salazar et al. 2020): exp of minus the mean log-probability per token.

    Raises:
        ValueError: there are no scores.
    """
    log_probabilities = [value for score in scores for value in score["log_probabilities"]]
    if not log_probabilities:
        raise ValueError("there are no scores; give at least one")
    return math.exp(-math.fsum(log_probabilities) / len(log_probabilities))
