"""For CI systems that show test results: JUnit XML, one suite for each check, one case for each of its subjects.

| preflight | JUnit |
|---|---|
| FAIL of a blocking or required check | `failure` |
| UNKNOWN, STALE of one | `error` |
| SKIPPED, WAIVED | `skipped` |
| PASS; WARN and everything advisory | passed; what was seen in `system-out` |

A first case, `verdict`, is passed for GO alone, so that no reader of this file is greener than the verdict."""

from collections.abc import Sequence
from datetime import UTC
from xml.etree import ElementTree as Xml

from preflight.errors import ExitCode
from preflight.finding import Finding, Status
from preflight.report import PLAIN, View
from preflight.report.comparison import in_words
from preflight.report.document.sections import decided, finding_entry, left_out
from preflight.report.harmless import xml_lines, xml_text
from preflight.verdict import Verdict

_OUTCOMES = {
    Status.FAIL: "failure",
    Status.UNKNOWN: "error",
    Status.STALE: "error",
    Status.SKIPPED: "skipped",
    Status.WAIVED: "skipped",
}
_VERDICTS = {ExitCode.NO_GO: "failure", ExitCode.HOLD: "error"}


def render(verdict: Verdict, view: View = PLAIN) -> str:
    """The file, UTF-8."""
    root = Xml.Element("testsuites", name="preflight")
    _add_verdict(_add_suite(root, "preflight", verdict), verdict, view)
    suites: dict[str, Xml.Element] = {}
    for finding in verdict.findings:
        if finding.check not in suites:
            suites[finding.check] = _add_suite(root, finding.check, verdict)
        _add_case(suites[finding.check], verdict, finding)
    for suite in root:
        cases = suite.findall("testcase")
        suite.set("tests", str(len(cases)))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
        suite.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")
    for attribute in ("tests", "failures", "errors"):
        root.set(attribute, str(sum(int(suite.get(attribute, "0")) for suite in root)))
    root.set("time", f"{sum(float(suite.get('time', '0')) for suite in root):.3f}")
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _add_suite(root: Xml.Element, name: str, verdict: Verdict) -> Xml.Element:
    at = verdict.collected_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return Xml.SubElement(root, "testsuite", name=xml_text(name), timestamp=at, hostname="localhost")


def _add_verdict(suite: Xml.Element, verdict: Verdict, view: View) -> None:
    release = verdict.plan.release
    values = {
        "release": release.id,
        "verdict": verdict.headline,
        "exit_code": str(int(verdict.exit_code)),
        "plan_sha256": verdict.plan.digest,
        "evidence_sha256": verdict.evidence_digest,
        "judged_for": verdict.moment.astimezone(UTC).isoformat(),
        "vantage": verdict.vantage,
        "basis": "; ".join(verdict.basis),
        "changed": in_words(view.difference),
        "made_with": ", ".join(verdict.made_with),
    }
    properties = Xml.SubElement(suite, "properties")
    for name, value in values.items():
        Xml.SubElement(properties, "property", name=name, value=xml_text(value))
    case = Xml.SubElement(suite, "testcase", classname="preflight", name="verdict", time="0.000")
    if verdict.exit_code in _VERDICTS:
        message = f"{release.id}: {verdict.headline}" + (f"; {verdict.reason}" if verdict.reason else "")
        _add_outcome(case, _VERDICTS[verdict.exit_code], verdict.decision, message, [message])
    told = [f"decision: {each}" for each in decided(verdict)]
    told += [f"waiver {use.waiver.id}: {use.state}; {use.text}" for use in verdict.waivers]
    told += [f"without {each}" for each in left_out(verdict)]
    told += [f"unconfirmed: {gap}" for gap in verdict.unconfirmed]
    if told:
        Xml.SubElement(case, "system-out").text = _text(told)


def _add_case(suite: Xml.Element, verdict: Verdict, finding: Finding) -> None:
    """Says what it begins with, and of anything but a pass all the rest."""
    names = {"classname": xml_text(f"preflight.{finding.check}"), "name": xml_text(finding.subject)}
    case = Xml.SubElement(suite, "testcase", names, time=f"{finding.took_seconds:.3f}")
    severity, summary = finding.severity, finding.judgement.summary
    lines = [] if finding.status is Status.PASS else finding_entry(verdict, finding).lines
    told = lines[1:] if lines[:1] == [summary] else lines
    said = [f"{finding.status.upper()}{severity.mark}: {summary}", *told]  # GitLab shows no message
    said += [f"cause: {finding.cause}"] if finding.cause else []
    if finding.status in _OUTCOMES and (severity.decides or finding.status is Status.SKIPPED):
        _add_outcome(case, _OUTCOMES[finding.status], finding.status, summary, said)
    else:
        Xml.SubElement(case, "system-out").text = _text(said)


def _add_outcome(case: Xml.Element, tag: str, kind: str, message: str, said: Sequence[str]) -> None:
    attributes = {"message": xml_text(message)} if tag == "skipped" else {"type": kind, "message": xml_text(message)}
    Xml.SubElement(case, tag, attributes).text = _text(said)


def _text(lines: Sequence[str]) -> str:
    return "\n".join(part for line in lines for part in xml_lines(line))
