"""For CI systems that show test results: JUnit XML, one suite for each check, one case for each of its subjects.

| preflight | JUnit |
|---|---|
| FAIL of a blocking check | `failure` |
| UNKNOWN, STALE of a blocking check | `error` |
| SKIPPED, WAIVED | `skipped` |
| PASS; WARN and everything advisory | passed; what was seen in `system-out` |

A first case, `verdict`, is passed for GO alone, so that no reader of this file is greener than the verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from xml.etree import ElementTree as Xml

from preflight.finding import Finding, Judgement, Severity, Status
from preflight.report.layout import clean, clean_lines
from preflight.report.view import PLAIN, View
from preflight.verdict import Decision, Verdict

_OUTCOMES = {
    Status.FAIL: "failure",
    Status.UNKNOWN: "error",
    Status.STALE: "error",
    Status.SKIPPED: "skipped",
    Status.WAIVED: "skipped",
}
_VERDICTS = {Decision.NO_GO: "failure", Decision.HOLD: "error"}
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 forbids, in whatever form: ElementTree would write it all the same."""
_MOST_CHARACTERS = 20_000


def render(verdict: Verdict, view: View = PLAIN) -> str:  # noqa: ARG001 - the same call for every format
    """The file, UTF-8."""
    root = Xml.Element("testsuites", name="preflight")
    _verdict_suite(root, verdict)
    checks: dict[str, list[Finding]] = {}
    for finding in verdict.findings:
        checks.setdefault(finding.check, []).append(finding)
    for check, findings in checks.items():
        suite = _suite(root, check, verdict)
        for finding in findings:
            _case(suite, finding)
        _count(suite)
    _count_all(root)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _verdict_suite(root: Xml.Element, verdict: Verdict) -> None:
    suite = _suite(root, "preflight", verdict)
    release = verdict.plan.release
    properties = {
        "release": release.id,
        "verdict": verdict.headline,
        "exit_code": str(int(verdict.exit_code)),
        "plan_sha256": verdict.plan.digest,
        "evidence_sha256": verdict.evidence_digest,
        "judged_for": verdict.moment.astimezone(UTC).isoformat(),
        "vantage": verdict.vantage,
    }
    _properties(suite, properties)
    case = Xml.SubElement(suite, "testcase", classname="preflight", name="verdict", time="0.000")
    if verdict.decision in _VERDICTS:
        message = f"{release.id}: {verdict.headline}" + (f"; {verdict.reason}" if verdict.reason else "")
        _outcome(case, _VERDICTS[verdict.decision], verdict.decision, message, [message])
    told = [f"waiver {use.waiver.id}: {use.state}; {use.text}" for use in verdict.waivers]
    told += [f"unconfirmed: {gap}" for gap in verdict.unconfirmed]
    _system_out(case, told)
    _count(suite)


def _suite(root: Xml.Element, name: str, verdict: Verdict) -> Xml.Element:
    at = verdict.collected_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return Xml.SubElement(root, "testsuite", name=_text(name), timestamp=at, hostname="localhost")


def _properties(suite: Xml.Element, values: Mapping[str, str]) -> None:
    properties = Xml.SubElement(suite, "properties")
    for name, value in values.items():
        Xml.SubElement(properties, "property", name=name, value=_text(value))


def _case(suite: Xml.Element, finding: Finding) -> None:
    case = Xml.SubElement(
        suite,
        "testcase",
        classname=_text(f"preflight.{finding.check}"),
        name=_text(finding.subject),
        time=f"{finding.took_seconds:.3f}",
    )
    advisory = f" ({finding.severity})" if finding.severity is Severity.ADVISORY else ""
    # GitLab shows the text and not the message, so the summary stands in both.
    said = [f"{finding.status.upper()}{advisory}: {finding.judgement.summary}", *_said(finding)]
    decides = finding.severity is Severity.BLOCKING or finding.status is Status.SKIPPED
    if decides and finding.status in _OUTCOMES:
        _outcome(case, _OUTCOMES[finding.status], finding.status, finding.judgement.summary, said)
    else:
        _system_out(case, said)


def _outcome(case: Xml.Element, tag: str, kind: str, message: str, said: Sequence[str]) -> None:
    attributes = {"message": _text(message)} if tag == "skipped" else {"type": kind, "message": _text(message)}
    Xml.SubElement(case, tag, attributes).text = _lines(said)


def _system_out(case: Xml.Element, said: Sequence[str]) -> None:
    if said:
        Xml.SubElement(case, "system-out").text = _lines(said)


def _said(finding: Finding) -> Iterable[str]:
    """Of a pass nothing more: its summary is told already."""
    if finding.status is Status.PASS:
        return
    for point in finding.judgement.telling_points():
        if point is not finding.judgement:
            yield f"{point.status}: {point.summary}"
        yield from _seen(point)
    if finding.owner:
        yield f"owner: {finding.owner}"
    if finding.vantage:
        yield f"seen: {finding.vantage}"
    if finding.cause:
        yield f"cause: {finding.cause}"


def _seen(point: Judgement) -> Iterable[str]:
    for label, text in (("found", point.actual), ("wanted", point.expected), ("cure", point.remedy)):
        if text:
            yield f"{label}: {text}"
    yield from clean_lines(point.details[:_MOST_CHARACTERS]) if point.details else ()


def _count(suite: Xml.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")


def _count_all(root: Xml.Element) -> None:
    for attribute in ("tests", "failures", "errors"):
        root.set(attribute, str(sum(int(suite.get(attribute, "0")) for suite in root)))
    root.set("time", f"{sum(float(suite.get('time', '0')) for suite in root):.3f}")


def _text(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", clean(text[:_MOST_CHARACTERS]))


def _lines(lines: Sequence[str]) -> str:
    return "\n".join(_text(line) for line in lines)
