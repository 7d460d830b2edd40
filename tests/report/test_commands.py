"""The night's command lines as a part of the report: the hand-over sheet."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from preflight.engine.registry import find_checks
from preflight.engine.run import command_sheet as sheet_commands
from preflight.engine.run import sheet_questions
from preflight.evidence import Evidence
from preflight.plan.command_lines import Act, ScriptOrder, night_commands
from preflight.plan.load import load_plan
from preflight.report import command_sheet
from preflight.report.formats import html, markdown, text
from preflight.report.harmless import line_to_paste
from preflight.verdict import Verdict
from tests.report.formats.cases import go
from tests.toy import MOMENT, reply

PLAN = load_plan(Path("plans/example.toml"), find_checks(None).settings())
ORDER = ScriptOrder(("010_a.sql", "020_b.sql"), ("undo/010_a.down.sql", "undo/020_b.down.sql"))
COMMANDS = night_commands(PLAN, [step.id for step in PLAN.steps], dict.fromkeys(PLAN.scripts, ORDER))
LINES = [command.line for command in COMMANDS if command.line]


def with_commands() -> Verdict:
    return replace(go(), commands=COMMANDS)


def test_every_line_stands_in_a_block_to_copy_below_where_and_as_whom() -> None:
    report = markdown.render(with_commands())
    fences = [token.content.rstrip("\n") for token in MarkdownIt("gfm-like").parse(report) if token.type == "fence"]
    assert [fence for fence in fences if fence in LINES] == LINES
    assert "**1.** backup orders: on db1 as dbadmin" in report
    assert f"<details><summary>{len(COMMANDS)} commands of the night</summary>" in report


def test_the_minutes_of_several_ways_back_are_those_of_all_of_them() -> None:
    one, *others = [replace(each, minutes=15) for each in COMMANDS if each.act is Act.WAY_BACK]
    told = [each.about for each in command_sheet.shown(PLAN, [one, replace(one, shared_by=1)])]
    assert told[0].endswith(", 15 min for these 2 together")
    assert told[1].endswith(", 15 min")
    assert {each.shared_by for each in others} == {2}


def test_the_page_has_them_folded_and_escaped() -> None:
    page = html.render(with_commands())
    sheet = page.partition(f"<summary>{len(COMMANDS)} commands of the night</summary>")[2].partition("</details>")[0]
    assert [
        each.replace("&amp;", "&").replace("&#x27;", "'") for each in re.findall("<pre[^>]*>(.*?)</pre>", sheet)
    ] == LINES


def test_without_any_there_is_no_fold_and_a_terminal_has_a_command_of_its_own() -> None:
    assert "of the night" not in markdown.render(go()) + html.render(go())
    assert text.render(with_commands()) == text.render(go())
    assert all(f"     {line}\n" in command_sheet.render(PLAN, COMMANDS) for line in LINES)


@pytest.mark.parametrize("damaged", ["", "{", "[1]", '{"files": 7}', "\0"])
def test_damaged_evidence_leaves_the_scripts_unknown_and_the_report_whole(damaged: str) -> None:
    answers = {each.id: (each, replace(reply(damaged), vantage="here")) for each in sheet_questions(PLAN)}
    commands = sheet_commands(PLAN, Evidence(PLAN.digest, MOMENT, answers))
    unknown = [each for each in commands if "which scripts run is not known" in each.note]
    assert len(unknown) == len(PLAN.scripts)
    assert not any(each.line for each in unknown)
    nobody = sheet_commands(PLAN, Evidence(PLAN.digest, MOMENT))
    assert [each.line for each in nobody] == [each.line for each in commands]


def with_script(name: str) -> tuple[Verdict, str]:
    """A verdict whose night has one script of this name, and that name's line as a shell must read it."""
    commands = night_commands(PLAN, [step.id for step in PLAN.steps], dict.fromkeys(PLAN.scripts, ScriptOrder((name,))))
    (command,) = [each for each in commands if each.act is Act.SCRIPTS and each.work.id == next(iter(PLAN.scripts))]
    return replace(go(), commands=(command,)), command.line


def shown_lines(verdict: Verdict) -> list[str]:
    """The line in each form in which it can be copied."""
    fences = [each.content for each in MarkdownIt("gfm-like").parse(markdown.render(verdict)) if each.type == "fence"]
    page = html.render(verdict).partition("of the night</summary>")[2].partition("</details>")[0]
    terminal = [command_sheet.render(PLAN, verdict.commands, ascii=each) for each in (False, True)]
    found = [
        *(each for each in fences if each.startswith("cd ")),
        *map(unescape, re.findall("<pre[^>]*>(.*?)</pre>", page)),
    ]
    return [*found, *(line.strip() for sheet in terminal for line in sheet.split("\n") if line.startswith("     cd "))]


@pytest.mark.parametrize("name", ['3"##[x].sql', "a\u00a0b\u200d.sql", "\u202e'##vso[a]\t\udcff\x1b[2J", "é'\\.sql"])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_shell_reads_an_odd_name_back_as_it_is(name: str, shell: str) -> None:
    verdict, plain = with_script(name)
    lines = shown_lines(verdict)
    assert len(lines) == 4
    for line in lines:
        copied = line.rstrip("\n")
        assert copied.isprintable()
        assert not re.search(r"##\w*\[", copied)
        words = re.sub("^cd .*? && ", "printf '%s\\\\0' ", copied)
        done = subprocess.run([shell, "-c", words], capture_output=True, check=True)
        assert [os.fsdecode(each) for each in done.stdout.split(b"\0")][:-1] == shlex.split(plain)[3:]
    assert lines[-1].isascii()


def test_a_line_is_whole_or_a_sentence_stands_in_its_place() -> None:
    verdict, line = with_script(("folder/" * 700 + "x" * 150 + "/") * 30 + "z.sql")
    assert 100_000 < len(line) < command_sheet.MOST_BYTES
    assert [each.rstrip("\n") for each in shown_lines(verdict)] == [line] * 4
    verdict, line = with_script("y" * command_sheet.MOST_BYTES)
    assert shown_lines(verdict) == [line] * 2, "for a terminal there is no bound"
    for report in (markdown.render(verdict), html.render(verdict)):
        assert "yyy" not in report
        assert "the line is too long to print here" in report
        assert re.search(r"it is printed whole by: preflight show `*plans/release.toml`* --commands", report)
    verdict, _ = with_script("a\nb.sql")
    assert shown_lines(verdict) == []
    assert "a name in it holds a line break" in markdown.render(verdict)


def test_a_command_that_begins_like_one_of_a_build_system_is_quoted() -> None:
    assert line_to_paste("::error::x y") == "':':error::x y"
    assert shlex.split("':':error::x y") == ["::error::x", "y"]
