"""script-hashes against a real OpenSSH server: folders of scripts in every state they are found in."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.script_hashes import ScriptHashes

from preflight.finding import Finding, Status
from preflight.judging.cures import copy_command
from preflight.plan import Account as Login
from preflight.plan import Become, Database, Plan, RemotePath, Role, Said, Scripts, SecretRef
from preflight.plan.manifest import format_manifest
from preflight.plan.values import LineEndings
from preflight.seal import seal_scripts, sign_manifest
from preflight.sessions import signatures
from tests.signing import allowed, signing_key
from tests.site.accounts import Account, Accounts
from tests.site.asking import NOW, as_root, finding, host_on, make_plan, pasted, told
from tests.site.machine import needs
from tests.site.machine import run as run_program
from tests.site.site import Site

SCRIPTS = {
    "010_tables.sql": "create table a (b int);\n\\ir parts/columns.sql\n",
    "020_rows.sql": "\\copy a from 'parts/rows.csv'\n",
    "parts/columns.sql": "alter table a add c int;\n",
    "parts/rows.csv": "1,2\n",
}


@dataclass
class Release:
    """Scripts approved here and staged on the site's server, both written to disk."""

    site: Site
    account: Account
    local: Path
    staged: Path

    @property
    def approved(self) -> Path:
        return self.local / "sql"

    def write(self) -> None:
        for top in (self.approved, self.staged):
            for name, text in SCRIPTS.items():
                file = top / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        for path in (self.staged, *self.staged.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        self.seal()

    def seal(self) -> None:
        files = {str(path.relative_to(self.approved)): path for path in self.approved.rglob("*") if path.is_file()}
        hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
        (self.local / "sql.SHA256SUMS").write_text(format_manifest(hashes))

    def plan(self, **changes: Any) -> Plan:
        host = host_on(self.site.sshd, self.account, become=changes.pop("become", ()))
        scripts = Scripts(
            id="orders",
            database="orders",
            approved=self.approved,
            manifest=self.local / "sql.SHA256SUMS",
            staged=RemotePath(str(self.staged)),
            files=("010_tables.sql", "020_rows.sql"),
        )
        return make_plan(
            self.local,
            hosts=[host],
            databases=[Database(id="orders", host="db1", user=Login("release"))],
            known_hosts=self.site.sshd.known_hosts_lines(),
            scripts={"orders": replace(scripts, **changes)},
            roles={"dba": Role(id="dba", primary="D. Kaya")},
        )

    def finding(self, **changes: Any) -> Finding:
        return finding(ScriptHashes, self.plan(**changes))


@pytest.fixture
def release(site: Site, tmp_path: Path) -> Release:
    release = Release(site, site.account("good"), tmp_path, site.new_path("stage"))
    release.write()
    return release


def test_what_is_approved_sealed_and_staged_passes(release: Release) -> None:
    found = release.finding()
    assert found.status is Status.PASS, told(found)
    assert found.judgement.summary == "4 files: approved = sealed = staged"
    assert found.judgement.actual == f"hashed on db1 with openssl by {release.account.name}"


def test_a_script_changed_on_the_server_fails_with_its_author_time_and_diff(release: Release) -> None:
    script = release.staged / "parts/columns.sql"
    script.write_text("alter table a add c bigint;\n")
    os.chown(script, 1, 1)
    os.utime(script, (1_790_000_000, 1_790_000_000))
    found = release.finding()
    assert found.status is Status.FAIL
    assert found.judgement.summary == "parts/columns.sql was changed on the server: 1 line differs"
    assert "owner daemon, modified 2026-09-21 14:13:20 UTC, 28 bytes" in found.judgement.actual
    assert "+alter table a add c bigint;" in found.judgement.details.splitlines()


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "how"),
    [
        (lambda content: content.replace(b"\n", b"\r\n"), "line endings (CRLF instead of LF)"),
        (lambda content: b"\xef\xbb\xbf" + content, "the byte order mark (added)"),
        (lambda content: content.rstrip(b"\n"), "the final newline (removed)"),
        (lambda content: content.replace(b"int", b"int\0\x1b[2J\xff"), "1 line differs"),
        (lambda content: content + b"-- x\n" * 40_000, "at least 13098 lines differ"),
        (lambda content: b"-- x\n" * 40_000 + content, "at least 13108 lines differ"),
    ],
)
def test_how_the_staged_text_differs_is_told(release: Release, change: Callable[[bytes], bytes], how: str) -> None:
    script = release.staged / "010_tables.sql"
    script.write_bytes(change(script.read_bytes()))
    found = release.finding()
    assert found.status is Status.FAIL
    assert f"010_tables.sql was changed on the server: {'the same but for ' if '(' in how else ''}{how}" in told(found)
    assert all(line.isprintable() for line in found.judgement.details.splitlines())


