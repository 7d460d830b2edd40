"""Rules of sudo and their ends, from what `sudo -ll` prints."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.shell import AsAccount
from preflight.questions.sudo import SudoRule, SudoRulesProbe, last_moment
from tests.toy import MOMENT

NIGHT = datetime(2026, 10, 17, 5, tzinfo=UTC)
DUMP = "/usr/bin/pg_dump"


def rule(command: str = DUMP, until: datetime | None = NIGHT, accounts: tuple[str, ...] = ("postgres",)) -> SudoRule:
    return SudoRule(accounts, until, command)


@pytest.mark.parametrize(
    ("rules", "end"),
    [
        ([], None),
        ([rule()], NIGHT),
        ([rule(), rule(until=None)], None),
        ([rule(), rule(until=NIGHT.replace(hour=9))], NIGHT.replace(hour=9)),
        ([rule(), rule("ALL", None)], None),
        ([rule(), rule("/usr/bin/", None)], None),
        ([rule(), rule("/usr/bin/pg_*", None)], None),
        ([rule(), rule("sha256:0 /usr/bin/pg_dump", None)], None),  # sudo alone can tell
        ([rule(), rule("/usr/bin/psql", None)], NIGHT),
        ([rule(), rule(f"{DUMP} -V", None)], None),
        ([rule(), rule(until=None, accounts=("daemon",))], NIGHT),
        ([rule(), rule(until=None, accounts=("ALL",))], None),
        ([rule(), rule(until=None, accounts=("%dba",))], None),
    ],
)
def test_the_last_rule_that_may_let_it_run_decides(rules: list[SudoRule], end: datetime | None) -> None:
    assert last_moment(rules, "postgres", DUMP) == end


def test_the_rules_are_read() -> None:
    text = "rule=postgres,daemon 20261017050000Z - /usr/bin/pg_dump\nrule=ALL - 1h30m ALL\nend=yes\n"
    found = SudoRulesProbe("db1", AsAccount("postgres", is_login=False)).read(Reply(0, text, MOMENT, 0.1, "on db1"))
    assert found == (SudoRule(("postgres", "daemon"), NIGHT, DUMP), SudoRule(("ALL",), None, "ALL", 5400))


@pytest.mark.parametrize("text", [
    "rule=postgres soon - /bin/sh\nend=yes", "rule=postgres - soon /bin/sh\nend=yes", "postgres\nend=yes",
    "rule=postgres - - /bin/sh",  # cut off: a rule that ends may have followed
])  # fmt: skip
def test_what_is_no_rule_is_no_answer(text: str) -> None:
    with pytest.raises(Unreadable):
        SudoRulesProbe("db1", AsAccount("postgres", is_login=False)).read(Reply(0, text, MOMENT, 0.1, "on db1"))
