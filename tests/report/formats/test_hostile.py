"""Every format, when every text of the plan and of the findings is hostile: it is read as it is with a harmless one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from preflight.report import View
from preflight.report.formats import FORMATS, render
from preflight.verdict import Verdict
from tests.hostile import TRAPS, each_text
from tests.report.formats.cases import no_go, waived
from tests.report.formats.test_github import commands
from tests.report.formats.test_prometheus import text_string_to_metric_families


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, ...]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, *sorted(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.seen.append(("/", tag))

    def handle_comment(self, data: str) -> None:
        self.seen.append(("comment",))

    def handle_pi(self, data: str) -> None:
        self.seen.append(("instruction",))


def in_html(text: str) -> object:
    reader = Elements()
    reader.feed(text)
    return set(reader.seen)


def in_markdown(text: str) -> object:
    tokens = MarkdownIt("gfm-like").parse(text)
    inside = {child.type for token in tokens for child in token.children or ()} - {"code_inline"}
    return [token.type for token in tokens], inside


def in_xml(text: str) -> object:
    return [(each.tag, sorted(each.attrib)) for each in ElementTree.fromstring(text.encode()).iter()]


def in_json(text: str) -> object:
    def keys(value: Any) -> Iterator[object]:
        if isinstance(value, Mapping):
            yield from ((len(value), *keys(each)) for each in value.values())
        elif isinstance(value, list):
            yield from ((len(value), *keys(each)) for each in value)

    return list(keys(json.loads(text)))


READERS: Mapping[str, Callable[[str], object]] = {
    "github": lambda text: [(each.name, sorted(each.properties)) for each in commands(text)],
    "html": in_html,
    "json": in_json,
    "junit": in_xml,
    "markdown": in_markdown,
    "nagios": lambda text: (text.count("\n"), text.count("|"), text.split()[:2]),
    "prometheus": lambda text: [(each.name, len(each.samples)) for each in text_string_to_metric_families(text)],
    "say": lambda text: text.count("\n"),
    "text": lambda text: re.findall(r"(?m)^(?:GO|NO-GO|HOLD|VALID)\b", text),
}


def full_of(verdict: Verdict, trap: str) -> Verdict:
    found: Verdict = each_text(verdict, lambda text: f"{trap}{text}{trap}" if text else "")
    return found


def test_every_format_has_a_reader() -> None:
    assert READERS.keys() == set(FORMATS)


def assert_harmless(name: str, case: Callable[[], Verdict], trap: str) -> None:
    text = render(name, full_of(case(), trap), View(verbose=True))
    assert READERS[name](text) == as_harmless(name, case), trap
    assert all(sign == "\n" or sign.isprintable() for sign in text), trap
    assert not re.search(r"##\w*\[", text), trap
    if name == "github":
        assert len(commands(text)) == len(text.splitlines()), trap
    else:
        assert not re.search(r"(?m)^\s*::[\w-]+(?: .*)?::", text), trap


@cache
def as_harmless(name: str, case: Callable[[], Verdict]) -> object:
    return READERS[name](render(name, full_of(case(), "(x("), View(verbose=True)))


@pytest.mark.long
@pytest.mark.parametrize("case", [no_go, waived])
@pytest.mark.parametrize("name", FORMATS)
def test_no_column_shifts_no_line_is_forged_and_nothing_is_obeyed(name: str, case: Callable[[], Verdict]) -> None:
    for trap in TRAPS:
        assert_harmless(name, case, trap)


@pytest.mark.long
@given(name=st.sampled_from(sorted(FORMATS)), parts=st.lists(st.sampled_from(TRAPS) | st.text(max_size=4), max_size=4))
def test_nor_by_any_other_text(name: str, parts: list[str]) -> None:
    assert_harmless(name, no_go, "".join(parts))
