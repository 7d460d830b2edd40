"""The reader of psql scripts: includes wherever psql finds them, nothing where psql sees none."""

from __future__ import annotations

import pytest

from preflight.judging.psql_script import Include, scan_script


def files(text: str) -> list[str]:
    return list(map(str, scan_script(text).includes))


def reasons(text: str) -> list[str]:
    return [place.reason for place in scan_script(text).unsealable]


# Each row was run through psql 15: what it opened is what stands here, but for the branch of `\if` it did not take.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\i a.sql", [r"\i a.sql"]),
        ("\\i\ta.sql\r\n", [r"\i a.sql"]),
        ("\ufeff\\i a.sql\n", [r"\i a.sql"]),
        (r"   \i   a.sql   ", [r"\i a.sql"]),
        (r"\include a.sql", [r"\include a.sql"]),
        (r"\ir sub/a.sql", [r"\ir sub/a.sql"]),
        (r"\include_relative a.sql", [r"\include_relative a.sql"]),
        (r"select 1; \i a.sql", [r"\i a.sql"]),
        ("select 1 \\i a.sql\n;", [r"\i a.sql"]),
        (r"\i a.sql;", [r"\i a.sql"]),
        (r"\i a.sql;;;", [r"\i a.sql"]),
        (r"\i 'a.sql';", [r"\i a.sql"]),
        (r"\i 'semi;'", [r"\i semi;"]),
        (r"\i a.sql;x", [r"\i a.sql;x"]),
        (r"\i 'my file.sql'", [r"\i my file.sql"]),
        (r"\i my file.sql", [r"\i my"]),
        (r'\i "a.sql"', [r'\i "a.sql"']),
        (r"\i fo'o.sq'l", [r"\i foo.sql"]),
        (r"\i 'f''oo.sql'", [r"\i f'oo.sql"]),
        (r"\i 'f\x6f\157.sql'", [r"\i foo.sql"]),
        (r"\i 'a\tb\'c'", ["\\i a\tb'c"]),
        (r"\i a.sql\i b.sql", [r"\i a.sql", r"\i b.sql"]),
        (r"\i a.sql\\select 1;", [r"\i a.sql"]),
        (r"\i a.sql \\ \i b.sql", [r"\i a.sql", r"\i b.sql"]),
        (r"\set ECHO all \i a.sql", [r"\i a.sql"]),
        (r"\o\i a.sql", [r"\i a.sql"]),
        (r"select 1\;\i a.sql", [r"\i a.sql"]),
        ("-- note\r\\i a.sql", [r"\i a.sql"]),
        (r"\i -- a.sql", [r"\i --"]),
        (r"\i ~/a.sql", [r"\i ~/a.sql"]),
        ("\\if false\n\\i a.sql\n\\endif", [r"\i a.sql"]),
        (r"select U&'a\' \i a.sql", [r"\i a.sql"]),
        (r"select nameE'a\' \i a.sql", [r"\i a.sql"]),
        (r"select 1$a$ \i no $a$ \i a.sql", [r"\i a.sql"]),
        (r"select x$a$ \i a.sql", [r"\i a.sql"]),
        (r"select '' \i a.sql", [r"\i a.sql"]),
        (r"/* /* */ \i no */ \i a.sql", [r"\i a.sql"]),
        (r"\lo_import photo.jpg 'a photo'", [r"\lo_import photo.jpg"]),
        (r"\copy t from a.csv", [r"\copy a.csv"]),
        (r"\copy t from a.csv; select 1;", [r"\copy a.csv"]),
        (r"\copy t (a, b) from 'my a.csv' with (format csv)", [r"\copy my a.csv"]),
        (r"\copy t from 'o''clock.csv'", [r"\copy o'clock.csv"]),
        (r'\copy "from" from a.csv', [r"\copy a.csv"]),
        ("\\copy t FROM a.csv\n\\i b.sql", [r"\copy a.csv", r"\i b.sql"]),
        # not includes
        (r"\ifoo.sql", []),
        (r"\I a.sql", []),
        (r"\i", []),
        ("\\i \n a.sql", []),
        (r"-- \i a.sql", []),
        (r"/* \i a.sql */", []),
        (r"/* /* */ \i a.sql", []),
        (r"select '\i a.sql';", []),
        (r"select 'it''s \i a.sql';", []),
        ("select '\n\\i a.sql\n';", []),
        (r"select E'\'\i a.sql';", []),
        ("select E'x'\n  '\\'\\i a.sql';", []),
        (r'select "x\i a.sql";', []),
        (r'select "x""\i a.sql";', []),
        (r"select $$ \i a.sql $$;", []),
        (r"select $b$ $$ \i a.sql $$ $b$;", []),
        (r"select $ü$ \i a.sql $ü$;", []),
        (r"select $$ \i a.sql", []),
        (r"select 'open \i a.sql", []),
        (r"\copy (select a from b) to 'out.csv'", []),
        (r"\copy (select ') from x' from b) to out.csv", []),
        (r"\copy t to a.csv", []),
        (r"\h \i a.sql", []),
        (r"\sf f \i a.sql", []),
        (r"\echo '\i a.sql'", []),
    ],
)
def test_reads_files_where_psql_does(text: str, expected: list[str]) -> None:
    assert files(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("copy t from stdin;\n\\i data\n\\.\n\\i a.sql", [r"\i a.sql"]),
        ("COPY t (a, b) FROM STDIN WITH (DELIMITER ';');\n\\i data\n  \\.\n\\.\n\\i a.sql", [r"\i a.sql"]),
        ("copy t from stdin; \\i a.sql\n\\i data\n\\.\n", [r"\i a.sql"]),
        ("copy t from stdin \\g\n\\i data\n\\.\n\\i a.sql", [r"\i a.sql"]),
        ("\\copy t from stdin\n\\i data\n\\.\n\\i a.sql", [r"\i a.sql"]),
        ("copy t from stdin;\r\n\\i data\r\n\\.\r\n\\i a.sql", [r"\i a.sql"]),
        ("copy t from stdin;\nit's data\n\\.\n\\i a.sql", [r"\i a.sql"]),
        ("copy t from stdin;\n\\i data, and no end", []),
        ("copy t to stdout;\n\\i a.sql", [r"\i a.sql"]),
        ("select 'copy' from stdin;\n\\i a.sql", [r"\i a.sql"]),
        ("copy (select 1 from stdin) to stdout;\n\\i a.sql", [r"\i a.sql"]),
    ],
)
def test_data_inside_a_script_is_not_script(text: str, expected: list[str]) -> None:
    assert files(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\i :file", "name is in a variable"),
        (r"\i ./:'file'", "name is in a variable"),
        (r"\ir :{?file}", "name is in a variable"),
        (r"\lo_import :file", "name is in a variable"),
        (r"\i -", "standard input"),
        (r"\copy t from pstdin", "standard input"),
        (r"\copy t from program 'curl x'", "shell command"),
        (r"\copy t to program 'curl x'", "shell command"),
        (r"\! rm -r x", "shell command"),
        (r"\set x `date`", "between backquotes"),
        (r"\i `ls`", "between backquotes"),
        (r"select 'x' \gexec", "executes what a query returns"),
        (r"select 1 \g | sh", "pipes"),
        (r"select 1 \g (format=csv) |sh", "pipes"),
        (r"\o '|sh'", "pipes"),
        (r"\w |sh", "pipes"),
        (r"\cd /tmp", "changes the folder"),
        (r"\c other", "another database"),
        (r"\connect -reuse-previous=on", "another database"),
        (r"\setenv PGOPTIONS x", "environment"),
        (r"\getenv x HOME", "environment"),
        (r"\prompt 'which?' x", "asks"),
        ("copy t from program 'x';", "on the database server"),
        ("copy (select 1) to program 'x';", "on the database server"),
        ("copy t from '/tmp/x';", "file of the database server"),
        ("copy t from :file;", "what a variable names"),
        ("copy t from program 'x'", "on the database server"),
        ("copy t from program 'x' \\g", "on the database server"),
    ],
)
def test_what_cannot_be_sealed_is_named(text: str, expected: str) -> None:
    (reason,) = reasons(text)
    assert expected in reason
    assert not files(text)


