"""Sealing: manifests that `sha256sum -c` reads and that say what changed, host keys that are never replaced."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from preflight.cli.seal import describe
from preflight.plan import Account, Database, Plan, RemotePath, Scripts
from preflight.plan.manifest import parse_manifest
from preflight.seal import SealedManifest, SealError, merge_known_hosts, seal_scripts, write_sealed
from preflight.sessions.ssh.known_hosts import HostKeys, HostKeySeen, KeyStatus, PublicKey
from tests.toy import toy_plan

NAMES = ["010.sql", "sub/dir/020.sql", "-n.sql", "-", " lead", "new\nline", "back\\slash", "$(id)", "ünï", "empty"]


def scripts(folder: Path, name: str = "orders", manifest: str = "sql.SHA256SUMS") -> Scripts:
    return Scripts(
        id=name, database="orders", approved=folder / "sql", manifest=folder / manifest, staged=RemotePath("/srv/x")
    )


def plan(*entries: Scripts) -> Plan:
    database = Database(id="orders", host="db1", user=Account("release"))
    return toy_plan(databases={"orders": database}, scripts={entry.id: entry for entry in entries})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        file = tmp_path / "sql" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("" if name == "empty" else f"content of {name}\n")
    return tmp_path


def seal(folder: Path) -> SealedManifest:
    (manifest,) = seal_scripts(plan(scripts(folder)))
    return manifest


def test_the_manifest_is_one_that_sha256sum_checks_from_inside_the_folder(folder: Path) -> None:
    sealed = seal(folder)
    assert set(sealed.files) == set(NAMES)
    assert parse_manifest((folder / "sql.SHA256SUMS").read_text()) == sealed.files
    assert stat.S_IMODE((folder / "sql.SHA256SUMS").stat().st_mode) == 0o644
    command = describe(sealed).rpartition("check     ")[2]
    done = subprocess.run(["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b": OK") == len(NAMES)
    (folder / "sql/010.sql").write_text("changed")
    assert subprocess.run(["sh", "-c", command], capture_output=True, check=False).returncode == 1


def test_the_line_to_check_with_survives_an_odd_name_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a##[b]\u00a0c"
    (folder / "sql").mkdir(parents=True)
    (folder / "sql/010.sql").write_text("select 1;\n")
    line = describe(seal(folder)).rpartition("check     ")[2]
    assert line.isprintable()
    assert "##[" not in line
    assert subprocess.run(["sh", "-c", line], capture_output=True, check=False).returncode == 0


def test_sealing_twice_gives_equal_bytes_and_writes_once(folder: Path) -> None:
    seal(folder)
    manifest = folder / "sql.SHA256SUMS"
    first, written_at = manifest.read_bytes(), manifest.stat().st_ino
    again = seal(folder)
    assert not again.changed
    assert (manifest.read_bytes(), manifest.stat().st_ino) == (first, written_at)
    assert "(unchanged)" in describe(again)


def test_what_changed_since_the_last_seal_is_said(folder: Path) -> None:
    assert "(new)" in describe(seal(folder))
    (folder / "sql/010.sql").write_text("changed")
    (folder / "sql/030.sql").write_text("added\x1b")
    (folder / "sql/ünï").unlink()
    sealed = seal(folder)
    assert sealed.changes == {"added": ["030.sql"], "removed": ["ünï"], "modified": ["010.sql"]}
    said = describe(sealed)
    assert "added     030.sql" in said
    assert "removed   ünï" in said
    assert "modified  010.sql" in said


def test_a_damaged_manifest_is_replaced_and_that_is_said(folder: Path) -> None:
    (folder / "sql.SHA256SUMS").write_text("<html>\n")
    sealed = seal(folder)
    assert "replaced, it could not be read" in describe(sealed)
    assert parse_manifest((folder / "sql.SHA256SUMS").read_text()) == sealed.files


def test_a_manifest_inside_the_folder_does_not_seal_itself(folder: Path) -> None:
    inside = scripts(folder, manifest="sql/SHA256SUMS")
    for _ in range(2):
        (sealed,) = seal_scripts(plan(inside))
        assert set(sealed.files) == set(NAMES)
    assert "sha256sum --strict -c SHA256SUMS" in describe(sealed)


def make_fifo(folder: Path) -> None:
    os.mkfifo(folder / "sql/pipe.sql")


def empty_it(folder: Path) -> None:
    for file in sorted((folder / "sql").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "sql/link.sql").symlink_to("010.sql"), "link.sql: a symbolic link cannot be sealed"),
        (lambda folder: (folder / "sql/linked").symlink_to("sub"), "linked: a symbolic link cannot be sealed"),
        (make_fifo, "pipe.sql: a special file cannot be sealed"),
        (lambda folder: (folder / "sql/a\tb").touch(), "a b: the name holds control characters"),
        (lambda folder: (folder / "sql/A").touch() or (folder / "sql/a").touch(), "one name on some file systems"),
        (lambda folder: Path(os.fsdecode(bytes(folder / "sql") + b"/\xff")).touch(), "the name is not UTF-8"),
        (empty_it, "holds no file to seal"),
        (lambda folder: (folder / "sql").rename(folder / "gone"), "no such folder"),
        (lambda folder: (folder / "sql.SHA256SUMS").mkdir(), "Is a directory"),
    ],
)
def test_what_cannot_be_sealed_is_refused_and_nothing_is_written(folder: Path, spoil: object, said: str) -> None:
    assert callable(spoil)
    spoil(folder)
    with pytest.raises(SealError) as caught:
        seal(folder)
    assert said in str(caught.value)
    assert not (folder / "sql.SHA256SUMS").is_file()


def test_all_that_is_in_the_way_is_told_at_once_and_no_other_manifest_is_written(folder: Path) -> None:
    (folder / "other").mkdir()
    for name in ("a", "b"):
        (folder / "other" / name).symlink_to("x")
    other = replace(scripts(folder, "billing", "other.SHA256SUMS"), approved=folder / "other")
    with pytest.raises(SealError) as caught:
        seal_scripts(plan(scripts(folder), other))
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["billing", "billing"]
    assert not (folder / "sql.SHA256SUMS").exists()


def test_two_folders_cannot_share_a_manifest(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other/x.sql").touch()
    other = replace(scripts(folder, "billing"), approved=folder / "other")
    with pytest.raises(SealError, match="is the manifest of orders too"):
        seal_scripts(plan(scripts(folder), other))


@pytest.mark.long
def test_two_thousand_files_are_sealed(tmp_path: Path) -> None:
    deep = (tmp_path / "sql").joinpath(*["nested"] * 20)
    deep.mkdir(parents=True)
    for number in range(2000):
        (deep / f"{number}.sql").write_text(str(number))
    assert len(seal(tmp_path).files) == 2000


def key(text: str, key_type: str = "ssh-ed25519") -> PublicKey:
    wire = key_type.encode()
    return PublicKey(key_type, len(wire).to_bytes(4, "big") + wire + text.encode())


def shown(
    text: str, address: str = "db1.example.net", port: int = 22, alias: str = "", key_type: str = "ssh-ed25519"
) -> HostKeySeen:
    return HostKeySeen(key(text, key_type), address, port, alias)


def pin(path: Path, seen: Mapping[str, HostKeySeen]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    merge = merge_known_hosts(path, seen)
    if merge.added:
        write_sealed(path, merge.text)
    return merge.added, tuple(host for host in seen if host not in merge.added)


def test_new_keys_are_added_and_trusted_from_then_on(tmp_path: Path) -> None:
    file = tmp_path / "plan.known_hosts"
    seen = {"db1": shown("one"), "db2": shown("two", "10.0.0.2", 2222), "db3": shown("three", alias="db-three")}
    assert pin(file, seen) == (("db1", "db2", "db3"), ())
    keys = HostKeys([file])
    assert keys.lookup("db1.example.net").status(key("one")) is KeyStatus.TRUSTED
    assert keys.lookup("10.0.0.2", 2222).status(key("two")) is KeyStatus.TRUSTED
    assert keys.lookup("whatever", 99, "db-three").status(key("three")) is KeyStatus.TRUSTED
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    before = file.stat().st_ino
    assert pin(file, seen) == ((), ("db1", "db2", "db3"))
    assert file.stat().st_ino == before


def test_every_line_of_the_file_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "plan.known_hosts"
    kept = f"# ours\n\nother.example.net ssh-ed25519 {key('x').base64} comment\n@strange line"
    file.write_text(kept)
    pin(file, {"db1": shown("one")})
    assert file.read_text().startswith(kept + "\n")
    assert file.read_text().splitlines()[-1] == f"db1.example.net ssh-ed25519 {key('one').base64}"


@pytest.mark.parametrize("key_type", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
def test_a_changed_key_is_an_error_with_both_fingerprints(tmp_path: Path, key_type: str) -> None:
    file = tmp_path / "plan.known_hosts"
    pin(file, {"db1": shown("one")})
    before = file.read_bytes()
    with pytest.raises(SealError) as caught:
        pin(file, {"db2": shown("two", "db2.example.net"), "db1": shown("other", key_type=key_type)})
    said = str(caught.value)
    assert key("one").fingerprint in said
    assert key("other", key_type).fingerprint in said
    assert "(line 2)" in said
    assert file.read_bytes() == before
    file.write_text("")
    assert pin(file, {"db1": shown("other", key_type=key_type)}) == (("db1",), ())


def test_a_revoked_key_is_never_pinned(tmp_path: Path) -> None:
    file = tmp_path / "plan.known_hosts"
    file.write_text(f"@revoked * ssh-ed25519 {key('one').base64}\n")
    with pytest.raises(match="revokes"):
        pin(file, {"db1": shown("one")})


def test_one_address_cannot_have_two_keys_in_one_run(tmp_path: Path) -> None:
    file = tmp_path / "plan.known_hosts"
    assert pin(file, {"a": shown("one"), "b": shown("one")}) == (("a",), ("b",))
    file.unlink()
    with pytest.raises(match="somebody may be in between"):
        pin(file, {"a": shown("one"), "b": shown("two")})


def test_a_file_that_cannot_be_read_or_written_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "plan.known_hosts"
    file.mkdir()
    with pytest.raises(match="Is a directory"):
        pin(file, {"db1": shown("one")})
    with pytest.raises(match="No such file"):
        pin(tmp_path / "missing" / "plan.known_hosts", {"db1": shown("one")})
