"""Options of pipelines. Each is declared once, with its type, default, check, description and command-line flag.

A declaration is a TypedDict whose fields are annotated with an `Option`:

    class FillMaskOptions(CallOptions, total=False):
        top_k: Annotated[int | None, number(5, 0, "number of predictions per mask", "K")]

Calls take `**options: Unpack[FillMaskOptions]`, so type checkers and editors know the names and types. The defaults,
checks and documentation of `__call__`, and the flags of the command, follow from the declaration at run time.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, partial
from textwrap import fill
from types import SimpleNamespace
from typing import Annotated, Any, TypedDict, get_type_hints

import numpy as np

from ..runtime.progress import Bar

SWITCH = {"action": "store_true"}
ERRORS = """\
    PipelineException: an input cannot be answered; its `index` says which. For a list nothing is computed then; for an
        iterator the inputs before it are answered first.
    TypeError: an input or option of the wrong type, or an unknown option.
    ValueError: an option out of range, or options that cannot be combined.
    CheckpointError: the logits contain NaN or infinity.
"""


@dataclass(frozen=True)
class Option:
    """One option of a pipeline."""

    default: Any
    # Takes the name and a given value, and returns the value to use. Raises TypeError, ValueError.
    check: Callable[[str, Any], Any]
    help: str  # in `help()`, and in the command's --help
    # Further arguments of argparse's `add_argument`, and "flag" if that is not the name; None: the command has no flag.
    flag: Mapping[str, Any] | None = None
    none: bool = False  # whether None is a value of its own, rather than the default


def switch(help: str, *, flag: bool = True) -> Option:
    """An option that is off by default."""
    return Option(False, as_boolean, help, SWITCH if flag else None)


def number(default: int | None, smallest: int, help: str, metavar: str | None = None) -> Option:
    """An option that is an integer of at least `smallest`; a flag of the command if it has a metavar."""
    check = partial(as_integer, smallest=smallest)
    return Option(default, check, help, None if metavar is None else {"type": int, "metavar": metavar})


@cache
def declared(options: type) -> dict[str, Option]:
    """The options that a TypedDict declares, by name."""
    hints = get_type_hints(options, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


def resolve(options: type, defaults: SimpleNamespace | None, given: Mapping[str, Any]) -> SimpleNamespace:
    """The values of all options: those given, checked, on top of some defaults (the declared ones if None).

    Raises TypeError for an unknown option or a value of the wrong type, ValueError for one out of range.
    """
    known = declared(options)
    for name in given.keys() - known.keys():
        close = get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"the options are {', '.join(known)}"
        raise TypeError(f"unknown option {name!r}; {hint}")
    values = {name: option.default for name, option in known.items()} if defaults is None else vars(defaults)
    checked = {
        name: known[name].check(name, value) for name, value in given.items() if value is not None or known[name].none
    }
    return SimpleNamespace(**values | checked)


def document(function: Callable[..., Any], options: type) -> None:
    """Complete the signature and the docstring of a call: declared options instead of `**options`, and errors."""
    known, kind = declared(options), inspect.Parameter.KEYWORD_ONLY
    given = [each for each in inspect.signature(function).parameters.values() if each.kind is not each.VAR_KEYWORD]
    parameters = [each.replace(annotation=each.empty) for each in given]
    parameters += [inspect.Parameter(name, kind, default=option.default) for name, option in known.items()]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    if function.__doc__ is not None:  # as under python -OO
        lines = (f"{name}: {described(option)}" for name, option in known.items())
        wrapped = "\n".join(fill(line, 100, initial_indent=" " * 4, subsequent_indent=" " * 8) for line in lines)
        function.__doc__ = f"{inspect.cleandoc(function.__doc__)}\n\nOptions:\n{wrapped}\n\nRaises:\n{ERRORS}"


def described(option: Option, default: Any = None) -> str:
    """An option's description, with its default if it has one to show."""
    default = option.default if default is None else default
    shown = not isinstance(default, bool | tuple | None) or default is True
    return f"{option.help} (default: {default})" if shown else option.help


