"""host-login: access to every host, proved by a command, valid until the window's work is over."""

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.judging.cures import could_not_look, cure_of, refuses_login
from preflight.judging.ends import End, TimeOfNeed
from preflight.plan import Host, HostRef, LoginUse, SaidUntil
from preflight.plan.said import answered_for
from preflight.plan.work import minutes_at_stake, other_accounts, work_on
from preflight.probe import NoReply, Reply, Via
from preflight.questions.accounts import Aging, Expiry, ExpiryProbe, Login, LoginProbe, WayThroughProbe
from preflight.questions.authorized_keys import AuthorizedKey, UserCertificate, last_to_end
from preflight.reasons import Reason

_DAY = timedelta(days=1)
_MOST_UNITS = 10_000  # of what a banner counts; a hostile one must not overflow a date
_PASSWORD_EXPIRES = re.compile(r"(warning: )?(?:your )?password will expire in (\d+) (day|hour|minute)", re.IGNORECASE)
_ACCOUNT_EXPIRES = re.compile(r"account will expire in (\d+) day", re.IGNORECASE)
_EXPIRY_WORDS = re.compile(r"(?:password|account)[^.\n]{0,60}\bexpir", re.IGNORECASE)
_ONLY_INTERACTIVE = {
    "bash": ("~/.bashrc", "case $- in *i*) ;; *) return ;; esac"),
    "csh": ("~/.cshrc", "if (! $?prompt) exit"),
    "tcsh": ("~/.cshrc", "if (! $?prompt) exit"),
    "zsh": ("~/.zshenv", "[[ -o interactive ]] || return"),
    "fish": ("~/.config/fish/config.fish", "status is-interactive; or exit"),
}
"""Shell -> its start-up file, and what ends that where nobody types."""
_RESTRICTED = ("rbash", "rksh", "rzsh", "lshell")
_LOGGED_IN = (Reason.NOLOGIN, Reason.NO_SHELL, Reason.NO_SESSION, Reason.SFTP_ONLY, Reason.FORCED_COMMAND)
"""The login succeeded, which is all that a way through needs."""


