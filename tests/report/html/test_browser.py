"""The page in a real browser: nothing overflows, nothing is loaded, nothing runs, it prints on one sheet."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from preflight.evidence import write_private
from preflight.finding import failed
from preflight.report import PLAIN, View, Watch
from preflight.report.document import document
from preflight.report.formats import html
from preflight.report.formats.html import CONTENT_SECURITY_POLICY
from preflight.verdict import Verdict
from tests.report.formats.cases import CASES, HOSTILE, go, hostile, no_go, two_hundred_hosts
from tests.report.html.browser import Browser

_OVERFLOWING = """
[...document.querySelectorAll('body *')]
  .filter(e => !e.closest('svg') && !e.closest('thead'))
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(e => e.outerHTML.slice(0, 200))
"""


def many() -> Verdict:
    """Forty long blockers in text without a space."""
    bad = failed("x" * 300, expected="y" * 300, actual="z" * 300, remedy="/a/path" * 60, details="d" * 3000)
    first = next(each for each in no_go().findings if each.check == "login")
    unlike = [replace(bad, summary=f"{'x' * 300}{n}", remedy=f"run: ssh {'y' * 300}{n} true") for n in range(40)]
    return replace(
        no_go(), findings=[replace(first, subject=f"{'s' * 80}{n}", judgement=each) for n, each in enumerate(unlike)]
    )


PAGES: dict[str, Callable[[], Verdict]] = {**CASES, "hostile": hostile, "many": many, "hosts": two_hundred_hosts}


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name, verdict in PAGES.items():
        (folder / f"{name}.html").write_text(html.render(verdict()), "utf-8")
    return folder


@pytest.mark.long
@pytest.mark.parametrize("width", [375, 1024, 1920])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_overflows_and_nothing_goes_wrong(browser: Browser, pages: Path, name: str, width: int) -> None:
    browser.open(pages / f"{name}.html", width)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(_OVERFLOWING) == []
    assert browser.troubles == []


_SEEN = """
[...document.querySelectorAll(
  '.word, h1, .figures .value, svg.across, .card h3, .card > p strong, .card > ul > li:first-child > label')]
  .map(e => e.getBoundingClientRect()).map(r => [r.width > 0 && r.bottom <= innerHeight, r.top])
