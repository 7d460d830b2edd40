"""JSON as every report for programs is written."""

from __future__ import annotations

import json
from typing import Any


def json_text(document: Any) -> str:
    """Indented ASCII with a newline at its end, keys in the order they have.

    `##[...]` within a string is written with an escape that reads back the same: build systems take it for a command
    of their own wherever it stands in a log."""
    return json.dumps(document, indent=2, ensure_ascii=True).replace("##", "#\\u0023") + "\n"
