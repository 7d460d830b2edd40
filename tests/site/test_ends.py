"""What ends, seen where it really ends: certificates, keys, sudo rules and roles of real servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from preflight_checks.app_health import AppHealth
from preflight_checks.database_login import DatabaseLogin
from preflight_checks.host_login import HostLogin

from preflight.finding import Finding, Status
from preflight.plan import Application, Endpoint, LoginUse, Role, SaidUntil, SecretRef, SslMode, Step
from tests.site.accounts import Account, Accounts, make_key
from tests.site.asking import NOW, WINDOW, database_on, finding, findings, host_on, make_plan, told
from tests.site.certificates import Authority
from tests.site.https import HttpsApp
from tests.site.machine import needs, run
from tests.site.postgres import ClientCertificate, Cluster
from tests.site.site import Site

IN_5_HOURS = NOW + timedelta(hours=5)


def health(folder: Path, app: HttpsApp) -> Finding:
    app.answer_json({"status": "UP", "version": "4.1"})
    endpoint = Endpoint(url=app.url(), ca=app.ca, version="version")  # type: ignore[arg-type]
    application = Application(id="app1", from_="4.1", to="4.2", health=(endpoint,))
    found = finding(AppHealth, make_plan(folder, applications={"app1": application}))
    app.close()
    return found


@pytest.mark.case(8)
@pytest.mark.parametrize("which", ["root", "intermediate"])
def test_the_first_of_an_https_chain_to_end_fails_and_is_named(site: Site, tmp_path: Path, which: str) -> None:
    ends = {"root": timedelta(days=3650), "intermediate": timedelta(days=3650), which: timedelta(hours=5)}
    root = Authority(tmp_path / "root", "Example Root", not_after=NOW + ends["root"])
    below = Authority(tmp_path / "below", "Example CA 2", above=root, not_after=NOW + ends["intermediate"])
    found = health(tmp_path, HttpsApp(below.issue(), root.certificate))
    name = {"root": "root certificate CN=Example Root", "intermediate": "intermediate certificate CN=Example CA 2"}
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary.startswith(f"the {name[which]} ends "), told(found)
    assert "before the start" in found.judgement.summary
    (event,) = [event for event in found.judgement.events if event.at == IN_5_HOURS.replace(microsecond=0)]
    assert event.text.startswith(f"{name[which]} of app1 at ")


def test_an_intermediate_certificate_that_has_ended_is_named(site: Site, tmp_path: Path) -> None:
    root = Authority(tmp_path / "root", "Example Root")
    below = Authority(tmp_path / "below", "Example CA 2", above=root, not_after=NOW - timedelta(hours=1))
    found = health(tmp_path, HttpsApp(below.issue(), root.certificate))
    assert found.status is Status.FAIL, told(found)
    assert "certificate has expired (intermediate certificate CN=Example CA 2)" in found.judgement.actual


def test_a_root_certificate_that_has_ended_is_told_from_what_the_server_sends(site: Site, tmp_path: Path) -> None:
    root = Authority(tmp_path / "root", "Example Root", not_after=NOW - timedelta(hours=1))
    found = health(tmp_path, HttpsApp(root.issue(), root.certificate))
    assert "certificate has expired (a root certificate that this machine trusts)" in found.judgement.actual


def test_a_chain_that_outlives_the_work_passes(site: Site, tmp_path: Path) -> None:
    root = Authority(tmp_path / "root", "Example Root")
    below = Authority(tmp_path / "below", "Example CA 2", above=root)
    found = health(tmp_path, HttpsApp(below.issue(), root.certificate))
    assert found.status is Status.PASS, told(found)


@pytest.mark.case(8)
@pytest.mark.parametrize(("sslmode", "status"), [(SslMode.VERIFY_FULL, Status.FAIL), (SslMode.REQUIRE, Status.WARN)])
def test_the_first_of_a_databases_chain_to_end_is_named(
    site: Site, postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sslmode: SslMode, status: Status
) -> None:
    root = Authority(tmp_path / "root", "Example Root")
    below = Authority(tmp_path / "below", "Example CA 2", above=root, not_after=IN_5_HOURS)
    role = postgres.create_role("release")
    monkeypatch.setenv("ORDERS_PASSWORD", role.password)
    trusted = root.certificate if sslmode.verifies else None
    more = {"password": SecretRef("env", "ORDERS_PASSWORD"), "sslmode": sslmode, "sslrootcert": trusted}
    entry = database_on(postgres, role.name, name="postgres", **more)
    plan = make_plan(tmp_path, hosts=[host_on(site.sshd, site.account("good"))], databases=[entry], window=WINDOW)
    with postgres.showing(below.issue()):
        found = finding(DatabaseLogin, plan)
    assert found.status is status, told(found)
    assert "the intermediate certificate CN=Example CA 2 ends" in told(found)


def signed(key: Path, authority: Path, account: Account, validity: str = "-5m:+8h") -> Path:
    """The key's certificate, made beside it."""
    sign = ("-q", "-s", authority, "-I", "release night", "-n", account.name, "-V", validity)
    run(needs("ssh-keygen"), *sign, key.with_suffix(".pub"))
    return key.with_name(f"{key.name}-cert.pub")


