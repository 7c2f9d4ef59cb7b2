"""What is put before a text: instructions that a model was trained with."""

from __future__ import annotations

from collections.abc import Mapping

from ..messages import warn


def choose_prompt(
    prompt: str | None, prompt_name: str | None, prompts: Mapping[str, str], default_prompt_name: str | None
) -> str:
    """The prompt of a call: as it is given, or by its name, or the model's default; "" for none.

    Raises:
        TypeError: a prompt that is no text.
        ValueError: a name that isn't among the prompts.
    """
    if prompt is not None:
        if not isinstance(prompt, str):
            raise TypeError(f"prompt must be a text, not a {type(prompt).__name__}")
        if prompt_name is not None:
            warn(f"prompt goes before prompt_name, so {prompt_name!r} is not used; give one")
        return prompt
    name = default_prompt_name if prompt_name is None else prompt_name
    if name is None:
        return ""
    if name not in prompts:
        raise ValueError(f"there is no prompt {name!r}, only {', '.join(map(repr, prompts)) or 'none at all'}")
    return prompts[name]
