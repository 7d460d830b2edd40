"""Lines that are folded for a terminal."""

from __future__ import annotations

import pytest

from preflight.report.harmless import command_in
from preflight.report.layout import WIDTH, detail, wrapped


@pytest.mark.parametrize("quantity", ["6 h", "15 min", "0.4 s", "900 ms", "12 GiB", "512 B"])
def test_no_line_ends_between_a_number_and_its_unit(quantity: str) -> None:
    for width in range(20, 45):
        lines = list(wrapped(f"what is there takes {quantity} of the window", "  ", width=width))
        assert any(quantity in line for line in lines), lines
        assert " ".join(line.strip() for line in lines) == f"what is there takes {quantity} of the window"


@pytest.mark.parametrize(
    ("cure", "parts"),
    [
        ("have it made on db2: install -d /srv/x", ("have it made on db2:", "install -d /srv/x", "")),
        ("ALTER ROLE release VALID UNTIL '2026-12-07';", ("", "ALTER ROLE release VALID UNTIL '2026-12-07';", "")),
        ("as root: systemctl stop a.timer; or move it", ("as root:", "systemctl stop a.timer", "or move it")),
        ("run: preflight rehearse p.toml; then look", ("run:", "preflight rehearse p.toml", "then look")),
        ("on db1: for each; as root: rm -f a; rm -f b", ("on db1: for each; as root:", "rm -f a; rm -f b", "")),
        ("run: preflight show 'a; b.toml'; then look", ("run:", "preflight show 'a; b.toml'", "then look")),
        ("then: rm -f 'a; or b'; or move it", ("then:", "rm -f 'a; or b'", "or move it")),
        ("then: chown me x; or, if not, `rm y`", ("then:", "chown me x", "or, if not, `rm y`")),
        (
            "pin it: ssh-keygen -R db1 -f k && preflight seal p",
            ("pin it:", "ssh-keygen -R db1 -f k && preflight seal p", ""),
        ),
        ("it says: ssh-keygen takes no such key", ("it says: ssh-keygen takes no such key", "", "")),
        ("stage it: scp -i k -- a 'b:c'", ("stage it:", "scp -i k -- a 'b:c'", "")),
        ("in sudoers: me ALL=(postgres) NOPASSWD: /x, /y", ("in sudoers:", "me ALL=(postgres) NOPASSWD: /x, /y", "")),
        ("SELECT a FROM b; no row: CREATE ROLE c;", ("", "SELECT a FROM b;", "no row: CREATE ROLE c;")),
        ("ALTER ROLE a LOGIN; ALTER ROLE b LOGIN; or c", ("", "ALTER ROLE a LOGIN; ALTER ROLE b LOGIN;", "or c")),
        ("mount a disk on db1", ("mount a disk on db1", "", "")),
        ("see to it: psql -c 'a\u202eb'", ("see to it: psql -c 'a\u202eb'", "", "")),
        (f"then: ssh {'y' * 6000}", (f"then: ssh {'y' * 6000}", "", "")),
    ],
)
def test_a_cure_is_an_act_and_the_command_to_paste(cure: str, parts: tuple[str, str, str]) -> None:
    assert command_in(cure) == parts


def test_a_long_command_stands_in_a_line_of_its_own() -> None:
    command = f"ssh {'y' * WIDTH} true"
    assert [line.strip() for line in detail("cure", f"run: {command}")] == ["cure    run:", command]
    assert [line.strip() for line in detail("cure", command)] == [f"cure    {command}"]