@pytest.mark.long
def test_forty_files_converted_by_the_transfer_are_explained_without_reading_them(release: Release) -> None:
    for number in range(40):
        (release.approved / f"{number:03}.sql").write_text(f"select {number};\n")
        (release.staged / f"{number:03}.sql").write_text(f"select {number};\r\n")
    release.seal()
    found = release.finding()
    points = found.judgement.telling_points()
    assert sum("line endings (CRLF instead of LF)" in point.summary for point in points) == 10
    assert "30 more scripts were changed" in points[-1].summary


def remove(path: str) -> Callable[[Release], None]:
    return lambda release: (release.staged / path).unlink()


def put(path: str, text: str = "x", mode: int = 0o644) -> Callable[[Release], None]:
    def write(release: Release) -> None:
        (release.staged / path).write_text(text)
        (release.staged / path).chmod(mode)

    return write


def chmod(path: str, mode: int) -> Callable[[Release], None]:
    return lambda release: (release.staged / path).chmod(mode)


def link(path: str, target: str) -> Callable[[Release], None]:
    def make(release: Release) -> None:
        (release.staged / path).unlink(missing_ok=True)
        (release.staged / path).symlink_to(target)

    return make


def approve(path: str, text: str) -> Callable[[Release], None]:
    """A new script, approved, sealed and staged."""

    def write(release: Release) -> None:
        for top in (release.approved, release.staged):
            (top / path).write_text(text)
        release.seal()

    return write


STATES: list[tuple[str, Callable[[Release], Any], Status, str]] = [
    ("missing", remove("020_rows.sql"), Status.FAIL, "missing: 020_rows.sql"),
    ("extra script", put("030_late.sql"), Status.FAIL, "that nobody sealed"),
    ("extra file", put("notes.txt"), Status.WARN, "that nobody sealed"),
    ("hostile extra", put("-n\n$(id)\x1b[2J.sql"), Status.FAIL, "-n\\n$(id)\\x1b[2J.sql (owner root"),
    ("link", link("010_tables.sql", "/etc/hostname"), Status.FAIL, "010_tables.sql -> /etc/hostname"),
    ("link to a sealed file", link("030.sql", "010_tables.sql"), Status.FAIL, "030.sql -> 010_tables.sql"),
    ("FIFO", lambda release: os.mkfifo(release.staged / "pipe.sql"), Status.FAIL, "pipe.sql (special)"),
    ("world-writable file", chmod("020_rows.sql", 0o666), Status.FAIL, "o+w: 020_rows.sql"),
    ("world-writable folder", chmod("parts", 0o777), Status.FAIL, "o+w: parts"),
    ("world-writable top", chmod(".", 0o777), Status.FAIL, "o+w: ."),
    ("group-writable", chmod("parts", 0o775), Status.WARN, "g+w: parts"),
    ("by an access control list", lambda release: run_program(needs("setfacl"), "-m", "u:nobody:rw", release.staged /
     "020_rows.sql"), Status.UNKNOWN, "whoever an access control list names, or a whole group"),
    ("unreadable file", chmod("020_rows.sql", 0o600), Status.FAIL, "cannot read"),
    ("unreadable top", chmod(".", 0o700), Status.FAIL, "cannot be read by"),
    ("unreadable folder", chmod("parts", 0o700), Status.FAIL, "'./parts': Permission denied"),
    ("closed top", chmod(".", 0o700), Status.FAIL, "Permission denied"),
    ("no folder", lambda release: shutil.rmtree(release.staged), Status.FAIL, "No such file or directory"),
    ("empty script", approve("030.sql", ""), Status.FAIL, "without content"),
    ("unsealed include", approve("030.sql", "\\i rows.sql\n"), Status.FAIL, "\\i rows.sql is not sealed"),
    ("include outside", approve("030.sql", "\\ir ../x.sql\n"), Status.FAIL, "leaves the staged folder"),
    ("variable include", approve("030.sql", "\\i :f\n"), Status.UNKNOWN, "030.sql line 1: \\i :f reads"),
    ("include from the script's own folder", approve("parts/x.sql", "\\i columns.sql\n"), Status.FAIL,
     "parts/x.sql line 1: \\i columns.sql is not sealed"),
    ("load from the script's own folder", approve("parts/x.sql", "\\copy a from rows.csv\n"), Status.FAIL,
     "parts/x.sql line 1: \\copy rows.csv is not sealed"),
    ("no manifest", lambda release: (release.local / "sql.SHA256SUMS").unlink(), Status.FAIL, "are not sealed"),
    ("empty manifest", lambda release: (release.local / "sql.SHA256SUMS").write_text(""), Status.FAIL, "lists no file"),
    ("no approved folder", lambda release: shutil.rmtree(release.approved), Status.FAIL, "approved folder cannot be"),
    ("changed after sealing", lambda release: (release.approved / "020_rows.sql").write_text("x"), Status.FAIL,
     "was changed after sealing"),
    ("approved link", lambda release: (release.approved / "l.sql").symlink_to("x"), Status.FAIL, "links or special"),
]  # fmt: skip


