"""Who may import whom (design, section 4), read from the source; and what a fast command must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.plan_texts import MINIMAL

ROOT = Path(__file__).parent.parent
KNOWS: dict[str, set[str]] = {
    "vocabulary": set(),
    "plan": set(),
    "questions": {"plan"},
    "judging": {"plan", "questions"},
    "checks": {"plan", "questions", "judging"},
    "sessions": {"plan", "questions"},
    "report": {"plan", "judging"},
    "engine": {"plan", "judging", "sessions"},
    "testing": {"plan", "engine"},
    "runs": {"plan", "engine", "report"},
    "reference": {"plan", "questions", "engine", "report"},
    "seal": {"plan", "questions", "judging", "sessions"},
    "rehearsal": {"plan", "questions", "judging", "sessions"},
    "demo": {"plan", "questions", "rehearsal"},
    "cli": {"plan", "questions", "engine", "sessions", "runs", "report", "reference", "seal", "rehearsal", "demo"},
}
"""Room -> the rooms above it that it may import; the vocabulary is everybody's. A room knows only rooms that stand
before it, so that no two know each other."""
EXCEPTIONS = {
    ("preflight/check.py", "plan"),
    ("preflight/verdict.py", "plan"),
    ("preflight/verdict.py", "judging"),
    ("preflight/__main__.py", "cli"),
}
"""Single modules that name types, or start the program."""
OUTSIDE = {"click", "socket", "subprocess", "os", "time", "sys", "ssl", "http", "paramiko", "psycopg"}
"""What touches the world: the pure rooms import none of it."""
MAY_TOUCH = {
    "vocabulary": {"os", "time", "sys"},  # each in one module: evidence writes files, clock reads the clock
    "plan": {"os"},
    "engine": {"sys"},
    "runs": {"os"},
    "seal": {"os"},
    "sessions": OUTSIDE - {"click", "time"},
    "rehearsal": OUTSIDE - {"click", "time"},
    "demo": OUTSIDE - {"click", "time", "psycopg"},
    "cli": OUTSIDE - {"time", "paramiko", "psycopg"},
}


@cache
def imports(path: Path) -> set[str]:
    """Every module a file imports, wherever in the file; `TYPE_CHECKING` blocks included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(path, node)
            found.add(module)
            found |= {f"{module}.{name.name}" for name in node.names}
    return found


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    """The module's whole name; a check imports its own parts relatively."""
    if not node.level:
        return node.module or ""
    package = path.relative_to(ROOT).parts[: -node.level]
    return ".".join([*package, *filter(None, [node.module])])


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def ours(path: Path) -> set[str]:
    return {name for name in imports(path) if name.startswith(("preflight", "checks"))}


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


SOURCE = [*files("preflight"), *files("checks")]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room(name: str) -> str:
    """The room of a module of ours, by its dotted name."""
    top, *rest = name.split(".")
    if top in ("checks", "preflight_checks"):
        return "checks"
    if rest and ((ROOT / "preflight" / rest[0]).is_dir() or rest[0] == "testing"):
        return rest[0]
    return "vocabulary"


def faults(path: Path) -> Iterator[str]:
    """What a module imports, or calls, and its room does not allow."""
    own = room(named(path).removesuffix(".py").replace("/", "."))
    for name in ours(path):
        other = room(name)
        allowed = KNOWS[own] | {own, "vocabulary"}
        if other not in allowed and (named(path), other) not in EXCEPTIONS:
            yield f"{own} must not know {other}: {named(path)} imports {name}"
    for name in roots(path) & OUTSIDE - MAY_TOUCH.get(own, set()):
        yield f"{own} touches nothing outside: {named(path)} imports {name}"
    if named(path) != "preflight/clock.py":
        text = path.read_text(encoding="utf-8")
        calls = [call for call in ("datetime.now(", "datetime.utcnow(", "date.today(") if call in text]
        yield from (f"one place reads the clock, preflight.clock: {named(path)} calls {call}" for call in calls)


def test_rooms_know_only_what_stands_before_them() -> None:
    order = list(KNOWS)
    assert [
        f"{one} knows {other}" for one in order for other in KNOWS[one] if order.index(other) > order.index(one)
    ] == []
    assert {room(named(path).removesuffix(".py").replace("/", ".")) for path in SOURCE} == set(KNOWS)
    assert [fault for path in SOURCE for fault in faults(path)] == []


@pytest.mark.long
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


VOCABULARY = (
    *(
        "check",
        "probe",
        "finding",
        "reasons",
        "evidence",
        "verdict",
        "clock",
        "units",
        "errors",
        "faults",
        "record",
        "wording",
    ),
    *("secrets", "plan"),
    *(
        "questions.fields",
        "questions.shell",
        "questions.sql",
        "questions.local",
    ),  # what questions of every kind are made of
)
MOST_FILES = 8


def module_file(name: str) -> Path | None:
    """The file of a module of ours; None for what is no module, and for a package that only holds others."""
    path = ROOT / name.replace("preflight_checks", "checks").replace(".", "/")
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file() and len(ast.parse(file.read_text(encoding="utf-8")).body) > 1:
            return file
    return None


def files_to_read(check: Path) -> set[Path]:
    """What one opens besides the check's own first file and the vocabulary, to the last import."""
    vocabulary = tuple(f"preflight.{name}." for name in VOCABULARY)
    found, waiting = {check}, [check]
    while waiting:
        names = (name for name in ours(waiting.pop()) if not f"{name}.".startswith(vocabulary))
        new = {file for file in map(module_file, names) if file} - found
        found |= new
        waiting += new
    return found - {check}


CHECKS = [path for path in files("checks") if path.parent == ROOT / "checks" or path.name == "__init__.py"]


@pytest.mark.parametrize("path", [path for path in CHECKS if path != ROOT / "checks" / "__init__.py"], ids=named)
def test_a_check_is_understood_from_few_files(path: Path) -> None:
    read = sorted(map(named, files_to_read(path)))
    assert len(read) <= MOST_FILES, read


@pytest.mark.parametrize("call", ["--help", "--version"])
def test_help_and_version_load_neither_plan_nor_checks_nor_reports(call: str) -> None:
    assert loaded_by(call) == {
        *("preflight", "preflight.cli", "preflight.cli.console", "preflight.cli.main", "preflight.errors")
    }


@pytest.mark.long
def test_lint_loads_neither_metadata_of_packages_nor_checks_without_use(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(MINIMAL)
    loaded = loaded_by(
        "lint", str(tmp_path / "plan.toml"), beginning=("preflight_checks.", "email", "importlib.metadata")
    )
    assert loaded == {"preflight_checks.decisions", "preflight_checks.plan_coverage"}


def loaded_by(*call: str, beginning: tuple[str, ...] = ("preflight",)) -> set[str]:
    """The modules loaded when a command has ended, of those that begin so."""
    program = (
        f"import sys\nfrom preflight.cli.main import _run\nsys.argv = ['preflight', *{call!r}]\n_run()\n"
        f"print(*[name for name in sys.modules if name.startswith({beginning!r})], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    return set(done.stderr.splitlines()[-1].split())


def test_every_package_folder_is_shipped() -> None:
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(ROOT).parts for path in [*files("preflight"), *files("checks")]}
    packages = {".".join(("preflight_checks" if top == "checks" else top, *rest)) for top, *rest in folders}
    assert packages == set(shipped)
