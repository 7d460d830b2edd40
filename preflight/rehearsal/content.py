"""What the scratch database is to hold: fetched from the real database's host, as the backup's account and login."""

import json
import re
import shlex
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from preflight.clock import Deadline
from preflight.plan import BackupMethod, Content, SecretRef
from preflight.plan.work import PlannedBackup, ServerWork, connection_options, sudo_cure
from preflight.questions.shell import AsAccount, Refusal, found_program, glob_word, quoted
from preflight.questions.sql import quote_literal
from preflight.rehearsal import ScratchError
from preflight.rehearsal.server import Server
from preflight.sessions.pools import Pools
from preflight.sessions.secrets import Secrets
from preflight.wording import one_line, visible

_LOCK_WAIT = "--lock-wait-timeout=5s"
_FOR_PSQL = re.compile(r"(?m)^\\(?:(?:un)?restrict|encoding|connect) .*\n")
"""Commands of psql between the statements. It cuts no literal, in which PostgreSQL's programs double backslashes."""
_DATABASE_RIGHTS = re.compile(r"^\d+; \d+ \d+ ACL - DATABASE .*\n", re.MULTILINE)
_EXTENSION = re.compile(r"^\d+; \d+ \d+ EXTENSION - (\S+)", re.MULTILINE)
_USER_MAPPING = " USER MAPPING - "
"""It holds the password with which a script would reach another server of the site."""
_CREATE_DATABASE = re.compile(r"(?m)^CREATE DATABASE .*? WITH TEMPLATE = template0(.*?)(?: TABLESPACE = [^;]*)?;$")
_ENCODING = re.compile(r" ENCODING = ('[^']*')")
_SERVER_VERSION = re.compile(r"^;\s+Dumped from database version: \d+\.\d+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Archive:
    content: Content
    roles: str
    """SQL that makes the server's roles, without passwords and commands of psql."""
    file: Path
    """An archive of pg_dump, or the folder of its directory format."""
    backup: str = ""
    """Its path on the host, where it is a backup."""

    @property
    def size_bytes(self) -> int:
        files = self.file.rglob("*") if self.file.is_dir() else [self.file]
        return sum(file.stat().st_size for file in files)


class Source:
    """The host of one database, and the account and login that read it there."""

    def __init__(self, work: ServerWork, pools: Pools, secrets: Secrets, deadline: Deadline) -> None:
        self._work, self._pools, self._secrets, self._deadline = work, pools, secrets, deadline
        self._account = AsAccount.of(work)

    @staticmethod
    def said(work: ServerWork, content: Content) -> str:
        """What is done there, in one sentence."""
        who = f"on {work.host.id}, as {work.who}"
        if content is Content.RESTORE:
            return f"{who}: reads the newest file of `previous`, and the roles by pg_dumpall"
        return f"{who}, role {work.login}: pg_dump --schema-only {_LOCK_WAIT}, and the roles by pg_dumpall"

    def fetch(self, content: Content, folder: Path) -> Archive:
        """Raises ScratchError and SessionFailed."""
        dumped = bytearray()
        self._run("pg_dumpall", ["--roles-only", "--no-role-passwords"], dumped.extend, database="-l")
        roles = _FOR_PSQL.sub("", dumped.decode("utf-8", "replace"))
        if content is Content.RESTORE:
            return self._fetch_backup(roles, folder)
        file = folder / "schema.dump"
        with file.open("wb") as opened:
            options = ["-F", "c", "--schema-only", "--no-subscriptions", _LOCK_WAIT]
            self._run("pg_dump", options, opened.write, database="-d")
        return Archive(content, roles, file)

    def _run(self, program: str, options: Sequence[str], take: Callable[[bytes], object], *, database: str) -> None:
        named = self._work.program(program)
        connection = dict(self._work.connection) | {"dbname": self._work.database.dbname}
        words = connection_options(tuple(connection.items()))
        words = [database if word == "-d" else word for word in words]
        line = self._account.command(f'"$p" -w {shlex.join([*options, *words])}')
        status, said = self._shell(f"cd /\n{found_program(named, self._account)}\n{line}", take)
        if status and database == "-l" and "could not connect" in said:
            # PostgreSQL's own reason is not in what pg_dumpall says then; pg_dump ends with it.
            self._run("pg_dump", ["--schema-only", _LOCK_WAIT], lambda _: None, database="-d")
        if status:
            raise ScratchError(self._complaint(program, said, status))

    def _shell(self, script: str, take: Callable[[bytes], object], at: ServerWork | None = None) -> tuple[int, str]:
        """`at`: where another work is done, as the account that does it."""
        host, ref = (at or self._work).host, AsAccount.of(at or self._work).password
        secret = self._secrets.value(SecretRef.parse(ref), host.password_purpose) if ref else ""
        return self._pools.ssh_pool().stream(host.id, script, secret, take, self._deadline)

    def _complaint(self, program: str, said: str, status: int) -> str:
        host, who = self._work.host, self._work.who
        told = f"{program} on {host.id} as {who}, role {self._work.login}: {one_line(said) or f'exit status {status}'}"
        if any(each.is_in(said) for each in (Refusal.NOT_ALLOWED, Refusal.NEEDS_PASSWORD)):
            named = self._work.program(program)
            path = named if named.startswith("/") else f"/usr/bin/{named}"
            return f"{told}; {sudo_cure(host, self._account.account, path)}"
        if isinstance(self._work, PlannedBackup) and self._work.taken_otherwise:
            cure = "as which role it logs in (`login`) and how it reaches the server (`server`)"
            return f"{told}; say in {self._work.table} {cure}, then rehearse again"
        return f"{told}; cure it as the lines backup-rights and script-runner say, then rehearse again"

    def _fetch_backup(self, roles: str, folder: Path) -> Archive:
        kept = self._previous().kept
        entry, account, name = kept.backup, AsAccount.of(kept), bytearray()
        self._shell(account.wrap(f"ls -1tdp -- {glob_word(entry.previous)} | head -n 1"), name.extend, kept)
        path = name.decode("utf-8", "surrogateescape").strip("\n")
        if not path or "\n" in path:
            raise ScratchError(f"no backup was found as {visible(entry.previous)} on {kept.host.id}")
        target = folder / "backup.dump"
        with target.open("wb") as opened:
            read = f"tar -cf - -C {quoted(path)} ." if path.endswith("/") else f"cat -- {quoted(path)}"
            status, said = self._shell(account.wrap(read), opened.write, kept)
        if status:
            raise ScratchError(f"{visible(path)} on {kept.host.id} cannot be read: {one_line(said)}")
        if path.endswith("/"):  # of the directory format
            with tarfile.open(target) as packed:
                packed.extractall(folder / "backup", filter="data")
            target = folder / "backup"
        return Archive(Content.RESTORE, roles, target, path)

    def _previous(self) -> PlannedBackup:
        work = self._work if isinstance(self._work, PlannedBackup) else None
        if work is None or not work.backup.previous or work.backup.method is not BackupMethod.PG_DUMP:
            raise ScratchError(
                f"no backup of {self._work.database.id} by pg_dump names its earlier ones: add `previous` to its entry "
                'of [backups], or write in [rehearsal]: content = "schema"'
            )
        return work


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive says of itself, held against a server that is to hold it."""

    missing_extensions: tuple[str, ...]
    listed: str
    """Its list for pg_restore, without what needs those."""
    allowed: Mapping[str, str]
    """As `AllowedProbe` tells."""

    @classmethod
    def of(cls, server: Server, archive: Archive, allowed: Mapping[str, str]) -> Self:
        """Raises ScratchError."""
        try:
            contents = server.run("pg_restore", "-l", archive.file)
        except ScratchError as error:
            if not re.search("valid archive|text format", str(error)):
                raise
            cure = (
                'SQL text is not put back here: have `previous` find an archive, or [rehearsal] say content = "schema"'
            )
            raise ScratchError(f"{visible(archive.backup)}: {one_line(str(error))}; {cure}") from None
        if not _SERVER_VERSION.search(contents):
            raise ScratchError(f"{archive.backup or 'what pg_dump wrote'} does not say which server was dumped")
        offered = set(server.query("SELECT name FROM pg_available_extensions").splitlines())
        missing = tuple(name for name in _EXTENSION.findall(contents) if name not in offered)
        patterns = [f" (?:EXTENSION - {name} |COMMENT - EXTENSION {name} )" for name in map(re.escape, missing)]
        patterns += [_USER_MAPPING] if server.reaches_network else []
        left_out = re.compile("|".join(patterns) or "(?!)")
        listed = "".join(line for line in contents.splitlines(keepends=True) if not left_out.search(line))
        return cls(missing, listed, allowed)


def make_database(
    server: Server, database: str, archive: Archive, contents: Contents, deadline: Deadline, *, schema_only: bool
) -> None:
    """Makes the database and fills it until `deadline`; the first error ends it. Raises ScratchError."""
    # Of all objects none but the database: nothing that somebody wrote in one may be taken for a statement of its own.
    rights = archive.file.with_suffix(".rights")
    rights.write_text("".join(_DATABASE_RIGHTS.findall(server.run("pg_restore", "--create", "-l", archive.file))))
    told = server.run("pg_restore", "--create", "--schema-only", "-L", rights, "-f", "-", archive.file)
    made = _CREATE_DATABASE.search(told)
    if made is None:
        raise ScratchError(f"the archive does not say how {visible(database)} is made")
    try:
        server.create_database(database, made[1])
    except ScratchError:  # this machine has no such locale
        encoding = _ENCODING.search(made[0])
        server.create_database(database, f" ENCODING {encoding[1] if encoding else 'UTF8'}")
    server.execute(_FOR_PSQL.sub("", told[: made.start()] + told[made.end() :]))
    list_file = archive.file.with_suffix(".list")
    list_file.write_text(contents.listed)
    options = ["--exit-on-error", "--no-subscriptions", "-L", str(list_file)]
    options += ["--schema-only"] if schema_only else []
    server.run("pg_restore", *options, "-d", database, archive.file, seconds=deadline.left())
    # No statement gives an extension to another role.
    owners = f"json_each_text({quote_literal(json.dumps(contents.allowed))}) JOIN pg_roles r ON rolname = value"
    owned = f"UPDATE pg_extension SET extowner = r.oid FROM {owners} WHERE key = 'extension ' || extname"  # noqa: S608
    server.query(owned, database)