@pytest.mark.case(19)
@pytest.mark.case(20)
@pytest.mark.parametrize(("break_it", "status", "said"), [row[1:] for row in STATES], ids=[row[0] for row in STATES])
def test_every_failing_state_is_found(
    release: Release, break_it: Callable[[Release], Any], status: Status, said: str
) -> None:
    break_it(release)
    found = release.finding()
    assert found.status is status, told(found)
    assert said in told(found)
    if " a+r" in found.judgement.remedy:  # chmod
        as_root(found)
        assert release.finding().status is Status.PASS


def test_a_staged_folder_behind_a_link_is_a_warning(release: Release) -> None:
    current = release.site.new_path("current")
    current.symlink_to(release.staged)
    found = release.finding(staged=RemotePath(str(current)))
    assert found.status is Status.WARN, told(found)
    assert f"leads to {release.staged}" in told(found)


@pytest.mark.parametrize(("mode", "status", "said"), [(0o777, Status.FAIL, "o+w"), (0o775, Status.WARN, "g+w")])
def test_a_folder_above_that_others_may_write_to_is_told(
    release: Release, mode: int, status: Status, said: str
) -> None:
    above = release.site.new_path("above")
    above.mkdir()
    shutil.copytree(release.staged, above / "stage")
    above.chmod(mode)
    found = release.finding(staged=RemotePath(str(above / "stage")))
    assert found.status is status, told(found)
    assert f"{said}: {above}" in told(found)
    above.chmod(0o755)
    assert release.finding(staged=RemotePath(str(above / "stage"))).status is Status.PASS


@pytest.mark.long
def test_hostile_names_are_sealed_staged_and_compared(release: Release) -> None:
    names = ["new\nline.sql", "back\\slash.sql", "-n.sql", " lead.sql", "a'b\"c$(id)`id`.sql", "*.sql", "ünï.sql"]
    for name in names:
        for top in (release.approved, release.staged):
            (top / name).write_text("select 1;\n")
    release.seal()
    assert release.finding().status is Status.PASS
    for name in names:
        (release.staged / name).write_text("select 2;\n")
    found = release.finding()
    points = found.judgement.telling_points()
    assert [point.status for point in points] == [Status.FAIL] * len(names)
    assert sum("1 line differs" in point.summary for point in points) == 3
    assert all("+select 2;" in point.details for point in points[:3])


@pytest.mark.long
def test_two_thousand_scripts_are_compared(release: Release) -> None:
    for top in (release.approved, release.staged):
        for number in range(2000):
            (top / f"{number:04}_a_change_of_the_schema.sql").write_text(f"select {number};\n")
    release.seal()
    found = finding(ScriptHashes, release.plan(files=()), timeout_seconds=60)
    assert found.status is Status.PASS, told(found)
    assert found.judgement.summary.startswith("2004 files")


