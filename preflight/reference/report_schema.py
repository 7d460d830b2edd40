"""JSON Schema of the JSON report and of what it promises: `schema` is raised only when a field goes away or changes its
meaning; new fields may come at any time, so a reader ignores what it does not know.

The published schema is strict about the fields of today, so that the tests see when report and schema part."""

from __future__ import annotations

from typing import Any

from preflight.errors import ExitCode
from preflight.finding import Severity, Status
from preflight.judging.end_states import StateStatus
from preflight.verdict import REPORT_SCHEMA, Decision, WaiverState

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
_MOMENT: Schema = {"type": "string", "format": "date-time", "description": "With an offset; UTC."}
_SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def report_schema() -> Schema:
    """The schema of `--format json`."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "preflight report",
        **_object(
            schema={"const": REPORT_SCHEMA},
            verdict=_one_of(Decision),
            headline={**_TEXT, "description": "The verdict in words: `GO with 1 waiver; 1 thing unconfirmed`."},
            exit_code={"enum": [int(each) for each in (ExitCode.GO, ExitCode.NO_GO, ExitCode.HOLD)]},
            reason={**_TEXT, "description": "Why it is not GO when no finding says so; else empty."},
            release=_object(id=_TEXT, title=_TEXT, ticket=_TEXT),
            window=_object(zone=_TEXT, start=_MOMENT, end=_MOMENT, needed_until=_MOMENT),
            moment={**_MOMENT, "description": "The instant judged."},
            collected_at={**_MOMENT, "description": "When the systems were asked."},
            vantage={**_TEXT, "description": "Where preflight ran and as whom."},
            plan=_object(file=_TEXT, sha256=_SHA256),
            evidence_sha256=_SHA256,
            planned={**_COUNT, "description": "Every check of every subject; the counts add up to it."},
            counts=_counts(Status),
            findings=_many(_finding()),
            unconfirmed=_many({**_TEXT, "description": "What the plan asks of nobody."}),
            basis=_many(_TEXT),
            schedule=_object(planned=_or_null(_schedule()), found=_or_null(_schedule())),
            waivers=_many(
                _object(
                    id=_TEXT, check=_TEXT, subject=_TEXT, state=_one_of(WaiverState), text=_TEXT, limit=_TEXT,
                    reason=_TEXT, approved_by=_TEXT, expires=_MOMENT,
                )
            ),
            ages=_many(_object(family=_TEXT, old_seconds=_NUMBER, max_seconds=_NUMBER)),
            events=_many(_object(at=_MOMENT, text=_TEXT)),
            end_states=_object(counts=_counts(StateStatus), listed=_many(_end_state())),
        ),
    }  # fmt: skip


def _finding() -> Schema:
    judgement: Schema = {
        "summary": _TEXT,
        "expected": _TEXT,
        "actual": _TEXT,
        "remedy": {**_TEXT, "description": "The act or command that cures it."},
        "minutes_at_stake": _or_null(_NUMBER),
        "details": _TEXT,
    }
    return _object(
        check=_TEXT,
        title=_TEXT,
        subject=_TEXT,
        status=_one_of(Status),
        severity=_one_of(Severity),
        owner={**_TEXT, "description": "Person, role and contact."},
        cause={**_TEXT, "description": "Why it could not look, the same text for all findings of one cause."},
        vantage=_TEXT,
        oldest_evidence_at=_or_null(_MOMENT),
        took_seconds=_NUMBER,
        waiver={**_TEXT, "description": "Id of the waiver that covers it."},
        price=_or_null(_object(minutes=_NUMBER, finish_at=_MOMENT, margin_minutes=_NUMBER)),
        cure_by=_or_null({**_MOMENT, "description": "When the cure must have been asked for at the latest."}),
        **judgement,
        points=_many(_object(status=_one_of(Status), **judgement)),
    )


def _end_state() -> Schema:
    return _object(
        versions={"type": "object", "additionalProperties": _TEXT}, status=_one_of(StateStatus), reason=_TEXT
    )


def _schedule() -> Schema:
    return _object(
        finish_at=_MOMENT,
        decide_by=_MOMENT,
        start_rollback_by=_MOMENT,
        point_of_no_return=_or_null(_MOMENT),
        latest_start=_MOMENT,
        margin_minutes=_NUMBER,
        rollback_minutes=_NUMBER,
        critical_path=_many(_TEXT),
    )


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _many(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _counts(kind: Any) -> Schema:
    return {"type": "object", "propertyNames": _one_of(kind), "additionalProperties": _COUNT}


def _one_of(kind: Any) -> Schema:
    return {"enum": [each.value for each in kind]}
