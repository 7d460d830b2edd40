"""Every TOML block of the documentation, and the example plan, run on the site they speak of.

A block with a release is a whole plan. What any other leaves out is as in `plans/example.toml`: its tables, and its
arrays of tables, take the place of the example's of the same name. One that begins with the name of a file is that
file, beside the plans of its page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from preflight.plan.ranges import Ranges
from tests.cli.program import preflight
from tests.docs.example_site import PLANS, PROJECT, ExampleSite
from tests.site.site import Site
from tests.test_plans import head_of

EXAMPLE = PLANS / "example.toml"
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted(PROJECT.glob("docs/**/*.md"))]
BLOCKS = {
    f"{page.relative_to(PROJECT)}-{number}": block
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```toml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL))
}
WHOLE = [name for name, block in BLOCKS.items() if block.startswith("[release]")]
FILES = [name for name, block in BLOCKS.items() if re.match(r"# \S+\.toml\n", block)]


@pytest.fixture(scope="module")
def example(site: Site) -> Iterator[ExampleSite]:
    example = ExampleSite(site)
    yield example
    example.close()


def guide_plan(name: str, on_this_site: Mapping[str, str] = MappingProxyType({})) -> str:
    """The whole plan that a guide shows as this file. `on_this_site`: what stands in it -> what takes its place."""
    (block,) = (block for block in BLOCKS.values() if block.startswith(f"# {name}.toml\n"))
    for shown, real in on_this_site.items():
        assert shown in block, shown
        block = block.replace(shown, real)
    return block


def laid_over(example: str, block: str, files: Iterable[str] = ()) -> str:
    """The example with the tables of a block, and of the files that it includes, in the place of its own."""
    headers = [
        made.name
        for text in (block, *files)
        for header in re.findall(r"^\[\[?(.+?)\]?\](?: |$)", text, re.MULTILINE)
        for made in Ranges().entries(header.replace('"', ""), {})
    ]
    assert headers, "a block is tables with their headers"
    kept = []
    for table in re.split(r"^(?=\[)", example, flags=re.MULTILINE):
        name = table.partition("]")[0].lstrip("[")
        if not any(name == header or name.startswith(f"{header}.") for header in headers):
            kept.append(table)
    above, _, tables = block.rpartition("\n\n") if block.startswith("include") else ("", "", block)
    return f"{above}\n{''.join(kept)}\n{tables}"


def run(example: ExampleSite, folder: Path, text: str, files: Mapping[str, str] | None = None) -> str:
    """What `preflight run` prints of a plan that is valid and a GO."""
    plan = example.plan(folder, text, files or {})
    assert example.preflight("seal", plan).returncode == 0
    for command in ("lint", "show"):  # which ask nothing: no need to be there
        assert preflight(command, plan).returncode == 0
    done = example.preflight("run", plan)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_the_example_is_a_go_with_the_waiver_that_it_explains(example: ExampleSite, tmp_path: Path) -> None:
    assert run(example, tmp_path, EXAMPLE.read_text()).startswith("GO with 1 waiver  REL-")


@pytest.mark.long
def test_the_plan_with_which_the_example_begins_is_a_go(example: ExampleSite, tmp_path: Path) -> None:
    assert run(example, tmp_path, head_of(EXAMPLE.read_text())).startswith("GO")


@pytest.mark.long
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_plan_is_a_go(example: ExampleSite, tmp_path: Path, name: str) -> None:
    assert run(example, tmp_path, BLOCKS[name]).startswith("GO")


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(BLOCKS.keys() - WHOLE - set(FILES)))
def test_a_block_is_true_where_it_says(example: ExampleSite, tmp_path: Path, name: str) -> None:
    block, page = BLOCKS[name], name.rpartition("-")[0]
    of_page = [BLOCKS[each] for each in FILES if each.rpartition("-")[0] == page] if "include" in block else []
    text = laid_over(EXAMPLE.read_text(), block, of_page)
    files = {each.partition("\n")[0].removeprefix("# "): each for each in of_page}
    assert run(example, tmp_path, text, files).startswith("GO with 1 waiver")


def test_none_is_left_out() -> None:
    assert list(PLANS.glob("*.toml")) == [EXAMPLE]
    assert len(BLOCKS) == sum(page.read_text().count("```toml") for page in PAGES) > len(WHOLE) == 1