@pytest.mark.long
@pytest.mark.parametrize("password", [False, True])
def test_the_account_that_runs_the_scripts_does_the_hashing(
    release: Release, accounts: Accounts, monkeypatch: pytest.MonkeyPatch, password: bool
) -> None:
    runner = accounts.add("runner")
    release.account = accounts.add("login")
    accounts.allow_sudo(release.account, runner.name, password=password)
    monkeypatch.setenv("SUDO_PASSWORD", release.account.password)
    reference = SecretRef("env", "SUDO_PASSWORD") if password else None
    become = (Become(account=Login(runner.name), password=reference),)
    for path in (release.staged, *release.staged.rglob("*")):
        shutil.chown(path, runner.name, runner.name)
        path.chmod(0o700 if path.is_dir() else 0o600)
    found = release.finding(account=Login(runner.name), become=become)
    assert found.status is Status.PASS, told(found)
    assert found.judgement.actual.endswith(f"by {runner.name}")
    assert release.account.password not in repr(found)

    (release.staged / "020_rows.sql").write_text("select 1;\n")
    found = release.finding(account=Login(runner.name), become=become)
    assert "+select 1;" in found.judgement.details


@pytest.mark.long
def test_what_belongs_to_another_account_is_staged_and_taken_away_by_its_cures(
    release: Release, accounts: Accounts
) -> None:
    runner = accounts.add("runner")
    release.account = accounts.add("login")
    accounts.allow_sudo(release.account, runner.name, ["/bin/sh"])
    key = release.local / "the key"
    key.write_bytes(release.account.key.read_bytes())
    key.chmod(0o600)
    changes = {"account": Login(runner.name), "become": (Become(account=Login(runner.name)),)}
    plan = release.plan(**dict(changes))
    plan = replace(plan, hosts={"db1": replace(plan.hosts["db1"], key=key, password=None)})
    shutil.rmtree(release.staged / "parts")
    (release.staged / "030_extra.sql").write_text("select 1;\n")
    for path in (release.staged, *release.staged.rglob("*")):
        shutil.chown(path, runner.name, runner.name)
    release.staged.chmod(0o751)
    for _ in range(3):  # each cure names one file
        found = finding(ScriptHashes, plan)
        for point in found.judgement.telling_points():
            cure = point.remedy.partition("; or ")[0].partition(": ")[2]
            assert pasted(plan, cure).returncode == 0, (cure, pasted(plan, cure).stderr)
        if found.status is Status.PASS:
            break
    assert found.status is Status.PASS, told(found)
    whole = copy_command(plan, plan.hosts["db1"], runner.name, "sql/.", str(release.staged))
    (release.staged / "020_rows.sql").unlink()
    assert pasted(plan, whole).returncode == 0
    assert finding(ScriptHashes, plan).status is Status.PASS


def test_without_a_shell_of_that_account_the_login_hashes_and_it_is_said(release: Release, accounts: Accounts) -> None:
    runner = accounts.add("runner")
    release.account = accounts.add("login")
    accounts.allow_sudo(release.account, runner.name, ["/usr/bin/psql"])
    changes = {"account": Login(runner.name), "become": (Become(account=Login(runner.name)),)}
    found = release.finding(**dict(changes))
    assert found.status is Status.PASS, told(found)
    assert found.judgement.actual.endswith(f"by {release.account.name}, who may not become {runner.name}")
    release.staged.chmod(0o700)
    assert release.finding(**dict(changes)).status is Status.UNKNOWN


OTHERS = [
    # What psql's account meets, by whose permission bits; what is said.
    ("a file of the login alone", {"020_rows.sql": 0o600}, "", Status.FAIL, "020_rows.sql (mode 0600, owner"),
    ("a folder of the login alone", {"parts": 0o700}, "", Status.FAIL, "parts (mode 0700, owner"),
    ("a folder that can be listed only", {"parts": 0o754}, "", Status.FAIL, "parts (mode 0754, owner"),
    ("a group that it is not in", {"020_rows.sql": 0o640}, "", Status.FAIL, "020_rows.sql (mode 0640, owner"),
    ("its own file, closed to itself", {"020_rows.sql": 0o044}, "runner", Status.FAIL, "(mode 0044, owner"),
    ("its own file", {"020_rows.sql": 0o640}, "runner", Status.PASS, "4 files"),
]  # fmt: skip


