"""For everybody who opens a link: one self-contained page, without a script, that prints on one landscape sheet."""

from __future__ import annotations

import preflight
from preflight.report.html import sections
from preflight.report.html.elements import Html, el
from preflight.report.html.style import CONTENT_SECURITY_POLICY, STYLE
from preflight.report.view import PLAIN, View
from preflight.verdict import Verdict


def render(verdict: Verdict, view: View = PLAIN) -> str:
    """The page, UTF-8."""
    command = view.command or f"preflight run {verdict.plan.path.name}"
    page = el(
        "html",
        el(
            "head",
            el("meta", charset="utf-8"),
            el("meta", http_equiv="Content-Security-Policy", content=CONTENT_SECURITY_POLICY),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("meta", name="referrer", content="no-referrer"),
            el("title", f"{verdict.headline} {verdict.plan.release.id}"),
            el("style", Html(STYLE)),
        ),
        el(
            "body",
            sections.head(verdict, view),
            el(
                "main",
                sections.the_window(verdict),
                sections.to_cure(verdict),
                sections.waivers(verdict),
                el(
                    "div",
                    sections.versions(verdict),
                    sections.people(verdict),
                    sections.ages(verdict),
                    sections.not_checked(verdict),
                    class_="columns",
                ),
                sections.findings(verdict),
                sections.all_checks(verdict),
            ),
            el("footer", el("p", "To reproduce: ", el("code", command), f" (preflight {preflight.__version__})")),
        ),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{page}\n"
