"""The table of checkpoint names: which tensor of a file is which weight of ours, and what shape it must have.

The functions build the very trees that the forward pass takes, with a name and a shape in the place of every array.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..config import RobertaConfig
from ..layers.attention import AttentionWeights
from ..layers.classification_head import ClassificationHeadWeights
from ..layers.embeddings import EmbeddingsWeights
from ..layers.encoder import EncoderLayerWeights
from ..layers.feed_forward import FeedForwardWeights
from ..layers.layer_norm import LayerNormWeights
from ..layers.linear import LinearWeights
from ..layers.lm_head import LMHeadWeights
from ..layers.roberta import (
    MaskedLMWeights,
    QuestionAnsweringWeights,
    RobertaWeights,
    SequenceClassificationWeights,
    TokenClassificationWeights,
)


@dataclass(frozen=True)
class Key:
    """A tensor's name in the checkpoint, and the shape it must have there."""

    name: str
    shape: tuple[int, ...]


def roberta_keys(config: RobertaConfig, prefix: str, *, with_pooler: bool) -> RobertaWeights[Key]:
    """The encoder's tensors. `prefix` is "roberta." in models with a head, "" in encoders saved bare."""
    hidden, inner = config.hidden_size, config.intermediate_size
    return RobertaWeights(
        embeddings=EmbeddingsWeights(
            word=Key(f"{prefix}embeddings.word_embeddings.weight", (config.vocab_size, hidden)),
            position=Key(f"{prefix}embeddings.position_embeddings.weight", (config.max_position_embeddings, hidden)),
            token_type=Key(f"{prefix}embeddings.token_type_embeddings.weight", (config.type_vocab_size, hidden)),
            layer_norm=_layer_norm(f"{prefix}embeddings.LayerNorm", hidden),
        ),
        layers=tuple(
            EncoderLayerWeights(
                attention=AttentionWeights(
                    query=_linear(f"{layer}.attention.self.query", hidden, hidden),
                    key=_linear(f"{layer}.attention.self.key", hidden, hidden),
                    value=_linear(f"{layer}.attention.self.value", hidden, hidden),
                    output=_linear(f"{layer}.attention.output.dense", hidden, hidden),
                ),
                attention_layer_norm=_layer_norm(f"{layer}.attention.output.LayerNorm", hidden),
                feed_forward=FeedForwardWeights(
                    intermediate=_linear(f"{layer}.intermediate.dense", inner, hidden),
                    output=_linear(f"{layer}.output.dense", hidden, inner),
                ),
                feed_forward_layer_norm=_layer_norm(f"{layer}.output.LayerNorm", hidden),
            )
            for layer in (f"{prefix}encoder.layer.{index}" for index in range(config.num_hidden_layers))
        ),
        pooler=_linear(f"{prefix}pooler.dense", hidden, hidden) if with_pooler else None,
    )


def stored_roberta_keys(config: RobertaConfig, names: Iterable[str]) -> RobertaWeights[Key]:
    """The encoder's tensors in a checkpoint that has tensors of these names: with its prefix, and its pooler if any."""
    names = list(names)
    prefix = "roberta." if any(name.startswith("roberta.") for name in names) else ""
    return roberta_keys(config, prefix, with_pooler=any(name.startswith(f"{prefix}pooler.") for name in names))


def masked_lm_keys(config: RobertaConfig) -> MaskedLMWeights[Key]:
    """The encoder's tensors and the head's. The output matrix is the word embeddings', so it has no key of its own;
    and filling masks needs no pooler."""
    hidden = config.hidden_size
    return MaskedLMWeights(
        roberta=roberta_keys(config, "roberta.", with_pooler=False),
        lm_head=LMHeadWeights(
            dense=_linear("lm_head.dense", hidden, hidden),
            layer_norm=_layer_norm("lm_head.layer_norm", hidden),
            bias=Key("lm_head.bias", (config.vocab_size,)),
        ),
    )


def sequence_classification_keys(config: RobertaConfig) -> SequenceClassificationWeights[Key]:
    """The encoder's tensors and those of a head of a dense layer and a row a label."""
    hidden = config.hidden_size
    return SequenceClassificationWeights(
        roberta=roberta_keys(config, "roberta.", with_pooler=False),
        classifier=ClassificationHeadWeights(
            dense=_linear("classifier.dense", hidden, hidden),
            output=_linear("classifier.out_proj", config.num_labels, hidden),
        ),
    )


def token_classification_keys(config: RobertaConfig) -> TokenClassificationWeights[Key]:
    """The encoder's tensors and a row a label."""
    return TokenClassificationWeights(
        roberta=roberta_keys(config, "roberta.", with_pooler=False),
        classifier=_linear("classifier", config.num_labels, config.hidden_size),
    )


def question_answering_keys(config: RobertaConfig) -> QuestionAnsweringWeights[Key]:
    """The encoder's tensors and two rows, for where an answer starts and ends."""
    return QuestionAnsweringWeights(
        roberta=roberta_keys(config, "roberta.", with_pooler=False),
        qa_outputs=_linear("qa_outputs", 2, config.hidden_size),
    )


def _linear(name: str, outputs: int, inputs: int) -> LinearWeights[Key]:
    return LinearWeights(Key(f"{name}.weight", (outputs, inputs)), Key(f"{name}.bias", (outputs,)))


def _layer_norm(name: str, width: int) -> LayerNormWeights[Key]:
    return LayerNormWeights(Key(f"{name}.weight", (width,)), Key(f"{name}.bias", (width,)))


# What may lie beside the tensors that are loaded, by how a name begins: heads of other tasks, the copies of the tied
# matrix and its bias, the pooler where only masks are filled. Position ids, which old versions stored, may be anywhere.
UNUSED_BY_ROBERTA = ("lm_head.", "classifier.", "qa_outputs.")
UNUSED_BY_MASKED_LM = ("lm_head.decoder.", "classifier.", "qa_outputs.", "roberta.pooler.dense.")
UNUSED_BY_CLASSIFIER = ("lm_head.", "qa_outputs.", "roberta.pooler.dense.")
UNUSED_BY_QUESTION_ANSWERING = ("lm_head.", "classifier.", "roberta.pooler.dense.")
