"""The settings of pretraining, distillation and fine-tuning.

Each setting is declared once, with its help text and its bounds. The checks and the options of the commands
(`cli/training_options.py`) follow from the declaration.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, field, fields
from types import UnionType
from typing import Any, ClassVar, get_args, get_type_hints

from ..config import PROBLEM_TYPES, RobertaConfig
from ..errors import TrainingError
from ..messages import shown
from .optim import OPTIMIZERS
from .optim.adamw import linear_schedule, trapezoid
from .tasks import task_names


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a command describes a setting, and which values the setting takes."""

    help: str
    metavar: str = "N"  # how the help names the value
    at_least: float = -math.inf
    above: float = -math.inf
    at_most: float = math.inf
    below: float = math.inf
    choices: tuple[str, ...] = ()
    group: str = "training"  # the heading in the command's help

    def check(self, name: str, value: object, kind: type) -> None:
        """Raise a TrainingError if a setting cannot have this value."""
        if self.choices and value not in self.choices:
            raise TrainingError(f"{name} must be {' or '.join(self.choices)}, not {shown(value)}")
        if kind not in (int, float):
            return
        numeric = isinstance(value, int) or (kind is float and isinstance(value, float))
        if not numeric or not (self.at_least <= value <= self.at_most and self.above < value < self.below):  # type: ignore[operator]
            bounds = {
                "of at least": self.at_least, "above": self.above, "at most": self.at_most, "below": self.below,
            }  # fmt: skip
            limits = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound))
            raise TrainingError(f"{name} must be {_NOUNS[kind]} {limits}".rstrip() + f", not {shown(value)}")


_NOUNS = {int: "an integer", float: "a number"}


def _setting(default: Any = MISSING, help: str = "", **rule: Any) -> Any:
    """Declare a field of a settings class; the arguments are those of `Rule`."""
    return field(default=default, metadata={"rule": Rule(help=help, **rule)})


def rules(settings: type) -> dict[str, tuple[Rule, type, object]]:
    """The rule, the type and the default of each setting that was declared with `_setting`, by name."""
    types = get_type_hints(settings)
    found = {}
    for each in fields(settings):
        if "rule" in each.metadata:
            kind = types[each.name]
            kind = get_args(kind)[0] if isinstance(kind, UnionType) else kind
            found[each.name] = (each.metadata["rule"], kind, each.default)
    return found


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The settings that all kinds of training share."""

    optimizer: str = _setting("adamw", "optimizer", choices=tuple(OPTIMIZERS))
    weight_decay: float = _setting(0.01, "weight decay of matrices", metavar="RATE", at_least=0)
    clip: float = _setting(1.0, "gradient clipping: maximum global norm", metavar="NORM", above=0)
    dropout: float = _setting(0.0, "dropout probability", metavar="P", at_least=0, below=1)
    seed: int = _setting(0, "random seed of weights, data order, masking and dropout", at_least=0)

    # The settings that a resumed run may change; for masked text, only before the end of the run begins.
    MAY_CHANGE: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name, (rule, kind, default) in rules(type(self)).items():
            value = getattr(self, name)
            if value is not None or default is not None:
                rule.check(name, value, kind)

    def learning_rate_at(self, update: int, updates: int) -> float:
        """The learning rate of an update, counted from 0, out of `updates`."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class MaskedLMSettings(TrainingSettings):
    """The settings of training on masked text."""

    length: int = _setting(128, "maximum sequence length in tokens", at_least=8)
    batch_tokens: int = _setting(8192, "approximate batch size in tokens", at_least=1)
    updates: int = _setting(10_000, "number of updates", at_least=1)
    warmup: int = _setting(500, "updates over which the learning rate rises to its peak", at_least=0)
    decay: int = _setting(9500, "updates over which the learning rate falls to 0 at the end", at_least=0)
    learning_rate: float = _setting(1e-3, "peak learning rate", metavar="RATE", above=0)
    masking: float = _setting(0.15, "masking probability", metavar="P", above=0, below=1)
    whole_words: bool = _setting(False, "mask whole words")

    MAY_CHANGE: ClassVar[tuple[str, ...]] = ("updates", "decay")

    def learning_rate_at(self, update: int, updates: int) -> float:
        # One update later, of one more: neither the first nor the last update has a learning rate of 0
        return trapezoid(update + 1, updates + 1, self.warmup, self.decay, self.learning_rate)