class HostLogin(Check):
    """Can the account that will do the work log in to the host and run a command, until the work is over?

    On the night this tool exists for, the DBA had no login on the database servers: the backup went over the network
    to his own machine, the scripts too (a, b). So the login is made for real, with the one credential the plan names,
    and `id -un` must answer with the planned account: an expired password, a nologin shell and a forced command all
    let a client connect. Every refusal is a FAIL with its own remedy. Account, password and key must outlive the
    window and its rollback: an account that expires on day D is refused from 00:00 UTC of D, a password that expires
    on D holds all of D; a key ends with its SSH certificate, and with `expiry-time` of its line in any file that
    sshd reads (AuthorizedKeysFile). What no host shows, as for a directory's account, a key from AuthorizedKeysCommand
    or a login that only lets connections through, is UNKNOWN until somebody answers for it with `valid_through`. A
    ChannelTimeout that the login may read, and that ends a session which is silent for the longest step there, is WARN.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        """Thresholds, and dates that no host can tell."""

        warn_before: timedelta = timedelta(days=7)
        """An account, password or key that ends this soon after it is last needed is worth a warning."""
        valid_through: Mapping[HostRef, SaidUntil] = field(default_factory=dict)
        """Host -> until when its login holds, and who says so, having asked whoever keeps the account: for LDAP, SSSD
        and Kerberos accounts, whose dates no host shows, for keys that sshd has from AuthorizedKeysCommand, for logins
        that only let connections through, and where pam_time limits the hours, of sudo too. Where the host shows dates
        too, the earlier one counts."""

    id = "host-login"
    title = "the account logs in to the host and can work until the end"
    sections = ("hosts",)
    needs = (
        "the login that will do the work, with a shell; nothing more (`chage -l` of oneself is allowed to everybody)"
    )
    cure = "have the account, password, key or expiry corrected, or the host key pinned by `preflight seal`"
    judges_no_reply = frozenset({"login", "expiry", "through"})

    def subjects(self) -> Sequence[Subject]:
        steps, hosts = self.plan.steps_on, self.plan.hosts.values()
        return [Subject(host.id, host, host.owner, steps(host.id), host.lead_time) for host in hosts]

    def probes(self, subject: Subject) -> Probes:
        if subject.item.login is LoginUse.THROUGH:
            return {"through": WayThroughProbe(subject.id)}
        return {"login": LoginProbe(subject.id), "expiry": ExpiryProbe(subject.id)}

    def judge(self, subject: Subject, **facts: Any) -> Judgement:
        host: Host = subject.item
        login: Reply | Login | NoReply = facts["through" if host.login is LoginUse.THROUGH else "login"]
        if isinstance(login, NoReply):
            return self._no_login(host, login)
        return self._way_through(host, login) if isinstance(login, Reply) else self._shell(host, login, facts["expiry"])

    def _way_through(self, host: Host, way: Reply) -> Judgement:
        user = host.user or way.session.get("user", "")
        proof = passed(f"{user} logs in with {way.session.get('auth', '')}: a way through, which runs no commands")
        announced = self._announced(host, user, way.session, way.asked_at)
        ends = [*self._declared(host, user), *self._certificates(host, way.session), *announced]
        dates = self._no_dates(host, user, ["it runs no commands, so that the host cannot be asked"])
        points = [*self._several(host, way.session), *_one_factor(host, way.session), dates]
        return Judgement.of([proof, *points, *map(self._need.judge, ends)])

    def _shell(self, host: Host, login: Login, expiry: Expiry | NoReply) -> Judgement:
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
        by += " and a typed code" if session.get("code") == "typed" else ""
        through = f" through {session['jump']}" if session.get("jump") else ""
        where = f" at {session['address']}" if session.get("address") else ""
        points = [*self._several(host, session), *_one_factor(host, session), *_chatter(host, login)]
        points += _restricted(host, login)
        proof = passed(f"{login.user} runs commands on {login.node}{where}{through}{by}")
        return Judgement.of([proof, *points, *self._endings(host, login, expiry)])

    def _several(self, host: Host, session: Mapping[str, str]) -> Iterator[Judgement]:
        """A name of several addresses, of the family by which it was reached: the next login may take another."""
        if addresses := session.get("addresses", ""):
            address = session["address"].rpartition(":")[0].strip("[]")
            yield warned(
                f"its name stands for several addresses, and the login was made at {session['address']}",
                expected="one address, at which every login of the window arrives",
                actual=addresses,
                remedy=f'write in [hosts.{host.id}] at which of them the work is done, as address = "{address}"; then '
                f"pin its key: {self.plan.call('seal')}",
            )

    @property
    def _need(self) -> TimeOfNeed:
        return TimeOfNeed.of(self)

    def _stake(self, host: Host) -> float | None:
        return minutes_at_stake(work_on(self.plan, host.id))

    def _no_login(self, host: Host, lost: NoReply) -> Judgement:
        if not refuses_login(lost):
            return could_not_look(self.plan, Via.SSH, host.id, lost)
        user = host.user or lost.session.get("user", "") or "the login"
        remedy = cure_of(self.plan, Via.SSH, host.id, lost, date=self._need.good_date())
        if lost.reason in _LOGGED_IN and self._is_only_a_jump(host):
            remedy = f'say in [hosts.{host.id}] that it only lets connections through: login = "through"; or {remedy}'
        return failed(
            f"no login: {lost.reason}",
            waivable=False,
            expected=f"{user} logs in and runs a command",
            actual=lost.detail,
            remedy=remedy,
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
        whose = f"of {login.user} on {host.id}"
        announced = [*self._announced(host, login.user, login.session, login.asked_at)]
        ends = [*self._declared(host, login.user)]
        if isinstance(expiry, NoReply):
            yield could_not_look(self.plan, Via.SSH, host.id, expiry)
            ends += [*announced, *self._certificates(host, login.session)]
        else:
            # The host's own date is exact; the announcement of the same end adds nothing.
            ends += announced if expiry.password_expires is None else []
            ends += _shown_ends(login, expiry, whose, self.moment, self._need.good_date())
            lines = _accepting_lines(login, expiry, [each.authority for each in _own_certificates(login)])
            key_alone = _accepting_lines(login, expiry) if login.session.get("auth", "").startswith("key ") else []
            ends += [*self._certificates(host, login.session, key_alone), *_line_ends(lines, whose, self._need)]
            unseen = [
                *_hidden_dates(expiry),
                *_hidden_line(login, expiry, lines, self._need),
                *_hours(expiry, login.user, becomes=bool(other_accounts(self.plan, host))),
            ]
            if not announced and _EXPIRY_WORDS.search(login.banner):
                unseen.append(f"the host announces an expiry that cannot be read: {login.banner}")
            yield from self._silence(host, login.user, expiry)
            if unseen:
                yield self._no_dates(host, login.user, unseen)
            elif not ends:
                yield passed("neither account nor password expires")
        yield from map(self._need.judge, ends)

    def _silence(self, host: Host, user: str, expiry: Expiry) -> Iterator[Judgement]:
        worked, seconds = {each.step for each in work_on(self.plan, host.id)}, expiry.silence_seconds
        steps = (step for step in self.plan.steps if step.host == host.id or step.id in worked)
        if 0 < seconds < 60 * (lasts := max((step.minutes for step in steps), default=0)):
            summary = f"sshd ends a session that is silent for {seconds / 60:.3g} min"
            expected = f"none that ends before the longest step there, of {lasts:g} min"
            lines = f"Match User {user}, and below that: ChannelTimeout session:*=0"
            remedy = f"as last lines of sshd_config on {host.id}, then reload sshd there: {lines}"
            yield warned(summary, expected=expected, actual=f"ChannelTimeout {expiry.timeouts}", remedy=remedy)

    def _declared(self, host: Host, user: str) -> Iterator[End]:
        if said := self.settings.valid_through.get(host.id):
            remedy = f"have the login of {user} on {host.id} extended, then correct `valid_through`"
            at, where = _midnight(said.until + _DAY), f"of {user} on {host.id}"
            yield End(what="login", where=where, at=at, remedy=remedy, known_by="as said in the plan")

    def _certificates(
        self, host: Host, session: Mapping[str, str], key_alone: Sequence[AuthorizedKey] = ()
    ) -> Iterator[End]:
        """Of the SSH certificates that open the way, but for those of jump hosts that have a line of their own.
        `key_alone`: accept the key without its certificate, which ssh offers next."""
        needed, tolerated = self._need.told(self._need.until), ""
        file = host.certificate or (f"{host.key}-cert.pub" if host.key else "")
        if key_alone and _outlast(key_alone, self._need):
            tolerated = f"but {key_alone[0].file} has the key itself, which ssh offers next"
        for each in UserCertificate.in_session(session):
            if each.not_after is not None and each.hop not in self.plan.hosts:
                own = f"of {session.get('user', '')} on {host.id}"
                where = f"for {each.hop}, before {host.id}" if each.hop else own
                remedy = f"have whoever signs certificates issue one that is valid past {needed}"
                remedy += f", and put it into {file}" if file and not each.hop else ""
                end = End(what="certificate", where=where, at=each.not_after, remedy=remedy, actual=str(each))
                yield end if each.hop else replace(end, tolerated=tolerated)

    def _announced(self, host: Host, user: str, session: Mapping[str, str], asked_at: datetime) -> Iterator[End]:
        """What the server said at the login. pam_unix counts days as chage does; others count from the moment."""
        banner, today = session.get("banner", ""), asked_at.astimezone(UTC).date()
        end = partial(End, where=f"of {user} on {host.id}", known_by="as announced at login")
        for warning, count, unit in _PASSWORD_EXPIRES.findall(banner):
            left = timedelta(**{f"{unit.lower()}s": min(int(count), _MOST_UNITS)})
            by_days = warning and unit.lower() == "day"
            at = _midnight(today + left + _DAY) if by_days else asked_at + left
            yield end(what="password", at=at, remedy=f"set a new password for {user} before the window")
        for count in _ACCOUNT_EXPIRES.findall(banner):
            at = _midnight(today + timedelta(days=min(int(count), _MOST_UNITS)))
            yield end(what="account", at=at, remedy=f"have it extended: chage -E {self._need.good_date()} {user}")

    def _no_dates(self, host: Host, user: str, unseen: Sequence[str]) -> Judgement:
        found = unknown(
            f"until when {user} may log in is not known: {'; '.join(unseen)}",
            expected=f"dates past {self._need.told(self._need.until)}",
            remedy=f"ask whoever keeps the account {user} on {host.id} until when it may log in",
        )
        keys = ("checks", self.id, "valid_through", host.id)
        until = (self.plan.window.needed_until + 2 * _DAY).date()
        declared = self.settings.valid_through.get(host.id)
        return answered_for(self.plan, self.moment, found, declared, keys, host.owner, until=until)


def _one_factor(host: Host, session: Mapping[str, str]) -> Iterator[Judgement]:
    """A server that is laxer than the plan says: the work can be done."""
    if session.get("code") == "not asked for":
        yield warned(
            "the server lets the login in without the second factor that the plan names",
            expected=f"a question with the words {host.code_prompt!r}",
            actual=f"logged in with {session.get('auth', 'the credential')} alone",
            remedy=f"have the owner of {host.id} say whether sshd there shall want a code (AuthenticationMethods); if "
            f"not, take `second_factor` out of [hosts.{host.id}]",
        )


def _chatter(host: Host, login: Login) -> Iterator[Judgement]:
    """Start-up files that print: what was asked is well, but scp and rsync take the text for the other end's answer."""
    if printed := login.session.get("chatter", ""):
        file, line = _ONLY_INTERACTIVE.get(login.shell, _ONLY_INTERACTIVE["bash"])
        yield warned(
            "start-up files of the shell print text, which breaks scp and rsync",
            expected="nothing, where no terminal is",
            actual=printed,
            remedy=f"in {file} of {login.user} on {host.id}, first line: {line}; where that does not end it, have "
            "~/.ssh/rc there, and /etc/ssh/sshrc, print to standard error (>&2)",
        )


