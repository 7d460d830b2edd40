"""database-state: the database is in a state in which the work can begin, and nobody stands in its way."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from preflight.check import ANY_STATE, Check, Probes, Subject
from preflight.finding import Judgement, unknown
from preflight.judging.cures import could_not_look
from preflight.judging.psql_script import scan_script
from preflight.judging.touched import TouchedObjects, touched_objects
from preflight.plan import BackupMethod, Database
from preflight.plan.limits import Above, Between
from preflight.plan.release_plan import protects
from preflight.plan.work import PlannedBackup, planned_backups, scripts_in
from preflight.probe import NoReply, Probe, Via
from preflight.questions.activity import ActivityProbe, Seen
from preflight.questions.files import LocalFile, LocalTexts
from preflight.questions.local import TARGET
from preflight.questions.rehearsed import RehearsalProbe
from preflight.questions.state import Item, SequencesProbe, StateProbe
from preflight.wording import beside

from .judging import Activity, When, judge_state


class DatabaseState(Check):
    """Is the database in a state in which the work can begin, and does nobody stand in its way?

    A session that somebody left open at noon holds its lock at midnight, and the script that waits for it ends with a
    lock timeout, or stops everybody else behind it. So the line names who blocks the tables that the scripts touch, or
    a catalogue, which all DDL writes, or an advisory lock, where scripts take any, with the person to ask, and the
    script that its rehearsal saw wait there without a `lock_timeout`; whose snapshot, of whatever table, the scripts
    wait for that build or rebuild an index `CONCURRENTLY`; who is idle in a transaction; which transaction is open for
    long; which client comes from an address that nobody listed (`clients` of the database; without it, that is told and
    not judged). All that ends by itself: it is a WARN, asked again at the gate, until the moment judged is within
    `[freshness] state` of the window's start, and a FAIL from then on. A prepared transaction that is left over does
    not end by itself: FAIL.

    What stays until somebody mends it is judged at once. FAIL: invalid indexes, constraints that are NOT VALID and
    disabled triggers of the tables that the scripts touch, their partitions and what they are partitions of; unused
    replication slots that hold more WAL than `max_wal_size`, and slots that have lost it; an archiver that fails, hangs
    or has no command, and one that only says yes (`/bin/true`) where the way back is a base backup; a synchronous
    standby that is not there, for which each COMMIT waits; checksum failures; an age near wraparound; sequences that
    have no next value, or one that is in their column already, where the role may read both. WARN: the same objects of
    other tables; settings that wait for a restart, and those that have the server pass over damaged pages; sequences
    near their end; foreign keys narrower than their target; collations of another version; tables without statistics;
    materialized views that are not filled. Of a replica, what its primary decides is judged there, and its lag by
    database-login.

    `preflight verify` asks the same of what the work left; what ends by itself is then no more than a WARN.

    What other roles' sessions do is only seen with `pg_read_all_stats`; without it UNKNOWN. Not asked, since only a
    superuser may: faults in postgresql.conf and pg_hba.conf that come to light at the next reload or restart. Pages of
    tables are not read: without checksums a damaged one shows in the next backup.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        """How long what ends by itself may last, and what counts as worn out."""

        lock_on_touched: Annotated[timedelta, Between(0)] = timedelta(seconds=30)
        """A transaction that holds a lock on a table that the scripts touch, or keeps a snapshot for which they wait,
        may be open so long; so may a prepared one."""
        idle_in_transaction: Annotated[timedelta, Between(0)] = timedelta(minutes=5)
        """A session is idle in a transaction at most so long."""
        longest_transaction: Annotated[timedelta, Between(0)] = timedelta(minutes=30)
        """Any other transaction is open at most so long."""
        sequence_used: Annotated[float, Above(0)] = 0.8
        """Share of a sequence from which its end is worth a warning."""

    id = "database-state"
    title = "the database is in a state in which the work can begin"
    verifies = ANY_STATE
    sections = ("databases",)
    needs = "CONNECT, PostgreSQL 13 or newer, membership in pg_read_all_stats; SELECT on a sequence, to see where it is"
    cure = "ask whoever holds the lock to end it; have the DBA mend what is invalid, disabled or worn out"
    judges_no_reply = frozenset({"activity", "state"})

    def subjects(self) -> Sequence[Subject]:
        entries = self.plan.databases.values()
        return [Subject(entry.id, entry, entry.owner, lead_time=entry.lead_time) for entry in entries]

    def probes(self, subject: Subject) -> Probes:
        database: Database = subject.item
        probes: dict[str, Probe[Any]] = {"sequences": SequencesProbe(subject.id)}
        for each in scripts_in(self.plan, database.id):
            probes["rehearsed"] = RehearsalProbe.of(self.plan)
            probes[f"manifest {each.id}"] = LocalFile(TARGET, beside(self.plan.folder, each.manifest))
            probes[f"texts {each.id}"] = LocalTexts(TARGET, beside(self.plan.folder, each.approved))
        return probes

    def follow_up(self, subject: Subject, *, sequences: Sequence[Item], **told: Any) -> Probes:
        """In the same database session, of the tables that the scripts touch as the plan or their rehearsal says: who
        holds locks on them, what is invalid or disabled; of the whole server, what is worn out or held back."""
        database: Database = subject.item
        by_entry = self._touched(database, told)
        touched = " OR ".join(each.in_sql for each in by_entry.values()) or "false"
        readable = tuple((item.schema, item.table, item.number) for item in sequences if item.kind == "sequence")
        (server,) = (item for item in sequences if item.kind == "server")
        state: Probes = {"state": StateProbe(subject.id, touched, readable, server.number)}
        if server.touched:  # scripts change the primary
            return state
        dumps = [each for each in self._backups(database) if each.backup.method is BackupMethod.PG_DUMP]
        steps = filter(None, (self.plan.step(each.step) for each in dumps))
        scans = [scan_script(text) for entry in by_entry for text in told[f"texts {entry}"].texts.values()]
        activity = ActivityProbe(
            subject.id,
            touched,
            self._most["blocks"],
            self._most["idle"],
            self._most["long"],
            database.clients,
            tuple(sorted({each.login for each in dumps})),
            max((timedelta(minutes=step.minutes) for step in steps), default=timedelta()),
            any(each.builds_without_lock for each in by_entry.values()) or any(scan.awaits_snapshots for scan in scans),
            any(scan.awaits_advisory_locks for scan in scans),
        )
        return {**state, "activity": activity}

    def judge(
        self,
        subject: Subject,
        *,
        sequences: Sequence[Item],
        state: Sequence[Item] | NoReply,
        activity: Sequence[Seen] | NoReply = (),
        **told: Any,
    ) -> Judgement:
        database: Database = subject.item
        lost = [each for each in (state, activity) if isinstance(each, NoReply)]
        points = [could_not_look(self.plan, Via.SQL, subject.id, each) for each in lost]
        if not isinstance(state, NoReply):
            copied = any(each.backup.method.of_server for each in self._backups(database))
            points += judge_state(state, sequences, needs_archive=copied, warn_used=self.settings.sequence_used)
        if activity and not isinstance(activity, NoReply):
            touched = self._touched(database, told)
            waiting = {table: script for each in touched.values() for table, script in each.waiting.items()}
            points += Activity(self.plan, database, self._most, self._when, waiting).judge(activity)
            points += self._untold(touched)
        return Judgement.of(points)

    @property
    def _most(self) -> Mapping[str, timedelta]:
        """How long what is under way may last, by its kind."""
        held = self.settings.lock_on_touched
        idle, longest = self.settings.idle_in_transaction, self.settings.longest_transaction
        return {"blocks": held, "snapshot": held, "prepared": held, "idle": idle, "long": longest}

    @property
    def _when(self) -> When:
        """What ends by itself should have ended where the window begins within the time for which an answer holds, and
        the answer is no older than that."""
        holds = self.plan.freshness.state
        if self.expect is not None:
            return When.AFTER
        near = self.moment >= self.plan.window.start - holds and self.moment - self.asked_at <= holds
        return When.NEAR if near else When.EARLY

    def _touched(self, database: Database, told: Mapping[str, Any]) -> Mapping[str, TouchedObjects]:
        """By entry of [scripts]. `told`: the record of the rehearsal, and the manifests."""
        entries = scripts_in(self.plan, database.id)
        return {each.id: touched_objects(each, told["rehearsed"], told[f"manifest {each.id}"]) for each in entries}

    def _backups(self, database: Database) -> list[PlannedBackup]:
        return [each for each in planned_backups(self.plan) if protects(self.plan, each.backup, database.id)]

    def _untold(self, touched: Mapping[str, TouchedObjects]) -> Iterator[Judgement]:
        for entry, objects in touched.items():
            if not objects.told_by:
                yield unknown(
                    f"which tables the scripts of [scripts.{entry}] touch is not told, so who blocks them is not seen",
                    expected="no session holds a lock on them",
                    actual=objects.not_told,
                    remedy=f"run: {self.plan.call('rehearse')}; or name them: `touches` of [scripts.{entry}]",
                    behind=f"script-rights {entry}: what its scripts touch is not told",
                )
