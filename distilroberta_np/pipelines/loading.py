"""`pipeline`: from a task, or a model, to the pipeline that answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated, Any, Literal, TypeAlias, TypedDict, Unpack, overload

from ..config import RobertaConfig
from ..errors import MissingKeyError
from ..harmless import DEVICE, DEVICE_MAP, DTYPE, FRAMEWORK, LOADING, REMOTE_CODE, TOKEN, check_harmless
from ..hub import default_model, resolve_model
from ..models.base import PretrainedModel
from ..pretrained import CONFIG, TOKENIZER, WEIGHTS
from ..tokenizer import RobertaTokenizer
from .base import PIPELINES, Pipeline
from .feature_extraction import FeatureExtractionOptions, FeatureExtractionPipeline
from .fill_mask import FillMaskOptions, FillMaskPipeline
from .options import Option, as_boolean, as_given, as_mapping, declared, resolve, switch
from .question_answering import QuestionAnsweringOptions, QuestionAnsweringPipeline
from .text_classification import TextClassificationOptions, TextClassificationPipeline
from .token_classification import TokenClassificationOptions, TokenClassificationPipeline
from .zero_shot_classification import ZeroShotClassificationOptions, ZeroShotClassificationPipeline

# Every file of this folder that defines a pipeline adds it to PIPELINES; those above are named for their types.
for _module in iter_modules([str(Path(__file__).parent)]):
    if _module.name != "loading":
        import_module(f"{__package__}.{_module.name}")

PathLike: TypeAlias = str | os.PathLike[str]
Model: TypeAlias = PathLike | PretrainedModel[Any] | None
Tokenizer: TypeAlias = PathLike | RobertaTokenizer | None
Texts: TypeAlias = Literal["text-classification", "sentiment-analysis"]
Tokens: TypeAlias = Literal["token-classification", "ner"]


def _as_model_kwargs(name: str, value: Any) -> None:
    check_harmless(LOADING, as_mapping(name, value), f"{name}: ")


class LoadingOptions(TypedDict, total=False):
    """Arguments of `pipeline` for every task. All but the first four change nothing here: transformers has them,
    and a value that would change something is refused."""

    revision: Annotated[str | None, Option(None, as_given, "branch, tag or commit of the model")]
    cache_dir: Annotated[PathLike | None, Option(None, as_given, "the hub's cache, if not the usual one")]
    local_files_only: Annotated[bool | None, switch("never connect; use what is on this machine", flag=False)]
    memory_map: Annotated[
        bool | None, Option(True, as_boolean, "map the weights from their file, rather than read them into memory")
    ]
    device: Annotated[Any, Option(None, DEVICE, "only the CPU: None, 'cpu' or -1")]
    device_map: Annotated[Any, Option(None, DEVICE_MAP, "only the CPU: 'auto' or 'cpu'")]
    dtype: Annotated[Any, Option(None, DTYPE, "only float32")]
    torch_dtype: Annotated[Any, Option(None, DTYPE, "only float32")]
    framework: Annotated[str | None, Option(None, FRAMEWORK, "without effect")]
    use_fast: Annotated[bool | None, Option(None, as_boolean, "without effect")]
    token: Annotated[Any, Option(None, TOKEN, "without effect")]
    trust_remote_code: Annotated[bool | None, Option(None, REMOTE_CODE, "only False")]
    model_kwargs: Annotated[Mapping[str, Any] | None, Option(None, _as_model_kwargs, "of these, what changes nothing")]
    config: Annotated[PathLike | RobertaConfig | None, Option(None, as_given, "only the model's own; leave it out")]


# fmt: off
class _Features(FeatureExtractionOptions, LoadingOptions, total=False): ...
class _FillMask(FillMaskOptions, LoadingOptions, total=False): ...
class _Answers(QuestionAnsweringOptions, LoadingOptions, total=False): ...
class _Texts(TextClassificationOptions, LoadingOptions, total=False): ...
class _Tokens(TokenClassificationOptions, LoadingOptions, total=False): ...
class _ZeroShot(ZeroShotClassificationOptions, LoadingOptions, total=False): ...
class _AnyTask(_Features, _FillMask, _Answers, _Texts, _Tokens, _ZeroShot, total=False): ...



@overload
def pipeline(
    task: Literal["feature-extraction"], model: Model = None, tokenizer: Tokenizer = None, **options: Unpack[_Features]
) -> FeatureExtractionPipeline: ...
@overload
def pipeline(
    task: Literal["fill-mask"], model: Model = None, tokenizer: Tokenizer = None, **options: Unpack[_FillMask]
) -> FillMaskPipeline: ...
@overload
def pipeline(
    task: Literal["question-answering"], model: Model = None, tokenizer: Tokenizer = None, **options: Unpack[_Answers]
) -> QuestionAnsweringPipeline: ...
@overload
def pipeline(
    task: Texts, model: Model = None, tokenizer: Tokenizer = None, **options: Unpack[_Texts]
) -> TextClassificationPipeline: ...
@overload
def pipeline(
    task: Tokens, model: Model = None, tokenizer: Tokenizer = None, **options: Unpack[_Tokens]
) -> TokenClassificationPipeline: ...
@overload
def pipeline(
    task: Literal["zero-shot-classification"], model: Model = None, tokenizer: Tokenizer = None,
    **options: Unpack[_ZeroShot],
) -> ZeroShotClassificationPipeline: ...
@overload
def pipeline(
    task: str | None = None, model: Model = None, tokenizer: Tokenizer = None, **options: Unpack[_AnyTask]
) -> (
    FeatureExtractionPipeline | FillMaskPipeline | QuestionAnsweringPipeline
    | TextClassificationPipeline | TokenClassificationPipeline | ZeroShotClassificationPipeline
): ...
# fmt: on
def pipeline(task: Any = None, model: Any = None, tokenizer: Any = None, **options: Any) -> Any:
    """Make a pipeline, as transformers' function of the same name does.

    Args:
        task: "fill-mask", "text-classification" (or "sentiment-analysis"), "token-classification" (or "ner"),
            "question-answering", "zero-shot-classification" or "feature-extraction". If None, the task that the model
            was trained for, by the architecture in its config.
        model: a folder, a model's name on the hub ("distilroberta-base"), or a loaded model. If None, for fill-mask and
            feature-extraction, the published distilroberta-base if it is on this machine, else the embedded model; a
            line on stderr says which. The other tasks need a model that is fine-tuned for them.
        tokenizer: if not the model's own, a folder, a name, or a loaded tokenizer.
        **options: the arguments of `LoadingOptions` (`revision` is the model's; a tokenizer named with it is its
            latest), and defaults of the task's own options, such as `top_k`.

    Raises:
        MissingKeyError: an unknown task; a ValueError and a KeyError.
        ValueError: an option out of range, or a loaded model without a tokenizer.
        TypeError: an argument of the wrong type, or an unknown option.
        DistilRobertaError: the model cannot be found, fetched or read; its subclasses say which.
    """
    if task is None and model is None:
        raise ValueError("give a task, or a model whose config says what it was trained for")
    if task is not None and task not in tuple(PIPELINES):
        raise MissingKeyError(f"unknown task {task!r}; the tasks are {', '.join(sorted(PIPELINES))}")
    loading = {name: options.pop(name) for name in declared(LoadingOptions) if name in options}
    where = resolve(LoadingOptions, None, loading)
    chosen: Any = None if task is None else PIPELINES[task]
    if chosen is not None:
        resolve(chosen.options_type, None, options)  # before anything is loaded
    if not isinstance(model, str | os.PathLike | PretrainedModel | None):
        raise TypeError(f"model must be a folder, a name or a loaded model, not {type(model).__name__}")
    if not isinstance(tokenizer, str | os.PathLike | RobertaTokenizer | None):
        raise TypeError(f"tokenizer must be a folder, a name or a RobertaTokenizer, not {type(tokenizer).__name__}")
    if where.revision is not None and not isinstance(model, str | os.PathLike):
        what = "without a model; name the model too" if model is None else "with a loaded model; leave it out"
        raise ValueError(f"revision {where.revision!r} is given {what}")
    if isinstance(model, PretrainedModel) and tokenizer is None:
        raise ValueError("a loaded model needs its tokenizer: pipeline(task, model, tokenizer)")
    if model is None:
        if chosen.suggested_model is not None:
            trained_as = next(name for name, each in PIPELINES.items() if each.model_type is chosen.model_type)
            raise ValueError(
                f"{task} needs a fine-tuned model; name one on the hub, such as {chosen.suggested_model}, or make a "
                f"small one with `distilroberta-np finetune --task {trained_as} --train FILE --out tuned`"
            )
        model = default_model()
    source: dict[str, Any] = {"cache_dir": where.cache_dir, "local_files_only": where.local_files_only}
    if not isinstance(model, PretrainedModel):
        parts = (CONFIG, WEIGHTS) if tokenizer is not None else (CONFIG, WEIGHTS, TOKENIZER)
        folder = resolve_model(model, revision=where.revision, parts=parts, **source)
        tokenizer = folder if tokenizer is None else tokenizer
        if chosen is None:
            chosen = _trained_for(RobertaConfig.from_pretrained(folder).architectures)
            resolve(chosen.options_type, None, options)
        model = chosen.model_type.from_pretrained(folder, memory_map=where.memory_map)
    elif chosen is None:
        chosen = _trained_for([type(model).__name__])
    if not isinstance(model, chosen.model_type):
        raise TypeError(f"{task} needs a {chosen.model_type.__name__}, not {type(model).__name__}")
    check_config(where.config, model)
    if not isinstance(tokenizer, RobertaTokenizer):
        tokenizer = RobertaTokenizer.from_pretrained(tokenizer, **source)
    return chosen(model, tokenizer, **options)


def _trained_for(architectures: Any) -> type[Pipeline[Any, Any]]:
    """The first pipeline that takes a model of one of these architectures."""
    for name in architectures:
        if found := [each for each in PIPELINES.values() if each.model_type.__name__ == name]:
            return found[0]
    named = f"names {', '.join(architectures)}, which is that of no task" if architectures else "names no architecture"
    raise ValueError(f"the model's config {named}; name the task: {', '.join(sorted(PIPELINES))}")


def check_config(config: Any, model: PretrainedModel[Any]) -> None:
    """Raise ValueError if a config is given that is not the model's own."""
    if isinstance(config, str | os.PathLike):
        config = RobertaConfig.from_pretrained(config)
    if config not in (None, model.config):
        raise ValueError("config is not the model's own; change the model's config.json, and leave config out")