class Certified:
    """An account that gets in by certificate only, at an sshd that trusts the authority."""

    def __init__(self, site: Site, folder: Path, **options: str) -> None:
        self.authority, self.key = make_key(folder / "user_ca"), make_key(folder / "user")
        self.account = site.accounts.add("certified", authorize=False)
        trusted = {"TrustedUserCAKeys": str(self.authority.with_suffix(".pub"))}
        self.sshd = site.start_sshd(options=options or trusted)
        self._folder = folder

    def found(self, **host: object) -> Finding:
        entry = host_on(self.sshd, self.account, **{"key": self.key, **host})
        return finding(HostLogin, make_plan(self._folder, hosts=[entry], known_hosts=self.sshd.known_hosts_lines()))


@pytest.fixture
def certified(site: Site, tmp_path: Path) -> Iterator[Certified]:
    made = Certified(site, tmp_path)
    yield made
    made.sshd.close()


@pytest.mark.case(5)
def test_a_certificate_beside_the_key_that_ends_before_the_window_fails(certified: Certified) -> None:
    signed(certified.key, certified.authority, certified.account)
    found = certified.found()
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary.startswith("the certificate ends ")
    assert found.judgement.actual.startswith("certificate release night, valid from ")
    assert found.judgement.remedy.endswith(f"and put it into {certified.key}-cert.pub")
    (event,) = found.judgement.events
    assert event.text == f"certificate of {certified.account.name} on db1 ends"
    (certified.key.with_name("user-cert.pub")).unlink()
    signed(certified.key, certified.authority, certified.account, "-5m:+30d")
    assert certified.found().status is Status.PASS


@pytest.mark.case(39)
@pytest.mark.parametrize("held_by", ["agent", "agent and file"])
def test_a_certificate_that_the_agent_holds_logs_in_and_its_end_counts(
    certified: Certified, agent: Path, held_by: str
) -> None:
    key = certified.key
    if held_by == "agent":
        signed(key, certified.authority, certified.account)
        run("ssh-add", "-q", key, environment={"SSH_AUTH_SOCK": str(agent)})
    else:
        run("ssh-add", "-q", key, environment={"SSH_AUTH_SOCK": str(agent)})
        signed(key, certified.authority, certified.account)
    found = certified.found(key=None, agent=str(key.with_suffix(".pub")))
    assert found.status is Status.FAIL, told(found)
    assert "runs commands on" in "".join(point.summary for point in found.judgement.points)
    assert found.judgement.summary.startswith("the certificate ends ")


@pytest.mark.case(39)
@pytest.mark.parametrize("named_by", ["plan", "ssh_config"])
def test_a_certificate_that_lies_elsewhere_logs_in_and_its_end_counts(
    certified: Certified, ssh_config: Path, named_by: str
) -> None:
    elsewhere = ssh_config.with_name("elsewhere.pub")
    signed(certified.key, certified.authority, certified.account).rename(elsewhere)
    if named_by == "plan":
        found = certified.found(certificate=elsewhere)
    else:
        ssh_config.write_text(f"IdentityFile {certified.key}\nCertificateFile {elsewhere}\n")
        found = certified.found(
            key=None, ssh_config=True, known_hosts=(certified.sshd.known_hosts(ssh_config.with_name("k")),)
        )
    assert found.judgement.summary.startswith("the certificate ends "), told(found)


def test_an_expired_certificate_is_told_and_where_the_key_itself_gets_in_it_does_not_matter(
    certified: Certified, site: Site
) -> None:
    signed(certified.key, certified.authority, certified.account, "-2h:-1h")
    found = certified.found()
    assert found.judgement.summary == "no login: denied (certificate not valid now)", told(found)
    assert "with certificate release night, valid from " in found.judgement.actual
    assert "have whoever signs certificates issue one for" in found.judgement.remedy
    site.accounts.authorize(certified.account.name, public_key=certified.key.with_suffix(".pub").read_text().strip())
    found = certified.found()
    assert found.status is Status.PASS, told(found)


