"""`gate --watch` over real servers that break and heal between its rounds."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import paramiko
import pytest
from preflight_checks.app_health import AppHealth
from preflight_checks.database_login import DatabaseLogin
from preflight_checks.host_login import HostLogin

from preflight.cli import watch
from preflight.cli.options import ReportOptions
from preflight.cli.screen import Lines
from preflight.clock import now
from preflight.engine.registry import Registry
from preflight.plan import Application, Connect, Endpoint, Plan, SecretRef
from preflight.sessions import pools
from tests.site.accounts import Account, make_key
from tests.site.asking import WINDOW, database_on, host_on, make_plan
from tests.site.https import HttpsApp
from tests.site.machine import TIMEOUT_SECONDS
from tests.site.postgres import DatabaseRole
from tests.site.site import Site
from tests.site.sshd import Sshd
from tests.window_plans import zone_at_noon

Act = Callable[[], object]
UP = {"status": "UP", "version": "4.1"}
EVERY = timedelta(seconds=60)


class Rounds(Lines):
    """In each wait the clock goes on to the next round, and one act is done; True: as if r was typed."""

    def __init__(self, acts: Sequence[Act]) -> None:
        super().__init__(lambda line: self.told.append(line.partition(" ")[2].strip()))
        self.told: list[str] = []
        self.now = now()
        self.acts = list(acts)

    def wait(self, _seconds: float) -> bool:
        self.now += EVERY
        return self.acts.pop(0)() is True


class Night:
    """A host, a database and an application that are well; a second host whose password is wrong."""

    def __init__(self, site: Site, folder: Path, role: DatabaseRole, app: HttpsApp, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.sshd, self.other_sshd = site.start_sshd(), site.start_sshd()
        self.app = app
        self.postgres = site.postgres
        self.role = role
        account = site.account("good")
        self.hosts = [host_on(self.sshd, account), self._refused(account)]
        patch.setenv("ORDERS_PASSWORD", role.password)
        patch.setenv("DB2_PASSWORD", "not-the-password")
        self.database = database_on(
            site.postgres, role.name, name="postgres", password=SecretRef("env", "ORDERS_PASSWORD")
        )
        self.patch = patch
        app.answer_json(UP)

    def _refused(self, account: Account) -> object:
        password = {"key": None, "password": SecretRef("env", "DB2_PASSWORD")}
        return host_on(self.other_sshd, account, id="db2", **password)

    def watch(self, acts: Sequence[Act]) -> list[str]:
        """The lines, without their times."""
        rounds = Rounds(acts)
        start = rounds.now + EVERY * len(acts)
        health = Endpoint(url=self.app.url(), ca=self.app.ca, json={"status": "UP"}, version="version")
        plan = make_plan(
            self.folder,
            hosts=self.hosts,
            databases={"orders": self.database},
            applications={"app1": Application(id="app1", from_="4.1", to="4.2", health=(health,))},
            window=replace(WINDOW, zone=zone_at_noon(start), start=start, end=start + timedelta(hours=6)),
            known_hosts=self.sshd.known_hosts_lines() + self.other_sshd.known_hosts_lines(),
        )
        self.patch.setattr(watch, "load", lambda _path: (plan, Registry((HostLogin, DatabaseLogin, AppHealth))))
        self.patch.setattr(watch, "read_plan_files", lambda _path: plan)
        self.patch.setattr(watch, "now", lambda: rounds.now)
        rhythm = watch.Rhythm(every=EVERY, steady=None, timeout_seconds=TIMEOUT_SECONDS)
        watch.Watching(plan.path, ReportOptions(), rhythm, rounds).hold()
        assert not rounds.acts
        return rounds.told

    def backends(self) -> list[int]:
        found = self.postgres.sql("SELECT pid FROM pg_stat_activity WHERE usename = %s", self.role.name)
        return [pid for (pid,) in found]

    def logins(self) -> int:
        return self.sshd.whole_log.count("Accepted publickey")


@pytest.fixture
def night(site: Site, tmp_path: Path, https_app: HttpsApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Night]:
    role = site.postgres.create_role("release", password="canary-hunter22")
    night = Night(site, tmp_path, role, https_app, monkeypatch)
    yield night
    night.sshd.close()
    night.other_sshd.close()


@pytest.mark.long
def test_a_site_that_breaks_and_heals_is_asked_over_connections_that_stay_open(night: Night) -> None:
    seen: list[tuple[int, list[int]]] = []

    def look() -> None:
        seen.append((night.logins(), night.backends()))

    def break_it() -> None:
        look()
        night.app.answer_json({**UP, "status": "DOWN"})

    def heal_it() -> None:
        look()
        night.app.answer_json(UP)

    told = night.watch([break_it, heal_it, look, look])
    assert [(logins, len(backends)) for logins, backends in seen] == [(1, 1)] * 4
    assert len({backends[0] for _, backends in seen}) == 1, "one login for all rounds"
    assert night.logins() == 2, "the last round logs in anew: whether a login succeeds, only a login tells"
    assert night.backends() == []
    assert night.other_sshd.whole_log.count("Failed password") == 1, "over all rounds"
    assert told[0].startswith("NO-GO: host-login db2")
    assert [line.partition(" https:")[0] for line in told[1:]] == ["app-health app1"] * 2
    assert "pass -> FAIL" in told[1]
    assert told[2].endswith("fail -> pass")


@pytest.mark.long
@pytest.mark.parametrize("connect", Connect)
def test_a_connection_that_died_is_opened_again(night: Night, connect: Connect) -> None:
    night.database = replace(night.database, connect=connect)

    def end_both() -> None:
        ended = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = %s"
        night.postgres.sql(ended, night.role.name)
        end_sessions(night.sshd)

    told = night.watch([end_both, lambda: None])
    assert [line for line in told if "db1" in line or "orders" in line] == []
    assert night.logins() == 3


@pytest.mark.long
@pytest.mark.parametrize("connect", Connect)
def test_a_login_that_is_too_old_is_made_anew(night: Night, good_account: Account, connect: Connect) -> None:
    """Also those behind a jump host, which ends with them."""
    night.database = replace(night.database, connect=connect)
    night.hosts.append(host_on(night.other_sshd, good_account, id="db3", jump="db1"))
    night.patch.setattr(pools, "LOGIN_SECONDS", 0.0)
    pids: list[int] = []
    told = night.watch([lambda: pids.extend(night.backends())] * 3)
    assert (night.logins(), night.other_sshd.whole_log.count("Accepted publickey")) == (4, 4)
    assert len(set(pids)) == len(pids) == 3, "never two at once"
    assert [line for line in told if "db1" in line or "orders" in line] == []


def end_sessions(sshd: Sshd) -> None:
    """Ends the processes of an sshd that hold its connections, and waits until this side has seen it."""
    monitors = children([sshd.pid])
    assert monitors
    for pid in (*children(monitors), *monitors):  # the child of the account has the socket, too
        with contextlib.suppress(ProcessLookupError):  # it ends with the one before
            os.kill(pid, signal.SIGKILL)
    for thread in threading.enumerate():
        if isinstance(thread, paramiko.Transport):
            thread.join(TIMEOUT_SECONDS)


def children(pids: Sequence[int]) -> list[int]:
    parents = ",".join(map(str, pids))
    return [int(pid) for pid in subprocess.run(["pgrep", "-P", parents], capture_output=True, text=True).stdout.split()]


@pytest.mark.long
def test_a_refused_account_is_tried_again_once_somebody_says_so(night: Night, site: Site) -> None:
    def correct_it() -> bool:
        night.patch.setenv("DB2_PASSWORD", site.account("good").password)
        return True

    told = night.watch([lambda: None, correct_it, lambda: None])
    log = night.other_sshd.whole_log
    assert (log.count("Failed password"), log.count("Accepted password")) == (1, 2)
    assert any(line.startswith("host-login db2: fail -> ") for line in told)
    assert told[-1].startswith("host-login db2") or "-> GO" in " ".join(told)


@pytest.mark.long
def test_a_key_that_was_refused_is_offered_once(night: Night, good_account: Account, tmp_path: Path) -> None:
    night.hosts[1] = host_on(night.other_sshd, good_account, id="db2", key=make_key(tmp_path / "unknown"))
    told = night.watch([lambda: None] * 3)
    assert told[0].startswith("NO-GO: host-login db2")
    assert night.other_sshd.whole_log.count("Failed publickey") == 1


@pytest.mark.long
def test_sealing_anew_offers_no_refused_key_again(night: Night, good_account: Account, tmp_path: Path) -> None:
    night.hosts[1] = host_on(night.other_sshd, good_account, id="db2", key=make_key(tmp_path / "unknown"))

    def seal() -> None:
        with watch.load(Path())[0].sealed_known_hosts.open("a") as file:
            file.write("# sealed anew\n")

    night.watch([seal, seal, lambda: None])
    assert night.other_sshd.whole_log.count("Failed publickey") == 1


@pytest.mark.long
def test_what_kept_a_host_from_being_reached_is_tried_again_each_round(night: Night) -> None:
    """Its key is not pinned at first."""
    lines = night.sshd.known_hosts_lines()

    def pin() -> None:
        night_plan: Plan = watch.load(Path())[0]
        night_plan.sealed_known_hosts.write_text(lines)

    def unpin() -> None:
        night_plan: Plan = watch.load(Path())[0]
        night_plan.sealed_known_hosts.write_text("")

    told = night.watch([unpin, pin, lambda: None])
    assert [line.partition(": ")[2] for line in told if line.startswith("host-login db1")][1] == "fail -> pass"
