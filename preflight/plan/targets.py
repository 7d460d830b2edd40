"""What is asked, and what runs there: hosts, databases, backups, scripts, the way back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, ClassVar

from preflight.plan import values
from preflight.plan.agreements import Said, SaidPath
from preflight.plan.limits import OR_NONE, Above, Between, Matches

CREDENTIALS = ("password", "key", "agent")
"""Keys of a host of which exactly one is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Become:
    """One account that a host's login must reach through sudo."""

    shorthand: ClassVar[str] = "account"
    """In the plan a bare string stands for a table with just this key."""

    account: values.Account
    """The account to become."""
    password: values.SecretRef | None = None
    """Only where sudo asks for the login's own password; without it sudo must not ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """`[hosts.NAME]`: a machine reached by SSH, with exactly one credential."""

    id: values.EntryId
    address: values.Address = ""
    """Name or IP address; the host's id when left out."""
    port: values.Port | None = None
    """Port of sshd; when left out, that of ssh_config where it is asked, else 22."""
    user: values.Account = values.Account("")
    """The login that will do the work in the window."""
    password: values.SecretRef | None = None
    """Where the login's password is found."""
    local_account: bool = False
    """The password is this host's alone. Without it, entries with the same `user` and the same reference are one
    account, whose password is tried once: the first logs in alone, the others once it was accepted."""
    key: Path | None = None
    """Private key file."""
    passphrase: values.SecretRef | None = None
    """Passphrase of the key file."""
    certificate: Path | None = None
    """SSH certificate of the key, in a file or in the agent; when left out, `KEY-cert.pub` beside the key."""
    agent: str = ""
    """Log in through the SSH agent with just this key: its `SHA256:` fingerprint or the path of its `.pub` file."""
    second_factor: Annotated[
        str,
        Matches(
            r"prompt:.*\w.*", '"prompt:" and the words that the server asks with, such as "prompt:Verification code"'
        ),
    ] = ""
    """`prompt:WORDS`, where sshd wants a code besides the credential: somebody types it on the terminal when the server
    asks with these words. Nobody is asked, and nothing is sent to the host, where there is no terminal."""
    login: values.LoginUse = values.LoginUse.SHELL
    """`through`: of a jump host whose account only lets connections through; it is asked nothing else."""
    become: tuple[Become, ...] = ()
    """Accounts the login must reach with `sudo -n`."""
    jump: values.HostRef = ""
    """Host through which this one is reached."""
    ssh_config: bool = False
    """Take address, port, user, key, jump and known_hosts from `ssh -G`, where the plan does not name them."""
    known_hosts: tuple[Path, ...] = ()
    """Files with pinned host keys; by default the file `preflight seal` writes beside the plan, then the user's
    and the system's."""
    host_key_alias: values.Address = ""
    """Name under which the host's key is pinned, when it is not the address."""
    login_within: Annotated[timedelta, Between(1)] = timedelta(seconds=15)
    """Longest that a login may take, from the TCP connection to the accepted login; a jump host has its own."""
    network_zone: str = ""
    """From which part of the network it can be reached, where `preflight collect --zone` runs in each; its databases
    are asked from there too."""
    person: str = ""
    """Whose own login this is, when it is nobody's shared one; a role's `access` names such entries."""
    lead_time: Annotated[timedelta, Above(0)] | None = None
    """How long mending this login takes, when it is longer than the owner's `lead_time`."""
    runbook: values.Url = ""
    """Where its operation is described; printed with every finding on it."""
    owner: values.RoleRef = ""
    """Role that mends this host and its logins."""

    @property
    def ssh_port(self) -> int:
        """The port to connect to, as far as the plan knows it."""
        return values.SSH_PORT if self.port is None else self.port

    @property
    def who(self) -> str:
        """The login, in words."""
        return self.user or "the login of ssh_config"

    @property
    def code_prompt(self) -> str:
        """The words by which the server asks for the second factor; empty where it wants none."""
        return self.second_factor.removeprefix("prompt:").strip()

    @property
    def password_purpose(self) -> str:
        """What a prompt for the login's password says; sudo asks for the same one."""
        return f"password of the login on host {self.id}"

    @property
    def passphrase_purpose(self) -> str:
        return f"passphrase of the key for host {self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """`migration` of a database: where the history of its migration tool (Flyway, Liquibase, Alembic, ...) must end."""

    shorthand: ClassVar[str] = "from"
    """In the plan a bare string stands for a table with just this key."""

    from_: values.Name
    """The newest migration before the work, as the tool's table has it: a version, an id, a name; of several heads all,
    in order, with commas between them."""
    to: str = ""
    """The same once the work is done, for `preflight verify`."""
    table: str = ""
    """`SCHEMA.TABLE` of the history that counts, where the database has several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """`[databases.NAME]`: a PostgreSQL database and the role that runs the scripts."""

    id: values.EntryId
    host: values.HostRef = ""
    """The machine it runs on, where its backup and its scripts run. Left out for a managed database, whose machine
    nobody logs in to: then `address` is required, and its backups and scripts name the `host` that they run on."""
    name: values.OpenText = ""
    """Database name; the id when left out."""
    user: values.Account
    """Role that runs the scripts."""
    password: values.SecretRef | None = None
    """Where the role's password is found; leave it out for a client certificate alone."""
    local_account: bool = False
    """The password is this database's alone; as for a host."""
    sslcert: Path | None = None
    """Client certificate to log in with, and those above it. Left out, the one in `~/.postgresql` is offered where the
    plan names no `password`."""
    sslkey: Path | None = None
    """Private key of `sslcert`."""
    port: values.Port = values.POSTGRES_PORT
    """Port of the server."""
    address: values.Address = ""
    """Address to connect to; the host's when left out. With `connect = "tunnel"`, as seen from the host, and
    127.0.0.1 when left out."""
    addresses: tuple[values.Address, ...] = ()
    """Instead of `address`, where it has several: they are tried in their order, until one answers that is what `role`
    says, as libpq's `target_session_attrs` does."""
    through: values.HostRef = ""
    """With `connect = "tunnel"`, the host whose login leads to it, where that is not the machine it runs on."""
    network_zone: str = ""
    """As for a host, where neither `host` nor `through` says so."""
    server_name: values.Address = ""
    """Name in the server's certificate, when it is not the address."""
    role: values.ServerRole = values.ServerRole.PRIMARY
    """What the server must be at this moment."""
    connect: values.Connect = values.Connect.DIRECT
    """`tunnel`: through the SSH login of `host`, or of `through`."""
    sslmode: values.SslMode = values.SslMode.REQUIRE
    """As in libpq: how strict TLS is."""
    sslrootcert: values.Roots | None = None
    """Certificate authorities to verify the server by; those of the machine that runs preflight when left out, or
    when it is `"system"`, as in libpq."""
    version: Annotated[str, Matches(r"\d{1,4}(?:\.\d{1,4})?", "a major version such as 15")] = ""
    """Expected major version, for example `15`."""
    migration: Migration | None = None
    """The newest migration that its migration tool has applied, where one changes it."""
    data_directory: SaidPath | None = None
    """Who says where its server keeps its data, where the role is no member of pg_read_all_settings and so may not see
    it, or the host does not show the place."""
    located_by: Said | None = None
    """Who answers for it that the server runs on `host`, where its processes cannot be seen there (a container,
    hidepid)."""
    system_identifier: Annotated[str, Matches(r"\d{1,20}", "the digits that pg_controldata shows")] = ""
    """Expected system identifier of the cluster (`pg_controldata`)."""
    backup: values.Nothing | None = None
    """Why no entry of `[backups]` saves it: `{ none = "only read" }`."""
    provider_restores: Said | None = None
    """Of a managed database: who answers for it that its provider backs it up, apart from its data, and has the room
    to put that back. The `reason` names what shows it, such as a snapshot that was restored."""
    drift_allowed: tuple[values.ObjectPattern, ...] = ()
    """Objects that need not be as `preflight seal` recorded them, because jobs make them, each as SCHEMA.NAME, where
    `*` stands for any text: `["billing.events_p*"]`. A table stands with its indexes, triggers, grants and all else."""
    sessions: Annotated[int, Between(1, 100_000)] = 1
    """How many connections the window's work needs at once."""
    clients: tuple[values.Network, ...] | None = None
    """Addresses and networks from which clients may be connected before the window, `["10.2.0.0/16"]`; the server's own
    machine always may. Left out, from where they come is told and not judged."""
    person: str = ""
    """Whose own role this is, when it is nobody's shared one; a role's `access` names such entries."""
    lead_time: Annotated[timedelta, Above(0)] | None = None
    """How long mending this login takes, when it is longer than the owner's `lead_time`."""
    runbook: values.Url = ""
    """Where its operation is described; printed with every finding on it."""
    owner: values.RoleRef = ""
    """Role that mends this database; its host's owner when left out."""

    @property
    def dbname(self) -> str:
        """What it is called at its server."""
        return self.name or self.id

    @property
    def password_purpose(self) -> str:
        return f"password of {self.user} for database {self.id}"

    @property
    def address_key(self) -> str:
        """Where the plan names the address that is connected to: at the database, or else at its host."""
        key = "addresses" if self.addresses else "address"
        return f"`{key}` in [{f'hosts.{self.host}' if self.host and not self.named else f'databases.{self.id}'}]"

    @property
    def named(self) -> tuple[str, ...]:
        """The addresses that the entry itself names."""
        return self.addresses or ((self.address,) if self.address else ())

    @property
    def place(self) -> str:
        """Where it runs, in words."""
        return self.host or "its provider's machine"

    @property
    def tunnel_host(self) -> str:
        """The host through which it is reached."""
        return self.through or self.host

    def on_primary(self, cure: str) -> str:
        """Of a replica, which takes no change: with a comment where it makes or alters a role or a database."""
        if self.role is values.ServerRole.REPLICA and re.search(r"\b(GRANT|(ALTER|CREATE) (ROLE|DATABASE)) ", cure):
            return f"{cure} -- on the primary of {self.id}"
        return cure

    def server_address(self, host: Host | None) -> str:
        """What is connected to, several with commas between them, as libpq takes them; through a tunnel, from `host`,
        the one that it runs on."""
        if self.named or host is None:
            return ",".join(self.named)
        if self.connect is values.Connect.TUNNEL and not self.through:
            return values.LOOPBACK
        return host.address or host.id


