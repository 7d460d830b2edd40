"""What a script does at most: the ways to change nothing, and everything else."""

from __future__ import annotations

import pytest
from preflight_checks.rollback_ready.ways_back import Effect, does_the_same, effect_of, statements, without_comments

RAISE = "DO $$ BEGIN RAISE EXCEPTION 'there is no way back'; END $$;"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\ufeff\n ;;\n",
        "-- DROP TABLE t;",
        "/* a /* nested */ DROP TABLE t; */",
        "BEGIN;\n-- nothing\nCOMMIT;\n",
        "START TRANSACTION; END;",
        "begin isolation level serializable; commit;",
        "\\set ON_ERROR_STOP on\n\\echo undoing; nothing\n",
        "\\echo don't\n-- DROP TABLE t; can't",
        "SET lock_timeout = '2s'; ROLLBACK;",
        "/* DROP TABLE t; -- never closed",
        "SAVEPOINT a; ROLLBACK TO a; RELEASE a; LOCK TABLE t;",
        "\\if :{?x}\n\\quit\n\\endif\n",
        "\\c orders\n\\dt+ public.*\n",
    ],
)
def test_comments_and_settings_do_nothing(text: str) -> None:
    assert effect_of(text) is Effect.NOTHING


@pytest.mark.parametrize(
    "text",
    [
        "SELECT '--';",
        "/* a */ SELECT 1 -- b",
        "BEGIN; SELECT count(*) FROM t WHERE a IN (1, 2) FOR UPDATE; COMMIT;",
        "WITH x AS (SELECT max(a) FROM t) SELECT 'DELETE FROM t', pg_catalog.now() FROM x;",
        "TABLE t; VALUES (1), (2);",
        "DO $$ BEGIN RAISE NOTICE 'insert into t'; END $$;",
        "DO $$ BEGIN IF EXISTS (SELECT 1 FROM t) THEN RAISE EXCEPTION 'used'; END IF; END $$;",
        "SELECT last_update FROM t \\g\n",
    ],
)
def test_queries_and_blocks_that_only_look_change_nothing(text: str) -> None:
    assert effect_of(text) is Effect.READS


@pytest.mark.parametrize(
    "text",
    [
        RAISE,
        f"BEGIN; {RAISE} COMMIT;",
        f"SET lock_timeout = 0; {RAISE} DROP TABLE t;",
        f"BEGIN; DROP TABLE t; {RAISE} COMMIT;",
        "do language plpgsql $x$ declare a int; begin raise 'no'; end $x$",
        "DO 'BEGIN RAISE EXCEPTION ''no''; DELETE FROM t; END'",
        "\\echo no way back\n\\quit\nDROP TABLE t;",
        "\\q\n",
        "BEGIN; DROP TABLE t;\n\\q\nCOMMIT;",
    ],
)
def test_what_gives_up_before_its_first_change_is_told(text: str) -> None:
    assert effect_of(text) is Effect.STOPS


@pytest.mark.parametrize("text", ["BEGIN; DROP TABLE t; ROLLBACK;", "begin; delete from t; abort; select 1;"])
def test_a_rehearsal_that_rolls_back_changes_nothing(text: str) -> None:
    assert effect_of(text) is Effect.UNDONE


@pytest.mark.parametrize(
    "text", ["BEGIN; DROP TABLE t;", "START TRANSACTION; DROP TABLE t; SAVEPOINT a; ROLLBACK TO a;"]
)
def test_a_transaction_that_never_ends_is_told(text: str) -> None:
    assert effect_of(text) is Effect.UNFINISHED


@pytest.mark.parametrize(
    "text",
    [
        "SELECT undo_release();",
        "SELECT app.replace(a) FROM t;",
        'SELECT "Undo" ();',
        "DO $$ DECLARE a int; BEGIN a := undo(); END $$;",
        f"SELECT undo(); {RAISE}",
    ],
)
def test_queries_that_call_functions_may_change_something(text: str) -> None:
    assert effect_of(text) is Effect.CALLS


@pytest.mark.parametrize(
    "text",
    [
        "DROP TABLE t;",
        "BEGIN; DROP TABLE t; COMMIT;",
        f"DROP TABLE t; {RAISE}",
        "BEGIN; DROP TABLE t; SAVEPOINT a; ROLLBACK TO SAVEPOINT a; COMMIT;",
        "BEGIN; DROP TABLE t; COMMIT AND CHAIN; COMMIT;",
        "\\i other.sql",
        "\\echo a \\\\ DROP TABLE t;",
        "\\copy t from 'x'",
        "SELECT format('DROP TABLE %I', name) FROM t \\gexec\n",
        "/* ---- header ---- */\nDROP TABLE t;",
        "/*\n * don't panic\n */\nUPDATE t SET word = 'a';",
        "UPDATE t\nSET word = 'a';",
        "do$$ -- $$;",
        "SELECT * INTO u FROM t;",
        "WITH x AS (DELETE FROM t RETURNING *) SELECT count(*) FROM x;",
        "SELECT pg_catalog.setval('s', 1);",
        "CALL undo();",
        "BEGIN; COPY t FROM stdin;\nit's\n\\.\nCOMMIT;",
        "DO $$ BEGIN PERFORM undo(); END $$;",
        "DO $$ BEGIN IF a THEN RAISE EXCEPTION 'x'; END IF; DELETE FROM t; END $$;",
        "DO $$ BEGIN RAISE EXCEPTION 'x'; EXCEPTION WHEN OTHERS THEN DELETE FROM t; END $$;",
        "DO $$ DECLARE a int; BEGIN IF a THEN BEGIN RAISE 'x'; END; END IF; DELETE FROM t; END $$;",
        "DO LANGUAGE plpython3u $$ x() $$;",
        "\\if :dry\n\\quit\n\\endif\nDROP TABLE t;",
    ],
)
def test_anything_else_changes_something(text: str) -> None:
    assert effect_of(text) is Effect.CHANGES


def test_a_hostile_script_is_read_in_no_time() -> None:
    for text in (
        "'" * 50_000 + "x",
        "$a$" * 50_000,
        "e'\\" * 50_000,
        "/*" * 50_000,
        "$" * 100_001,
        "select " + "a" * 100_000,
        "select " + '"" ' * 30_000,
        "do $$ declare " + "begi " * 30_000 + "$$",
        "commit " + "and " * 30_000,
        ";" * 100_000,
    ):
        effect_of(text)


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


def test_comments_and_white_space_make_no_other_script() -> None:
    assert does_the_same("CREATE TABLE t (); -- forward", "/* back */\nCREATE  TABLE t ();\n")
    assert not does_the_same("CREATE TABLE t ();", "DROP TABLE t;")