def test_a_certificate_of_a_key_that_gets_in_by_itself_is_a_warning(certified: Certified, site: Site) -> None:
    signed(certified.key, certified.authority, certified.account)
    site.accounts.authorize(certified.account.name, public_key=certified.key.with_suffix(".pub").read_text().strip())
    found = certified.found()
    assert found.status is Status.WARN, told(found)
    assert "has the key itself, which ssh offers next" in found.judgement.summary


def test_the_line_that_accepts_the_authority_ends_too(site: Site, tmp_path: Path) -> None:
    made = Certified(site, tmp_path, PermitTTY="no")
    signed(made.key, made.authority, made.account, "-5m:+30d")
    public = made.authority.with_suffix(".pub").read_text().strip()
    site.accounts.authorize(made.account.name, f'expiry-time="{IN_5_HOURS:%Y%m%d%H%M}Z",Cert-Authority', public)
    found = made.found()
    made.sshd.close()
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary.startswith("the acceptance of the certificate's authority ends")


def test_a_jump_host_that_ssh_config_adds_is_held_against_the_window_too(
    certified: Certified, site: Site, ssh_config: Path
) -> None:
    signed(certified.key, certified.authority, certified.account)
    good, sshd = site.account("good"), certified.sshd
    known = ssh_config.with_name("pinned")
    known.write_text(sshd.known_hosts_lines() + site.sshd.known_hosts_lines())
    ssh_config.write_text(
        f"Host way\n HostName {sshd.address}\n Port {sshd.port}\n User {certified.account.name}\n"
        f" IdentityFile {certified.key}\nHost {site.sshd.address}\n ProxyJump way\n"
        f"Host *\n UserKnownHostsFile {known}\n"
    )
    entry = host_on(site.sshd, good, ssh_config=True)
    found = finding(HostLogin, make_plan(ssh_config.parent, hosts=[entry], known_hosts=known.read_text()))
    assert found.status is Status.FAIL, told(found)
    assert "certificate for ProxyJump way, before db1 ends" in [event.text for event in found.judgement.events]


def test_a_jump_host_without_a_shell_is_held_against_the_window_too(certified: Certified, tmp_path: Path) -> None:
    signed(certified.key, certified.authority, certified.account)
    run(needs("usermod"), "-s", "/usr/sbin/nologin", certified.account.name)
    way = host_on(certified.sshd, certified.account, id="way", key=certified.key, login=LoginUse.THROUGH)
    behind = replace(way, id="db1", jump="way", login=LoginUse.SHELL)
    known = certified.sshd.known_hosts_lines()
    found = findings(HostLogin, make_plan(tmp_path, hosts=[way, behind], known_hosts=known))["way"]
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary.startswith("the certificate ends ")