@pytest.mark.parametrize(
    "text",
    [
        r"\set ON_ERROR_STOP on",
        r"\set ON_ERROR_STOP",
        r"\set x 'a`b`'",
        r'\echo "`date`"',
        r"\o out.txt",
        r"select 1 \g out.txt",
        "copy t to '/tmp/x';",
        "select $$ copy t from program 'x'; $$;",
        "-- \\! rm",
        "do $$ begin execute 'copy t from program ''x'''; end $$;",
        r"\pset pager off",
        r"\echo a | b",
        "select 1 as program;",
    ],
)
def test_what_the_script_itself_fixes_is_not_complained_of(text: str) -> None:
    assert not reasons(text)


OFF = r"\set ON_ERROR_STOP "


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{OFF}off\nselect 1;", 1),
        (f"select 1;\n{OFF}0", 2),
        (f"{OFF}no\ninsert into t values (1);\n{OFF}on\n", 1),
        (f"{OFF}f\n\\i next.sql\n{OFF}on\n", 1),
        (f"{OFF}false\n'text';{OFF}on\n", 1),
        ("select 1;\\unset ON_ERROR_STOP\n(select 1);", 1),
        (f"{OFF}off\n\\copy t from d.csv\n", 1),
        (f"{OFF}off\n$$x$$", 1),
    ],
)
def test_a_place_from_which_psql_goes_on_after_an_error_is_named(text: str, line: int) -> None:
    assert [(place.line, place.certain) for place in scan_script(text).deviations] == [(line, True)]


