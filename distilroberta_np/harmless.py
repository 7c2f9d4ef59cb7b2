"""Arguments and methods of transformers that change nothing here, and why other values are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from .messages import shown

Check = Callable[[str, Any], None]


def harmless(reason: str, *values: str) -> Check:
    """The check of an argument that changes nothing here: values other than these are refused, with the reason.
    Objects of torch and NumPy go by their names."""

    def check(name: str, value: Any) -> None:
        plain = str(getattr(value, "__name__", value)).removeprefix("torch.")
        if plain not in values:
            text = "" if name.endswith("token") else f" {' '.join(shown(value).split())}"
            raise ValueError(f"{name}{text} is not supported: {reason}")

    return check


_BOOLEAN = ("True", "False")
DTYPE = harmless("the computation is in float32", "auto", "float32", "float")
DEVICE = harmless("this package runs on the CPU", "cpu", "-1")
DEVICE_MAP = harmless("this package runs on the CPU", "auto", "cpu", "{'': 'cpu'}")
TOKEN = harmless("log in with the command `hf auth login`, or set HF_TOKEN", *_BOOLEAN)
FRAMEWORK = harmless("the framework is NumPy", "pt", "tf", "np")
_TO = harmless("this package runs on the CPU, in float32", "cpu", "float32", "float")
REMOTE_CODE = harmless("code of a model is never run", "False")

# Of `from_pretrained`; `model_kwargs` of `pipeline` takes those of models.
LOADING = {
    "dtype": DTYPE,
    "torch_dtype": DTYPE,
    "device_map": DEVICE_MAP,
    "low_cpu_mem_usage": harmless("give True or False", *_BOOLEAN),
    "attn_implementation": harmless("there is one implementation of attention", "eager", "sdpa"),
    "use_safetensors": harmless("weights are only read from .safetensors files", "True"),
    "use_fast": harmless("give True or False", *_BOOLEAN),
    "token": TOKEN,
    "trust_remote_code": REMOTE_CODE,
    "force_download": harmless("remove the model from the cache instead", "False"),
}

# Of calls of models.
CALLING = {
    "position_ids": harmless("positions follow from input_ids"),
    "head_mask": harmless("no head of the attention can be left out; see distilroberta_np.analysis"),
    "return_dict": harmless("use `outputs.to_tuple()`", "True"),
    "use_cache": harmless("an encoder has no cache", *_BOOLEAN),
}

# Methods of torch's models.
_METHODS = {
    name: reason
    for reason, names in {
        "the computation is in float32": ("half", "bfloat16", "double"),
        "this package runs on the CPU": ("cuda", "mps"),
        "models are for inference; train with distilroberta_np.training": (
            *("train", "requires_grad_", "zero_grad", "gradient_checkpointing_enable"),
        ),
        "weights are NumPy arrays; use state_dict()": ("parameters", "named_parameters"),
        "it would have random weights": ("from_config", "resize_token_embeddings"),
        "use save_pretrained, and the command `hf upload`": ("push_to_hub",),
        "load a folder with from_pretrained": ("load_state_dict",),
        "there is nothing to compile": ("compile",),
        "there are no modules; use state_dict()": ("get_input_embeddings", "named_modules", "modules"),
    }.items()
    for name in names
}


def check_harmless(table: Mapping[str, Check], given: Mapping[str, Any], where: str = "") -> None:
    """Check arguments that change nothing.

    Raises:
        TypeError: an argument that is not in the table.
        ValueError: a value that would change something.
    """
    for name, value in given.items():
        if name not in table:
            raise TypeError(f"{where}unknown argument {name!r}; those without effect are {', '.join(table)}")
        if value is not None:
            table[name](f"{where}{name}", value)


class OnTheCPU:
    """Methods of torch's models that change nothing here. The error for another one gives the reason."""

    device: ClassVar[str] = "cpu"

    def eval(self) -> Self:
        """The model itself: it is always in torch's evaluation mode."""
        return self

    def to(self, *arguments: Any, **keywords: Any) -> Self:
        """The model itself: it is on the CPU, in float32. Raises ValueError for another device or dtype."""
        for value in (*arguments, *keywords.values()):
            if value is None or isinstance(value, bool):  # no dtype; non_blocking and copy
                continue
            _TO("device" if isinstance(value, str | int) else "dtype", value)
        return self

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            reason = f": {_METHODS[name]}" if name in _METHODS else ""
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{reason}")
