from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    # Importing torch and transformers takes longer than all other tests together.
    return True if config.option.markexpr == "not parity" else None


@pytest.fixture(scope="session")
def roberta_tokenizer_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RoBERTa's own tokenizer.json, of 50,265 tokens."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    packed = PROJECT / "tests" / "data" / "roberta_tokenizer" / "tokenizer.json.gz"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    return path


@pytest.fixture(scope="session")
def reference_tokenizer(roberta_tokenizer_json: Path) -> Any:
    """transformers' tokenizer on the same file."""
    import transformers

    return transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(roberta_tokenizer_json),
        model_max_length=512,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token="<mask>",
    )


@pytest.fixture(scope="session")
def full_size() -> Any:
    """A masked language model of transformers in distilroberta-base's shape, 6 x 768 and 50,265 tokens."""
    from tests.support.transformers_models import DISTILROBERTA, seeded_masked_lm

    return seeded_masked_lm(0, **DISTILROBERTA)
