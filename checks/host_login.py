"""host-login: access to every host, proved by a command, valid until the window's work is over."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.judging.cures import answered_for, could_not_look, cure_of, refuses_login
from preflight.judging.ends import End, TimeOfNeed
from preflight.plan import Host, HostRef, SaidUntil
from preflight.plan.work import minutes_at_stake, work_on
from preflight.probe import NoReply, Via
from preflight.questions.accounts import Aging, Expiry, ExpiryProbe, Login, LoginProbe
from preflight.reasons import Reason

_DAY = timedelta(days=1)
_MOST_UNITS = 10_000  # of what a banner counts; a hostile one must not overflow a date
_PASSWORD_EXPIRES = re.compile(r"(warning: )?(?:your )?password will expire in (\d+) (day|hour|minute)", re.IGNORECASE)
_ACCOUNT_EXPIRES = re.compile(r"account will expire in (\d+) day", re.IGNORECASE)
_EXPIRY_WORDS = re.compile(r"(?:password|account)[^.\n]{0,60}\bexpir", re.IGNORECASE)
_LETS_THROUGH = (Reason.NOLOGIN, Reason.NO_SHELL, Reason.FORCED_COMMAND)


@dataclass(frozen=True, slots=True)
class HostLoginSettings:
    """Thresholds, and dates that no host can tell."""

    warn_before: timedelta = timedelta(days=7)
    """An account, password or key that ends this soon after it is last needed is worth a warning."""
    valid_through: Mapping[HostRef, SaidUntil] = field(default_factory=dict)
    """Host -> until when its login holds, and who says so, having asked whoever keeps the directory: for LDAP, SSSD and
    Kerberos accounts, whose dates no host shows. Where the host shows dates too, the earlier one counts."""


class HostLogin(Check):
    """Can the account that will do the work log in to the host and run a command, until the work is over?

    On the night this tool exists for, the DBA had no login on the database servers: the backup went over the network
    to his own machine, the scripts too (a, b). So the login is made for real, with the one credential the plan names,
    and `id -un` must answer with the planned account: an expired password, a nologin shell and a forced command all
    let a client connect. Every refusal is a FAIL with its own remedy. Account, password and key must outlive the
    window and its rollback: an account that expires on day D is refused from 00:00 UTC of D, a password that expires
    on D holds all of D. A directory account whose dates nobody tells is UNKNOWN until somebody answers for one with
    `valid_through`.
    """

    id = "host-login"
    title = "the account logs in to the host and can work until the end"
    sections = ("hosts",)
    needs = (
        "the login that will do the work, with a shell; nothing more (`chage -l` of oneself is allowed to everybody)"
    )
    cure = "have the account, password, key or expiry corrected, or the host key pinned by `preflight seal`"
    Settings = HostLoginSettings
    judges_no_reply = frozenset({"login", "expiry"})

    def subjects(self) -> Sequence[Subject]:
        return [
            Subject(host.id, host, host.owner, self.plan.steps_on(host.id), host.lead_time)
            for host in self.plan.hosts.values()
        ]

    def probes(self, subject: Subject) -> Probes:
        return {"login": LoginProbe(subject.id), "expiry": ExpiryProbe(subject.id)}

    def judge(self, subject: Subject, *, login: Login | NoReply, expiry: Expiry | NoReply) -> Judgement:
        host: Host = subject.item
        if isinstance(login, NoReply):
            return self._no_login(host, login)
        user = host.user or login.session.get("user", "")
        if login.user != user:
            return failed(
                f"the shell runs as {login.user}, not as {user}",
                expected=f"a shell of {user}",
                actual=f"{login.user} (uid {login.uid}) on {login.node}",
                remedy=f"have the login {user} on {host.id} given an account of its own: two names share one uid",
                minutes_at_stake=self._stake(host),
            )
        session = login.session
        by = f" with {session['auth']}" if session.get("auth") else ""
        through = f" through {session['jump']}" if session.get("jump") else ""
        where = f" at {session['address']}" if session.get("address") else ""
        proof = passed(f"{login.user} runs commands on {login.node}{where}{through}{by}")
        return Judgement.of([proof, *self._endings(host, login, expiry), *self._hours(login, expiry)])

    @property
    def _need(self) -> TimeOfNeed:
        return TimeOfNeed(self.plan, self.moment, self.settings.warn_before)

    def _stake(self, host: Host) -> float | None:
        return minutes_at_stake(work_on(self.plan, host.id))

    def _no_login(self, host: Host, lost: NoReply) -> Judgement:
        if not refuses_login(lost):
            return could_not_look(self.plan, Via.SSH, host.id, lost)
        if lost.reason in _LETS_THROUGH and self._is_only_a_jump(host):
            return passed(f"lets connections through to the hosts behind it; runs no commands ({lost.reason})")
        user = host.user or lost.session.get("user", "") or "the login"
        return failed(
            f"no login: {lost.reason}",
            waivable=False,
            expected=f"{user} logs in and runs a command",
            actual=lost.detail,
            remedy=cure_of(self.plan, Via.SSH, host.id, lost, date=self._need.good_date()),
            minutes_at_stake=self._stake(host),
        )

    def _is_only_a_jump(self, host: Host) -> bool:
        """Others are reached through it, and nothing of the plan runs there."""
        plan = self.plan
        used = {database.host for database in plan.databases.values()}
        used |= {file.host for file in plan.rollback.files} if plan.rollback else set()
        needed = host.become or work_on(plan, host.id) or host.id in used
        return not needed and any(other.jump == host.id for other in plan.hosts.values())

    def _endings(self, host: Host, login: Login, expiry: Expiry | NoReply) -> Iterator[Judgement]:
        whose = f"{login.user} on {host.id}"
        announced = list(_announced_ends(login, whose, self._need.good_date()))
        declared = self.settings.valid_through.get(host.id)
        ends = []
        if declared is not None:
            remedy = f"have the login of {whose} extended, then correct `valid_through`"
            ends.append(_end("login (as said in the plan)", whose, _midnight(declared.until + _DAY), remedy))
        if isinstance(expiry, NoReply):
            yield could_not_look(self.plan, Via.SSH, host.id, expiry)
            ends += announced
        else:
            shown = list(_shown_ends(login, expiry, whose, self.moment, self._need.good_date()))
            # The host's own date is exact; the announcement of the same end adds nothing.
            ends += shown + (announced if expiry.password_expires is None else [])
            if expiry.aging is not Aging.KNOWN:
                yield self._no_dates(host, login, expiry, declared)
            elif not ends:
                yield passed("neither account nor password expires")
        yield from map(self._need.judge, ends)
        if not announced and _EXPIRY_WORDS.search(login.banner):
            yield warned(
                "the host announces an expiry that cannot be read",
                actual=login.banner,
                expected="no expiry before the work is over",
                remedy=f"read the banner and have what it names extended for {whose}",
            )

    def _no_dates(self, host: Host, login: Login, expiry: Expiry, said: SaidUntil | None) -> Judgement:
        whose = "a directory keeps the account" if expiry.aging is Aging.NOT_LOCAL else "the host does not show them"
        unseen = unknown(
            f"until when {login.user} may log in is not known: {whose}",
            expected=f"dates past {self._need.told(self._need.until)}",
            actual=expiry.said,
            remedy=f"ask whoever keeps the account {login.user} for its last valid day",
        )
        keys = ("checks", self.id, "valid_through", host.id)
        until = (self.plan.window.needed_until + 2 * _DAY).date()
        return answered_for(self.plan, self.moment, unseen, said, keys, host.owner, until=until)

    def _hours(self, login: Login, expiry: Expiry | NoReply) -> Iterator[Judgement]:
        if isinstance(expiry, NoReply) or expiry.time_rules is None:
            return
        rules = [rule for rule in expiry.time_rules if _names(rule, login.user)]
        if rules or not expiry.time_rules_readable:
            window = self.plan.window
            yield warned(
                "logins are limited to certain hours (pam_time)",
                expected=f"logins from {self._need.told(window.start)} to {self._need.told(window.needed_until)}",
                actual="; ".join(rules) or "/etc/security/time.conf cannot be read",
                remedy=f"read /etc/security/time.conf on {login.node}; have these hours allowed for {login.user}",
            )


def _end(what: str, whose: str, at: datetime, remedy: str) -> End:
    """On the axis: `password of dbadmin on db1 ends (as announced at login)`."""
    name, _, source = what.partition(" (")
    return End(what=name, where=f"of {whose}", at=at, remedy=remedy, known_by=source.removesuffix(")"))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _shown_ends(login: Login, expiry: Expiry, whose: str, moment: datetime, good: date) -> Iterator[End]:
    new_password = f"set a new password for {whose} (passwd), and put it where the plan finds it"
    if expiry.must_change:
        yield _end("password", whose, moment, new_password)
    if expiry.account_expires is not None:
        remedy = f"have the account {whose} extended: chage -E {good} {login.user}"
        yield _end("account", whose, _midnight(expiry.account_expires), remedy)
    if expiry.password_expires is not None:
        yield _end("password", whose, _midnight(expiry.password_expires + _DAY), new_password)
    for key in expiry.keys:
        if key.fingerprint in login.session.get("auth", "").split():
            remedy = f"have expiry-time of this key moved in ~/.ssh/authorized_keys of {whose}"
            yield _end("key", whose, key.until, remedy)


def _announced_ends(login: Login, whose: str, good: date) -> Iterator[End]:
    """Dates the server announced at the login. pam_unix counts days as chage does; others count from the moment."""
    today = login.asked_at.astimezone(UTC).date()
    for warning, count, unit in _PASSWORD_EXPIRES.findall(login.banner):
        left = timedelta(**{f"{unit.lower()}s": min(int(count), _MOST_UNITS)})
        by_days = warning and unit.lower() == "day"
        at = _midnight(today + left + _DAY) if by_days else login.asked_at + left
        remedy = f"set a new password for {login.user} before the window"
        yield _end("password (as announced at login)", whose, at, remedy)
    for count in _ACCOUNT_EXPIRES.findall(login.banner):
        at = _midnight(today + timedelta(days=min(int(count), _MOST_UNITS)))
        yield _end("account (as announced at login)", whose, at, f"have it extended: chage -E {good} {login.user}")


def _names(rule: str, account: str) -> bool:
    """Whether a line `services;ttys;users;times` of time.conf may concern the account's SSH logins."""
    fields = [part.strip() for part in rule.split(";")]
    if len(fields) < 4:
        return False
    return _covers(fields[0], "sshd") and _covers(fields[2], account)


def _covers(names: str, name: str) -> bool:
    """A list `a|b`, with `*` and `!`; a netgroup `@name` may hold anybody."""
    for word in re.split(r"[|&]", names):
        wanted = word.strip()
        hit = fnmatch.fnmatchcase(name, wanted.removeprefix("!")) or wanted.removeprefix("!").startswith("@")
        if hit != wanted.startswith("!"):
            return True
    return False
