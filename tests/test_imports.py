"""Who may import whom (design, section 4), read from the source; and what a fast command must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DRIVERS = {"paramiko", "psycopg"}
PURE = tuple(
    f"preflight.{name}"
    for name in (
        *("check", "finding", "plan", "probe", "clock", "sizes"),
        *("backups", "databases", "jobs", "scripts", "versions", "window"),
    )
)
"""What checks may know: the design's list, and pure modules that hold parts of one check's judgement."""
IMPURE = tuple(
    f"preflight.{name}"
    for name in ("cli", "sessions", "demo", "report", "gather", "run", "inspection", "registry", "loader", "evidence")
)
"""What questions, and the parts of checks, must not know: everything that asks, prints, or runs them."""


def imports(path: Path) -> set[str]:
    """Every module a file imports, wherever in the file; `TYPE_CHECKING` blocks included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def ours(path: Path) -> set[str]:
    return {name for name in imports(path) if name.startswith(("preflight", "checks"))}


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files("preflight/plan"), ids=named)
def test_the_plan_knows_nothing_that_is_made_of_it(path: Path) -> None:
    below = ("preflight.plan", "preflight.clock", "preflight.probe", "preflight.secrets")
    assert not [name for name in ours(path) if not f"{name}.".startswith(tuple(f"{each}." for each in below))]


@pytest.mark.parametrize("name", ["probe", "finding", "clock"])
def test_the_bottom_modules_import_nothing_of_ours(name: str) -> None:
    assert not ours(ROOT / "preflight" / f"{name}.py")


@pytest.mark.parametrize("path", files("checks"), ids=named)
def test_checks_stay_pure(path: Path) -> None:
    assert not [name for name in ours(path) if name.startswith(IMPURE)]
    assert not roots(path) & (DRIVERS | {"click", "socket", "subprocess", "os", "time", "sys", "ssl", "http"})


PARTS_OF_CHECKS = [
    path
    for path in files("preflight")
    if path.stem != "clock" and named(path).removesuffix(".py").replace("/", ".").startswith(PURE)
]


@pytest.mark.parametrize("path", [*files("preflight/probes"), *PARTS_OF_CHECKS], ids=named)
def test_probes_and_parts_of_checks_stay_pure(path: Path) -> None:
    assert not roots(path) & (DRIVERS | {"click", "socket", "subprocess", "os", "time", "sys", "ssl", "http"})
    assert not [name for name in ours(path) if name.startswith(IMPURE)]


@pytest.mark.parametrize("path", [*files("preflight"), *files("checks")], ids=named)
def test_only_sessions_and_the_demo_import_the_drivers(path: Path) -> None:
    if not named(path).startswith(("preflight/sessions/", "preflight/demo/")):
        assert not roots(path) & DRIVERS


@pytest.mark.parametrize("path", files("preflight/report"), ids=named)
def test_reports_neither_print_nor_know_the_program(path: Path) -> None:
    assert not roots(path) & {"click", "sys", "os", "time", "socket", "subprocess"}


@pytest.mark.parametrize("path", [*files("preflight"), *files("checks")], ids=named)
def test_click_is_known_to_the_command_line_only(path: Path) -> None:
    if not named(path).startswith("preflight/cli/"):
        assert "click" not in roots(path)


@pytest.mark.parametrize("path", [*files("preflight"), *files("checks")], ids=named)
def test_one_place_reads_the_clock(path: Path) -> None:
    if named(path) == "preflight/clock.py":
        return
    text = path.read_text(encoding="utf-8")
    assert "time" not in roots(path), "use preflight.clock"
    for call in ("datetime.now(", "datetime.utcnow(", "date.today("):
        assert call not in text


@pytest.mark.parametrize(
    "call",
    [
        ["--help"],
        ["--version"],
        ["lint", "plans/example.toml"],
        ["show", "plans/example.toml"],
        ["checks"],
        ["explain", "host-login"],
        ["schema", "plan"],
    ],
    ids=" ".join,
)
def test_commands_that_ask_nothing_load_no_driver(call: list[str]) -> None:
    program = (
        "import sys\nfrom preflight.cli.main import _run\n"
        f"sys.argv = ['preflight', *{call!r}]\ncode = _run()\n"
        "print('loaded:', sorted({'paramiko', 'psycopg'} & set(sys.modules)), int(code), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "loaded: [] 0" in done.stderr


def test_every_package_folder_is_shipped() -> None:
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent for path in files("preflight")}
    assert {str(folder.relative_to(ROOT)).replace("/", ".") for folder in folders} | {"preflight_checks"} == set(
        shipped
    )