@pytest.mark.parametrize(
    "text",
    [
        f"{OFF}on\nselect 1;",
        f"{OFF}\nselect 1;",
        f"-- {OFF}off\nselect '{OFF}off';",
        "\\set ON_ERROR_ROLLBACK off\nselect 1;",
    ],
)
def test_what_leaves_it_on_is_no_such_place(text: str) -> None:
    assert not scan_script(text).deviations


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("create unique index\n concurrently if not exists i on t (a)", True),
        ("SELECT 1;\nREINDEX (VERBOSE, CONCURRENTLY) TABLE a.t;", True),
        ("reindex index concurrently i \\g", True),
        ("ALTER TABLE t DETACH PARTITION p FINALIZE;", True),
        ("\\if :big\nCREATE INDEX CONCURRENTLY i ON t (a);\n\\endif", True),
        ("CREATE INDEX /* CONCURRENTLY */ i ON t (a); -- CONCURRENTLY", False),
        (
            "COMMENT ON INDEX i IS 'CREATE INDEX CONCURRENTLY'; CREATE TABLE t (note text DEFAULT 'CONCURRENTLY');",
            False,
        ),
        ("DROP INDEX CONCURRENTLY i; CREATE TABLE t ();", False),
        ("CREATE TABLE t (); REFRESH MATERIALIZED VIEW CONCURRENTLY v;", False),
        ("ALTER TABLE t DETACH PARTITION p CONCURRENTLY;", False),
        ("COPY t FROM STDIN;\nCREATE INDEX CONCURRENTLY\n\\.\nREINDEX TABLE t;", False),
    ],
)
def test_what_waits_for_older_snapshots_is_told(text: str, wanted: bool) -> None:
    """As tried on PostgreSQL 15 and 18 beside a transaction of REPEATABLE READ that read another table."""
    assert scan_script(text).awaits_snapshots is wanted


def test_a_text_is_scanned_once() -> None:
    scan_script.cache_clear()
    assert scan_script("select 1;") is scan_script("select 1;")
    assert scan_script.cache_info().misses == 1


def test_places_carry_their_line_and_a_short_text() -> None:
    found = scan_script("select 1;\n\n/*\n*/\\ir x/y.sql\n\\! echo " + "x" * 100 + "\n\\copy t from d.csv\n")
    assert found.includes == (
        Include(4, r"\ir", "x/y.sql", relative=True, executed=True),
        Include(6, r"\copy", "d.csv", relative=False, executed=False),
    )
    assert [(place.line, len(place.text)) for place in found.unsealable] == [(5, 60)]


@pytest.mark.long
def test_a_large_script_is_read_in_passing() -> None:
    body = "insert into t values (1, 'it''s \\i no', E'\\'x', $$y$$); -- note\n" * 20_000
    assert files(body + "\\i a.sql") == [r"\i a.sql"]


@pytest.mark.parametrize(
    "text", ["'" * 99_999, "/*" * 50_000, "$a$" * 33_333, "(" * 99_999, "\\" * 99_999, "E'\\" * 9_999]
)
def test_hostile_scripts_end(text: str) -> None:
    scan_script(text)
