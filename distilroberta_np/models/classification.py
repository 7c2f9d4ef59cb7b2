"""Fine-tuned models: the encoder with a head that classifies texts, or tokens, or finds an answer among the tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ..checkpoint.keys import (
    UNUSED_BY_CLASSIFIER,
    UNUSED_BY_QUESTION_ANSWERING,
    question_answering_keys,
    sequence_classification_keys,
    token_classification_keys,
)
from ..checkpoint.load import load_tree, open_checkpoint, require_head
from ..config import RobertaConfig
from ..layers.classification_head import classification_head
from ..layers.linear import ignore_stray_flags, linear
from ..layers.params import Array
from ..layers.roberta import (
    QuestionAnsweringWeights,
    RobertaModelOutput,
    SequenceClassificationWeights,
    TokenClassificationWeights,
)
from .with_head import ModelWithHead


class SequenceClassifierOutput(NamedTuple):
    """What `RobertaForSequenceClassification` returns; all arrays float32."""

    logits: Array  # (B, C)
    hidden_states: tuple[Array, ...] | None  # as RobertaModelOutput
    attentions: tuple[Array, ...] | None


class TokenClassifierOutput(NamedTuple):
    """What `RobertaForTokenClassification` returns; all arrays float32."""

    logits: Array  # (B, S, C)
    hidden_states: tuple[Array, ...] | None  # as RobertaModelOutput
    attentions: tuple[Array, ...] | None


class QuestionAnsweringOutput(NamedTuple):
    """What `RobertaForQuestionAnswering` returns; all arrays float32."""

    start_logits: Array  # (B, S)
    end_logits: Array  # (B, S)
    hidden_states: tuple[Array, ...] | None  # as RobertaModelOutput
    attentions: tuple[Array, ...] | None


class RobertaForSequenceClassification(ModelWithHead[SequenceClassifierOutput]):
    """The encoder with a head that scores a whole text: a score for every label (`config.id2label`), or with
    `problem_type` "regression" the numbers themselves."""

    weights: SequenceClassificationWeights[Array]

    @staticmethod
    def _load(folder: Path, config: RobertaConfig) -> SequenceClassificationWeights[Array]:
        stored = open_checkpoint(folder)
        require_head(folder, stored, "classifier.out_proj.", "sequence-classification")
        weights: SequenceClassificationWeights[Array] = load_tree(
            folder, stored, sequence_classification_keys(config), UNUSED_BY_CLASSIFIER
        )
        return weights

    def _keys(self) -> Any:
        return sequence_classification_keys(self.config)

    def _outputs(self, encoded: RobertaModelOutput) -> SequenceClassifierOutput:
        logits = self.logits(encoded.last_hidden_state[:, 0])  # [B, H] -> [B, C]
        return SequenceClassifierOutput(logits, encoded.hidden_states, encoded.attentions)

    def logits(self, hidden_states: Array) -> Array:
        """The head alone, for the hidden states of the first tokens: (B, H) -> logits (B, C), float32."""
        return classification_head(hidden_states, self.weights.classifier)


class RobertaForTokenClassification(ModelWithHead[TokenClassifierOutput]):
    """The encoder with a head that scores every token: a score for every label (`config.id2label`)."""

    weights: TokenClassificationWeights[Array]

    @staticmethod
    def _load(folder: Path, config: RobertaConfig) -> TokenClassificationWeights[Array]:
        stored = open_checkpoint(folder)
        require_head(folder, stored, "classifier.weight", "token-classification")
        weights: TokenClassificationWeights[Array] = load_tree(
            folder, stored, token_classification_keys(config), UNUSED_BY_CLASSIFIER
        )
        return weights

    def _keys(self) -> Any:
        return token_classification_keys(self.config)

    def _outputs(self, encoded: RobertaModelOutput) -> TokenClassifierOutput:
        logits = self.logits(encoded.last_hidden_state)  # [B, S, H] -> [B, S, C]
        return TokenClassifierOutput(logits, encoded.hidden_states, encoded.attentions)

    @ignore_stray_flags
    def logits(self, hidden_states: Array) -> Array:
        """The head alone: (..., H) -> logits (..., C), float32."""
        return linear(hidden_states, self.weights.classifier)


class RobertaForQuestionAnswering(ModelWithHead[QuestionAnsweringOutput]):
    """The encoder with a head that scores every token as the first and as the last of an answer."""

    weights: QuestionAnsweringWeights[Array]

    @staticmethod
    def _load(folder: Path, config: RobertaConfig) -> QuestionAnsweringWeights[Array]:
        stored = open_checkpoint(folder)
        require_head(folder, stored, "qa_outputs.", "question-answering")
        weights: QuestionAnsweringWeights[Array] = load_tree(
            folder, stored, question_answering_keys(config), UNUSED_BY_QUESTION_ANSWERING
        )
        return weights

    def _keys(self) -> Any:
        return question_answering_keys(self.config)

    def _outputs(self, encoded: RobertaModelOutput) -> QuestionAnsweringOutput:
        logits = self.logits(encoded.last_hidden_state)  # [B, S, H] -> [B, S, 2]
        return QuestionAnsweringOutput(logits[..., 0], logits[..., 1], encoded.hidden_states, encoded.attentions)

    @ignore_stray_flags
    def logits(self, hidden_states: Array) -> Array:
        """The head alone: (..., H) -> logits (..., 2) of the start and the end, float32."""
        return linear(hidden_states, self.weights.qa_outputs)
