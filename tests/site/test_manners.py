"""The manners of a guest: what each command does to the servers of the example plan, as their own full logs tell, the
database's counters, and a trace of every system call of what sshd starts. The numbers are those of docs/security.md."""

from __future__ import annotations

import base64
import json
import re
import shlex
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from preflight.report.formats import FORMATS
from tests.cli.program import wait_for_rounds
from tests.conftest import Network
from tests.docs.example_site import ENVIRONMENT
from tests.sessions.conftest import GENEROUS_SECONDS
from tests.site.machine import needs
from tests.site.site import Site
from tests.trials.interrupts import INTERRUPTED, WHOLE, Trial

pytestmark = pytest.mark.long
DATABASES = ("orders", "billing")
LOGS = {
    "log_statement": "'all'",
    "log_disconnections": "on",
    "log_lock_waits": "on",
    "deadlock_timeout": "'1ms'",  # what waits longer for a lock is logged
    "log_temp_files": "0",
    "log_line_prefix": "'%p|%u|%x|'",  # process, role, transaction id once it has written something
}
COUNTERS = """
SELECT pg_snapshot_xmax(pg_current_snapshot())::text, sum(tup_inserted), sum(tup_updated), sum(tup_deleted),
  sum(temp_files), sum(temp_bytes), sum(deadlocks) FROM pg_stat_database
"""
"""The next transaction id, which none gets that only reads; rows written; temporary files."""
LOCK_ALL = """
SELECT string_agg(oid::regclass::text, ', ') FROM pg_class WHERE relkind IN ('r', 'p') AND relpersistence = 'p'
"""
ENTRIES = ("jump@bastion", "dbadmin@db1", "dkaya@db1", "mortiz@db1", "dbadmin@db2", "appadmin@app1-a")
"""The account and server of each host entry."""
KEYS = {"bastion": 1, "db1": 3, "db2": 1, "app1-a": 1}
"""Host entries by the server that shows its key."""
PROGRAMS = {"backup": 2, "release": 4}
"""Logins by program on the database's host, by role: twice as who takes the backup, puts it back, and runs scripts."""
READS = re.compile(r"SELECT\b|SET (?!.*read_only)|SHOW\b|BEGIN$|LOCK TABLE [^;]* IN ACCESS SHARE MODE$")
READ_ONLY = re.compile(r"BEGIN READ ONLY$|SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY$")
CHANGES = (
    "openat,open,creat,?unlink,unlinkat,?rename,?renameat,renameat2,mkdirat,?mkdir,?rmdir,?link,linkat,?symlink,symlinkat,"
    "truncate,?chmod,fchmodat,fchmod,?chown,fchownat,fchown,?lchown,utimensat,?mknod,mknodat,mount,setxattr,fsetxattr,"
    "kill,tgkill,listen,execve"
)
"""System calls by which something could be left; `execve` for what stands in the process list and the environment."""
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")
LOGIN_WRITES = re.compile(
    r"/dev/(null|tty|ptmx|pts/\d+)|/proc/self/(oom_score_adj|loginuid)|/run/(utmp|motd\.dynamic(\.new)?)"
    r"|/var/log/([wb]tmp|lastlog|faillog)|/run/sshd.*"
)
"""What sshd, PAM and sudo themselves write at any login."""


@dataclass(frozen=True)
class Wanted:
    """What a command does, by docs/security.md."""

    logins: Sequence[str] = ()
    """`account@server`, each once."""
    keys: Mapping[str, int] = field(default_factory=dict)
    """Connections without a login, in which the host shows its key."""
    databases: Sequence[str] = ()
    """Of each one session, by its declared login, and one TLS handshake without a login."""
    programs: Mapping[str, int] = field(default_factory=dict)
    """Logins by program to each of them, by role."""
    tries_to_write: bool = False
    """Whether the backup directories can be written to."""


ASKS = Wanted(ENTRIES, {}, DATABASES, PROGRAMS, tries_to_write=True)
NOTHING = Wanted()
COLLECT = ("collect", "--output", "evidence.json")
LOOK = (
    "--look", "--accept-host-keys", "--release", "R", "--zone", "UTC", "--start", "2030-10-17 00:00", "--end",
    "2030-10-17 06:00", "--by", "Kaya", "--host", "db1=dbadmin@db1.example.net", "--credential", "env:DB1_PASSWORD",
    "--database", "orders@release@db1", "--database-password", "env:ORDERS_PASSWORD", "--ca",
)  # fmt: skip
FILES = tuple(f"--output={name}=report.{name}" for name in FORMATS)
COMMANDS: Mapping[tuple[str, ...], Wanted] = {
    ("seal", "--accept-host-keys"): Wanted(("jump@bastion", "dbadmin@db2"), KEYS, DATABASES),
    ("run", "-v", *FILES): ASKS,
    ("gate", "-v", *FILES): ASKS,
    COLLECT: ASKS,
    ("judge", "evidence.json", *FILES): NOTHING,
    ("verify", "--expect", "before", *FILES): Wanted(("jump@bastion", "dbadmin@db2", "appadmin@app1-a"), {}, DATABASES),
    ("rehearse",): Wanted(("jump@bastion", "dbadmin@db1", "dbadmin@db2"), {}, DATABASES, {"backup": 2}),
    ("lint",): NOTHING,
    ("show",): NOTHING,
    ("history",): NOTHING,
}


