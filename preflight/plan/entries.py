"""The sections of a release plan, one frozen dataclass each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, ClassVar

from preflight.plan.limits import Above, Between, Matches, ZoneName
from preflight.plan.values import (
    DEFAULT_SSH_PORT,
    Account,
    Address,
    ApplicationRef,
    BackupFormat,
    BackupMethod,
    Bytes,
    Connect,
    DatabaseRef,
    DecisionKind,
    EntryId,
    Factor,
    HostRef,
    Minutes,
    Name,
    Port,
    Ref,
    RemotePath,
    RoleRef,
    ServerRole,
    Sha256,
    Source,
    SslMode,
    StepRef,
    TestResult,
    Text,
    UndoKind,
    Url,
)
from preflight.secrets import SecretRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """`[release]`: what is deployed, under which number."""

    id: Name
    """The release's number, as the change system knows it."""
    title: str = ""
    """What is deployed, in a few words."""
    ticket: str = ""
    """Number of the change request."""
    attempt: Annotated[int, Between(1)] = 1
    """Which attempt at this release it is; from 2 on the plan says why the last one was backed out."""
    backed_out_because: Text = ""
    """Why the last attempt was backed out; required from attempt 2 on."""
    changed_since: Text = ""
    """What has changed since then; required from attempt 2 on."""
    checks: Path | None = None
    """Folder with checks of this plan's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """`[window]`: when the deployment may happen. All instants are UTC here, local in the file."""

    zone: Annotated[str, ZoneName()]
    """IANA name of the zone in which every time of the plan is written."""
    start: datetime
    """When the work may begin."""
    end: datetime
    """When everything, a rollback too, must be over."""
    margin: timedelta = timedelta(minutes=30)
    """Slack wanted before decide-by."""
    decision_reserve: timedelta = timedelta(minutes=15)
    """Time the decision itself takes."""
    rollback_factor: Factor = 1.2
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

    id: EntryId
    primary: Name
    """Who is called first."""
    standby: str = ""
    """Somebody else, who takes over when the primary cannot be reached."""
    contact: str = ""
    """How both are reached during the window."""
    confirmed_at: datetime | None = None
    """When both last confirmed that they will be there."""
    access: tuple[EntryId, ...] = ()
    """Hosts and databases whose logins the people of this role use; the entry's `person` says whose login it is."""
    lead_time: Annotated[timedelta, Above(0)] | None = None
    """How long a request to this role takes: a password request may take a working day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Become:
    """One account that a host's login must reach through sudo."""

    shorthand: ClassVar[str] = "account"
    """In the plan a bare string stands for a table with just this key."""

    account: Account
    """The account to become."""
    password: SecretRef | None = None
    """Only where sudo asks for the login's own password; without it sudo must not ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """`[hosts.NAME]`: a machine reached by SSH, with exactly one credential."""

    id: EntryId
    address: Address = ""
    """Name or IP address; the host's id when left out."""
    port: Port = DEFAULT_SSH_PORT
    """Port of sshd."""
    user: Account = Account("")
    """The login that will do the work in the window."""
    password: SecretRef | None = None
    """Where the login's password is found."""
    key: Path | None = None
    """Private key file."""
    passphrase: SecretRef | None = None
    """Passphrase of the key file."""
    agent: str = ""
    """Log in through the SSH agent with just this key: its `SHA256:` fingerprint or the path of its `.pub` file."""
    become: tuple[Become, ...] = ()
    """Accounts the login must reach with `sudo -n`."""
    jump: HostRef = ""
    """Host through which this one is reached."""
    ssh_config: bool = False
    """Take address, port, user, key, jump and known_hosts from `ssh -G`, where the plan does not name them."""
    known_hosts: tuple[Path, ...] = ()
    """Files with pinned host keys; by default the file `preflight seal` writes beside the plan, then the user's
    and the system's."""
    host_key_alias: Address = ""
    """Name under which the host's key is pinned, when it is not the address."""
    network_zone: str = ""
    """From which part of the network it can be reached, where `preflight collect --zone` runs in each; its databases
    are asked from there too."""
    person: str = ""
    """Whose own login this is, when it is nobody's shared one; a role's `access` names such entries."""
    lead_time: Annotated[timedelta, Above(0)] | None = None
    """How long mending this login takes, when it is longer than the owner's `lead_time`."""
    owner: RoleRef = ""
    """Role that mends this host and its logins."""

    @property
    def password_purpose(self) -> str:
        """What a prompt for the login's password says; sudo asks for the same one."""
        return f"password of the login on host {self.id}"

    @property
    def passphrase_purpose(self) -> str:
        return f"passphrase of the key for host {self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """`[databases.NAME]`: a PostgreSQL database and the role that runs the scripts."""

    id: EntryId
    host: HostRef
    """The machine it runs on, where its backup and its scripts run."""
    name: str = ""
    """Database name; the id when left out."""
    user: Account
    """Role that runs the scripts."""
    password: SecretRef | None = None
    """Where the role's password is found; leave it out for a client certificate or peer."""
    port: Port = 5432
    """Port of the server."""
    address: Address = ""
    """Address to connect to; the host's when left out. With `connect = "tunnel"`, as seen from the host."""
    server_name: Address = ""
    """Name in the server's certificate, when it is not the address."""
    role: ServerRole = ServerRole.PRIMARY
    """What the server must be at this moment."""
    connect: Connect = Connect.DIRECT
    """`tunnel`: through the host's SSH login."""
    sslmode: SslMode = SslMode.REQUIRE
    """As in libpq: how strict TLS is."""
    sslrootcert: Path | None = None
    """Certificate authorities to verify the server by; libpq's own default when left out."""
    version: Annotated[str, Matches(r"\d{1,4}(?:\.\d{1,4})?", "a major version such as 15")] = ""
    """Expected major version, for example `15`."""
    system_identifier: Annotated[str, Matches(r"\d{1,20}", "the digits that pg_controldata shows")] = ""
    """Expected system identifier of the cluster (`pg_controldata`)."""
    sessions: Annotated[int, Between(1, 100_000)] = 1
    """How many connections the window's work needs at once."""
    person: str = ""
    """Whose own role this is, when it is nobody's shared one; a role's `access` names such entries."""
    lead_time: Annotated[timedelta, Above(0)] | None = None
    """How long mending this login takes, when it is longer than the owner's `lead_time`."""
    owner: RoleRef = ""
    """Role that mends this database; its host's owner when left out."""

    @property
    def password_purpose(self) -> str:
        return f"password of {self.user} for database {self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """`[backups.NAME]`: a backup taken on the database's own host before anything changes."""

    id: EntryId
    database: DatabaseRef
    """What is backed up."""
    directory: RemotePath
    """Where, on the database's host."""
    method: BackupMethod = BackupMethod.PG_DUMP
    """Program that takes it."""
    format: BackupFormat = BackupFormat.CUSTOM
    """Of pg_dump, as its `-F`."""
    account: Account = Account("")
    """OS account that runs it; the host's login when left out."""
    login: Account = Account("")
    """Database role that runs it; the database's user when left out."""
    headroom: Factor = 1.2
    """Factor on the expected size."""
    expected: Annotated[Bytes, Above(0)] | None = None
    """Expected size, when you know it better than the catalogue or the previous backup does."""
    mount: RemotePath | None = None
    """Mount point on which the directory must lie."""
    previous: RemotePath = RemotePath("")
    """Glob of earlier backups on the host; the newest one must be readable to its end."""
    keep: Annotated[int, Between(1)] | None = None
    """How many of them the job that writes them keeps; without it nothing is taken to be removed before the window."""
    max_age: Annotated[timedelta, Above(0)] = timedelta(hours=26)
    """Oldest the newest previous backup may be."""
    step: StepRef = ""
    """Step of the window in which it is taken."""
    owner: RoleRef = ""
    """Role that mends what stands in its way; its database's owner when left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripts:
    """`[scripts.NAME]`: a folder of database scripts: approved here, staged there, sealed by a manifest."""

    id: EntryId
    database: DatabaseRef
    """Where they run."""
    approved: Path
    """Folder beside the plan."""
    manifest: Path
    """File in `sha256sum` format, written by `preflight seal`."""
    staged: RemotePath
    """Folder on the database's host."""
    run: str = ""
    """The command that will run them, for the report; its psql options are judged."""
    account: Account = Account("")
    """OS account that runs them; the host's login when left out."""
    way_back: str = ""
    """Pattern of each script's way-back script, for example `undo/{stem}.down.sql`; empty when not wanted."""
    author: Name = ""
    """Who wrote the scripts."""
    reviewer: Name = ""
    """Who read and approved them."""
    runner: Name = ""
    """Who will run them in the window."""
    step: StepRef = ""
    """Step of the window in which they run."""
    owner: RoleRef = ""
    """Role that mends what stands in their way; their database's owner when left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One health endpoint of one instance."""

    url: Url
    """What is asked, with one GET."""
    status: Annotated[int, Between(100, 599)] = 200
    """The only status that is right."""
    json: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Values wanted at dotted paths, for example `{ status = "UP", "components.db.status" = "UP" }`."""
    text: Text = ""
    """Text that the body must contain."""
    version: str = ""
    """Dotted path of the running version in a JSON body; it must be the application's `from`."""
    max_latency: Annotated[timedelta, Above(0)] = timedelta(seconds=3)
    """Until the last byte of the answer."""
    min_bytes: Annotated[int, Between(0)] = 1
    """Shortest body that counts."""
    follow_redirects: bool = False
    """Follow redirects to the same host; without it a redirect is a finding."""
    final_url: Url = ""
    """URL at which allowed redirects must end."""
    server_name: Address = ""
    """Name for SNI and certificate when the URL holds an IP address."""
    ca: Path | None = None
    """Root certificates to trust instead of the system's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """`[applications.NAME]`: what is replaced, from which version to which."""

    id: EntryId
    from_: Name
    """The version that answers before the window."""
    to: Name
    """What answers after the window."""
    network_zone: str = ""
    """From which part of the network its endpoints are asked; as for a host."""
    owner: RoleRef = ""
    """Role that mends it."""
    health: tuple[Endpoint, ...] = ()
    """Endpoints; each instance on its own, not only the load balancer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackFile:
    """A file the way back needs, on the host that needs it."""

    host: HostRef
    """Where it lies."""
    path: RemotePath
    """The file."""
    sha256: Sha256
    """What its bytes must hash to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """`[rollback]`: what the way back needs."""

    rehearsed: date | None = None
    """When the way back was last tried."""
    max_rehearsal_age: Annotated[timedelta, Above(0)] = timedelta(days=30)
    """How long a rehearsal counts."""
    files: tuple[RollbackFile, ...] = ()
    """What the way back needs besides backups and scripts."""
    keep_broken: bool = False
    """Restore beside the broken database instead of over it: needs room for a second copy."""
    owner: RoleRef = ""
    """Role that keeps the way back ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """How a step is taken back, and how long that takes."""

    kind: UndoKind
    """How it is taken back; `nothing-to-undo` and `none` (it cannot be) are answers too."""
    minutes: Minutes = 0
    """How long that takes."""
    source: Source = "guess"
    """Where the minutes come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`[[steps]]`: one act of the window."""

    id: EntryId
    """Its name, to which `after`, backups and scripts refer."""
    after: tuple[StepRef, ...] = ()
    """Steps that must have ended before."""
    minutes: Minutes
    """How long it takes."""
    minutes_over_network: Minutes | None = None
    """What it takes when the server path is lost."""
    source: Source = "guess"
    """`measured DATE`, `rehearsed DATE` or `guess`."""
    undo: Undo | None = None
    """How it is taken back; without it decide-by is not known."""
    track: str = ""
    """Name of the line of work it belongs to, for the picture of the window."""
    host: HostRef = ""
    """Where it runs, for the report."""
    deploys: ApplicationRef = ""
    """The application that answers with its `to` version once this step is done."""
    blocking: bool = True
    """False for work that the window can be finished without."""

    @property
    def price_minutes(self) -> float | None:
        """Minutes lost when this step has to run over the network; None when the plan does not say."""
        return None if self.minutes_over_network is None else self.minutes_over_network - self.minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """`[[tested]]`: versions that were tried together, and how that ended."""

    versions: Annotated[Mapping[str, Name], Ref("applications")]
    """Application -> version."""
    on: date
    """The day of the test."""
    evidence: Name
    """Where the result can be read: `regression run 8812`."""
    result: TestResult = TestResult.PASSED
    """A pair that failed stays failed until a later record says that it passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`[[rules]]`: what was decided beforehand about versions that meet. Exactly one of the first three."""

    together: tuple[ApplicationRef, ...] = ()
    """Go forward and back together, so that mixed end states cannot occur."""
    unrelated: tuple[ApplicationRef, ...] = ()
    """Never talk to each other, so that their versions need no test together."""
    exclude: Annotated[Mapping[str, Name], Ref("applications")] = field(default_factory=dict)
    """An end state (application -> version) that is never left standing."""
    reason: Text = ""
    """Why it was decided so."""
    decides: RoleRef = ""
    """Role that stands for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`[[decisions]]`: who decides in the window, agreed beforehand."""

    on: DecisionKind
    """Which decision."""
    steps: tuple[StepRef, ...] = ()
    """The steps it is about; all of them when left out."""
    rule: Text
    """What was agreed: `one retry, if the cause is known within 10 minutes`."""
    decides: RoleRef
    """Role that takes it."""
    default: Name
    """What is done when nobody who decides can be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """`[[waivers]]`: one failing finding accepted for this window. Exact, limited and dated."""

    id: EntryId
    """Its number, named in every report."""
    check: Name
    """Id of one check."""
    subject: Name
    """One subject of it, as the report names it."""
    reason: Text
    """Why it is acceptable."""
    limit: Name
    """The worst value it covers: `900 ms`, `12 GiB`; for a finding without a number, the text after `found`."""
    approved_by: RoleRef
    """Role that accepted it."""
    granted: datetime
    """Valid from then on."""
    expires: datetime
    """Valid until then: past the window and its reserve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """`[freshness]`: how old an answer may be at the moment judged, by what it tells."""

    identity: Annotated[timedelta, Above(0)] = timedelta(minutes=30)
    """Which server answers, primary or replica."""
    state: Annotated[timedelta, Above(0)] = timedelta(minutes=30)
    """What changes by itself: mounts, jobs, settings, clocks."""
    space: Annotated[timedelta, Above(0)] = timedelta(minutes=30)
    """What is free on the file systems."""
    access: Annotated[timedelta, Above(0)] = timedelta(hours=4)
    """Logins, accounts, tools."""
    health: Annotated[timedelta, Above(0)] = timedelta(hours=4)
    """Health endpoints."""
    backup: Annotated[timedelta, Above(0)] = timedelta(hours=24)
    """Earlier backups read to their end."""
    people: Annotated[timedelta, Above(0)] = timedelta(hours=12)
    """Confirmations of `[roles]`."""
    scripts: Annotated[timedelta, Above(0)] = timedelta(minutes=30)
    """Staged scripts; `preflight gate` asks for them again whatever their age."""
