"""Golden files: what a report looked like when somebody last looked at it. `pytest --regenerate-golden` writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "golden"


def compare(name: str, text: str, config: pytest.Config) -> None:
    """Asserts that `text` is what the golden file holds; writes it first when the flag says so."""
    path = FOLDER / name
    if config.getoption("--regenerate-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    assert path.exists(), f"{name} is not there yet: pytest tests/report --regenerate-golden"
    assert text == path.read_text(encoding="utf-8"), f"{name} is out of date: pytest tests/report --regenerate-golden"