"""


@pytest.mark.parametrize("name", ["no-go", "hosts"])
def test_the_first_view_holds_verdict_times_window_and_the_card_of_each_owner(
    browser: Browser, pages: Path, name: str
) -> None:
    browser.open(pages / f"{name}.html", 1400)
    seen = browser.evaluate(_SEEN)
    assert len(seen) == 8 + 3 * len(document(PAGES[name](), PLAIN).cards)
    assert all(inside for inside, _ in seen)


def test_on_a_phone_the_window_stands_upright_with_decide_by_in_view(browser: Browser, pages: Path) -> None:
    browser.open(pages / "no-go.html", 375)
    assert browser.evaluate("getComputedStyle(document.querySelector('svg.across')).display") == "none"
    marks = "[...document.querySelectorAll('svg.upright text')].filter(e => e.textContent.startsWith('decide by'))"
    assert browser.evaluate(f"{marks}.map(e => e.getBoundingClientRect().bottom <= 812)") == [True]


def test_a_command_is_never_broken_and_is_selected_whole(browser: Browser, pages: Path) -> None:
    browser.open(pages / "many.html", 375)
    style = "getComputedStyle(document.querySelector('.card .command'))"
    assert browser.evaluate(f"{style}.whiteSpace") == "pre"
    assert browser.evaluate(f"{style}.userSelect") == "all"
    commands = "[...document.querySelectorAll('.card .command')]"
    lines = browser.evaluate(f"{commands}.map(e => e.clientHeight / parseFloat(getComputedStyle(e).lineHeight))")
    assert len(lines) == 40
    assert max(lines) < 2


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_it_prints_on_one_landscape_sheet(browser: Browser, pages: Path, name: str) -> None:
    browser.open(pages / f"{name}.html")
    printed = browser.pdf()
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", printed)) == 1
    _, _, width, height = map(float, re.findall(rb"/MediaBox\s*\[([^\]]*)\]", printed)[0].split())
    assert width > height


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_every_text_stands_out_from_its_ground(browser: Browser, pages: Path, name: str, dark: bool) -> None:
    """A contrast of 4.5, as WCAG 2 asks for of text, in light and in dark."""
    browser.open(pages / f"{name}.html", dark=dark)
    ground = _luminance(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
    colours = browser.evaluate(
        "[...new Set([...document.querySelectorAll('body *')].map(e => getComputedStyle(e)[e.closest('svg') && "
        "e.tagName == 'text' ? 'fill' : 'color']))]"
    )
    assert len(colours) >= 3
    for colour in colours:
        lighter, darker = sorted((ground, _luminance(colour)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, colour


def _luminance(colour: str) -> float:
    channels = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_style_is_applied_under_the_policy(browser: Browser, pages: Path) -> None:
    browser.open(pages / "go.html")
    assert browser.evaluate("getComputedStyle(document.querySelector('.word')).borderTopWidth") == "4px"


@pytest.mark.long
def test_the_policy_stops_a_script_a_style_and_a_request_if_one_ever_got_in(browser: Browser, tmp_path: Path) -> None:
    text = html.render(no_go())
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")
    for smuggled in (
        "<script>document.title = 'owned'</script>",
        "<img src='https://192.0.2.1/x.png' onerror='document.title = `owned`'>",
        "<style>body { display: none }</style>",
    ):
        (tmp_path / "x.html").write_text(text.replace("<main>", f"<main>{smuggled}"))
        browser.open(tmp_path / "x.html")
        assert browser.evaluate("document.title").startswith("NO-GO")
        assert browser.evaluate("getComputedStyle(document.body).display") == "block"
        assert browser.troubles, "the browser tells what it stopped, so an empty list elsewhere means something"
        if "https:" in smuggled:
            assert "stopped: csp" in browser.troubles, "before anything was sent"


def test_hostile_text_is_seen_as_text(browser: Browser, pages: Path) -> None:
    browser.open(pages / "hostile.html")
    assert "<script>alert(1)</script>" in browser.evaluate("document.body.textContent")
    assert browser.evaluate("document.querySelectorAll('script, iframe, object, img, link, a').length") == 0
    assert HOSTILE not in browser.evaluate("document.body.textContent")


def test_the_picture_has_a_name_for_those_who_do_not_see_it(browser: Browser, pages: Path) -> None:
    browser.open(pages / "no-go.html")
    assert browser.evaluate("document.querySelector('svg').getAttribute('role')") == "img"
    assert "decide by 04:09" in browser.evaluate("document.querySelector('svg desc').textContent")
    assert browser.evaluate("document.querySelectorAll('th:not([scope])').length") == 0
    assert browser.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("name", CASES)
def test_headings_and_landmarks_lead_through_the_page(browser: Browser, pages: Path, name: str) -> None:
    browser.open(pages / f"{name}.html")
    levels = browser.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map(e => Number(e.tagName[1]))")
    assert (levels[0], levels.count(1)) == (1, 1)
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels)), levels
    assert browser.evaluate("[...document.body.children].map(e => e.tagName)") == ["HEADER", "MAIN", "FOOTER"]
    assert browser.evaluate("document.querySelectorAll('input:not(label input)').length") == 0, "each box has a name"


def test_what_is_folded_can_be_opened_with_the_keyboard(browser: Browser, pages: Path) -> None:
    browser.open(pages / "no-go.html")
    folded = browser.evaluate("document.querySelectorAll('details:not([open]) > summary').length")
    assert folded == len(document(no_go(), PLAIN).findings) + len(document(no_go(), PLAIN).checks)


def board(verdict: Verdict) -> str:
    watch = Watch(at=verdict.collected_at, begun_at=verdict.collected_at, rounds=9, every_seconds=1, goes_on=True)
    return html.render(verdict, View(watch=watch))


@pytest.mark.long
def test_the_board_of_a_watch_reads_itself_again_and_holds_the_cards_in_its_first_view(
    browser: Browser, tmp_path: Path
) -> None:
    page = tmp_path / "board.html"
    write_private(page, board(go()))
    browser.open(page, 1400)
    assert browser.evaluate("document.title").startswith("GO ")
    write_private(page, board(no_go()))
    while browser.evaluate("document.title").startswith("GO "):  # it may have begun to read the page before
        browser.wait_for_reload()
    assert all(inside for inside, _ in browser.evaluate(_SEEN))
    assert browser.evaluate("document.documentElement.scrollWidth") <= 1400
    assert browser.troubles == []
