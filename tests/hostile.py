"""Texts that somebody may put into a plan, a file or a server's answer, so that a reader or a program takes them for
something else; and one plan, report or reply full of one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from preflight.finding import Finding
from preflight.probe import Reply
from preflight.report.harmless import command_in

TRAPS = (
    "=cmd|' /C calc'!A0", "+1|x", "-1+1|x", "@SUM(1)|x", "\t=1+1", "\r=1+1",  # what a spreadsheet would calculate
    "::error::x", "\n::error::x", "%0A::error::x", "##[error]x", "##vso[task.complete result=Succeeded;]x",
    "##teamcity[x]", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b2J", "\u202eevil\u2066", "\u200bx", "\r\nGO\r\n",
    "\u2028NO-GO", "\x85HOLD", "<script>alert(1)</script>", "</td></tr><tr><td>", "&lt;&#60;x", "<!--", "<?x?>", "]]>",
    '" onload="x', "' onload='x", "[a](http://x.example) ![b](y)", "`c` *d* _e_ ~~f~~", "a | b", "\n| a |\n|---|",
    "\n# NO-GO\n", "\n```\n", "\n</details>\n", "> x", "1. x", "\\", "{{7*7}}", "$x$", '"} 1\npreflight_x{a="',
    "\ud800", "x\0y", "--help", " (",
)  # fmt: skip
FOR_A_SHELL = """'"$(: >canary)`: >canary`;: >canary;"'; : >canary; \\' : >canary"""
"""Makes a file, whichever of these a shell takes for a command."""
FOR_SQL = """'"); CREATE TABLE canary (a int); --$$$_$\\"""
"""Makes a table, or is no statement at all, where it gets out of its quotes."""


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """`value` with every text in its dataclasses, tuples and tables changed, names of entries and what refers to them
    alike; the members of enumerations, paths and the window's zone are no texts."""
    if type(value) is str:
        return change(value)
    if isinstance(value, tuple | list):
        return type(value)(each_text(each, change) for each in value)
    if isinstance(value, Mapping):
        return type(value)({each_text(key, change): each_text(each, change) for key, each in value.items()})
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    names = [each.name for each in dataclasses.fields(value) if each.init and each.name != "zone"]
    return dataclasses.replace(value, **{name: each_text(getattr(value, name), change) for name in names})


def each_text_of_a_reply(reply: Reply, trap: str) -> Iterator[Reply]:
    """With the trap behind one column of its rows, or behind one of its lines."""
    try:
        rows = json.loads(reply.text)
    except ValueError:
        rows = None
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        for name in dict.fromkeys(name for row in rows for name in row):
            spoiled = [{**row, name: f"{row[name]}{trap}"} for row in rows]
            yield dataclasses.replace(reply, text=json.dumps(spoiled))
        return
    end = "\0" if "\0" in reply.text else "\n"
    lines = reply.text.split(end)
    for place, line in enumerate(lines):
        yield dataclasses.replace(reply, text=end.join([*lines[:place], line + trap, *lines[place + 1 :]]))


def commands_in(findings: Iterable[Finding]) -> set[str]:
    """What the cures give to be pasted into a shell; a statement for psql begins with a word in capitals."""
    cures = (point.remedy for finding in findings for point in finding.judgement.telling_points())
    return {found for cure in cures if (found := command_in(cure)[1]) and not found.split()[0].isupper()}
