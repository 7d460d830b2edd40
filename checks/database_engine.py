"""database-engine: what nobody looks at in a database that is not PostgreSQL is said, or answered for."""

from collections.abc import Sequence

from preflight.check import ANY_STATE, Check, Subject
from preflight.clock import zone
from preflight.finding import Judgement, unknown
from preflight.plan.said import answered_for
from preflight.plan.work import Section, ServerWork, server_work

_UNSEEN = {
    Section.SCRIPTS: (
        "is up; whether the role of the scripts may log in and do what they do; whether sessions, locks or another "
        "schema stand in their way; whether they run through in a rehearsal"
    ),
    Section.BACKUPS: (
        "is up; whether the role of the backup may log in and read all of it; whether its data lies on other storage "
        "than the backup; whether a restore has room"
    ),
}


class DatabaseEngine(Check):
    """What does nobody look at in a database that is not PostgreSQL, and who answers for it?

    Of an entry with a `host` alone everything is looked at that is not PostgreSQL's own: the staged scripts, the
    account and its programs, the room, the newest backup. The database itself is asked by nothing here, so this line is
    UNKNOWN and names what was not looked at. A plug-in for the engine takes its place: a check with `engines`, of which
    the entry is a subject and which asks something on the entry's host. Or a person looks, and says so in
    `engine_shown`; that is a WARN, since nobody saw it. Once the work is done, `preflight verify` wants a plug-in that
    verifies, or the word of somebody who looked since the window's start.
    """

    id = "database-engine"
    title = "the database that is not PostgreSQL was looked at"
    verifies = ANY_STATE
    sections = ("backups", "scripts")
    cure = "install a check that answers for the engine, or have somebody look and answer for it"

    def subjects(self) -> Sequence[Subject]:
        works = (work for work in server_work(self.plan) if work.engine)
        return [Subject(work.label, work, work.owner, steps=work.steps, unless_answered=True) for work in works]

    def judge(self, subject: Subject) -> Judgement:
        work: ServerWork = subject.item
        entries = self.plan.backups if work.section is Section.BACKUPS else self.plan.scripts
        said, start = entries[work.id].engine_shown, self.plan.window.start
        what = _UNSEEN[work.section]
        if self.expect is not None:
            what = f"is up, and as it must be {self.expect} the work"
            # What was said of it before the work tells nothing of what the work left.
            said = said if said and said.on >= start.astimezone(zone(self.plan.window.zone)).date() else None
        unseen = unknown(
            f"no check looked whether {work.what} {what}",
            expected=f"a check that answers for {work.engine}, or a person who looked",
            actual=f"no check that is loaded answers for {work.engine} in {work.table} by asking {work.host.id}",
            remedy=f'install or write a check with engines = frozenset({{"{work.engine}"}}) that asks {work.host.id} '
            "(docs/guides/other-sites.md has one for MariaDB)",
        )
        keys = (work.section.value, work.id, "engine_shown")
        return answered_for(self.plan, self.moment, unseen, said, keys, work.owner)
