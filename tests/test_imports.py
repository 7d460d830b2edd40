"""Who may import whom (design, section 4), read from the source; and what a fast command must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.plan_texts import MINIMAL

ROOT = Path(__file__).parent.parent
DRIVERS = {"paramiko", "psycopg"}
PURE = tuple(
    f"preflight.{name}"
    for name in (
        *("check", "finding", "plan", "probe", "clock", "units", "record", "faults", "wording"),
        "judging",
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


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files("preflight/plan"), ids=named)
def test_the_plan_knows_nothing_that_is_made_of_it(path: Path) -> None:
    below = ("preflight.plan", "preflight.clock", "preflight.probe", "preflight.sessions.secrets", "preflight.units")
    assert not [name for name in ours(path) if not f"{name}.".startswith(tuple(f"{each}." for each in below))]


@pytest.mark.parametrize("name", ["probe", "finding", "units", "wording"])
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


VOCABULARY = (
    *("check", "probe", "finding", "evidence", "verdict", "clock", "units", "errors", "faults", "record", "wording"),
    *("secrets", "plan"),
)
MOST_FILES = 8
STILL_MORE = {
    "backup_space": 10, "competing_jobs": 12, "database_login": 16, "rollback_ready": 28,
    "script_hashes": 19, "script_runner": 16,
}  # fmt: skip
"""Checks that take more files to understand than they should, and how many. No number here may grow."""


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
    name = path.parent.name if path.name == "__init__.py" else path.stem
    read = sorted(map(named, files_to_read(path)))
    assert len(read) <= STILL_MORE.get(name, MOST_FILES), read
    assert name not in STILL_MORE or len(read) > MOST_FILES, "it reads few enough: take it out of STILL_MORE"


@pytest.mark.parametrize("call", ["--help", "--version"])
def test_help_and_version_load_neither_plan_nor_checks_nor_reports(call: str) -> None:
    assert loaded_by(call) == {
        *("preflight", "preflight.cli", "preflight.cli.console", "preflight.cli.main", "preflight.errors")
    }


def test_lint_loads_neither_metadata_of_packages_nor_checks_without_use(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(MINIMAL)
    loaded = loaded_by(
        "lint", str(tmp_path / "plan.toml"), beginning=("preflight_checks.", "email", "importlib.metadata")
    )
    assert loaded == {"preflight_checks.decisions"}


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