def _restricted(host: Host, login: Login) -> Iterator[Judgement]:
    """A shell that refuses `cd` and programs by a path, so the lines of `preflight show --commands`."""
    if login.shell in _RESTRICTED:
        yield warned(
            f"the commands of the night do not run in {login.shell}, which refuses cd and programs by a path",
            expected="a shell that is not restricted",
            actual=f"{login.shell} of {login.user}",
            remedy=f"have root run on {host.id}: usermod -s /bin/sh {login.user}",
        )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _hidden_dates(expiry: Expiry) -> Iterator[str]:
    if expiry.aging is not Aging.KNOWN:
        directory = expiry.aging is Aging.NOT_LOCAL
        why = "a directory keeps the account" if directory else "the host does not show its dates"
        yield f"{why} ({expiry.said})"


def _hours(expiry: Expiry, user: str, *, becomes: bool) -> Iterator[str]:
    services = [name for name, used in (("sshd", not expiry.time_of_sudo), ("sudo", becomes)) if used]
    rules = [rule for rule in expiry.time_rules or () if any(_names(rule, user, name) for name in services)]
    if rules or not expiry.time_rules_readable:
        seen = "; ".join(rules) or "it cannot be read"
        what = "logins, or sudo," if becomes else "logins"
        yield f"{what} are limited to certain hours by /etc/security/time.conf ({seen})"


