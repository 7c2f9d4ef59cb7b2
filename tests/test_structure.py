"""The tests mirror the package, and neither tests nor scripts reach into each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
# Folders of tests that mirror nothing: they compare with other libraries, state properties, or attack everything.
ACROSS = ("browser", "data", "fuzz", "parity", "properties", "support")
# Test files for several modules, or for more than the module whose name they have.
COVERS = {
    "checkpoint/test_load": ["checkpoint/keys", "checkpoint/save", "checkpoint/shards"],
    "cli/test_explain": ["cli/exercises"],
    "cli/test_fill_mask": ["cli/answering", "cli/terminal"],
    "cli/test_finetune": ["cli/pretrain", "cli/training_options"],
    "cli/test_main": ["cli/command", "cli/download", "errors"],
    "cli/test_similarity": ["cli/rank"],
    "corpus/test_corpus_page": [],
    "corpus/test_job": ["cli/map", "corpus/columns", "corpus/tables"],
    "exercises/test_exercises": ["exercises/checks"],
    "models/test_sequence_classification": ["models/question_answering", "models/token_classification"],
    "pipelines/test_pipeline": ["pipelines/base", "pipelines/loading", "pipelines/options"],
    "runtime/test_interrupts": [],
    "sentence/test_sentence_encoder": ["sentence/sentence_model"],
    "serve/test_clients": [],
    "serve/test_protocols": [
        "serve/app", "serve/inference_api", "serve/openai_api", "serve/openapi", "serve/protocol", "serve/tei",
        "serve/telemetry",
    ],
    "serve/test_node_clients": [],
    "serve/test_serving_page": [],
    "test_course": [],
    "test_data_frame": [],
    "test_dispatch": [],
    "test_documents": [],
    "test_goldens": [],
    "test_hub": ["hub_cache", "pretrained", "transfer"],
    "test_import": ["_version"],
    "test_structure": [],
    "test_tokenizer_calls": [],
    "test_types": [],
    "training/tasks/test_tasks": [
        "training/tasks/question_answering", "training/tasks/text_classification",
        "training/tasks/token_classification",
    ],
    "training/test_pretrain": ["training/data/batches", "training/initial_weights"],
}  # fmt: skip


def names(folder: str) -> set[str]:
    root = PROJECT / folder
    paths = (path.relative_to(root).with_suffix("") for path in root.rglob("*.py"))
    return {path.as_posix() for path in paths if not path.name.startswith("__") and path.name != "conftest"}


MODULES = names("distilroberta_np")
TESTS = {name for name in names("tests") if name.partition("/")[0] not in ACROSS}


def mirror_of(module: str) -> str:
    folder, _, name = module.rpartition("/")
    return f"{folder}/test_{name}".lstrip("/")


def test_every_module_has_tests():
    covered = {module for modules in COVERS.values() for module in modules}
    untested = {module for module in MODULES if mirror_of(module) not in TESTS}
    assert untested - covered == set(), "add a test file of the same name, or a line to COVERS"
    assert covered - untested == set(), "COVERS is out of date"


def test_every_test_file_has_a_module():
    stray = TESTS - set(map(mirror_of, MODULES)) - COVERS.keys()
    assert stray == set(), "name the file after the module that it tests, or add a line to COVERS"
    assert COVERS.keys() - TESTS == set(), "COVERS is out of date"


@pytest.mark.parametrize(("folder", "not_from"), [("tests", "scripts"), ("distilroberta_np", "scripts")])
def test_scripts_are_imported_by_nobody(folder, not_from):
    for path in (PROJECT / folder).rglob("*.py"):
        assert not_from not in {module.partition(".")[0] for module in imports(path)}, path


def test_scripts_import_only_the_support_of_the_tests():
    for path in (PROJECT / "scripts").rglob("*.py"):
        modules = [module for module in imports(path) if module.partition(".")[0] == "tests"]
        assert all(module.startswith("tests.support.") for module in modules), path


def imports(path: Path) -> list[str]:
    """The modules that a file imports by their full names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    return found + [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
