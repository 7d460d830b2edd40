"""The whole plan, and what its sections say together: which entries are one machine or one database server."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, cast

from preflight.faults import Keys
from preflight.plan import values
from preflight.plan.agreements import Attest, Decision, Freshness, Rule, Step, Tested, Waiver
from preflight.plan.applications import Application
from preflight.plan.confirmed import CONFIRMED, Confirmed
from preflight.plan.freeze import Freeze
from preflight.plan.limits import Above, Between, zone_name
from preflight.plan.sealed_servers import SEALED, SealedServer, file_beside
from preflight.plan.targets import Backup, Database, Host, Rehearsing, Rollback, Scripts, alone_at
from preflight.probe import Question, T, Via
from preflight.record import fields_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Without:
    """`[release.without]`: why the plan has nothing of a kind, for each kind of which it has nothing; in one line
    `without = { backups = "read-only release" }`. Without the reason the verdict is HOLD."""

    hosts: values.Name = ""
    """No machine is logged in to."""
    databases: values.Name = ""
    """No database is touched, so none is backed up either."""
    backups: values.Name = ""
    """Nothing is backed up."""
    scripts: values.Name = ""
    """No scripts run."""
    applications: values.Name = ""
    """No application is asked for its health."""
    rollback: values.Name = ""
    """Nothing is prepared for the way back."""
    rehearsal: values.Name = ""
    """The scripts are not run on a scratch server before the window."""

    @property
    def reasons(self) -> Mapping[str, str]:
        """Kind -> reason, for each that is left out."""
        return {kind: reason for kind in fields_of(Without) if (reason := getattr(self, kind))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """`[release]`: what is deployed, under which number."""

    id: values.Name
    """The release's number, as the change system knows it."""
    title: str = ""
    """What is deployed, in a few words."""
    ticket: str = ""
    """Number of the change request."""
    attempt: Annotated[int, Between(1)] = 1
    """Which attempt at this release it is; from 2 on the plan says why the last one was backed out."""
    backed_out_because: values.Text = ""
    """Why the last attempt was backed out; required from attempt 2 on."""
    changed_since: values.Text = ""
    """What has changed since then; required from attempt 2 on."""
    without: Without = field(default_factory=Without)
    """Which kinds of entries the plan leaves out on purpose, and why; every report says so."""
    waiver_cutoff: Annotated[timedelta, Above(0)] | None = None
    """A waiver that was granted later than so long before the window's start does not count."""
    checks: Path | None = None
    """Folder with checks of this plan's own."""
    allowed_signers: Path | None = None
    """File of SSH keys, `"NAME" namespaces="preflight-confirmation,preflight-decision" ssh-ed25519 ...` in each line,
    beside the plan: whoever confirms must then sign it (`preflight confirm --sign KEY`), each with a key of the own
    name; a decision that is not signed so (`preflight decide --sign KEY`) is told by every report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """`[window]`: when the deployment may happen. All instants are UTC here, local in the file."""

    zone: Annotated[str, zone_name]
    """IANA name of the zone in which every time of the plan is written."""
    start: datetime
    """When the work may begin. Here as everywhere, a time that clocks going back repeat has its offset, and no other
    has one: `2026-11-01T01:30:00-04:00`."""
    end: datetime
    """When everything, a rollback too, must be over."""
    margin: timedelta = timedelta(minutes=30)
    """Slack wanted before decide-by."""
    decision_reserve: timedelta = timedelta(minutes=15)
    """Time the decision itself takes."""
    rollback_factor: values.Factor = 1.2
    """Safety factor on the rollback's planned time."""
    rollback_reserve: timedelta = timedelta(hours=1)
    """How long after the window's end a rollback may still be at work; credentials must outlive it."""

    @property
    def needed_until(self) -> datetime:
        """Every credential, role and certificate must be valid past this instant, UTC."""
        return self.end + self.rollback_reserve


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """`[roles.NAME]`: who owns a finding and acts on it."""

    id: values.EntryId
    primary: values.Name
    """Who is called first."""
    standby: str = ""
    """Somebody else, who takes over when the primary cannot be reached."""
    contact: str = ""
    """How both are reached during the window."""
    access: tuple[values.EntryId, ...] = ()
    """Hosts and databases whose logins the people of this role use; the entry's `person` says whose login it is."""
    lead_time: Annotated[timedelta, Above(0)] | None = None
    """How long a request to this role takes: a password request may take a working day."""

    @property
    def people(self) -> tuple[str, ...]:
        """The names of its primary and its standby, as far as they are named; one person once."""
        named = tuple(name for name in (self.primary, self.standby) if values.is_named(name))
        return named[:1] if values.same_person(self.primary, self.standby) else named


