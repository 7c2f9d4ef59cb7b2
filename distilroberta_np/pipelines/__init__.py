"""`pipeline`: from a task's name to something that answers texts."""

from __future__ import annotations

import inspect
import os
from typing import Any

from ..hub import default_model, resolve_model
from ..models import (
    RobertaForMaskedLM,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)
from ..models.base import PretrainedModel
from ..pretrained import CONFIG, TOKENIZER, WEIGHTS
from ..tokenizer import RobertaTokenizer
from .base import Pipeline
from .feature_extraction import FeatureExtractionPipeline
from .fill_mask import FillMaskPipeline
from .question_answering import QuestionAnsweringPipeline
from .text_classification import TextClassificationPipeline
from .token_classification import TokenClassificationPipeline
from .zero_shot_classification import ZeroShotClassificationPipeline

# Each task's pipeline, and the model that it takes.
_TASKS: dict[str, tuple[Any, type[PretrainedModel[Any]]]] = {
    "feature-extraction": (FeatureExtractionPipeline, RobertaModel),
    "fill-mask": (FillMaskPipeline, RobertaForMaskedLM),
    "ner": (TokenClassificationPipeline, RobertaForTokenClassification),
    "question-answering": (QuestionAnsweringPipeline, RobertaForQuestionAnswering),
    "sentiment-analysis": (TextClassificationPipeline, RobertaForSequenceClassification),
    "text-classification": (TextClassificationPipeline, RobertaForSequenceClassification),
    "token-classification": (TokenClassificationPipeline, RobertaForTokenClassification),
    "zero-shot-classification": (ZeroShotClassificationPipeline, RobertaForSequenceClassification),
}
TASKS = tuple(_TASKS)
# The tasks that the published model, which is not fine-tuned, can do.
_WITHOUT_A_MODEL = ("fill-mask", "feature-extraction")


def pipeline(
    task: str,
    model: str | os.PathLike[str] | PretrainedModel[Any] | None = None,
    tokenizer: str | os.PathLike[str] | RobertaTokenizer | None = None,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    device: str | int | None = None,
    **parameters: Any,
) -> Any:
    """Make a pipeline, as transformers' function of the same name.

    Args:
        task: "fill-mask", "text-classification" (or "sentiment-analysis"), "token-classification" (or "ner"),
            "question-answering", "zero-shot-classification" or "feature-extraction".
        model: a folder, a model's name on the hub ("distilroberta-base"), or a loaded model. If None, for filling masks
            and extracting features the published distilroberta-base where it is already on this machine, else the
            embedded model; stderr says which. The other tasks need a model that is fine-tuned for them.
        tokenizer: where it isn't the model's own: a folder, a name, or a loaded tokenizer.
        revision: of the model, as `RobertaModel.from_pretrained`; a tokenizer named beside it is its latest.
        cache_dir, local_files_only: as `RobertaModel.from_pretrained`.
        device: only the CPU: None, "cpu" or -1.
        **parameters: defaults of the pipeline's own arguments, such as `top_k` (see its `__call__`).

    Returns:
        The task's pipeline, such as a `FillMaskPipeline`.

    Raises:
        ValueError: an unknown task or device, or a loaded model without a tokenizer.
        TypeError: an argument of the wrong type, or with an unknown name.
        DistilRobertaError: the model can't be found, fetched or read; its subclasses say which.
    """
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}; there is {', '.join(TASKS)}")
    pipeline_class, model_class = _TASKS[task]
    known = [
        name
        for name, parameter in inspect.signature(pipeline_class.__call__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    unknown = sorted(parameters.keys() - set(known))
    if unknown:
        raise TypeError(
            f"no such argument: {', '.join(unknown)}; beside those of pipeline() there is {', '.join(known)}"
        )
    if device not in (None, "cpu", -1):
        raise ValueError(f"device {device!r} is not to be had: this is NumPy, on the CPU; leave it out")
    where: dict[str, Any] = {"cache_dir": cache_dir, "local_files_only": local_files_only}
    if model is None:
        if revision is not None:
            raise ValueError(f"revision {revision!r} is given without a model; name the model too")
        if task not in _WITHOUT_A_MODEL:
            raise ValueError(f"{task} needs a model that is fine-tuned for it, and there is no default; name one")
        model = default_model()
    if not isinstance(model, str | os.PathLike | model_class):
        raise TypeError(f"model must be a folder, a name or a {model_class.__name__}, not a {type(model).__name__}")
    if not isinstance(tokenizer, str | os.PathLike | RobertaTokenizer | None):
        raise TypeError(f"tokenizer must be a folder, a name or a RobertaTokenizer, not a {type(tokenizer).__name__}")
    if not isinstance(model, PretrainedModel):
        parts = (CONFIG, WEIGHTS) if tokenizer is not None else (CONFIG, WEIGHTS, TOKENIZER)
        folder = resolve_model(model, revision=revision, parts=parts, **where)
        tokenizer = folder if tokenizer is None else tokenizer
        model = model_class.from_pretrained(folder)
    elif revision is not None:
        raise ValueError(f"revision {revision!r} is given with a model that is loaded already; leave it out")
    elif tokenizer is None:
        raise ValueError("a loaded model needs its tokenizer beside it: pipeline(task, model, tokenizer)")
    if not isinstance(tokenizer, RobertaTokenizer):
        tokenizer = RobertaTokenizer.from_pretrained(tokenizer, **where)
    return pipeline_class(model, tokenizer, **parameters)


__all__ = [
    "TASKS",
    "FeatureExtractionPipeline",
    "FillMaskPipeline",
    "Pipeline",
    "QuestionAnsweringPipeline",
    "TextClassificationPipeline",
    "TokenClassificationPipeline",
    "ZeroShotClassificationPipeline",
    "pipeline",
]