def alone_at(entry: Host | Database, password: values.SecretRef) -> str:
    """Id of the only entry with this password; empty where several share its reference. A typed one is one entry's."""
    return entry.id if entry.local_account or password.is_typed else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """`[backups.NAME.restore]`: how the backup is put back."""

    login: values.Account = values.Account("")
    """Database role that puts it back: the owner of what it replaces. The database's user when left out, never the
    backup's `login`, which may only read."""
    into: values.Argument = ""
    """Database that is named to pg_restore or psql; the backup's own when left out. It must be there."""
    options: tuple[values.Argument, ...] = ()
    """Further options of pg_restore, or of psql for the plain format; as for the backup, only those that leave it a
    whole restore. Over what is there it takes `["--clean", "--if-exists"]`, which for the plain format are the
    backup's."""
    command: tuple[values.Argument, ...] = ()
    """What puts it back instead: a program and its arguments, without a shell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """`[backups.NAME]`: a backup taken on the database's own host before anything changes."""

    id: values.EntryId
    database: values.DatabaseRef = ""
    """What is backed up."""
    host: values.HostRef = ""
    """Where a database lies that is not PostgreSQL; instead of `database`, and with `engine`. A `command` takes its
    backup, or `taken_by`; `verify` tells whether an earlier one is whole, and `expected` how large the next one is.
    Beside a managed `database`, where its backup is taken."""
    engine: values.Engine = ""
    """What runs there: `mysql`, `oracle`, or any other name."""
    engine_shown: Said | None = None
    """Who answers for what no check sees of that database: that it is up, that the backup's role may read all of it,
    that its data lies apart from the backup, that a restore has room. Not needed where a plug-in answers for it."""
    directory: Annotated[values.RemotePath, OR_NONE] = values.RemotePath("")
    """Where, on the database's host; of pgbackrest and barman the folder of the repository, on the host where it is."""
    method: values.BackupMethod = values.BackupMethod.PG_DUMP
    """Program that takes it."""
    known_as: values.Name = ""
    """What pgbackrest (its stanza) or barman (its server) calls the database's server."""
    kept_on: values.HostRef = ""
    """Host where earlier backups are kept: where `previous` is looked for, or where pgbackrest or barman is asked and
    takes the backup; the database's own when left out."""
    kept_by: values.Account = values.Account("")
    """OS account that reads them there; that host's login when left out."""
    format: values.BackupFormat = values.BackupFormat.CUSTOM
    """Of pg_dump, as its `-F`."""
    account: values.Account = values.Account("")
    """OS account that runs it; the host's login when left out."""
    login: values.Account = values.Account("")
    """Database role that runs it; the database's user when left out."""
    server: values.Server = ""
    """How it reaches the server on the host: socket folder or host, with `:PORT` where that is not the database's; the
    program's own default there when left out. With `command` or `taken_by` only `preflight rehearse` needs it."""
    program: values.Name = ""
    """Full path of the `method`, where it is not on the account's PATH. What reads the backup, or puts it back, is then
    called from the same folder, but for a host of `kept_on`."""
    file: values.FileBelow = ""
    """What it writes in `directory`; `{date}` is the day on which the window begins. The entry's name and the day
    when left out."""
    options: tuple[values.Argument, ...] = ()
    """Further options of the program, such as `["--lock-wait-timeout=60s"]`: each a long one in full, and only those
    that leave it a full backup; `--jobs=4` with the directory format. Of pgbackrest and barman any, such as
    `["--type=full"]`."""
    command: tuple[values.Argument, ...] = ()
    """What takes it instead: a program and its arguments, without a shell. Then only its result is judged."""
    taken_by: values.Name = ""
    """What takes it by itself, such as `cron`; then only its result is judged, which `previous` finds. Name the timer
    (`night.timer`) or the whole command of the job, where the job does more than call the `method`'s program."""
    restore: Restore | None = None
    """How it is put back."""
    max_lag: Annotated[timedelta, Above(0)] = timedelta(minutes=5)
    """How old a replica's state may be that is backed up; a server that lags on purpose needs more."""
    headroom: values.Factor = 1.2
    """Factor on the expected size."""
    expected: Annotated[values.Bytes, Above(0)] | None = None
    """Expected size, when you know it better than the catalogue or the previous backup does."""
    mount: values.RemotePath | None = None
    """Mount point on which the directory must lie."""
    reserve: values.Bytes | None = None
    """What other applications write to the same file system before the step. Of several backups on one file system the
    largest counts: it is one disk."""
    previous: Annotated[values.RemotePath, OR_NONE] = values.RemotePath("")
    """Glob of earlier backups on the host; the newest one must be readable to its end."""
    read_within: Annotated[timedelta, Above(0)] = timedelta(minutes=5)
    """How long reading that one to its end may take. `--timeout` must allow for it too."""
    verify: tuple[values.Argument, ...] = ()
    """What says instead whether it is whole, for a backup that cannot be read here (encrypted, packed in a way of its
    own): a program and its arguments, without a shell, run as `account`; `{file}` stands for the newest backup. Status
    0 is yes, which the report tells as a warning, since nobody saw it. preflight starts it as it stands: it must change
    nothing. What can be read here is read all the same, and what was read counts."""
    left_out: tuple[values.ObjectPattern, ...] = ()
    """Tables whose data the job leaves out on purpose, also sequences and views, each as SCHEMA.NAME, where `*` stands
    for any text; a backup that lacks another one is not complete."""
    globals: values.RemotePath = values.RemotePath("")
    """Glob of files of `pg_dumpall --globals-only` on the host: a dump of a database holds no roles."""
    keep: Annotated[int, Between(1)] | None = None
    """How many of them the job that writes them keeps; without it nothing is taken to be removed before the window."""
    max_age: Annotated[timedelta, Above(0)] = timedelta(hours=26)
    """Oldest the newest previous backup may be."""
    step: values.StepRef = ""
    """Step of the window in which it is taken; every step that changes the database comes after one of its backups."""
    runbook: values.Url = ""
    """Where its operation is described; printed with every finding on it."""
    owner: values.RoleRef = ""
    """Role that mends what stands in its way; its database's owner when left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripts:
    """`[scripts.NAME]`: a folder of database scripts: approved here, staged there, sealed by a manifest."""

    id: values.EntryId
    database: values.DatabaseRef = ""
    """Where they run."""
    host: values.HostRef = ""
    """Where a database lies that is not PostgreSQL; instead of `database`, and with `engine`. A `command` runs them.
    Beside a managed `database`, where they run."""
    engine: values.Engine = ""
    """What runs there: `mysql`, `oracle`, or any other name."""
    engine_shown: Said | None = None
    """Who answers for what no check sees of that database: that it is up, that the scripts' role may log in and do what
    they do, that nothing blocks them, that they were rehearsed. Not needed where a plug-in answers for it."""
    backup: values.Nothing | None = None
    """Why no entry of `[backups]` saves the database on that `host`: `{ none = "only read" }`. Where `database` is
    named, it stands there."""
    approved: Path
    """Folder beside the plan."""
    manifest: Path
    """File in `sha256sum` format, written by `preflight seal`."""
    manifest_sha256: values.Sha256 | None = None
    """SHA-256 of the manifest itself, which `preflight seal` prints, as it was approved: so that nobody can change the
    manifest together with the scripts."""
    staged: values.RemotePath
    """Folder on the database's host."""
    account: values.Account = values.Account("")
    """OS account that runs them; the host's login when left out."""
    login: values.Account = values.Account("")
    """Database role that runs them; the database's user when left out."""
    server: values.Server = ""
    """How psql reaches the server on the host: socket folder or host, with `:PORT` where that is not the database's;
    psql's own default there when left out."""
    program: values.Name = "psql"
    """psql, or its full path where it is not on the account's PATH. Other entries do not take it over."""
    files: tuple[values.FileBelow, ...] = ()
    """The scripts in their order, which is that of the numbers of their names where they have any. Left out: every
    sealed script that is nobody's way back and that no other sealed script includes, in the manifest's order."""
    variables: Mapping[str, values.OpenText] = field(default_factory=dict)
    """Variables of psql (`-v`): `{ schema = "app1" }`."""
    single_transaction: bool = False
    """All files in one transaction."""
    log: values.RemotePath = values.RemotePath("")
    """File on the host to which psql also writes its output (`-L`)."""
    command: tuple[values.Argument, ...] = ()
    """What runs them instead of psql: a program and its arguments, without a shell, started in the staged folder."""
    stops_on_error: Said | None = None
    """Who answers for it that the `command` stops at the first error, as in a run in which a script failed."""
    rehearse_command: tuple[values.Argument, ...] = ()
    """What `preflight rehearse` runs in place of the `command`, with arguments of its own: its environment is PGHOST,
    PGPORT, PGDATABASE and PGUSER of the scratch server, and no network is in reach where the machine offers that. The
    `command` itself is never started there."""
    changes: values.ExpectedChange | None = None
    """`nothing` where the scripts are meant to change nothing: else a rehearsal on a restore without a change fails."""
    line_endings: values.LineEndings = values.LineEndings.AS_APPROVED
    """`lf-or-crlf` where staged scripts may differ from the approved ones in LF and CRLF at the ends of lines, by the
    way they are brought there; line breaks within texts of the SQL differ with them."""
    staged_by: tuple[values.Account, ...] = ()
    """Accounts that may own the staged scripts and folders above them besides root, the host's login and `account`."""
    runs_programs: Said | None = None
    """Who answers for what no manifest can seal in the scripts: what `\\!`, `\\gexec`, COPY ... FROM PROGRAM or an
    include with a variable runs or reads."""
    way_back: Annotated[str, OR_NONE] = ""
    """Pattern of each script's way-back script, for example `undo/{stem}.down.sql`. Not needed where the `undo` of its
    step is a restore, or where nothing is undone."""
    touches: tuple[values.ObjectPattern, ...] = ()
    """Objects of the database that the scripts create, alter or drop, each as SCHEMA.NAME, where `*` stands for any
    text: `["billing.*"]`. Not needed where a rehearsal saw what they touch."""
    privileges: Mapping[values.ObjectPattern, tuple[values.Privilege, ...]] = field(default_factory=dict)
    """What they need on tables and views that they do not alter: `{ "audit.log" = ["INSERT"] }`; USAGE is needed on
    sequences."""
    rights_shown: Said | None = None
    """Who answers for rights of which the catalogues do not tell whether the scripts need them, or have them."""
    author: values.Name = ""
    """Who wrote the scripts."""
    reviewer: values.Name = ""
    """Who read and approved them."""
    allowed_signers: Path | None = None
    """File of SSH keys, `NAME namespaces="preflight-manifest" ssh-ed25519 ...` in each line, beside the plan: one of
    them must have signed the manifest (`preflight seal --sign KEY`), and not just that of the `author`."""
    runner: values.Name = ""
    """Who will run them in the window."""
    step: values.StepRef = ""
    """Step of the window in which they run."""
    runbook: values.Url = ""
    """Where its operation is described; printed with every finding on it."""
    owner: values.RoleRef = ""
    """Role that mends what stands in their way; their database's owner when left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackFile:
    """A file the way back needs, on the host that needs it."""

    host: values.HostRef
    """Where it lies."""
    path: values.RemotePath
    """The file."""
    sha256: values.Sha256
    """What its bytes must hash to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalServer:
    """`[rehearsal.server]`: a server of the site's own, there for rehearsals alone, in place of one that is thrown
    away. What is made there is removed again."""

    address: values.Address
    """Where it is reached; no address of the plan's, nor a machine with a host key that is pinned for one of its hosts,
    nor a server with the system identifier of one of its databases."""
    port: values.Port = values.POSTGRES_PORT
    """Port of the server."""
    ssh_port: values.Port = 22
    """Where that machine shows its SSH host key, if it has one."""
    user: values.Account
    """Superuser there, whom event triggers need."""
    password: values.SecretRef | None = None
    """Where that role's password is found."""
    sslmode: values.SslMode = values.SslMode.REQUIRE
    """As in libpq: how strict TLS is."""
    sslrootcert: values.Roots | None = None
    """Certificate authorities to verify the server by; as for a database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsing:
    """`[rehearsal]`: what `preflight rehearse` runs the scripts on."""

    content: values.Content = values.Content.SCHEMA
    """`schema` of the real database; or `restore` of the newest `previous` of its backup, which proves that it can be
    put back, and has the rows with which minutes and changed rows count."""
    programs: Path | None = None
    """Folder with PostgreSQL's server programs on the machine where it is called. Left out: those of the real server's
    major version that this machine or the `demo` extra has, else the newest."""
    server: RehearsalServer | None = None
    """Where another version, extensions or more room are needed than this machine has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """`[rollback]`: what the way back needs."""

    rehearsed: Annotated[date | None, OR_NONE] = None
    """When the way back was last tried."""
    max_rehearsal_age: Annotated[timedelta, Above(0)] = timedelta(days=30)
    """How long a rehearsal counts."""
    files: Annotated[tuple[RollbackFile, ...], OR_NONE] = ()
    """What the way back needs besides backups and scripts."""
    keep_broken: bool = False
    """Restore beside the broken database instead of over it: needs room for a second copy."""
    owner: values.RoleRef = ""
    """Role that keeps the way back ready."""
