"""Manifests: what `sha256sum` writes is read, what we write it reads, what cannot be relied on is refused."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.plan.manifest import ManifestError, format_manifest, name_problem, parse_manifest

A = "a" * 64
B = "b" * 64
HOSTILE_NAMES = [
    "030_app1.sql", " lead.sql", "trail ", "*star.sql", "-n.sql", "-", "--", "$(id).sql", "`id`", "a'b\"c.sql",
    "new\nline.sql", "back\\slash.sql", "back\\nslash", "carriage\rreturn", "ünïcode.sql", "deep/er/file.sql",
    "#comment.sql", "a  b.sql", "SHA256 (x) = y", "x) = y", "\u2028", "\\",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{A}  one.sql\n", {"one.sql": A}),
        (f"{A} *one.sql\n", {"one.sql": A}),
        (f"{A}  *star.sql\n", {"*star.sql": A}),
        (f"{A}   lead.sql\n", {" lead.sql": A}),
        (f"{A}  ./one.sql\n", {"one.sql": A}),
        (f"{A}  ./-\n", {"-": A}),
        (f"{A.upper()}  one.sql", {"one.sql": A}),
        (f"{A}  one.sql\r\n{B}  two.sql\r\n", {"one.sql": A, "two.sql": B}),
        (f"\\{A}  a\\nb\\\\c\\rd\n", {"a\nb\\c\rd": A}),
        (f"{A}  a\\nb\n", {"a\\nb": A}),
        (f"SHA256 (one.sql) = {A}\n", {"one.sql": A}),
        (f"\\SHA256 (a\\nb) = {A}\n", {"a\nb": A}),
        (f"# approved by the DBA\n\n{A}  one.sql\n\n", {"one.sql": A}),
        (f"{B}  b.sql\n{A}  a.sql\n", {"b.sql": B, "a.sql": A}),
        ("", {}),
        ("\n# nothing\n", {}),
    ],
)
def test_the_usual_forms_are_read(text: str, expected: dict[str, str]) -> None:
    assert list(parse_manifest(text).items()) == list(expected.items())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{A}  a.sql\n{B}  a.sql\n", "line 2: 'a.sql' is listed twice"),
        (f"{A}  a.sql\n{A}  a.sql\n", "listed twice"),
        (f"{A}  a.sql\n{A}  ./a.sql\n", "listed twice"),
        (f"{A}  a.sql\n{A}  A.sql\n", "one name on some file systems"),
        (f"{A}  \u00e9\n{B}  e\u0301\n", "one name on some file systems"),
        (f"{A}  /etc/passwd\n", "absolute"),
        (f"{A}  ../a.sql\n", "leaves the folder"),
        (f"{A}  x/../a.sql\n", "leaves the folder"),
        (f"{A}  x//a.sql\n", "empty part"),
        (f"{A}  x/./a.sql\n", "empty part"),
        (f"{A}  x/\n", "empty part"),
        (f"{A}  a\x1b[2Jb\n", "control characters"),
        (f"\\{A}  a\\tb\n", "unknown escape"),
        (f"\\{A}  a\\\n", "unknown escape"),
        (f"{A[:63]}  a.sql\n", "line 1: not"),
        (f"{A[:63]}g  a.sql\n", "line 1: not"),
        (f"{A}a  a.sql\n", "line 1: not"),
        (f"{A} a.sql\n", "line 1: not"),
        (f"{A}\n", "line 1: not"),
        (f"{A}  \n", "line 1: not"),
        (f"\ufeff{A}  a.sql\n", "line 1: not"),
        (f"{'d' * 32}  a.sql\n", "line 1: not"),
        (f" {A}  a.sql\n", "line 1: not"),
        (f"{A}  a\ufffd.sql\n", "cannot be read"),
        ("<html>\n" * 9, "and 4 more"),
    ],
)
def test_what_cannot_be_relied_on_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize("name", ["/a", "../a", "a/..", "a//b", "./a", "", "a\tb", "a\x7f", "a\udcff.sql", "a\0b"])
def test_a_name_that_cannot_stand_in_a_manifest_is_not_written(name: str) -> None:
    assert name_problem(name)
    with pytest.raises(ManifestError):
        format_manifest({name: A})


def test_sha256sum_reads_what_is_written_and_writes_what_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "approved"
    for name in HOSTILE_NAMES:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"content of {name}")
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in HOSTILE_NAMES}
    manifest = tmp_path / "manifest"
    manifest.write_text(format_manifest(hashes), encoding="utf-8", newline="")

    check = ["sha256sum", "--strict", "-c", str(manifest)]
    done = subprocess.run(check, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(b": OK") == len(HOSTILE_NAMES)

    names = [f"./{name}" for name in HOSTILE_NAMES]
    for option in ("--text", "--binary", "--tag"):
        written = subprocess.run(["sha256sum", option, "--", *names], cwd=folder, capture_output=True, check=True)
        assert parse_manifest(written.stdout.decode()) == hashes


def test_the_order_written_does_not_depend_on_the_order_given() -> None:
    names = ["b", "a", "B", "10", "9"]
    assert format_manifest({name: A for name in names if name != "B"}) == format_manifest(
        {name: A for name in sorted(names) if name != "B"}
    )


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.just(A), max_size=8))
def test_everything_written_reads_back_equal(hashes: dict[str, str]) -> None:
    try:
        text = format_manifest(hashes)
    except ManifestError:
        return
    assert parse_manifest(text) == hashes