@pytest.mark.case(18)
@pytest.mark.parametrize(
    ("modes", "owner", "status", "said"), [row[1:] for row in OTHERS], ids=[row[0] for row in OTHERS]
)
def test_whether_psqls_account_can_read_is_told_by_permission_bits(
    release: Release, accounts: Accounts, modes: dict[str, int], owner: str, status: Status, said: str
) -> None:
    """Where sudo gives no shell of it; the printed command makes it readable."""
    runner = accounts.add("runner")
    release.account = accounts.add("login")
    accounts.allow_sudo(release.account, runner.name, ["/usr/bin/psql"])
    for path in (release.staged, *release.staged.rglob("*")):
        shutil.chown(path, release.account.name, release.account.name)
    for name, mode in modes.items():
        (release.staged / name).chmod(mode)
        if owner == "runner":
            shutil.chown(release.staged / name, runner.name)
    changes = {"account": Login(runner.name), "become": (Become(account=Login(runner.name)),)}
    found = release.finding(**dict(changes))
    assert found.status is status, told(found)
    assert said in told(found)
    if not owner:
        assert pasted(release.plan(**dict(changes)), found.judgement.remedy).returncode == 0
        assert release.finding(**dict(changes)).status is Status.PASS


@pytest.mark.long
@pytest.mark.case(28)
@pytest.mark.parametrize("path", ["020_rows.sql", "parts", "."])
def test_an_owner_nobody_named_may_change_the_scripts(release: Release, path: str) -> None:
    shutil.chown(release.staged / path, "nobody")
    found = release.finding()
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary == "nobody may change the staged scripts"
    assert found.judgement.expected.endswith(f"owned by {release.account.name} or root")
    assert f"{path} (owner nobody)" in found.judgement.actual
    assert release.finding(staged_by=(Login("nobody"),)).status is Status.PASS
    by_root = found.judgement.remedy.partition("on db1: ")[2].partition("; or")[0]
    subprocess.run(["sh", "-c", by_root], check=True)
    assert release.finding().status is Status.PASS


@pytest.mark.long
@pytest.mark.case(56)
def test_other_line_endings_are_named_and_accepted_where_the_plan_says_so(release: Release) -> None:
    for name in ("010_tables.sql", "020_rows.sql"):
        script = release.staged / name
        script.write_bytes(script.read_bytes().replace(b"\n", b"\r\n"))
    assert release.finding().status is Status.FAIL
    found = release.finding(line_endings=LineEndings.LF_OR_CRLF)
    assert found.status is Status.WARN, told(found)
    assert found.judgement.summary == "2 scripts on the server with other line endings, which the plan accepts"
    assert "010_tables.sql: 2 lines with CRLF, approved 0, 020_rows.sql: 1 line with CRLF" in found.judgement.actual
    (release.staged / "010_tables.sql").write_bytes(b"create table a (b\rint);\r\n\\ir parts/columns.sql\r\n")
    found = release.finding(line_endings=LineEndings.LF_OR_CRLF)
    assert found.status is Status.FAIL, "a carriage return within a line is content"
    for point in found.judgement.telling_points():
        assert "have root put sql/" in point.remedy, "the folder is root's"
    shutil.chown(release.staged, release.account.name)
    for point in release.finding().judgement.telling_points():
        cure = point.remedy.rpartition("as approved: ")[2]
        assert pasted(release.plan(), cure).returncode == 0, cure
    assert release.finding().status is Status.PASS


@pytest.mark.case(19)
def test_somebody_may_answer_for_what_cannot_be_sealed(release: Release) -> None:
    approve("030.sql", "\\i :dir/x.sql\n")(release)
    said = Said(by="dba", on=NOW.date(), reason="dir is /srv/site, which only root may change")
    found = release.finding(runs_programs=said)
    assert found.status is Status.WARN, told(found)
    assert "said by D. Kaya (dba)" in found.judgement.summary
    assert found.judgement.summary.endswith("not observed: dir is /srv/site, which only root may change")


def test_a_server_nobody_reaches_leaves_the_line_unknown(release: Release) -> None:
    release.account = release.site.account("nologin")
    found = release.finding()
    assert found.status is Status.UNKNOWN, told(found)
    assert "nologin" in found.cause


@pytest.fixture
def signed(release: Release) -> Callable[..., Finding]:
    """The finding once the manifest was signed by a key, of which the file of allowed signers says these words."""
    key = signing_key(release.local / "key")

    def signed(
        words: str = "reviewer",
        change: Callable[[], object] = lambda: None,
        release_id: str = "REL-1",
        **changes: Any,
    ) -> Finding:
        signers = allowed(release.local / "signers", (words, key))
        plan = release.plan(allowed_signers=signers, author="a developer", **changes)
        for manifest in seal_scripts(plan):
            other = replace(plan, release=replace(plan.release, id=release_id))
            sign_manifest(other, manifest, key)
        change()
        return finding(ScriptHashes, plan)

    return signed


