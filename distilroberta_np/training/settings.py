"""What a training is begun with."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..config import RobertaConfig
from ..errors import TrainingError
from .optimizer import trapezoid

OPTIMIZERS = ("adamw", "muon")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run is begun with, and can't change on the way."""

    vocab_size: int = 16384
    hidden_size: int = 256
    num_hidden_layers: int = 6
    num_attention_heads: int = 4
    intermediate_size: int = 1024
    length: int = 128  # tokens of a sequence, at most
    last_length: int = 512  # the same in the last updates, from which the model learns the positions after `length`
    last_updates: int = 1000  # that see them (Devlin et al. 2018, section A.2: the last tenth)
    batch_tokens: int = 8192  # tokens of an update, about
    updates: int = 10_000
    warmup: int = 500  # updates in which the learning rate rises
    decay: int = 9500  # updates at the end in which it falls to 0
    optimizer: str = "adamw"  # or "muon"
    learning_rate: float = 1e-3  # at its peak
    weight_decay: float = 0.01
    clip: float = 1.0  # largest global norm of the gradients
    masking: float = 0.15  # share of the tokens that are asked for
    whole_words: int = 0  # 1: words are asked for whole
    dropout: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and (not isinstance(value, int) or value < (field.name in _POSITIVE)):
                raise TrainingError(f"{field.name} must be an integer of at least {int(field.name in _POSITIVE)}")
        if self.optimizer not in OPTIMIZERS:
            raise TrainingError(f"optimizer must be {' or '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if not 0 < self.masking < 1:
            raise TrainingError(f"masking must be between 0 and 1, not {self.masking}")
        if not 0 <= self.dropout < 1:
            raise TrainingError(f"dropout must be at least 0 and below 1, not {self.dropout}")
        if self.length < 8 or self.last_length < self.length:
            raise TrainingError(
                f"length must be at least 8 tokens and last_length no less, not {self.length} and {self.last_length}"
            )

    def rate_of(self, update: int) -> float:
        """The learning rate of an update, counted from 0."""
        return trapezoid(update + 1, self.updates, self.warmup, self.decay, self.learning_rate)

    def config(self) -> RobertaConfig:
        return RobertaConfig(
            vocab_size=self.vocab_size,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=self.intermediate_size,
            max_position_embeddings=self.last_length + 2,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            architectures=("RobertaForMaskedLM",),
        )


_POSITIVE = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "length",
    "batch_tokens",
    "updates",
)