def _shown_ends(login: Login, expiry: Expiry, whose: str, moment: datetime, good: date) -> Iterator[End]:
    new_password = f"set a new password {whose} (passwd), and put it where the plan finds it"
    if expiry.must_change:
        yield End(what="password", where=whose, at=moment, remedy=new_password)
    if expiry.account_expires is not None:
        remedy = f"have the account {whose} extended: chage -E {good} {login.user}"
        yield End(what="account", where=whose, at=_midnight(expiry.account_expires), remedy=remedy)
    if expiry.password_expires is not None:
        yield End(what="password", where=whose, at=_midnight(expiry.password_expires + _DAY), remedy=new_password)


def _own_certificates(login: Login) -> list[UserCertificate]:
    return [each for each in UserCertificate.in_session(login.session) if not each.hop]


def _accepting_lines(login: Login, expiry: Expiry, authorities: Sequence[str] = ()) -> list[AuthorizedKey]:
    """By which sshd accepts the login's key, or what one of the authorities signed, in each setting that may be in
    force; none where none is shown."""
    names = authorities or login.session.get("auth", "").split()
    lines = (each for each in expiry.keys if each.is_authority is bool(authorities) and each.fingerprint in names)
    return last_to_end(lines)


def _outlast(lines: Sequence[AuthorizedKey], need: TimeOfNeed) -> bool:
    return all(line.until is None or need.outlasted_by(line.until) for line in lines)


