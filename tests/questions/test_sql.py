"""Names and values of SQL, quoted; held against PostgreSQL itself."""

from __future__ import annotations

import pytest

from preflight.questions.sql import always_quoted, quote_identifier, quote_literal
from tests.site.postgres import Cluster

NAMES = [
    "release", "_r2", "Release-Bot", "Orders 2", 'a"b', "a'b", "back\\slash", "user", "all", "none", "grant", "2fast",
    "über", "a.b", "$x", "current_user", "x;DROP ROLE y",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_means_itself(postgres: Cluster, name: str) -> None:
    """The server's own quote_ident is the judge; a name it leaves bare may be bare here."""
    own = postgres.scalar("SELECT quote_ident(%s)", name)
    assert quote_identifier(name) in (own, always_quoted(name))
    assert postgres.sql(f"SELECT 1 AS {quote_identifier(name)}, 2 AS {always_quoted(name)}") == [(1, 2)]


def test_every_keyword_of_the_server_that_is_not_free_is_quoted(postgres: Cluster) -> None:
    words = [word for (word,) in postgres.sql("SELECT word FROM pg_get_keywords() WHERE catcode <> 'U'")]
    assert len(words) > 100
    assert [word for word in words if quote_identifier(word) == word] == []


@pytest.mark.parametrize("standard", ["on", "off"])
@pytest.mark.parametrize("value", [*NAMES, "", "\\'; --", "\n"])
def test_a_value_means_itself_whatever_the_server_makes_of_backslashes(
    postgres: Cluster, value: str, standard: str
) -> None:
    with postgres.connect() as connection:
        connection.execute(f"SET standard_conforming_strings = {standard}")
        assert connection.execute(f"SELECT {quote_literal(value)}").fetchone() == (value,)


def test_a_nul_is_refused() -> None:
    for quote in (quote_identifier, always_quoted, quote_literal):
        with pytest.raises(ValueError, match="NUL"):
            quote("a\0b")