@dataclass
class Seen:
    """What the servers saw of one call."""

    code: int
    said: str
    ssh: Mapping[str, str] = field(default_factory=dict)
    """Server -> what its sshd logged."""
    sql: Mapping[str, str] = field(default_factory=dict)
    """Database -> what its server logged."""
    calls: Mapping[str, str] = field(default_factory=dict)
    """Server -> the system calls of all that its sshd started."""

    def logins(self) -> Counter[str]:
        return Counter(
            f"{user}@{host}"
            for host, log in self.ssh.items()
            for user in re.findall(r"^Accepted (?:password|publickey) for (\S+) ", log, re.MULTILINE)
        )

    def keys(self) -> Mapping[str, int]:
        """Connections without a login; one is the tests' own, by which the log's end is seen."""
        without = {}
        for host, log in self.ssh.items():
            count = len(re.findall(r"^Connection from ", log, re.MULTILINE)) - 1
            without[host] = count - sum(n for who, n in self.logins().items() if who.endswith(f"@{host}"))
        return {host: count for host, count in without.items() if count}

    def changes(self) -> Iterator[str]:
        """Each system call that changed something on a host, but for what any login does."""
        for log in self.calls.values():
            program: dict[str, str] = {}
            for pid, name, arguments in re.findall(r"^(\d+) +(\w+)\((.*)", log, re.MULTILINE):
                path = (re.findall(r'"([^"]*)"', arguments) or [""])[-1 if name.startswith("rename") else 0]
                opened = name in ("open", "openat", "creat")
                if name == "execve":
                    program[pid] = path
                elif " = -1 " in arguments or (opened and not WRITES.search(arguments)) or LOGIN_WRITES.fullmatch(path):
                    pass
                elif name != "kill" or not program.get(pid, "").endswith("/sshd"):  # which ends its own process
                    yield f"{name}({arguments}"


class Watched(Trial):
    """The site of the example plan, every server of which logs all that it can."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        for cluster in self.example.clusters:
            for name, value in LOGS.items():
                cluster.sql(f"ALTER SYSTEM SET {name} = {value}")
            cluster.reload()

    def see(self, *command: str) -> Seen:
        return self.watch(lambda: self.call(command))

    def rounds(self) -> tuple[int, str]:
        """Two rounds of a watch, which is ended then."""
        file = self.folder / "watched.json"
        with self.start(("gate", "--watch", "--every", "20s", f"--output=json={file}")) as child:
            wait_for_rounds(child, file, 2)
            child.terminate()
            said, _ = child.communicate()
        return child.returncode, said

    def look(self) -> tuple[int, str]:
        done = self.example.preflight("init", self.folder / "looked.toml", *LOOK, self.folder / "ca.pem")
        return done.returncode, done.stdout + done.stderr

    def written(self) -> str:
        """All that the tool wrote beside the plan: reports, evidence, records, plans."""
        files = (file for file in self.folder.rglob("*") if file.is_file())
        return "".join(file.read_text(errors="replace") for file in files)

    def watch(self, act: Callable[[], tuple[int, str]]) -> Seen:
        """What is seen of an act, which returns exit code and output."""
        logs = {host: len(sshd.log) for host, sshd in self.example.sshds.items()}
        starts = [len(cluster.whole_log) for cluster in self.example.clusters]
        counted = [cluster.sql(COUNTERS) for cluster in self.example.clusters]
        with self._traced() as traces, self._locked():
            code, said = act()
        assert [cluster.sql(COUNTERS) for cluster in self.example.clusters] == counted, "something was written"
        self.require_nothing_left(said)
        return Seen(
            code,
            said,
            {h: self.example.here.call(lambda h=h: self.example.sshds[h].whole_log)[logs[h] :] for h in logs},
            {
                database: cluster.whole_log[start:]
                for database, cluster, start in zip(DATABASES, self.example.clusters, starts, strict=True)
            },
            {host: file.read_text(errors="replace") for host, file in traces.items()},
        )

    @contextmanager
    def _traced(self) -> Iterator[Mapping[str, Path]]:
        files = {host: self.temporary.parent / f"trace-{host}" for host in self.example.sshds}
        with ExitStack() as stack:
            for host, sshd in self.example.sshds.items():
                line = [needs("strace"), "-f", "-v", "-s", "65536", "-o", files[host], "-e", f"trace={CHANGES}"]
                tracer = subprocess.Popen([*line, "-p", str(sshd.pid)], stderr=subprocess.PIPE, text=True)
                stack.callback(_end, tracer)
                assert tracer.stderr is not None
                assert "attached" in tracer.stderr.readline()
            yield files

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Each table and catalogue is held in the mode that lets nobody by who wants more than ACCESS SHARE."""
        with ExitStack() as stack:
            for database, cluster in zip(DATABASES, self.example.clusters, strict=True):
                connection = stack.enter_context(cluster.connect(database))
                connection.autocommit = False
                tables = cluster.scalar(LOCK_ALL, dbname=database)
                connection.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")
            yield