def _line_ends(lines: Sequence[AuthorizedKey], whose: str, need: TimeOfNeed) -> Iterator[End]:
    if not _differ(lines, need):
        for line in lines[:1]:
            if line.until is not None:
                what = "acceptance of the certificate's authority" if line.is_authority else "key"
                remedy = f"have `expiry-time` of {line.fingerprint} moved in {line.file} {whose}"
                yield End(what=what, where=whose, at=line.until, remedy=remedy)


def _differ(lines: Sequence[AuthorizedKey], need: TimeOfNeed) -> bool:
    return len({line.until for line in lines}) > 1 and not _outlast(lines, need)


def _hidden_line(login: Login, expiry: Expiry, lines: Sequence[AuthorizedKey], need: TimeOfNeed) -> Iterator[str]:
    """Why it is not known until when sshd accepts the key. The file of TrustedUserCAKeys holds no dates."""
    by_key = "SHA256:" in login.session.get("auth", "")
    if _differ(lines, need):
        files = " or ".join(line.file for line in lines)
        yield f"sshd has the key from {files}, with different ends: Match in its configuration decides"
    if not by_key or lines or (_own_certificates(login) and expiry.key_sources & {"authorities", "unreadable"}):
        return
    if "command" in expiry.key_sources:
        yield "sshd has the key from AuthorizedKeysCommand"
    elif "unreadable" in expiry.key_sources:
        yield "sshd has the key from a file that its configuration names, which this login may not read"
    else:
        yield "sshd has the key from a file that this login does not find"


def _names(rule: str, account: str, service: str) -> bool:
    """Whether a line `services;ttys;users;times` of time.conf may concern the account's use of the service."""
    fields = [part.strip() for part in rule.split(";")]
    return len(fields) >= 4 and _covers(fields[0], service) and _covers(fields[2], account)


def _covers(names: str, name: str) -> bool:
    """A list `a|b`, with `*` and `!`; a netgroup `@name` may hold anybody."""
    for word in re.split(r"[|&]", names):
        wanted = word.strip()
        hit = fnmatch.fnmatchcase(name, wanted.removeprefix("!")) or wanted.removeprefix("!").startswith("@")
        if hit != wanted.startswith("!"):
            return True
    return False
