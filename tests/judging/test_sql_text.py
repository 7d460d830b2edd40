"""SQL text without its comments, and statement by statement."""

from __future__ import annotations

import pytest

from preflight.judging.sql_text import statements, without_comments


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("SELECT $$ it's -- x $$; -- y", "SELECT $$ it's -- x $$; "),
        ("SELECT $a$ $$ -- $a$ -- y", "SELECT $a$ $$ -- $a$ "),
        ("SELECT E'a\\'--'; -- y", "SELECT E'a\\'--'; "),
        ("SELECT 'a\\'; -- y", "SELECT 'a\\'; "),
        ('DROP TABLE "a--b"; -- y', 'DROP TABLE "a--b"; '),
        ("SELECT a$1$b -- $1$", "SELECT a$1$b "),
        ("SELECT 2-1, 4/2 /* a */", "SELECT 2-1, 4/2  "),
    ],
)
def test_what_looks_like_a_comment_in_strings_and_names_is_kept(text: str, kept: str) -> None:
    assert without_comments(text) == kept


def syntax(text: str) -> list[str]:
    return [statement.syntax for statement in statements(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("\ufeff ;; -- x", []),
        ("SELECT ';'; DROP TABLE \"a;b\"", ["select ''", 'drop table ""']),
        ("DO $$ BEGIN; END $$; COMMIT", ["do ''", "commit"]),
        ("SELECT 1 \\gexec\nCOMMIT", ["select 1", "\\gexec", "commit"]),
        ("\\echo a; b\nEND;", ["\\echo a; b", "end"]),
        ("COPY t FROM stdin;\nit's; DROP\n\\.\nCOMMIT;", ["copy t from stdin", "commit"]),
        ("COPY t FROM stdin;\ncut off", ["copy t from stdin"]),
        ("COPY t TO stdout; COMMIT", ["copy t to stdout", "commit"]),
    ],
)
def test_statements_end_where_psql_ends_them(text: str, found: list[str]) -> None:
    assert syntax(text) == found


def test_strings_are_handed_out_without_their_quotes() -> None:
    (statement,) = statements("DO LANGUAGE plpgsql $a$ code; $a$ || E'x''y'")
    assert (statement.syntax, statement.strings) == ("do language plpgsql '' || ''", (" code; ", "x'y"))