def _end(tracer: subprocess.Popen[str]) -> None:
    tracer.send_signal(signal.SIGTERM)
    tracer.communicate(timeout=GENEROUS_SECONDS)


@dataclass
class Session:
    """One connection to a PostgreSQL server, by its log."""

    role: str = ""
    """Empty where nobody logged in."""
    statements: list[str] = field(default_factory=list)
    by_program: bool = True
    """A program's statements come one by one; the tool's own in its flights."""


def sessions_of(log: str) -> Sequence[Session]:
    """But for the tests' own."""
    found: dict[str, Session] = {}
    for pid, transaction, text in re.findall(r"^(\d+)\|[^|]*\|(\d*)\|\w+: +(.*(?:\n(?!\d+\|).*)*)", log, re.MULTILINE):
        assert transaction in ("", "0"), f"a transaction that has written: {text}"
        assert not re.match("process .* still waiting|temporary file", text), text
        if text.startswith("connection received"):
            found[pid] = Session()
        elif authorized := re.match(r"connection authorized: user=(\S+)", text):
            found[pid].role = authorized[1]
        elif asked := re.match(r"(statement|execute <unnamed>): (.*)", text, re.DOTALL):
            found[pid].by_program = asked[1] == "statement"
            found[pid].statements.append(asked[2].strip())
    return [each for each in found.values() if each.role != "postgres"]


def require_reads_only(session: Session) -> None:
    """The tool's own sessions: each statement in a read-only transaction, with limits, that ends with it. A program's:
    statements that read."""
    read_only = False
    for statement in session.statements:
        if READ_ONLY.search(statement):
            read_only = True
        elif statement in ("ROLLBACK", "COMMIT"):
            read_only = False
        else:
            assert read_only or (session.by_program and READS.match(statement)), statement


@pytest.fixture(autouse=True)
def site_is_near(network: Network) -> None:
    network.allow("192.0.2.0/24")


@pytest.fixture(scope="module")
def watched(site: Site) -> Iterator[Watched]:
    watched = Watched(site)
    yield watched
    watched.close()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_command_asks_what_is_documented_and_changes_nothing(watched: Watched, command: tuple[str, ...]) -> None:
    if command[0] == "judge":
        watched.call(COLLECT)
    seen = watched.see(*command)
    assert seen.code in (*WHOLE, 1), seen.said
    require_manners(watched, seen, COMMANDS[command])


def test_a_watch_logs_in_once_for_all_its_rounds_but_by_the_programs(watched: Watched) -> None:
    seen = watched.watch(watched.rounds)
    assert seen.code == INTERRUPTED, seen.said
    twice = {role: 2 * count for role, count in PROGRAMS.items()}
    require_manners(watched, seen, Wanted(ENTRIES, {}, DATABASES, twice, tries_to_write=True))


def test_who_looks_for_a_first_plan_logs_in_once_after_having_seen_the_key(watched: Watched) -> None:
    seen = watched.watch(watched.look)
    assert seen.code == 0, seen.said
    require_manners(watched, seen, Wanted(("dbadmin@db1",), {"db1": 1}, ("orders",)))


def require_manners(watched: Watched, seen: Seen, wanted: Wanted) -> None:
    assert "Traceback" not in seen.said, seen.said
    assert seen.logins() == Counter(wanted.logins)
    assert seen.keys() == wanted.keys
    for database, log in seen.sql.items():
        asked = database in wanted.databases
        sessions = sessions_of(log)
        for session in sessions:
            require_reads_only(session)
        own = [each for each in sessions if each.statements and not each.by_program]
        assert [each.role for each in own] == ["release"] * asked, database
        assert len([each for each in sessions if not each.role]) == asked, "TLS handshakes"
        programs = Counter(each.role for each in sessions if each.role and each not in own)
        assert programs == (wanted.programs if asked else {}), database
    changes = list(seen.changes())
    assert [each for each in changes if "O_TMPFILE" not in each or not wanted.tries_to_write] == []
    assert bool(changes) == wanted.tries_to_write
    places = {"said": seen.said, "written": watched.written(), **seen.ssh, **seen.sql, **seen.calls}
    for value in ENVIRONMENT.values():
        shapes = (value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1], shlex.quote(value))
        for shape in (*shapes, base64.b64encode(value.encode()).decode()):
            assert [place for place, text in places.items() if shape in text] == [], shape
