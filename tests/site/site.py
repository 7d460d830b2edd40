"""The whole test site: every server is started when a test first asks for it and ended with the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from preflight.rehearsal.account import site_account
from preflight.rehearsal.server import reachable
from tests.site.accounts import Account, Accounts
from tests.site.certificates import Authority
from tests.site.https import HTTPS_PORT, HttpsApp
from tests.site.machine import clear_leftovers, memory, run_directory, temporary
from tests.site.mounts import Mounts
from tests.site.netns import Namespace
from tests.site.postgres import Cluster, newer_bin_directory
from tests.site.sshd import Sshd

PG_PROGRAMS = ("psql", "pg_dump", "pg_restore")


def _days(count: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=count)


class Site:
    """Real servers on loopback. A context manager; everything ends on leaving."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            clear_leftovers()
            self.directory = stack.enter_context(run_directory(temporary()))
            self._clusters = self.directory / "clusters"
            if memory() != temporary():
                self._clusters = stack.enter_context(run_directory(memory()))
            self._stack = stack.pop_all()
        self._made = 0
        self._standard: dict[str, Account] = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @cached_property
    def authority(self) -> Authority:
        return Authority(self.directory / "ca")

    @cached_property
    def accounts(self) -> Accounts:
        accounts = Accounts(self.directory)
        self._stack.callback(accounts.close)
        return accounts

    @cached_property
    def sshd(self) -> Sshd:
        """The sshd most tests use."""
        return self.start_sshd()

    @cached_property
    def postgres(self) -> Cluster:
        """The primary most tests use; its superuser is `postgres`. It keeps the WAL of all tests: each database that is
        dropped is a checkpoint, and a standby that is slow on a busy machine would never find what it still needs."""
        return self.start_postgres(settings={"wal_keep_size": "1GB"})

    @cached_property
    def newer_programs(self) -> Path:
        """Those of the newest version that the wheel of the `demo` extra brings."""
        folder = self.new_path("programs")
        folder.mkdir()
        return reachable(newer_bin_directory(), folder, site_account())

    @cached_property
    def newer_postgres(self) -> Cluster:
        """A primary of that version."""
        return self.start_postgres(programs=self.newer_programs)

    @cached_property
    def replica(self) -> Cluster:
        """A streaming standby of `postgres`."""
        return self.start_postgres(copy_of=self.postgres)

    @contextmanager
    def databases_of_one_test(self) -> Iterator[None]:
        """Drops, on leaving, the databases made inside on `postgres`, without starting it."""
        before = self.postgres.databases_made if "postgres" in vars(self) else 0
        yield
        if "postgres" in vars(self):
            self.postgres.drop_databases(before)

    def start_sshd(self, **keywords: Any) -> Sshd:
        """Another sshd, with its own host keys; keywords as for `Sshd`."""
        sshd = Sshd(self.new_path("sshd"), self.accounts.authorized_keys, **keywords)
        self._stack.callback(sshd.close)
        return sshd

    def start_namespace(self, **keywords: Any) -> Namespace:
        """A machine of its own, on which standard ports are free; keywords as for `Namespace`."""
        namespace = Namespace(self.new_path("ns"), **keywords)
        self._stack.callback(namespace.close)
        return namespace

    def start_postgres(self, **keywords: Any) -> Cluster:
        """Another cluster (about a second); keywords as for `Cluster`."""
        self._made += 1
        cluster = Cluster(self._clusters / f"pg{self._made}", self.authority, **keywords)
        self._stack.callback(cluster.close)
        return cluster

    def start_app(
        self,
        names: Sequence[str] = ("localhost", "127.0.0.1"),
        *,
        not_after: datetime | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        namespace: Namespace | None = None,
        clients: Path | None = None,
    ) -> HttpsApp:
        """An HTTPS application with a certificate for `names` until `not_after`, in a `namespace` on the standard
        port; the caller closes it."""
        certificate, ca = self.authority.issue(names, not_after=not_after), self.authority.certificate
        if namespace is None:
            return HttpsApp(certificate, ca, address, port, clients)
        return namespace.call(lambda: HttpsApp(certificate, ca, address, HTTPS_PORT))

    def new_mounts(self) -> Mounts:
        """Mounts of one test; the caller closes them."""
        return Mounts(self.new_path("mnt"))

    def new_path(self, label: str) -> Path:
        """A path in the run's directory that nobody has used; other accounts can reach it."""
        self._made += 1
        return self.directory / f"{label}{self._made}"

    def account(self, kind: str) -> Account:
        """One of the standard accounts, made when first asked for: the names of `STANDARD_ACCOUNTS`."""
        if kind not in self._standard:
            self._standard[kind] = STANDARD_ACCOUNTS[kind](self)
        return self._standard[kind]

    def _sudo_account(self, label: str, *, password: bool) -> Account:
        account = self.accounts.add(label)
        programs = [f"{folder}/{name}" for folder in ("/usr/bin", self.postgres.bin) for name in PG_PROGRAMS]
        self.accounts.allow_sudo(account, "postgres", programs, password=password)
        return account


STANDARD_ACCOUNTS: Mapping[str, Callable[[Site], Account]] = {
    "good": lambda site: site.accounts.add("good"),
    "expired": lambda site: site.accounts.add("expired", account_expires=_days(-1).date()),
    "soon": lambda site: site.accounts.add("soon", account_expires=_days(3).date()),
    "must-change": lambda site: site.accounts.add("mustchange", must_change=True),
    "password-expired": lambda site: site.accounts.add("pwexpired", last_change=_days(-90).date(), max_days=60),
    "password-soon": lambda site: site.accounts.add("pwsoon", last_change=_days(-57).date(), max_days=60, warn_days=7),
    "nologin": lambda site: site.accounts.add("nologin", shell="/usr/sbin/nologin"),
    "forced": lambda site: site.accounts.add("forced", key_options='command="/bin/true"'),
    "sudo": lambda site: site._sudo_account("sudo", password=False),
    "sudo-password": lambda site: site._sudo_account("sudopw", password=True),
}
"""`sudo` may run PostgreSQL's client programs as `postgres` without a password, `sudo-password` with its own."""
