"""What a fine-tuning is begun with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..config import PROBLEM_TYPES
from ..errors import TrainingError
from .optim.adamw import linear_schedule
from .settings import OPTIMIZERS

TASKS = ("text-classification", "token-classification", "question-answering")


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """What a run is begun with, and can't change on the way; but the data may have moved.

    The defaults are those of Liu et al. 2019 (table 10) for GLUE, but for the epochs, which are 10 there.
    """

    task: str  # one of TASKS
    model: str  # that it begins from: a folder, or a name on the hub
    revision: str | None = None  # of a model of the hub
    train: str
    eval: str
    train_sha256: str = ""  # noted when the run is begun
    eval_sha256: str = ""

    problem_type: str | None = None  # of texts; None: as their labels look
    text_column: str | None = None
    pair_column: str | None = None
    label_column: str | None = None
    header: bool = True  # whether tables have one
    skip_bad_rows: bool = False  # rather than to end with an error
    max_length: int | None = None  # tokens; None: 384 for questions, else as many as the model reads
    doc_stride: int = 128  # tokens that neighbouring windows of a question's context share

    learning_rate: float = 2e-5  # at its peak
    epochs: int = 3
    batch_size: int = 32  # texts; for questions, windows
    warmup: float = 0.06  # share of the updates in which the learning rate rises
    weight_decay: float = 0.1
    clip: float = 1.0  # largest global norm of the gradients
    dropout: float = 0.1
    optimizer: str = "adamw"  # or "muon"
    metric: str | None = None  # by which the best checkpoint is chosen; None: the task's first
    seed: int = 0

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise TrainingError(f"task must be {', '.join(TASKS)}, not {self.task!r}")
        if self.problem_type is not None and self.task != TASKS[0]:
            raise TrainingError(f"a problem type is a thing of {TASKS[0]}, not of {self.task}; leave it out")
        if self.problem_type not in PROBLEM_TYPES:
            raise TrainingError(f"problem_type must be {', '.join(PROBLEM_TYPES[1:])}, not {self.problem_type!r}")
        for name, smallest in (("epochs", 1), ("batch_size", 1), ("doc_stride", 0), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < smallest:
                raise TrainingError(f"{name} must be an integer of at least {smallest}, not {value!r}")
        for name in ("learning_rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise TrainingError(f"{name} must be a number above 0, not {getattr(self, name)!r}")
        if not 0 <= self.weight_decay < math.inf:
            raise TrainingError(f"weight_decay must be at least 0, not {self.weight_decay!r}")
        if not 0 <= self.warmup <= 1:
            raise TrainingError(f"warmup is a share of the updates, between 0 and 1, not {self.warmup!r}")
        if not 0 <= self.dropout < 1:
            raise TrainingError(f"dropout must be at least 0 and below 1, not {self.dropout!r}")
        if self.optimizer not in OPTIMIZERS:
            raise TrainingError(f"optimizer must be {' or '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if self.max_length is not None and self.max_length < 8:
            raise TrainingError(f"max_length must be at least 8 tokens, not {self.max_length!r}")

    def rate_of(self, update: int, updates: int) -> float:
        """The learning rate of an update, counted from 0, as the reference's linear schedule with warm-up has it."""
        return linear_schedule(update, updates, math.ceil(self.warmup * updates), self.learning_rate)
