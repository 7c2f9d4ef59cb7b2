"""RoBERTa without a head: weights, tensor names, forward and backward pass, and `RobertaModel`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from ..checkpoint.keys import Key, layer_norm_keys, linear_keys
from ..checkpoint.load import load_tree
from ..checkpoint.safetensors_file import MappedFile, StoredTensor
from ..config import RobertaConfig
from ..errors import CheckpointError
from ..harmless import CALLING, check_harmless
from ..layers.attention import AttentionCache, AttentionWeights, attention_bias
from ..layers.dropout import Dropout, drop, drop_backward
from ..layers.embeddings import EmbeddingsWeights, embeddings, embeddings_backward
from ..layers.encoder import Caches, EncoderLayerWeights, encoder, encoder_backward, keep
from ..layers.feed_forward import FeedForwardWeights
from ..layers.kernels import ignore_spurious_flags, to_device_of
from ..layers.linear import LinearWeights, linear
from ..layers.params import Array, Leaf, tree_leaves
from ..runtime.batching import batches, micro_batches
from ..runtime.threads import map_in_threads
from .base import MODELS, PretrainedModel, check_finite, register
from .inputs import PackedBatch, check_embeddings, check_inputs, pack
from .outputs import ModelOutput, mean_cross_entropy


class RobertaWeights(NamedTuple, Generic[Leaf]):
    embeddings: EmbeddingsWeights[Leaf]
    layers: tuple[EncoderLayerWeights[Leaf], ...]
    pooler: LinearWeights[Leaf] | None  # [H, H]; not every checkpoint has one


def roberta_keys(config: RobertaConfig, prefix: str = "roberta.", *, with_pooler: bool = False) -> RobertaWeights[Key]:
    """The tensors of the encoder. `prefix` is "roberta." in models with a head, "" in encoders saved alone."""
    hidden, inner = config.hidden_size, config.intermediate_size
    return RobertaWeights(
        embeddings=EmbeddingsWeights(
            word=Key(f"{prefix}embeddings.word_embeddings.weight", (config.vocab_size, hidden)),
            position=Key(f"{prefix}embeddings.position_embeddings.weight", (config.max_position_embeddings, hidden)),
            token_type=Key(f"{prefix}embeddings.token_type_embeddings.weight", (config.type_vocab_size, hidden)),
            layer_norm=layer_norm_keys(f"{prefix}embeddings.LayerNorm", hidden),
        ),
        layers=tuple(
            EncoderLayerWeights(
                attention=AttentionWeights(
                    query=linear_keys(f"{layer}.attention.self.query", hidden, hidden),
                    key=linear_keys(f"{layer}.attention.self.key", hidden, hidden),
                    value=linear_keys(f"{layer}.attention.self.value", hidden, hidden),
                    output=linear_keys(f"{layer}.attention.output.dense", hidden, hidden),
                ),
                attention_layer_norm=layer_norm_keys(f"{layer}.attention.output.LayerNorm", hidden),
                feed_forward=FeedForwardWeights(
                    intermediate=linear_keys(f"{layer}.intermediate.dense", inner, hidden),
                    output=linear_keys(f"{layer}.output.dense", hidden, inner),
                ),
                feed_forward_layer_norm=layer_norm_keys(f"{layer}.output.LayerNorm", hidden),
            )
            for layer in (f"{prefix}encoder.layer.{index}" for index in range(config.num_hidden_layers))
        ),
        pooler=linear_keys(f"{prefix}pooler.dense", hidden, hidden) if with_pooler else None,
    )


def stored_roberta_keys(config: RobertaConfig, names: Collection[str]) -> RobertaWeights[Key]:
    """The tensors of the encoder in a checkpoint with these names: with their prefix, and with the pooler if any."""
    prefix = "roberta." if any(name.startswith("roberta.") for name in names) else ""
    return roberta_keys(config, prefix, with_pooler=any(name.startswith(f"{prefix}pooler.") for name in names))


def roberta(
    batch: PackedBatch,
    weights: RobertaWeights[Array],
    config: RobertaConfig,
    dropout: Dropout | None = None,
    caches: Caches | None = None,
) -> Array:
    """Embeddings, then the encoder.

    Args:
        batch: sequences without padding, or with padding that the groups mask.
        dropout: on the embeddings, on the attention probabilities and on the two halves of each layer; None at
            inference.
        caches: where the caches of all steps are appended, for `roberta_backward`; None at inference.

    Returns the final hidden states of the selected rows, (M, H), in the dtype of the weights.
    """
    eps = config.layer_norm_eps
    inputs = (batch.input_ids, batch.position_ids, weights.embeddings, eps, batch.inputs_embeds)
    hidden_states = keep(embeddings(*inputs), caches)  # [N, H]
    hidden_states = keep(drop(hidden_states, dropout), caches)
    selected = _on_device(batch.selected, hidden_states)
    heads = config.num_attention_heads
    return encoder(hidden_states, batch.groups, selected, weights.layers, heads, eps, dropout, caches)


def roberta_backward(
    d_outputs: Array, caches: Caches, batch: PackedBatch, weights: RobertaWeights[Array], config: RobertaConfig
) -> RobertaWeights[Array]:
    """Back through the layers, the last first, and the embeddings. The pooler has no part in this.

    Each cache is popped and freed when it has been used.

    Shapes: d_outputs (M, H) -> the gradients of the weights.
    """
    eps, selected = config.layer_norm_eps, _on_device(batch.selected, d_outputs)
    heads = config.num_attention_heads
    d_hidden_states, d_layers = encoder_backward(d_outputs, caches, batch.groups, selected, weights.layers, heads, eps)
    d_hidden_states = drop_backward(d_hidden_states, caches.pop())
    d_embeddings = embeddings_backward(d_hidden_states, caches.pop(), weights.embeddings, config.pad_token_id, eps)
    return RobertaWeights(d_embeddings, d_layers, None)


HeadWeights = TypeVar("HeadWeights")


def roberta_gradients(
    groups: Sequence[Array],
    positions: Sequence[Array] | None,
    weights: RobertaWeights[Array],
    config: RobertaConfig,
    dropout: Dropout | None,
    head: Callable[[Array], tuple[float, Array, HeadWeights]],
) -> tuple[float, RobertaWeights[Array], HeadWeights]:
    """A forward and a backward pass: what the gradients of all heads share.

    Args:
        groups, positions: as `pack` takes them; on the host, wherever the weights are.
        weights, config, dropout: as `roberta` takes them.
        head: from the final hidden states (M, H) to the loss, its gradient with respect to them (M, H), and the
            gradients of the head's weights.

    Returns the loss, and the gradients of the encoder's and of the head's weights.
    """
    with ignore_spurious_flags():
        batch, caches = pack(groups, positions, config.pad_token_id), Caches()
        loss, d_hidden_states, d_head = head(roberta(batch, weights, config, dropout, caches))
        return loss, roberta_backward(d_hidden_states, caches, batch, weights, config), d_head


def pooler(hidden_states: Array, weights: LinearWeights[Array]) -> Array:
    """tanh of an affine map of the hidden state of the first token, `<s>` (Devlin et al. 2018, section 4).

    Shapes: hidden_states (B, S, H) -> (B, H).
    """
    return np.tanh(linear(hidden_states[:, 0], weights))


@dataclass(frozen=True, eq=False)
class RobertaModelOutput(ModelOutput):
    """The output of `RobertaModel`; all arrays float32."""

    last_hidden_state: Array  # (B, S, H)
    pooler_output: Array | None  # (B, H), if the checkpoint has a pooler
    hidden_states: tuple[Array, ...] | None  # L + 1 times (B, S, H), the embeddings first
    attentions: tuple[Array, ...] | None  # L times (B, A, S, S): from each query (rows) to each key (columns)


@register
class RobertaModel(PretrainedModel[RobertaWeights[Array]]):
    """The encoder: from token ids to a hidden state per token. It loads checkpoints with any head or none."""

    @classmethod
    def load(cls, folder: Path, config: RobertaConfig, stored: dict[str, StoredTensor]) -> RobertaWeights[Array]:
        weights: RobertaWeights[Array] = load_tree(
            folder, stored, stored_roberta_keys(config, stored), _heads_except("")
        )
        return weights

    def _keys(self) -> RobertaWeights[Any]:
        return roberta_keys(self.config, "", with_pooler=self.weights.pooler is not None)

    def __call__(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        *,
        inputs_embeds: Any = None,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
        **others: Any,
    ) -> RobertaModelOutput:
        """Run the encoder.

        Args:
            input_ids: integers (B, S), with at most 512 tokens per sequence, padding not counted.
            attention_mask: integers or booleans (B, S), 1 for a token and 0 for padding, which may be anywhere. Without
                a mask, padding is attended to as well. Hidden states at padding are computed as in transformers.
            token_type_ids: integers (B, S), all 0.
            inputs_embeds: instead of input_ids, the word embeddings (B, S, H), floating-point; no position is padding.
            output_hidden_states: also return the embeddings and the output of every layer.
            output_attentions: also return the attention probabilities of every layer.
            others: arguments of transformers that change nothing, such as return_dict=True.

        Raises:
            TypeError: ids or mask are not integers, embeddings not floating-point, or an unknown argument.
            ValueError: wrong shapes, ids outside the vocabulary, a mask of other values, too long a sequence, or
                another argument that would change something.
        """
        check_harmless(CALLING, others)
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        if inputs_embeds is not None:
            inputs_embeds, input_ids = check_embeddings(inputs_embeds, self.config)
        input_ids, attention_mask = check_inputs(input_ids, attention_mask, token_type_ids, self.config)
        for file in self._files:
            file.check()

        def run(part: slice) -> RobertaModelOutput:
            embeds = None if inputs_embeds is None else inputs_embeds[part]
            return self._encode_padded(
                input_ids[part], attention_mask[part], embeds, output_hidden_states, output_attentions
            )

        batch, sequence = input_ids.shape
        with ignore_spurious_flags():
            return _concatenate(map_in_threads(run, micro_batches([sequence] * batch)))

    def _encode_padded(
        self,
        input_ids: Array,
        attention_mask: Array,
        inputs_embeds: Array | None,
        output_hidden_states: bool,
        output_attentions: bool,
    ) -> RobertaModelOutput:
        """A padded batch as a packed one: a single group, with a bias that masks the padding.

        Shapes: ids and mask (B, S), embeddings (B, S, H).
        """
        batch = pack([input_ids], None, self.config.pad_token_id)
        embeds = None if inputs_embeds is None else inputs_embeds.reshape(-1, self.config.hidden_size)
        bias = attention_bias(attention_mask, like=self.weights.embeddings.word)  # [B, 1, 1, S]
        recorder = _Recorder(output_hidden_states, output_attentions)
        rows = roberta(
            batch._replace(groups=[batch.groups[0]._replace(bias=bias)], inputs_embeds=embeds),
            self.weights,
            self.config,
            caches=recorder,
        )
        shape = (*input_ids.shape, self.config.hidden_size)
        last_hidden_state = rows.reshape(shape)  # [N, H] -> [B, S, H]
        states = (*(rows.reshape(shape) for rows in recorder.hidden_states), last_hidden_state)
        return RobertaModelOutput(
            last_hidden_state,
            None if self.weights.pooler is None else pooler(last_hidden_state, self.weights.pooler),  # [B, H]
            states if output_hidden_states else None,
            tuple(recorder.attentions) if output_attentions else None,
        )

    def encode(self, sequences: Sequence[Sequence[int]], positions: Sequence[Sequence[int]]) -> list[Array]:
        """Final hidden states at selected positions of sequences of any lengths, without padding.

        The sequences are sorted by length, packed into micro-batches and computed in threads; the last layer computes
        the selected positions only.

        Args:
            sequences: the token ids of each sequence, special tokens included; none longer than the model reads.
            positions: at least one position in each sequence.

        Returns for each sequence, in order, its hidden states: float32 (Q, H).
        """
        if not sequences:
            return []
        for file in self._files:
            file.check()
        # Sequences of equal length with equally many positions make a group.
        order = sorted(range(len(sequences)), key=lambda index: (len(sequences[index]), len(positions[index])))

        def run(part: slice) -> Array:
            ordered = [(sequences[index], positions[index]) for index in order[part]]
            groups = [list(group) for _, group in groupby(ordered, key=lambda pair: (len(pair[0]), len(pair[1])))]
            ids, selected = ([np.array([pair[side] for pair in group]) for group in groups] for side in (0, 1))
            return roberta(pack(ids, selected, self.config.pad_token_id), self.weights, self.config)  # [M, H]

        with ignore_spurious_flags():
            parts = map_in_threads(run, micro_batches([len(sequences[index]) for index in order]))
        ends = np.cumsum([len(positions[index]) for index in order])
        states = np.split(np.concatenate(parts), ends[:-1])  # [Q, H] each, sorted
        return [state for _, state in sorted(zip(order, states, strict=True), key=lambda pair: pair[0])]


class _Recorder(Caches):
    """Records the hidden states and attention probabilities of a forward pass, and drops the rest of the caches."""

    def __init__(self, output_hidden_states: bool, output_attentions: bool) -> None:
        super().__init__()
        self._wanted = output_hidden_states, output_attentions
        self.hidden_states: list[Array] = []  # (N, H), the input of each layer
        self.attentions: list[Array] = []  # (B, A, S, S)

    def append(self, cache: Any) -> None:
        if isinstance(cache, AttentionCache):
            if self._wanted[0]:
                self.hidden_states.append(cache.hidden_states)
            if self._wanted[1]:
                self.attentions += cache.probabilities


def _on_device(selected: Array | slice, like: Array) -> Array | slice:
    return selected if isinstance(selected, slice) else to_device_of(like, selected)


def _concatenate(outputs: list[RobertaModelOutput]) -> RobertaModelOutput:
    """One output for all sequences from those of the micro-batches."""

    def joined(parts: tuple[Any, ...]) -> Any:
        if parts[0] is None or len(parts) == 1:
            return parts[0]
        if isinstance(parts[0], tuple):  # an array per layer
            return tuple(np.concatenate(layer) for layer in zip(*parts, strict=True))
        return np.concatenate(parts)

    return RobertaModelOutput(*map(joined, zip(*(vars(output).values() for output in outputs), strict=True)))


# -- models with a head ----------------------------------------------------------------------------------------------


Weights = TypeVar("Weights", bound=Any)
Output = TypeVar("Output")


class ModelWithHead(PretrainedModel[Weights], Generic[Weights, Output]):
    """The encoder, as `roberta`, with a head on top of it. The weights are a pair: the encoder's, and the head's."""

    head_name: ClassVar[str]  # in errors
    output: ClassVar[Callable[..., Any]]  # from the loss, the logits, the hidden states and the attentions
    # The names of the weights in a checkpoint; and the loss and the gradients of a batch, as `masked_lm_gradients`.
    keys: ClassVar[Callable[[RobertaConfig], Any]]
    gradients: ClassVar[Callable[..., tuple[float, Any]]]
    # How the names of tensors begin that a checkpoint may hold but the model doesn't load.
    ignored: ClassVar[tuple[str, ...]] = ("roberta.pooler.dense.",)
    # Names under which tensors may be stored instead of their own.
    aliases: ClassVar[dict[str, str]] = {}

    def __init__(self, config: RobertaConfig, weights: Weights) -> None:
        super().__init__(config, weights)
        self.roberta = RobertaModel(config, weights.roberta)

    @classmethod
    def load(cls, folder: Path, config: RobertaConfig, stored: dict[str, StoredTensor]) -> Weights:
        stored, keys = _with_prefix(stored), cls.keys(config)
        names = [key.name for key in tree_leaves(keys[1])]
        if not any(name in stored for name in names):
            raise CheckpointError(
                f"{folder}: the checkpoint has no {cls.head_name} head ({names[0]} is missing); "
                "choose a model that is fine-tuned for the task, or load the encoder alone with RobertaModel"
            )
        weights: Weights = load_tree(folder, stored, keys, (*_heads_except(cls.head), *cls.ignored), cls.aliases)
        cls._check(folder, config, stored, weights)
        return weights

    @classmethod
    def _check(cls, folder: Path, config: RobertaConfig, stored: dict[str, StoredTensor], weights: Weights) -> None:
        """Raise CheckpointError if the config or tensors that are not loaded contradict the weights."""

    def watch(self, files: Collection[MappedFile]) -> None:
        self.roberta.watch(files)

    def _keys(self) -> Weights:
        keys: Weights = type(self).keys(self.config)
        return keys

    def logits(self, hidden_states: Array) -> Array:
        """The head alone: final hidden states (..., H) -> logits (..., C), float32."""
        with ignore_spurious_flags():
            return linear(hidden_states, self.weights[1])

    def encode(self, sequences: Sequence[Sequence[int]], positions: Sequence[Sequence[int]]) -> list[Array]:
        """Final hidden states at selected positions of each sequence: as `RobertaModel.encode`."""
        return self.roberta.encode(sequences, positions)

    def logits_at(self, sequences: Sequence[Sequence[int]], positions: Sequence[Sequence[int]]) -> list[Array]:
        """Logits at selected positions of sequences of any lengths, without padding, in batches that bound memory.

        Args:
            sequences, positions: as `RobertaModel.encode`.

        Returns for each sequence, in order, its logits: float32 (Q, C). Raises CheckpointError: the logits contain NaN
        or infinity.
        """
        order = sorted(range(len(sequences)), key=lambda index: len(sequences[index]))
        results: dict[int, Array] = {}
        for batch in batches([len(sequences[index]) for index in order]):
            indices = order[batch]
            hidden_states = self.encode([sequences[i] for i in indices], [positions[i] for i in indices])
            logits = check_finite(self.logits(np.concatenate(hidden_states)))  # [M, H] -> [M, C]
            ends = np.cumsum([len(rows) for rows in hidden_states])
            results |= zip(indices, np.split(logits, ends[:-1]), strict=True)
        return [results[index] for index in range(len(sequences))]

    def __call__(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        *,
        labels: Any = None,
        **options: Any,
    ) -> Output:
        """Run the encoder, then the head on all its hidden states.

        Args:
            labels: of each sequence or token, for the `loss` of the output; -100 marks a token without one.
            input_ids, attention_mask, token_type_ids, options: as `RobertaModel.__call__`, whose errors this raises
                too.
        """
        encoded = self.roberta(input_ids, attention_mask, token_type_ids, **options)
        logits = self._all_logits(encoded.last_hidden_state)
        loss = None if labels is None else self._loss(logits, labels)
        output: Output = type(self).output(loss, logits, encoded.hidden_states, encoded.attentions)
        return output

    def _all_logits(self, hidden_states: Array) -> Array:
        """The logits of a padded batch, from its hidden states (B, S, H)."""
        return self.logits(hidden_states)

    def _loss(self, logits: Array, labels: Any) -> np.float32:
        """The loss of a padded batch. Raises TypeError and ValueError for unusable labels."""
        return mean_cross_entropy(logits, labels)


def _with_prefix(stored: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
    """The tensors of a checkpoint with a head by their usual names: the encoder's may lack their prefix."""
    if any(name.startswith("roberta.") for name in stored):
        return stored
    parts = ("embeddings.", "encoder.", "pooler.")
    return {f"roberta.{name}" if name.startswith(parts) else name: tensor for name, tensor in stored.items()}


def _heads_except(own: str) -> tuple[str, ...]:
    """How the names of the tensors of all other heads begin, which a checkpoint may hold too."""
    return tuple(sorted({f"{model.head}." for model in MODELS.values()} - {".", f"{own}."}))
