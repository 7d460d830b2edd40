"""clock-skew: the clocks of hosts and servers agree with this machine's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, Quantity, failed, passed, warned
from preflight.plan import Database, Host, Plan
from preflight.plan.release_plan import is_one_machine, machine_of
from preflight.probe import NoReply, Probe
from preflight.questions.clocks import HostClockProbe, Reading, ServerClockProbe
from preflight.reasons import LOOK_AT_OUR_CLOCK
from preflight.units import format_duration

_WITNESSES = ("witness_1", "witness_2", "witness_3")
"""Facts about clocks of other hosts: enough to tell whose clock is wrong."""
_HOME = "home"
"""The fact that tells on which machine a database's host is."""
_EXACT_BELOW = timedelta(minutes=2)
_SET_THE_CLOCK = "chronyc makestep (chrony), or timedatectl set-ntp true (systemd-timesyncd)"


class ClockSkew(Check):
    """Do the clocks of every host and every database server agree with this machine's?

    Everything this tool says of time (expiry, age of evidence, jobs, decide-by) is reckoned by the clock of the machine
    it runs on, and happens by the clock of a server; afterwards the logs of several machines are read side by side. So
    each far clock is asked, and only what lies outside of the time between question and answer counts: a slow network
    never alarms. A clock that seems off is asked once more, and the better of the two answers counts. Where another
    machine's clock agrees with it and not with ours, it is our own that is suspect, and the line says so; where ours is
    set while answers come, this is UNKNOWN. Two entries of the plan that are one machine, by the boot they are in, are
    one clock and no witness of each other.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        warn_from: timedelta = timedelta(seconds=2)
        """From here on, lines of two logs can no longer be put in order."""
        fail_above: timedelta = timedelta(seconds=60)
        """Above this, times of evidence and dates of expiry mean nothing."""

    id = "clock-skew"
    title = "the clock agrees with this machine's"
    sections = ("hosts",)
    needs = "a login on each host (`date`, the zone's link) and to each database"
    cure = "have time synchronisation started there, or here"
    judges_no_reply = frozenset((*_WITNESSES, _HOME))

    def subjects(self) -> Sequence[Subject]:
        hosts = [Subject(host.id, host, host.owner) for host in self.plan.hosts_with_shell]
        return hosts + [Subject(f"database {entry.id}", entry, entry.owner) for entry in self.plan.databases.values()]

    def probes(self, subject: Subject) -> Probes:
        return {"clock": _probe(subject.item)}

    def follow_up(self, subject: Subject, *, clock: Reading) -> Probes:
        """Only where the clock differs from this machine's: it is read once more, and with it the clocks of a few other
        hosts of the plan, to tell whose is wrong; for a server, its own host's too, to know that machine."""
        if abs(clock.offset) < self.settings.warn_from:
            return {}
        entry: Host | Database = subject.item
        home = {} if isinstance(entry, Host) or not entry.host else {_HOME: HostClockProbe(entry.host)}
        witnesses = {name: HostClockProbe(host.id) for name, host in self._witnesses(entry).items()}
        return {"again": _probe(entry, attempt=2), **home, **witnesses}

    def _host(self, entry: Host | Database) -> Host | None:
        """The machine whose clock it is; None for a managed database's."""
        return entry if isinstance(entry, Host) else self.plan.home_of(entry)

    def _witnesses(self, entry: Host | Database) -> dict[str, Host]:
        """Other hosts of the plan, those first that it reaches at another place."""
        own = self._host(entry)
        every = self.plan.once(_with_shell)
        apart = (host for host in every if own is None or not is_one_machine(own, "", host, ""))
        beside = (host for host in every if own and host.id != own.id and is_one_machine(own, "", host, ""))
        return dict(zip(_WITNESSES, chain(apart, beside), strict=False))

    def judge(
        self,
        subject: Subject,
        *,
        clock: Reading,
        again: Reading | None = None,
        home: Reading | NoReply | None = None,
        **witnesses: Reading | NoReply,
    ) -> Judgement:
        reading = min((each for each in (clock, again) if each), key=lambda each: abs(each.offset))
        off, way = abs(reading.offset), "ahead" if reading.offset > timedelta() else "behind"
        if not off:
            took = (reading.answered_at - reading.asked_at).total_seconds()
            return passed(f"the clock agrees within the {took:.2f} s of the answer; {reading.zone}")
        if off < self.settings.warn_from:
            return passed(f"the clock is {_shown(off)} {way}; {reading.zone}")
        entry: Host | Database = subject.item
        name = entry.id if isinstance(entry, Host) else f"the server of database {entry.id}"
        summary = f"the clock is {_shown(off)} {'ahead of' if way == 'ahead' else way} this machine's"
        remedy = f"have the clock of {name} set from a time server: {_SET_THE_CLOCK}"
        boot = next(filter(None, [each.boot for each in (clock, home) if isinstance(each, Reading)]), "")
        own, named = self._host(entry), self._witnesses(entry)
        others = [(named[key], each) for key, each in sorted(witnesses.items()) if isinstance(each, Reading)]
        # Other entries of the plan that are the machine itself; and other machines off by as much, by one name.
        same = {host.id for host, each in others if own and is_one_machine(own, boot, host, each.boot)}
        apart = [(host, each) for host, each in others if host.id not in same]
        alike = [pair for pair in apart if abs(pair[1].offset - reading.offset) < self.settings.warn_from]
        agreeing = {machine_of(host, each.boot): host.id for host, each in alike}
        if own and same:
            names = sorted({own.id, *same})
            summary += f"; {' and '.join(names)} are one machine"
            remedy = f"have the clock of {names[0]} set from a time server: {_SET_THE_CLOCK}"
        if agreeing:
            summary += f", and so is that of {' and '.join(agreeing.values())}: this machine's own clock is suspect"
            remedy = f"{LOOK_AT_OUR_CLOCK}, and set it: {_SET_THE_CLOCK}"
        said = f"{reading.earliest:%Y-%m-%d %H:%M:%S} UTC"
        actual = (
            f"{name} said {said} when it was {reading.asked_at:%H:%M:%S} to {reading.answered_at:%H:%M:%S} here: "
            f"expiry and age are judged wrong by {_shown(off)}, and lines of its log do not match other logs"
        )
        warn_from, fail_above = _shown(self.settings.warn_from), _shown(self.settings.fail_above)
        expected = f"less than {warn_from} off, more than {fail_above} spoils the evidence"
        verdict = failed if off > self.settings.fail_above else warned
        judgement = verdict(summary, expected=expected, actual=actual, remedy=remedy)
        return replace(judgement, quantity=Quantity(value=off.total_seconds(), unit="s"))


def _with_shell(plan: Plan) -> Sequence[Host]:
    return plan.hosts_with_shell


def _probe(entry: Host | Database, attempt: int = 1) -> Probe[Reading]:
    return HostClockProbe(entry.id, attempt) if isinstance(entry, Host) else ServerClockProbe(entry.id, attempt)


def _shown(duration: timedelta) -> str:
    """To a hundredth of a second while that tells something."""
    seconds = duration.total_seconds()
    return f"{seconds:.2f}".rstrip("0").rstrip(".") + " s" if duration < _EXACT_BELOW else format_duration(duration)