Place = TypeVar("Place", bound=Hashable)

SEVERITY_OF = "severity_of"
"""Key of every `[checks.ID]`: subject -> its severity."""
BESIDE_SETTINGS = ("severity", SEVERITY_OF, "runbook")
"""Keys that every `[checks.ID]` has."""
_SIGN = "--sign ~/.ssh/id_ed25519"
"""With the key that most people have; whoever has another names that."""
FORMAT = 1
"""Of the plans that this version reads."""

NOT_WRITTEN = (
    *("path", "digest", "included", "overridden", "set_values", "absent", "sealed", "sealed_signers", "confirmed"),
)
"""Fields of a plan that are no keys of its file."""


class ShownSecret(NamedTuple):
    """A secret that is used for one target."""

    ref: values.SecretRef
    purpose: str
    """By which it is asked for."""
    via: Via
    target: str
    alone: str | None
    """Whose it is where it is one entry's alone, else empty; None for one that no server sees, nor refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One release plan, complete and valid. Immutable."""

    path: Path
    digest: str
    """SHA-256 of the file's bytes; with included files and values that a call set, of all of them."""
    included: tuple[Path, ...] = ()
    """The other files that it is made of."""
    overridden: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """`freeze of site.toml` -> the keys of an included file that do not count, because another file overrides them."""
    set_values: Mapping[str, str] = field(default_factory=dict)
    """What a call set variables to, where that is not the plan's own value."""
    absent: Mapping[Keys, str] = field(default_factory=dict)
    """Keys that say `{ none = "reason" }` -> the reason."""
    sealed: Mapping[str, SealedServer] = field(default_factory=dict)
    """By the name of the database: at which server `preflight seal` saw it."""
    sealed_signers: Mapping[str, str] = field(default_factory=dict)
    """Where it named `allowed_signers` when it was sealed, `release` or `scripts.orders` -> SHA-256 of that file."""
    confirmed: Confirmed = field(default_factory=Confirmed)
    """What people said of it, by `preflight confirm`."""
    release: Release
    window: Window
    roles: Mapping[str, Role] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    databases: Mapping[str, Database] = field(default_factory=dict)
    backups: Mapping[str, Backup] = field(default_factory=dict)
    scripts: Mapping[str, Scripts] = field(default_factory=dict)
    applications: Mapping[str, Application] = field(default_factory=dict)
    rehearsal: Rehearsing = field(default_factory=Rehearsing)
    rollback: Rollback | None = None
    steps: tuple[Step, ...] = ()
    tested: tuple[Tested, ...] = ()
    rules: tuple[Rule, ...] = ()
    decisions: tuple[Decision, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    attest: tuple[Attest, ...] = ()
    freeze: Mapping[str, Freeze] = field(default_factory=dict)
    freshness: Freshness = field(default_factory=Freshness)
    checks: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """`[checks.ID]`: severity, that of single subjects, and settings, validated against the check's own `Settings`."""
    format: Annotated[int, Between(FORMAT, FORMAT)] = FORMAT
    """The format the plan is written in. It changes when a key gets another meaning, so that no version of preflight
    reads a plan otherwise than it was meant."""

    _derived: dict[Callable[[Plan], Any], Any] = field(init=False, repr=False, compare=False, default_factory=dict)

    def once(self, derive: Callable[[Plan], T]) -> T:
        """What `derive` makes of this plan, made at the first call. `derive` is pure and a function of a module."""
        if derive not in self._derived:
            self._derived[derive] = derive(self)
        return cast(T, self._derived[derive])

    @property
    def folder(self) -> Path:
        """Where the plan's relative paths start."""
        return self.path.parent

    @property
    def sealed_known_hosts(self) -> Path:
        """The file with pinned host keys that `preflight seal` writes beside the plan."""
        return file_beside(self.path, self.set_values, ".known_hosts")

    @property
    def signers(self) -> Mapping[str, Path]:
        """Where it names `allowed_signers`, `release` or `scripts.orders` -> that file."""
        named = {"release": self.release.allowed_signers}
        named |= {f"scripts.{name}": entry.allowed_signers for name, entry in self.scripts.items()}
        return {where: path for where, path in named.items() if path is not None}

    @property
    def sealed_servers(self) -> Path:
        """The file that says which server each database is at, which `preflight seal` writes beside the plan."""
        return file_beside(self.path, self.set_values, SEALED)

    @property
    def confirmed_file(self) -> Path:
        """The file beside the plan in which `preflight confirm` writes down what people said."""
        return file_beside(self.path, self.set_values, CONFIRMED)

    def sealed_schema(self, database: str) -> Path:
        """The file with the schema of a database that `preflight seal` writes beside the plan."""
        return file_beside(self.path, self.set_values, f".{database}.schema.txt")

    @property
    def rehearsal_record(self) -> Path:
        """The file in which `preflight rehearse` records beside the plan what the scripts did."""
        return file_beside(self.path, self.set_values, ".rehearsal.json")

    def call(self, command: str, *options: str, path: str = "") -> str:
        """One of preflight's commands for this plan, with what its variables are set to.

        `path`: of the plan; without it the line is pasted in the plan's folder."""
        given = (word for name, value in self.set_values.items() for word in ("--set", f"{name}={value}"))
        return shlex.join(["preflight", command, path or self.path.name, *options, *given])

    def confirm_command(self, option: str, name: str, people: Iterable[str]) -> str:
        """Writes down what they said of a role (`--role`) or item (`--item`), to be pasted in the plan's folder."""
        command = self.call("confirm", option, name, *(word for each in people for word in ("--by", each)))
        return f"{command} {_SIGN}" if self.release.allowed_signers else command

    @property
    def approve_command(self) -> str:
        """Seals its scripts and signs the manifests, ready to be pasted in the plan's folder."""
        return f"{self.call('seal', '--scripts-only')} {_SIGN}"

    def secrets(self, network_zone: str = "") -> Iterator[tuple[values.SecretRef, str]]:
        """Every secret reference of the plan, once, with the purpose it is asked for by; or those of one zone."""
        needed = (each for each in self.shown_secrets() if network_zone in ("", self._zone_at(each.via, each.target)))
        yield from dict.fromkeys((each.ref, each.purpose) for each in needed)

    def shown_secrets(self) -> Iterator[ShownSecret]:
        """Every secret for each target that needs it: a host needs those of the jump hosts before it, too."""
        for name in self.hosts:
            for step in map(self.hosts.__getitem__, reversed(self.way_to(name))):
                for ref in (step.password, *(become.password for become in step.become if step.id == name)):
                    if ref:
                        yield ShownSecret(ref, step.password_purpose, Via.SSH, name, alone_at(step, ref))
                if step.passphrase:
                    yield ShownSecret(step.passphrase, step.passphrase_purpose, Via.SSH, name, None)
        for database in self.databases.values():
            if ref := database.password:
                yield ShownSecret(ref, database.password_purpose, Via.SQL, database.id, alone_at(database, ref))
        for application in self.applications.values():
            for endpoint in application.health:
                for ref, purpose in endpoint.secrets():
                    yield ShownSecret(ref, purpose, Via.HTTP, application.id, purpose if ref.is_typed else "")

    @property
    def network_zones(self) -> tuple[str, ...]:
        """Every zone that the plan names, in its order; none when everything is asked from one place."""
        hosts, databases, applications = self.hosts.values(), self.databases.values(), self.applications.values()
        entries: Iterable[Host | Database | Application] = (*hosts, *databases, *applications)
        return tuple(dict.fromkeys(each.network_zone for each in entries if each.network_zone))

    def is_asked_from(self, network_zone: str, question: Question) -> bool:
        """Whether `question` is asked in this zone; everything is where none is named. Files beside the plan are read
        in every one: each works from a checkout of its own, and merging compares them."""
        return question.via is Via.LOCAL or network_zone in ("", self._zone_at(question.via, question.target))

    def _zone_at(self, via: Via, target: str) -> str:
        """In which network zone a target is asked; not of local ones."""
        if via is Via.SQL:
            return self.zone_of(self.databases[target])
        return (self.hosts if via is Via.SSH else self.applications)[target].network_zone

    def host_before(self, question: Question) -> str:
        """The host that is logged in to before it can be asked; empty for none."""
        if question.via is Via.SQL and self.databases[question.target].connect is values.Connect.TUNNEL:
            return self.databases[question.target].tunnel_host
        return question.target if question.via is Via.SSH else ""

    def host_of(self, entry: Backup | Scripts) -> Host:
        """Where a backup is taken, and scripts run."""
        named = entry.kept_on if isinstance(entry, Backup) and entry.method.has_repository else ""
        return self.hosts[named or entry.host or self.databases[entry.database].host]

    def home_of(self, database: Database) -> Host | None:
        """The machine that a database runs on; None for a managed one."""
        return self.hosts.get(database.host)

    def zone_of(self, database: Database) -> str:
        """From which part of the network it is asked."""
        named = database.tunnel_host
        return self.hosts[named].network_zone if named else database.network_zone

    def owner_of(self, entry: Backup | Scripts) -> str:
        """Its own, or its database's, or its host's where it names no database."""
        return entry.owner or (self.databases[entry.database] if entry.database else self.host_of(entry)).owner

    @property
    def hosts_with_shell(self) -> tuple[Host, ...]:
        """Those that can be asked about themselves."""
        return tuple(host for host in self.hosts.values() if host.login is values.LoginUse.SHELL)

    def steps_on(self, host_id: str) -> tuple[str, ...]:
        """The steps that need this host's login: its databases' backups and scripts, and those of hosts behind it."""
        return tuple(dict.fromkeys(step for _, step in self.once(_steps_by_host).get(host_id, ())))

    def way_to(self, host_id: str) -> list[str]:
        """The host and the jump hosts before it."""
        way = [host_id]
        while (jump := self.hosts[way[-1]].jump) and jump not in way:
            way.append(jump)
        return way

    @property
    def decided_by(self) -> str:
        """The role that decides about the release as a whole: that of the first decision."""
        return next((decision.decides for decision in self.decisions), "")

    def step(self, step_id: str) -> Step | None:
        return self.once(_steps_by_id).get(step_id)

    def person(self, role_id: str) -> str:
        """`D. Kaya (dba), ext. 4411`: whom to call; just the role when it has no entry, empty for no role."""
        role = self.roles.get(role_id)
        if role is None:
            return role_id
        return f"{role.primary} ({role_id})" + (f", {role.contact}" if role.contact else "")


def _steps_by_id(plan: Plan) -> Mapping[str, Step]:
    return {step.id: step for step in plan.steps}


def _steps_by_host(plan: Plan) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Each with the host, once for each entry."""
    work: list[Backup | Scripts] = [*plan.backups.values(), *plan.scripts.values()]
    needed = ((host, each.step) for each in work if each.step for host in plan.way_to(plan.host_of(each).id))
    return grouped(needed, lambda each: each[0])


Machine = tuple[object, ...]
"""Equal for entries of one machine."""


def machine_of(host: Host, boot: str = "") -> Machine:
    """By the boot that the host was seen in, which one kernel has; else by where the plan says it is reached.

    `boot`: the boot id that a question read; empty where nobody looked or the host shows none."""
    return (boot,) if boot else (host.address or host.id, host.ssh_port, host.jump)


def is_one_machine(one: Host, one_boot: str, other: Host, other_boot: str) -> bool:
    """What was seen counts only where both were seen."""
    return one_boot == other_boot if one_boot and other_boot else machine_of(one) == machine_of(other)


def grouped(items: Iterable[T], place: Callable[[T], Place]) -> Mapping[Place, list[T]]:
    """What has one place, such as one machine or one server, in its order."""
    found: dict[Place, list[T]] = {}
    for each in items:
        found.setdefault(place(each), []).append(each)
    return found


def server_of(plan: Plan, database: Database) -> Machine:
    """Equal for entries of one database server, whichever login of its machine they name."""
    host = plan.home_of(database)
    if host is None:
        return (*sorted(database.named), database.port)
    own = ("", host.address, host.id, *values.THIS_MACHINE)
    return (*machine_of(host), *(each for each in database.named if each not in own), database.port)


def saves(plan: Plan, backup: Backup, scripts: Scripts) -> bool:
    """What the scripts change. Of a database that is not PostgreSQL, the machine and the engine are known."""
    if scripts.database:
        return protects(plan, backup, scripts.database)
    if not backup.host or backup.engine != scripts.engine:
        return False
    return machine_of(plan.hosts[backup.host]) == machine_of(plan.hosts[scripts.host])


def protects(plan: Plan, backup: Backup, database_id: str) -> bool:
    """The same database, whichever entry names it; a base backup holds every database of its server."""
    if not backup.database:
        return False
    own, other = plan.databases[backup.database], plan.databases[database_id]
    holds = backup.method.of_server or own.dbname == other.dbname
    return holds and server_of(plan, own) == server_of(plan, other)
