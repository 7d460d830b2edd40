"""Which objects an entry's scripts touch."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from preflight.judging.touched import relation_of, touched_objects
from preflight.plan import RemotePath, Scripts
from preflight.plan.values import Privilege
from preflight.questions.files import LocalText
from preflight.questions.rehearsed import Rehearsal, Rehearsed, RehearsedEntry, Run, Touched
from preflight.questions.sql import as_regular_expression, quote_literal
from tests.toy import MOMENT


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("billing.*", "billing.events", True),
        ("billing.*", "billing2.events", False),
        ("billing.*", "xbilling.events", False),
        ("billing.events_p*", "billing.events_p2026", True),
        ("billing.events_p*", "billing.events", False),
        ("b+(.a[x]", "b+(.a[x]", True),
        ("öl.Größe", "öl.Größe", True),
        ("*.*", "a.b\nc", True),
    ],
)
def test_a_pattern_fits_the_whole_name(pattern, name, fits):
    assert bool(re.search(as_regular_expression(pattern), name, re.DOTALL)) is fits


def entry(**keys):
    return Scripts(
        id="orders", database="orders", approved=Path("sql"), manifest=Path("sums"), staged=RemotePath("/s"), **keys
    )


SEALED = LocalText(f"{'a' * 64}  010.sql\n")
TABLE = Touched(kind="table", name='billing."Events"', defined=True)
TRIGGER = Touched(kind="trigger", name='audit on billing."a on b"', defined=True)


def rehearsed(**files):
    run = Run(script="010.sql", seconds=1, exit_code=0, touched=(TABLE, TRIGGER))
    tried = RehearsedEntry(database="orders", files={"010.sql": "a" * 64, **files}, runs=(run,))
    return Rehearsed(Rehearsal(release="R", at=MOMENT, by="x", where="here", scripts={"orders": tried}))


def test_the_plan_says_what_is_touched_and_by_which_keys():
    nothing = touched_objects(entry(), Rehearsed(None, "no such file"), SEALED)
    assert (nothing.told_by, nothing.not_told) == ("", "the scripts were not rehearsed")
    keys = {"touches": ("billing.*",), "privileges": {"audit.log": (Privilege.INSERT,)}}
    touched = touched_objects(entry(**keys), Rehearsed(None), SEALED)
    assert touched.told_by == "`touches` and `privileges` of [scripts.orders]"
    assert (touched.altered, touched.privileges) == (("billing.*",), {"audit.log": (Privilege.INSERT,)})


def test_a_rehearsal_of_the_sealed_files_says_it_beside_the_plan():
    touched = touched_objects(entry(touches=("b.*",)), rehearsed(), SEALED)
    assert touched.told_by == "the rehearsal of 2026-10-16 and `touches` of [scripts.orders]"
    assert touched.seen == (TABLE, TRIGGER)
    assert quote_literal('billing."Events"') in touched.in_sql


CHANGES = """\
+extension "my-ext"
+  owner release
+  version 1.0 in schema public
+table billing.t
+  column version 7 in schema x
-extension gone
-  owner release
-  version 1.0 in schema public
 extension vector
-  version 0.7.0 in schema public
+  version 0.8.0 in schema public
 extension moved
-  owner postgres
+  owner release"""


def test_extensions_are_told_with_the_versions_that_the_scripts_left():
    found = rehearsed()
    plain = Touched(kind="extension", name="moved", defined=True)
    runs = (
        Run(script="010.sql", seconds=1, exit_code=0, changes=CHANGES, touched=(plain,)),
        Run(script="020.sql", seconds=1, exit_code=0, changes=CHANGES.replace("1.0", "1.1")),
        Run(script="010.down.sql", seconds=1, exit_code=0, way_back=True),
    )
    tried = replace(found.record.scripts["orders"], runs=runs)
    touched = touched_objects(entry(), Rehearsed(replace(found.record, scripts={"orders": tried})), SEALED)
    assert touched.extensions == {"moved": "", '"my-ext"': "1.1", "vector": "0.8.0"}


def test_a_rehearsal_of_other_files_names_nothing():
    for found in (rehearsed(**{"020.sql": "b" * 64}), rehearsed(**{"010.sql": "b" * 64})):
        touched = touched_objects(entry(), found, SEALED)
        assert (touched.told_by, touched.seen) == ("", ())
        assert touched.not_told == "the sealed files are others than were rehearsed 2026-10-16"


@pytest.mark.parametrize(
    ("kind", "name", "table"),
    [
        ("trigger", 'audit on billing."a on b"', 'billing."a on b"'),
        ("table column", 'billing."Ev.ents".id', 'billing."Ev.ents"'),
        ("default value", "for billing.events.id", "billing.events"),
        ("index", "billing.events_idx", ""),
    ],
)
def test_what_belongs_to_a_table_is_the_tables(kind, name, table):
    assert relation_of(Touched(kind=kind, name=name)) == table
