"""What a training is begun with."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..config import RobertaConfig
from ..errors import TrainingError
from .optim.adamw import trapezoid

OPTIMIZERS = ("adamw", "muon")


@dataclass(frozen=True, kw_only=True)
class MaskedTextSettings:
    """What a training on masked text is begun with, and can't change on the way."""

    length: int = 128  # tokens of a sequence, at most
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
        if self.length < 8:
            raise TrainingError(f"length must be at least 8 tokens, not {self.length}")

    def rate_of(self, update: int) -> float:
        """The learning rate of an update, counted from 0."""
        return trapezoid(update + 1, self.updates, self.warmup, self.decay, self.learning_rate)


@dataclass(frozen=True, kw_only=True)
class Settings(MaskedTextSettings):
    """What a pretraining is begun with: the model's shape too."""

    vocab_size: int = 16384
    hidden_size: int = 256
    num_hidden_layers: int = 6
    num_attention_heads: int = 4
    intermediate_size: int = 1024
    last_length: int = 512  # `length` in the last updates, from which the model learns the positions after that
    last_updates: int = 1000  # that see them (Devlin et al. 2018, section A.2: the last tenth)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.last_length < self.length:
            raise TrainingError(f"last_length must be no less than length, not {self.last_length} and {self.length}")

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


@dataclass(frozen=True, kw_only=True)
class DistillationSettings(MaskedTextSettings):
    """What a distillation is begun with. The defaults are those of DistilBERT's released training code.

    That code also counts rare tokens in when it chooses what to mask, and leaves the embeddings of positions as they
    are; here they are masked and learned as in pretraining.
    """

    teacher: str  # a model's folder, or its name on the hub
    layers: int = 0  # of the student; 0: half the teacher's
    temperature: float = 2.0  # of the soft targets
    alpha_ce: float = 5.0  # weight of the loss of soft targets
    alpha_mlm: float = 2.0  # weight of masked language modelling's
    alpha_cos: float = 1.0  # weight of the cosine loss of the last vectors
    restrict_ce_to_mask: int = 0  # 1: soft targets only where a token is asked for
    learning_rate: float = 5e-4
    weight_decay: float = 0.0
    clip: float = 5.0
    dropout: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        alphas = (self.alpha_ce, self.alpha_mlm, self.alpha_cos)
        if min(alphas) < 0 or max(alphas) == 0:
            raise TrainingError(f"alpha_ce, alpha_mlm and alpha_cos must be at least 0, and not all 0, not {alphas}")
        if self.temperature <= 0:
            raise TrainingError(f"temperature must be above 0, not {self.temperature}")


_POSITIVE = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "length",
    "batch_tokens",
    "updates",
)
