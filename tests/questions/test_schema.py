"""The text of a schema: read whole or not at all, compared object by object, matched by the plan's patterns."""

from __future__ import annotations

import pytest

from preflight.probe import Unreadable
from preflight.questions.schema import Schema, difference, matching, without
from preflight.wording import MASK

TEXT = """\
PostgreSQL 15
function billing.add(integer,integer)
  owner app
  CREATE OR REPLACE FUNCTION billing.add(a integer, b integer)
   RETURNS integer
  AS $$
  end of 7 objects
  
  $$
table billing.events_p1
  owner app
  column id bigint
table billing.invoice
  owner app
  column id bigint
end of 3 objects
"""  # noqa: W293 - a function's own empty line


def test_a_text_is_read_and_written_again() -> None:
    schema = Schema.parse(TEXT)
    assert (schema.major, list(schema.objects)[-1]) == (15, "table billing.invoice")
    assert schema.text == TEXT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PostgreSQL 15\n",
        TEXT[:-1],
        TEXT[: TEXT.index("end of 3")],
        TEXT[: TEXT.index("  \n")],
        TEXT.replace("3 objects", "2 objects"),
        TEXT.replace("events_p1", "invoice"),
        TEXT.replace("PostgreSQL 15", "PostgreSQL x"),
        TEXT.replace("PostgreSQL 15\n", ""),
    ],
)
def test_what_is_cut_off_or_another_text_is_no_schema(text: str) -> None:
    with pytest.raises(Unreadable):
        Schema.parse(text)


def test_a_difference_has_the_lines_of_each_object_that_is_not_the_same() -> None:
    before = Schema.parse(TEXT)
    changed = TEXT.replace("invoice\n  owner app", "invoice\n  owner other").replace("events_p1", "events_p2")
    after = Schema.parse(changed)
    assert difference(before, after) == {
        "table billing.events_p1": "-table billing.events_p1\n-  owner app\n-  column id bigint",
        "table billing.events_p2": "+table billing.events_p2\n+  owner app\n+  column id bigint",
        "table billing.invoice": " table billing.invoice\n-  owner app\n+  owner other",
    }
    assert list(without(difference(before, after), ["billing.events_p*"])) == ["table billing.invoice"]
    assert difference(before, before) == {}


def test_a_masked_secret_stands_for_any_text() -> None:
    masked = Schema.parse(TEXT.replace("end of 7 objects", f"SELECT connect('{MASK}');"))
    assert difference(masked, Schema.parse(TEXT.replace("end of 7 objects", "SELECT connect('hidden');"))) == {}
    assert difference(masked, masked) == {}
    assert list(difference(masked, Schema.parse(TEXT))) == ["function billing.add(integer,integer)"]


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("table billing.events_p1", "billing.events_p*", True),
        ("table billing.events_p1", "billing.events_p", False),
        ("materialized view billing.totals", "billing.totals", True),
        ("function billing.add(integer,integer)", "billing.add", True),
        ("function billing.add(integer,integer)", "billing.add(integer,*", True),
        ('table billing."Odd ""name.x"', 'billing.Odd "name.x', True),
        ("operator class billing.ops USING btree", "billing.ops*", True),
        ("function other.use(billing.events_p1)", "billing.events_p*", False),
        ("cast (billing.pair AS billing.span)", "billing.*", False),
        ("schema billing", "billing.*", False),
        ("default privileges of app in schema billing", "billing.*", False),
        ("database", "d*", True),
    ],
)
def test_patterns_of_the_plan_match_schema_and_name(name: str, pattern: str, fits: bool) -> None:
    assert matching([name], [pattern]) == ([name] if fits else [])
    assert matching([name], []) == []