def test_a_manifest_that_an_approver_signed_passes_and_says_who(
    release: Release, signed: Callable[..., Finding]
) -> None:
    found = signed('"the reviewer" namespaces="preflight-manifest"')
    assert found.status is Status.PASS, told(found)
    assert "approved for REL-1 by the reviewer, who signed the manifest" in found.judgement.summary
    line = (
        """(echo 'release = "REL-1"'; cat sql.SHA256SUMS) | ssh-keygen -Y verify -f signers -I "the reviewer" """
        "-n preflight-manifest -s sql.SHA256SUMS.sig"
    )
    assert subprocess.run(["sh", "-c", line], cwd=release.local, check=False).returncode == 0, "as the guide says"


def test_a_key_that_ends_before_the_window_begins_is_told_as_soon_as_it_is_seen(
    release: Release, signed: Callable[..., Finding]
) -> None:
    start = release.plan().window.start
    early, late = (f"{start + timedelta(hours=hours):%Y%m%d%H%M}Z" for hours in (-1, 1))
    found = signed(f'reviewer valid-before="{early}"')
    assert found.status is Status.FAIL, told(found)
    assert "the key of reviewer ends" in found.judgement.summary
    assert "have its `valid-before` moved; or have one of signers other than" in found.judgement.remedy
    found = signed(f'reviewer valid-before="{late}"')
    assert found.status is Status.PASS, told(found)
    assert [each.text for each in found.judgement.events] == ["key of reviewer ends"]


@pytest.mark.parametrize(
    ("words", "summary"),
    [
        ('"A Developer"', "a developer signed the manifest, who is the author of the scripts"),
        ('"reviewer,a developer"', "a developer signed the manifest, who is the author of the scripts"),
        ("*", "the signature of the manifest does not approve it for REL-1"),
        ('reviewer valid-before="20200101"', "the signature of the manifest does not approve it for REL-1"),
        ('reviewer namespaces="git"', "the signature of the manifest does not approve it for REL-1"),
    ],
)
def test_a_signature_that_approves_nothing_fails_with_who_signs_and_how(
    signed: Callable[..., Finding], words: str, summary: str
) -> None:
    found = signed(words)
    assert (found.status, found.judgement.summary) == (Status.FAIL, summary)
    assert "have one of signers other than a developer read the scripts and run: preflight seal" in (
        found.judgement.remedy
    )
    assert "--scripts-only --sign ~/.ssh/id_ed25519" in found.judgement.remedy


def test_what_was_signed_for_an_earlier_release_with_the_same_files_is_no_approval_of_this_one(
    signed: Callable[..., Finding],
) -> None:
    found = signed(release_id="REL-0")
    assert (found.status, found.judgement.summary) == (
        Status.FAIL,
        "the signature of the manifest does not approve it for REL-1",
    )
    assert "what was signed for another release" in found.judgement.actual
    assert "read the scripts and run: preflight seal" in found.judgement.remedy


def test_an_unsigned_and_a_changed_manifest_fail(release: Release, signed: Callable[..., Finding]) -> None:
    manifest = release.local / "sql.SHA256SUMS"
    unsigned = signed(change=(release.local / "sql.SHA256SUMS.sig").unlink)
    assert (unsigned.status, unsigned.judgement.summary) == (Status.FAIL, "nobody signed the manifest")
    changed = signed(change=lambda: manifest.write_text(manifest.read_text() + "# and one more\n"))
    assert (changed.status, changed.judgement.summary) == (
        Status.FAIL,
        "the signature of the manifest does not approve it for REL-1",
    )
    assert "incorrect signature" in changed.judgement.actual


def test_without_ssh_keygen_here_it_is_not_known_whose_signature_it_is(
    release: Release, signed: Callable[..., Finding], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = signed(change=lambda: monkeypatch.setattr(signatures, "_PROGRAM", "no-such-ssh-keygen"))
    assert found.status is Status.UNKNOWN
    assert "install the client programs of OpenSSH" in found.judgement.remedy
