"""The night's command lines as a part of the report: the hand-over sheet."""

from __future__ import annotations

import re
from dataclasses import replace
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
    assert command_sheet.about(one).endswith(", 15 min for all 2 of them")
    assert command_sheet.about(replace(one, shared_by=1)).endswith(", 15 min")
    assert {each.shared_by for each in others} == {2}


def test_the_page_has_them_folded_and_escaped() -> None:
    page = html.render(with_commands())
    sheet = page.partition(f"<summary>{len(COMMANDS)} commands of the night</summary>")[2].partition("</details>")[0]
    assert [
        each.replace("&amp;", "&").replace("&#x27;", "'") for each in re.findall("<pre>(.*?)</pre>", sheet)
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