@dataclass(frozen=True, kw_only=True)
class PretrainSettings(MaskedLMSettings):
    """The settings of pretraining, with the shape of the model."""

    vocab_size: int = _setting(16384, "vocabulary size", group="model", at_least=1)
    hidden_size: int = _setting(256, "width of the hidden states", group="model", at_least=1)
    num_hidden_layers: int = _setting(6, "number of layers", group="model", at_least=1)
    num_attention_heads: int = _setting(4, "number of attention heads", group="model", at_least=1)
    intermediate_size: int = _setting(1024, "width of the feed-forward layers", group="model", at_least=1)
    # The model learns the positions after `length` in the last updates (Devlin et al. 2018, section A.2: last tenth),
    # from a continuation of those before (positions.py).
    last_length: int = _setting(512, "maximum sequence length in the last updates", at_least=8)
    last_updates: int = _setting(1000, "updates at the end with sequences of --last-length", at_least=0)
    last_masking: float = _setting(
        0.0, "masking probability in the last updates; 0: the same", metavar="P", at_least=0, below=1
    )
    learned_positions: int = _setting(
        0, "positions that the initial model has learned; the last updates continue them; 0: all", at_least=0
    )
    MAY_CHANGE = ("updates", "decay", "last_updates", "last_masking")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.last_length < self.length:
            raise TrainingError(f"last_length must be at least length, not {self.last_length} and {self.length}")
        if 0 < self.learned_positions < 4:
            raise TrainingError(f"learned_positions must be 0 or at least 4, not {self.learned_positions}")

    def config(self) -> RobertaConfig:
        return RobertaConfig(
            **{name: getattr(self, name) for name, (rule, *_) in rules(type(self)).items() if rule.group == "model"},
            max_position_embeddings=self.last_length + 2,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            architectures=("RobertaForMaskedLM",),
        )


