"""The page as a static site that computes in the browser: `reference/` in Pyodide, on a model's files."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path

from ..errors import OutputError
from ..files import write_text
from .page import read_static

PYODIDE_VERSION = "0.27.7"
PYODIDE = f"https://cdn.jsdelivr.net/pyodide/v{PYODIDE_VERSION}/full/"

_PAGE_FILES = ("page.css", "dom.js", "charts.js", "page.js", "site.js", "worker.js")
_PYTHON_FILES = (
    *(f"reference/{name}.py" for name in ("__init__", "bpe", "checkpoint", "roberta")),
    *(f"explain/{name}.py" for name in ("__init__", "walk", "live")),
)
_MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json")
_PACKAGE = __package__.split(".")[0]


def write_site(folder: Path, model: Path, sentence: str, pyodide: str = PYODIDE) -> None:
    """Write a site that any static host can serve.

    Args:
        folder: for the site; it must be new or empty.
        model: a folder with config.json, model.safetensors (one file) and tokenizer.json.
        sentence: the first one to show.
        pyodide: the address of a Pyodide distribution, or a folder with one, which is copied into the site.

    Raises OutputError: the folder is not empty, or a file of the model or of Pyodide is missing.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists and is not an empty folder; choose another one")
    missing = [name for name in _MODEL_FILES if not (model / name).is_file()]
    if missing:
        raise OutputError(
            f"{model}: {', '.join(missing)} missing; a site needs a model in one file and its tokenizer.json"
        )
    address = pyodide
    if not pyodide.startswith(("https://", "http://")):
        if not (Path(pyodide) / "pyodide.js").is_file():
            raise OutputError(
                f"{pyodide}: no pyodide.js; give a folder with Pyodide {PYODIDE_VERSION} and its numpy wheel"
            )
        address = "pyodide/"
        shutil.copytree(pyodide, folder / "pyodide")
    python = [f"{_PACKAGE}/{name}" for name in ("__init__.py", *_PYTHON_FILES)]
    settings = {
        "sentence": sentence,
        "pyodide": address,
        "code": f"{_PACKAGE}/reference/roberta.py",
        "files": [*python, *(f"model/{name}" for name in _MODEL_FILES)],
    }
    package = resources.files(_PACKAGE)
    texts = {
        "index.html": read_static("site.html"),
        "site.json": json.dumps(settings, indent=2),
        f"{_PACKAGE}/__init__.py": "",  # the real one imports what the browser does not have
        **{name: read_static(name) for name in _PAGE_FILES},
        **{f"{_PACKAGE}/{name}": (package / name).read_text(encoding="utf-8") for name in _PYTHON_FILES},
    }
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    (folder / "model").mkdir()
    for name in _MODEL_FILES:
        shutil.copyfile(model / name, folder / "model" / name)
