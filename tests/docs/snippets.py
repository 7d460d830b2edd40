"""The snippets of `docs/ci.md`: each is a block of code whose first line names the file it belongs into."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

PROJECT = Path(__file__).parent.parent.parent
PAGE = PROJECT / "docs" / "ci.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files() -> Mapping[str, str]:
    """Name -> text of every snippet that is a file."""
    texts = [text for _, text in _BLOCK.findall(PAGE.read_text())]
    named = [(re.match(r"(?:#|//) (\S+)\n", text), text) for text in texts]
    return {match[1]: text for match, text in named if match}


def commands() -> list[str]:
    """The snippets that are just commands."""
    return [text for language, text in _BLOCK.findall(PAGE.read_text()) if language == "sh"]


def read_yaml(name: str) -> Any:
    """As YAML 1.2 has it, where `on` is no truth value."""
    return YAML(typ="safe", pure=True).load(files()[name])