@dataclass(frozen=True, kw_only=True)
class DistillSettings(MaskedLMSettings):
    """The settings of distillation. The defaults are those of DistilBERT's released training code.

    That code also masks rare tokens more often and freezes the position embeddings; here masking is uniform and the
    position embeddings are trained, as in pretraining.
    """

    teacher: str = _setting(help="teacher model: a folder, or a name on the hub", metavar="MODEL")
    layers: int = _setting(0, "layers of the student; 0: half of the teacher's", at_least=0)
    temperature: float = _setting(2.0, "temperature of the soft targets", metavar="T", above=0)
    alpha_ce: float = _setting(5.0, "weight of the soft-target loss", metavar="WEIGHT", at_least=0)
    alpha_mlm: float = _setting(2.0, "weight of the masked-language-model loss", metavar="WEIGHT", at_least=0)
    alpha_cos: float = _setting(1.0, "weight of the cosine loss on hidden states", metavar="WEIGHT", at_least=0)
    restrict_ce_to_mask: bool = _setting(False, "use soft targets only at masked positions")
    learning_rate: float = _setting(5e-4, "peak learning rate", metavar="RATE", above=0)
    weight_decay: float = _setting(0.0, "weight decay of matrices", metavar="RATE", at_least=0)
    clip: float = _setting(5.0, "gradient clipping: maximum global norm", metavar="NORM", above=0)
    dropout: float = _setting(0.1, "dropout probability of the student", metavar="P", at_least=0, below=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.alpha_ce + self.alpha_mlm + self.alpha_cos:
            raise TrainingError("alpha_ce, alpha_mlm and alpha_cos are all 0; at least one must be above 0")


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings(TrainingSettings):
    """The settings of fine-tuning.

    The defaults are those of Liu et al. 2019 (table 10) for GLUE, except for the epochs (10 there) and the learning
    rate. A setting that is None is chosen from the model or the data; a run that is resumed keeps the choice.
    """

    task: str = _setting(help="task to train for", choices=task_names(), group="data")
    model: str | None = None  # a folder or a name on the hub; None: the default model
    revision: str | None = None  # of a model on the hub
    train: str = _setting(help="training data", metavar="FILE", group="data")
    eval: str | None = _setting(
        None, "evaluation data, used after every epoch (default: a tenth of --train, held out)", metavar="FILE",
        group="data",
    )  # fmt: skip
    skip_bad_rows: bool = _setting(False, "report unusable rows on stderr and skip them", group="data")

    text_column: str | None = _setting(None, "name of the text column", metavar="NAME", group="tables")
    pair_column: str | None = _setting(None, "name of the column with the second text", metavar="NAME", group="tables")
    label_column: str | None = _setting(None, "name of the label column", metavar="NAME", group="tables")
    header: bool = _setting(True, "the first row is data; columns are named by numbers from 1", group="tables")
    problem_type: str | None = _setting(
        None, "default: regression if all labels are numbers and some are not whole, several labels if they are lists "
        "(JSON), else one label", choices=PROBLEM_TYPES[1:], group="tables",
    )  # fmt: skip

    max_length: int | None = _setting(
        None, "maximum length of an input in tokens (default: 384 for questions, else the model's maximum)", at_least=8
    )
    doc_stride: int = _setting(128, "tokens shared by neighbouring windows of a question's context", at_least=0)
    learning_rate: float | None = _setting(
        None, "peak learning rate (default: 4000 / number of parameters, at most 0.0002)", metavar="RATE", above=0
    )
    epochs: int | None = _setting(
        None, "passes over the training data (default: 3; up to 20 for small data, to make 100 updates)", at_least=1
    )
    batch_size: int = _setting(32, "inputs per update", at_least=1)
    warmup: float = _setting(
        0.06, "fraction of the updates over which the learning rate rises to its peak", metavar="P", at_least=0,
        at_most=1,
    )  # fmt: skip
    weight_decay: float = _setting(0.1, "weight decay of matrices", metavar="RATE", at_least=0)
    dropout: float = _setting(
        0.1, "dropout probability, in the encoder and in the head", metavar="P", at_least=0, below=1
    )
    metric: str | None = _setting(
        None, "metric that selects the best checkpoint: accuracy (default for one label), f1, f1_macro or matthews; "
        "f1_micro (several labels), f1_macro or accuracy; pearson (regression) or spearman; f1 (token classification), "
        "precision, recall or accuracy; f1 (questions) or exact", metavar="NAME",
    )  # fmt: skip

    MAY_CHANGE = ("train", "eval", "epochs")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.problem_type is not None and self.task != "text-classification":
            raise TrainingError(f"problem_type applies to text-classification only, not to {self.task}; leave it out")

    def learning_rate_at(self, update: int, updates: int) -> float:
        """A linear warm-up and a linear decay, with the rounding of transformers' schedule."""
        assert self.learning_rate is not None
        return linear_schedule(update, updates, math.ceil(self.warmup * updates), self.learning_rate)


def default_epochs(updates_per_epoch: int) -> int:
    """The number of epochs of fine-tuning: 3; more for small data, to make 100 updates, but at most 20 (Mosbach et al.
    2021, "On the Stability of Fine-tuning BERT": too few updates explain many failures on small data)."""
    return min(20, max(3, math.ceil(100 / updates_per_epoch)))


def default_learning_rate(parameters: int) -> float:
    """The peak learning rate of fine-tuning by the number of parameters of the model: 4,000 / parameters, at most 2e-4.

    The embedded model (9 million) gets 2e-4: with 4e-4 two of four data sets had much lower dev scores, with 8e-4
    three of them learned nothing. The published models get rates in the ranges of the papers: 4.9e-5 for
    distilroberta-base (82 million) and 3.2e-5 for roberta-base (Devlin et al. 2018, section A.3: 2e-5 to 5e-5), 1.1e-5
    for roberta-large (Liu et al. 2019, table 10: 1e-5 to 3e-5).
    """
    return float(f"{min(2e-4, 4000 / parameters):.1e}")