@pytest.mark.case(7)
@pytest.mark.parametrize(
    ("setting", "file"),
    [
        ({"AuthorizedKeysFile": ".ssh/authorized_keys .ssh/authorized_keys2"}, "{home}/.ssh/authorized_keys2"),
        ({"authorizedkeysfile": "{folder}/%u"}, "{folder}/{name}"),
        ({"AuthorizedKeysFile": '"{folder}/%%of/%u/keys"'}, "{folder}/%of/{name}/keys"),
        ({"AuthorizedKeysFile=%h/keys": ""}, "{home}/keys"),
        ({"Include": "{folder}/*.conf"}, "{home}/.keys"),
    ],
)
def test_the_end_of_a_key_is_found_in_every_file_that_sshd_reads(
    site: Site, accounts: Accounts, tmp_path: Path, setting: dict[str, str], file: str
) -> None:
    account = accounts.add("keys", authorize=False)
    folder = site.new_path("keys")
    folder.mkdir()
    (folder / "more.conf").write_text("AUTHORIZEDKEYSFILE .none .keys\n")
    names = {"folder": str(folder), "home": str(account.home), "name": account.name}
    sshd = site.start_sshd(options={key: value.format(**names) for key, value in setting.items()})
    keys = Path(file.format(**names))
    keys.parent.mkdir(parents=True, exist_ok=True)
    public = account.key.with_suffix(".pub").read_text()
    statuses = []
    for end in (f"{IN_5_HOURS:%Y%m%d%H%M}Z", f"{NOW + timedelta(days=90):%Y%m%d}"):
        keys.write_text(f'no-pty,Expiry-Time="{end}",no-X11-forwarding {public}')
        found = finding(
            HostLogin, make_plan(tmp_path, hosts=[host_on(sshd, account)], known_hosts=sshd.known_hosts_lines())
        )
        statuses.append(found.status)
        assert end.endswith("Z") is (f"moved in {keys} of" in found.judgement.remedy), told(found)
    sshd.close()
    assert statuses == [Status.FAIL, Status.PASS]


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("ChannelTimeout session:*=29m direct-tcpip=1m", Status.WARN),
        ("ChannelTimeout=session:*=30m", Status.PASS),
        ("ChannelTimeout direct-tcpip=1m", Status.PASS),
        ("ChannelTimeout none\nChannelTimeout session:*=1m", Status.PASS),
        ("Match User nobody\nChannelTimeout session:*=1m", Status.PASS),
        ("ChannelTimeout session:*=1h\nMatch User {name}\nChannelTimeout session:shell=10m", Status.WARN),
    ],
)
def test_a_session_that_sshd_ends_before_a_silent_step_has_ended_warns_and_the_cure_works(
    site: Site, accounts: Accounts, tmp_path: Path, lines: str, status: Status
) -> None:
    account, folder = accounts.add("silent"), site.new_path("sshd")
    folder.mkdir()
    config = folder / "more.conf"

    def ask(text: str) -> Finding:
        config.write_text(f"{text}\nMatch all\n")
        sshd = site.start_sshd(options={"Include": f"{folder}/*.conf"})
        step = Step(id="deploy", minutes=30, host="db1")
        plan = make_plan(tmp_path, hosts=[host_on(sshd, account)], known_hosts=sshd.known_hosts_lines(), steps=(step,))
        found = finding(HostLogin, plan)
        sshd.close()
        return found

    text = lines.format(name=account.name)
    found = ask(text)
    assert found.status is status, told(found)
    if status is Status.WARN:
        assert "sshd ends a session that is silent for" in found.judgement.summary
        cure = found.judgement.remedy.partition("sshd there: ")[2].replace(", and below that: ", "\n")
        assert cure == f"Match User {account.name}\nChannelTimeout session:*=0"
        if "Match" not in lines:
            found = ask(f"{text}\n{cure}")
            assert found.status is Status.PASS, told(found)


@pytest.mark.case(7)
def test_a_key_from_a_command_is_unknown_until_somebody_answers_for_it(
    site: Site, accounts: Accounts, tmp_path: Path
) -> None:
    account = accounts.add("fromcommand", authorize=False)
    options = {"AuthorizedKeysCommand": f"/usr/bin/cat {account.key}.pub", "AuthorizedKeysCommandUser": "root"}
    Path(f"{account.key}.pub").chmod(0o644)
    sshd = site.start_sshd(options=options)
    entry = host_on(sshd, account, owner="dba")

    def ask(**settings: object) -> Finding:
        more = {"checks": {"host-login": settings}, "roles": {"dba": Role(id="dba", primary="D. Kaya")}}
        return finding(HostLogin, make_plan(tmp_path, hosts=[entry], known_hosts=sshd.known_hosts_lines(), **more))

    found = ask()
    assert found.status is Status.UNKNOWN, told(found)
    assert "sshd has the key from AuthorizedKeysCommand" in found.judgement.summary
    assert "[checks.host-login.valid_through] db1 = " in found.judgement.remedy
    until = (WINDOW.needed_until + timedelta(days=30)).date()
    said = SaidUntil(by="dba", on=NOW.date(), reason="asked the directory team", until=until)
    found = ask(valid_through={"db1": said})
    sshd.close()
    assert found.status is Status.WARN, told(found)
    assert "not observed: asked the directory team" in found.judgement.summary


@pytest.mark.case(41)
def test_a_client_certificate_logs_in_and_is_held_against_the_window(
    site: Site, postgres: Cluster, tmp_path: Path, client_certificate: ClientCertificate
) -> None:
    entry = database_on(postgres, client_certificate.role.name, name="postgres")
    plan = make_plan(tmp_path, hosts=[host_on(site.sshd, site.account("good"))], databases=[entry])
    found = finding(DatabaseLogin, plan)
    assert found.status in (Status.PASS, Status.WARN), told(found)
    assert "the client certificate ends " not in told(found)
    client_certificate.renew(IN_5_HOURS)
    found = finding(DatabaseLogin, plan)
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary.startswith("the client certificate ends ")
    event = f"client certificate of {client_certificate.role.name} on orders ends"
    assert event in [each.text for each in found.judgement.events]
