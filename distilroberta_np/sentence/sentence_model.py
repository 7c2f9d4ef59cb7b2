"""What `SentenceEncoder` and `CrossEncoder` share: loading, prompts, and inputs as token ids."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ..checkpoint.sentence_folder import MODULES_FILE, Module, encoder_path, read_modules
from ..hub import in_organization, resolve_model
from ..layers.params import Array
from ..messages import warn
from ..pipelines.base import Pipeline
from ..pipelines.options import as_integer
from ..pipelines.truncation import truncate
from ..pretrained import CONFIG, MODULES, TOKENIZER, WEIGHTS
from ..tokenizer import RobertaTokenizer
from .sentence_settings import SentenceSettings


class SentenceFolder(NamedTuple):
    """A folder of sentence-transformers: its modules (none for a model of transformers), its settings, and the folder
    of its encoder."""

    path: Path
    modules: list[Module]
    settings: SentenceSettings
    encoder: Path


class SentenceModel(Pipeline[tuple[int, ...], Array]):
    """A model that reads texts, or pairs of texts, after a prompt.

    Attributes:
        max_seq_length: maximum number of tokens of an input, special tokens included; longer inputs are truncated.
        prompts: texts that can be prepended to the input, by name.
        default_prompt_name: the prompt to use if a call names none.
    """

    _ORGANIZATION: ClassVar[str]  # that sentence-transformers assumes for a name without one
    _MIN_LENGTH: ClassVar[int]  # special tokens, and one token of each text

    def __init__(
        self,
        model: Any,
        tokenizer: RobertaTokenizer,
        max_seq_length: int | None,
        prompts: Mapping[str, str] | None,
        default_prompt_name: str | None,
    ) -> None:
        super().__init__(model, tokenizer)
        self.max_seq_length = self.max_length if max_seq_length is None else max_seq_length
        self.prompts = dict(prompts or {})
        self.default_prompt_name = default_prompt_name

    @classmethod
    def _find(
        cls,
        name_or_path: str | os.PathLike[str],
        revision: str | None,
        cache_dir: str | os.PathLike[str] | None,
        local_files_only: bool,
    ) -> SentenceFolder:
        folder = resolve_model(
            in_organization(name_or_path, cls._ORGANIZATION),
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            parts=(CONFIG, WEIGHTS, TOKENIZER, MODULES),
        )
        modules = read_modules(folder) if (folder / MODULES_FILE).exists() else []
        encoder = folder / encoder_path(modules) if modules else folder
        return SentenceFolder(folder, modules, SentenceSettings.load(folder), encoder)

    def _choose_prompt(self, prompt: str | None, prompt_name: str | None) -> str:
        """The prompt of a call: the given one, or the named one, or the default; "" for none.

        Raises:
            TypeError: the prompt is not a string.
            ValueError: no prompt has this name.
        """
        if prompt is not None:
            if not isinstance(prompt, str):
                raise TypeError(f"prompt must be a string, not a {type(prompt).__name__}")
            if prompt_name is not None:
                warn(f"prompt takes precedence over prompt_name; {prompt_name!r} is not used")
            return prompt
        name = self.default_prompt_name if prompt_name is None else prompt_name
        if name is None:
            return ""
        if name not in self.prompts:
            raise ValueError(f"no prompt is named {name!r}; the names are: {', '.join(self.prompts) or 'none'}")
        return self.prompts[name]

    def _token_ids(self, prompt: str, texts: Sequence[Any], index: int | None) -> tuple[int, ...]:
        """The ids of one or two texts, with special tokens, truncated to `max_seq_length`, the longer text first.

        Raises:
            PipelineException, TypeError: as `_encode`.
            ValueError: `max_seq_length` is too small.
        """
        max_seq_length = as_integer("max_seq_length", self.max_seq_length, smallest=self._MIN_LENGTH)
        first, *rest = texts
        encoding = self._encode(prompt + first if isinstance(first, str) else first, index, *rest)
        max_length = min(max_seq_length, self.model.config.max_sequence_length)
        return tuple(truncate(encoding, max_length, "longest_first", index))