def as_integer(name: str, value: Any, *, smallest: int) -> int:
    """Check an integer. Raises TypeError, and ValueError if it is too small."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an integer, not a boolean")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {value!r:.80}") from None
    if number < smallest:
        raise ValueError(f"{name} must be at least {smallest}, not {number}")
    return number


def integer(smallest: int) -> Callable[[str, Any], int]:
    """The check of an integer of at least `smallest`."""
    return partial(as_integer, smallest=smallest)


def as_boolean(name: str, value: Any) -> bool:
    """Check a boolean. Raises TypeError."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r:.80}")
    return value


def as_given(name: str, value: Any) -> Any:
    """No check."""
    return value


def as_mapping(name: str, value: Any) -> Mapping[str, Any]:
    """Check a mapping. Raises TypeError."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict, not {value!r:.80}")
    return value


def as_text(name: str, value: Any) -> str:
    """Check a string. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {value!r:.80}")
    return value


def as_texts(name: str, value: Any) -> tuple[str, ...]:
    """Check an iterable of strings, which is not a string itself. Raises TypeError."""
    if isinstance(value, str | Mapping | bytes | bytearray) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a list of strings, not {value!r:.80}")
    texts = tuple(value)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{name}: every item must be a string, not {text!r:.80}")
    return texts


def merge_tokenizer_options(options: SimpleNamespace, given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Set `truncation` and `max_length` by the mapping that transformers takes, and return it; {} if it is not given.
    `truncation` itself comes before that of the mapping. There, `max_length` alone turns truncation on."""
    nested: dict[str, Any] = getattr(options, name) if given.get(name) is not None else {}
    options.max_length = nested.get("max_length", getattr(options, "max_length", None))
    if given.get("truncation") is None:
        options.truncation = nested.get("truncation", "max_length" in nested or options.truncation)
    return nested


def one_of(*choices: Any) -> Callable[[str, Any], Any]:
    """The check of a value that must be one of some. It raises ValueError."""

    def check(name: str, value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r:.80}")
        return value

    return check


def as_truncation(name: str, value: Any) -> bool:
    """Check `truncation` of single texts: True, False, or a name of transformers for either. Raises ValueError."""
    if value not in (True, False, "longest_first", "only_first", "do_not_truncate"):
        raise ValueError(f"{name} must be True or False, not {value!r:.80}")
    return value not in (False, "do_not_truncate")


def _as_progress(name: str, value: Any) -> bool | Bar:
    if not isinstance(value, bool) and not callable(getattr(value, "update", None)):
        raise TypeError(f"{name} must be True, False or a bar with a method update, not {value!r:.80}")
    bar: bool | Bar = value
    return bar


def tokenizer_options(shortest: int, **checks: Callable[[str, Any], Any]) -> Option:
    """An option that is a mapping of options of the tokenizer, each with a check. None is as if a key were missing."""
    checks = {"truncation": as_truncation, "max_length": partial(as_integer, smallest=shortest), **checks}

    def check(name: str, value: Any) -> dict[str, Any]:
        if unknown := [str(key) for key in as_mapping(name, value) if key not in checks]:
            raise TypeError(f"{name} takes {', '.join(checks)}, not {', '.join(unknown)}")
        return {key: checks[key](key, item) for key, item in value.items() if item is not None}

    names = ", ".join(checks)
    more = "max_length is in tokens, and given alone it turns truncation on; padding changes no result"
    return Option(None, check, f"{names}, as transformers takes them. {more}")


_PADDINGS = one_of(True, False, "longest", "max_length", "do_not_pad")
PADDING = Option(False, _PADDINGS, "accepted as in transformers; it changes no result")


class CallOptions(TypedDict, total=False):
    """Options of every pipeline."""

    batch_size: Annotated[
        int | None,
        number(
            None,
            1,
            "number of inputs of an iterator that are read ahead and computed together (default: 1, 2, 4 ... 128)",
        ),
    ]
    num_workers: Annotated[int | None, number(None, 0, "accepted as in transformers; it changes nothing")]
    progress: Annotated[
        bool | Bar | None,
        Option(
            False,
            _as_progress,
            "show a bar that counts the texts that are done: tqdm's where it is installed, else a line on a terminal. "
            "Or a bar of your own, such as tqdm(total=...)",
        ),
    ]
