"""The page as one self-contained HTML file: data, style and script inside, no network."""

from __future__ import annotations

import json
import re
from html import escape
from importlib import resources
from typing import Any

_SCRIPTS = ("dom.js", "charts.js", "page.js")
# The page's own inline script and style, and nothing from elsewhere.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


def read_static(name: str) -> str:
    """The text of a file in static/."""
    return (resources.files(__package__) / "static" / name).read_text(encoding="utf-8")


def render(data: dict[str, Any], title: str) -> str:
    """The HTML of a page.

    The data are {"pages": results of `walk`, one or two; "compare": the patching map, or None}.
    """
    # "<" as an escape, so that no text can end the script element. Browsers parse it back in JSON.parse.
    payload = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    values = {
        "TITLE": escape(title),
        "POLICY": _POLICY,
        "STYLE": read_static("page.css"),
        "DATA": payload,
        # One script for all modules, without their imports and exports.
        "SCRIPT": "\n".join(re.sub(r"^(import .*\n|export )", "", read_static(name), flags=re.M) for name in _SCRIPTS),
    }
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda match: values[match[1]], read_static("page.html"))
