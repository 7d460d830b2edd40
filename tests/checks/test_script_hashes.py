"""script-hashes on plain facts: one folder of scripts that agrees everywhere, and every way in which it may not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.script_hashes import ScriptHashes

from preflight.finding import Judgement, Status
from preflight.plan import Account, Database, Plan, RemotePath, Role, Said, Scripts
from preflight.plan.manifest import format_manifest
from preflight.probe import NoReply
from preflight.questions.files import EntryKind, LocalText, Texts, Tree, TreeEntry
from preflight.questions.staged import Forms, StagedBeginning, StagedEntry, StagedTree
from preflight.reasons import Reason
from tests.toy import MOMENT, toy_plan

WHEN = datetime(2026, 10, 16, 18, 2, 11, tzinfo=UTC)
SCRIPTS = {
    "010_first.sql": "create table a (b int);\n\\ir parts/columns.sql\n",
    "020_second.sql": "insert into a values (1);\n\\i parts/rows.sql\n",
    "parts/columns.sql": "alter table a add c int;\n",
    "parts/rows.sql": "\\copy a from 'data/rows.csv'\n",
    "data/rows.csv": "1,2\n",
}


def sha256(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def local_entry(path: str, content: str = "", **fields: Any) -> TreeEntry:
    bare = content.replace("\r", "").removeprefix("\ufeff").rstrip("\n")
    known = {
        "kind": EntryKind.FILE, "size_bytes": len(content),
        "sha256": sha256(content), "sha256_with_lf": sha256(content.replace("\r\n", "\n")), "sha256_bare": sha256(bare),
        "crlf_lines": content.count("\r\n"),
    }  # fmt: skip
    return TreeEntry(path=path, **{**known, **fields})


def staged_entry(path: str, content: str = "", **fields: Any) -> StagedEntry:
    known = {
        "kind": EntryKind.FILE, "mode": 0o644, "size_bytes": len(content), "owner": "dbadmin", "modified_at": WHEN,
        "sha256": sha256(content), "group": "1000",
    }  # fmt: skip
    return StagedEntry(path=path, **{**known, **fields})


def folder(path: str, mode: int = 0o755, owner: str = "dbadmin") -> StagedEntry:
    return staged_entry(path, kind=EntryKind.FOLDER, mode=mode, sha256="", owner=owner)


@dataclass
class World:
    """Three states of the scripts, equal until a test changes one."""

    approved: dict[str, str] = field(default_factory=lambda: dict(SCRIPTS))
    sealed: dict[str, str] = field(default_factory=lambda: {name: sha256(text) for name, text in SCRIPTS.items()})
    staged: dict[str, str] = field(default_factory=lambda: dict(SCRIPTS))
    files: tuple[str, ...] = ("010_first.sql", "020_second.sql")
    account: str = ""
    strict: bool = False
    runs_programs: Said | None = None
    manifest: LocalText | None = None
    tree: Callable[[Tree], Tree] = lambda tree: tree
    texts: Callable[[Texts], Texts] = lambda texts: texts
    staged_tree: Callable[[StagedTree], StagedTree] = lambda tree: tree
    unread: bool = False
    """The second round brings nothing."""

    def plan(self) -> Plan:
        scripts = Scripts(
            id="orders",
            database="orders",
            approved=Path("plans/sql/orders"),
            manifest=Path("plans/sql/orders.SHA256SUMS"),
            staged=RemotePath("/srv/release/orders"),
            files=self.files,
            account=Account(self.account),
            owner="app1",
            runs_programs=self.runs_programs,
        )
        database = Database(id="orders", host="db1", user=Account("release"), owner="dba")
        dba = Role(id="dba", primary="D. Kaya")
        return toy_plan(databases={"orders": database}, scripts={"orders": scripts}, roles=[dba])

    def judge(self) -> Judgement:
        check = ScriptHashes(self.plan(), MOMENT, ScriptHashes.Settings(strict=self.strict))
        (subject,) = check.subjects()
        facts = self.facts()
        more = check.follow_up(subject, **facts)
        answers: dict[str, Any] = {}
        for name, probe in more.items():
            if self.unread:
                answers[name] = NoReply(Reason.CONNECTION_LOST, "gone", MOMENT)
            elif name == "forms":
                answers[name] = {file: self.forms(file) for file in probe.names}
            else:
                answers[name] = StagedBeginning(self.staged[probe.name])
        judgement: Judgement = check.judge(subject, **facts, **answers)
        return judgement

    def facts(self) -> dict[str, Any]:
        text = format_manifest(self.sealed)
        entries = tuple(local_entry(name, content) for name, content in self.approved.items())
        staged = tuple(staged_entry(name, content) for name, content in self.staged.items())
        parents = tuple(folder(path, owner="root") for path in ("/srv/release", "/srv", "/"))
        tree = StagedTree(
            "dbadmin", root="/srv/release/orders", parents=parents, entries=(folder("."), *staged), tool="sha256sum"
        )
        return {
            "approved": self.tree(Tree(entries)),
            "manifest": self.manifest or LocalText(text, sha256(text)),
            "texts": self.texts(Texts({name: text for name, text in self.approved.items() if name.endswith(".sql")})),
            "staged": self.staged_tree(tree),
        }

    def forms(self, name: str) -> Forms:
        entry = local_entry(name, self.staged[name])
        return Forms(entry.sha256_with_lf, entry.sha256_bare, entry.crlf_lines)

    def told(self) -> str:
        points = self.judge().telling_points()
        return "\n".join(
            f"{p.status}: {p.summary} | {p.expected} | {p.actual} | {p.remedy}\n{p.details}".rstrip() for p in points
        )


def test_scripts_that_agree_everywhere_pass() -> None:
    judgement = World().judge()
    assert (judgement.status, judgement.summary) == (Status.PASS, "5 files: approved = sealed = staged")
    assert judgement.actual == "hashed on db1 with sha256sum by dbadmin"


def test_the_owner_is_the_scripts_owner() -> None:
    (subject,) = ScriptHashes(World().plan(), MOMENT).subjects()
    assert (subject.id, subject.owner) == ("orders", "app1")


def test_nothing_is_asked_twice_when_all_is_well() -> None:
    check = ScriptHashes(World().plan(), MOMENT)
    (subject,) = check.subjects()
    assert list(check.probes(subject)) == ["approved", "manifest", "texts", "staged"]
    assert not check.follow_up(subject, **World().facts())


def test_a_changed_script_says_who_when_how_and_shows_the_change() -> None:
    world = World()
    world.staged["010_first.sql"] = SCRIPTS["010_first.sql"].replace("int", "bigint")
    judgement = world.judge()
    assert judgement.status is Status.FAIL
    assert judgement.summary == "010_first.sql was changed on the server: 1 line differs"
    assert judgement.expected == f"sha256 {world.sealed['010_first.sql'][:12]}, as sealed"
    assert "owner dbadmin, modified 2026-10-16 18:02:11 UTC, 49 bytes" in judgement.actual
    copied = "sql/orders/010_first.sql dbadmin@db1:/srv/release/orders/010_first.sql"
    assert f"scp -o 'UserKnownHostsFile=toy.known_hosts ~/.ssh/known_hosts' -- {copied}" in judgement.remedy
    assert judgement.details.splitlines() == [
        "--- approved 010_first.sql", "+++ staged 010_first.sql", "@@ line 1, now 1 @@",
        "-create table a (b int);", "+create table a (b bigint);", " \\ir parts/columns.sql",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text.replace("\n", "\r\n"), "line endings (CRLF instead of LF)"),
        (lambda text: "\ufeff" + text, "byte order mark (added)"),
        (lambda text: text.rstrip("\n"), "final newline (removed)"),
        (lambda text: text + "drop table a;\n", "1 line differs"),
    ],
)
@pytest.mark.parametrize("unread", [False, True])
def test_how_a_script_differs_is_said_and_it_fails_all_the_same(
    change: Callable[[str], str], expected: str, unread: bool
) -> None:
    world = World(unread=unread)
    world.staged["parts/columns.sql"] = change(SCRIPTS["parts/columns.sql"])
    judgement = world.judge()
    assert judgement.status is Status.FAIL
    assert ("other content" if unread else expected) in judgement.summary


def test_many_changed_scripts_are_told_apart_by_their_forms() -> None:
    texts = {f"{number:03}.sql": f"select {number};\n" for number in range(60)}
    sealed = {name: sha256(text) for name, text in texts.items()}
    world = World(dict(texts), sealed, {name: text.replace("\n", "\r\n") for name, text in texts.items()}, files=())
    check = ScriptHashes(world.plan(), MOMENT)
    (subject,) = check.subjects()
    more = check.follow_up(subject, **world.facts())
    assert list(more) == ["forms", "text_0", "text_1", "text_2"]
    judgement = world.judge()
    assert len(judgement.points) == 11
    summaries = [point.summary for point in judgement.points]
    assert sum("the same but for line endings (CRLF instead of LF)" in summary for summary in summaries) == 10
    assert summaries[-1] == "50 more scripts were changed on the server"


def test_approved_and_staged_changed_alike_is_a_change_after_sealing() -> None:
    world = World()
    for state in (world.approved, world.staged):
        state["010_first.sql"] += "select 1;\n"
    told = world.told()
    assert world.judge().status is Status.FAIL
    assert "the approved folder was changed after sealing" in told
    assert "as in the approved folder now, not as sealed" in told


def test_text_in_another_encoding_does_not_drown_the_change() -> None:
    world = World()
    world.approved["010_first.sql"] = "-- caf\ufffd\nselect 1;\n"
    world.sealed["010_first.sql"] = sha256(world.approved["010_first.sql"])
    world.staged["010_first.sql"] = "-- caf\\xe9\nselect 2;\n"
    assert "1 line differs" in world.judge().summary


Mutation = Callable[[World], object]


def state(name: str, content: str | None, *states: str) -> Mutation:
    """Sets (or with None removes) a file in some of the three states."""

    def mutate(world: World) -> None:
        for each in states:
            held: dict[str, str] = getattr(world, each)
            if content is None:
                del held[name]
            else:
                held[name] = sha256(content) if each == "sealed" else content

    return mutate


def everywhere(name: str, content: str) -> Mutation:
    return state(name, content, "approved", "sealed", "staged")


def assign(**values: Any) -> Mutation:
    return lambda world: vars(world).update(values)


def with_staged(*entries: StagedEntry, **fields: Any) -> Mutation:
    paths = {entry.path for entry in entries}

    def changed(tree: StagedTree) -> StagedTree:
        kept = tuple(entry for entry in tree.entries if entry.path not in paths)
        return replace(tree, entries=(*kept, *entries), **fields)

    return assign(staged_tree=changed)


def with_local(*entries: TreeEntry, **fields: Any) -> Mutation:
    return assign(tree=lambda tree: replace(tree, entries=(*tree.entries, *entries), **fields))


LINK = staged_entry("030.sql", kind=EntryKind.SYMLINK, mode=0o777, sha256="", link_target="/tmp/x.sql")
COPY = "COPY a FROM PROGRAM 'curl x';\n"

BAD: list[tuple[str, Mutation, Status, str]] = [
    # the manifest
    ("no manifest", assign(manifest=LocalText(problem="no such file")), Status.FAIL, "not sealed"),
    ("empty manifest", assign(sealed={}), Status.FAIL, "lists no file"),
    ("damaged manifest", assign(manifest=LocalText("<html>")), Status.FAIL, "cannot be relied on"),
    ("manifest with ..", assign(manifest=LocalText("0" * 64 + "  ../x\n")), Status.FAIL, "leaves the folder"),
    # the approved folder
    ("approved folder gone", assign(tree=lambda _: Tree((), "no such folder")), Status.FAIL, "cannot be read"),
    ("approved file gone", state("data/rows.csv", None, "approved"), Status.FAIL, "gone: data/rows.csv"),
    ("approved file added", state("x.txt", "x", "approved"), Status.FAIL, "added: x.txt"),
    ("approved file changed", state("data/rows.csv", "x", "approved"), Status.FAIL, "changed: data/rows.csv"),
    ("approved link", with_local(local_entry("l", kind=EntryKind.SYMLINK, sha256="")), Status.FAIL, "links or special"),
    ("approved FIFO", with_local(local_entry("f", kind=EntryKind.OTHER, sha256="")), Status.FAIL, "links or special"),
    ("approved unread", with_local(local_entry("d", kind=EntryKind.FOLDER, error="no")), Status.UNKNOWN, "d (no)"),
    # the staged folder
    ("nothing staged", assign(staged={}), Status.FAIL, "5 sealed files not on the server"),
    ("one missing", state("parts/rows.sql", None, "staged"), Status.FAIL, "missing: parts/rows.sql"),
    ("no staged folder", with_staged(problem="No such file or directory"), Status.FAIL, "cannot be read by dbadmin"),
    ("closed folder", with_staged(problem="Permission denied"), Status.FAIL, "cannot be read by dbadmin"),
    ("listing cut", with_staged(complete=False, complaint="find: x: gone"), Status.UNKNOWN, "find: x"),
    ("listing denied", with_staged(complete=False, complaint="find: x: Permission denied"), Status.FAIL, "find: x"),
    ("no hash tool", with_staged(tool="", complaint=""), Status.UNKNOWN, "nothing on the server can hash"),
    ("folder through a link", with_staged(link="orders -> v2", root="/srv/v2"), Status.WARN, "leads to /srv/v2"),
    ("extra script", state("099_extra.sql", "drop", "staged"), Status.FAIL, "099_extra.sql (owner dbadmin"),
    ("extra shell script", state("run.SH", "x", "staged"), Status.FAIL, "nobody sealed"),
    ("extra file", state("notes.txt", "x", "staged"), Status.WARN, "nobody sealed"),
    ("another manifest", state("orders.SHA256SUMS", "x", "staged"), Status.WARN, "nobody sealed"),
    ("empty script", everywhere("030.sql", ""), Status.FAIL, "without content"),
    ("link beside", with_staged(LINK), Status.FAIL, "030.sql -> /tmp/x.sql"),
    ("link for a script", with_staged(replace(LINK, path="010_first.sql")), Status.FAIL, "1 link or special"),
    ("folder for a script", with_staged(folder("010_first.sql")), Status.FAIL, "missing: 010_first.sql"),
    ("FIFO", with_staged(replace(LINK, kind=EntryKind.OTHER, link_target="")), Status.FAIL, "030.sql (special)"),
    ("world-writable file", with_staged(staged_entry("data/rows.csv", "1,2\n", mode=0o646)), Status.FAIL, "chmod o-w"),
    ("world-writable folder", with_staged(folder("parts", 0o757)), Status.FAIL, "o+w: parts"),
    ("world-writable top", with_staged(folder(".", 0o777)), Status.FAIL, "o+w: ."),
    ("world-writable sticky", with_staged(folder("parts", 0o1777)), Status.FAIL, "o+w: parts"),
    ("world-writable above", with_staged(parents=(folder("/srv", 0o777, "root"),)), Status.FAIL, "o+w: /srv"),
    (
        "the same script twice",
        everywhere("020_second.sql", SCRIPTS["010_first.sql"]),
        Status.WARN,
        "010_first.sql = 020_second.sql",
    ),
    ("group-writable above", with_staged(parents=(folder("/srv", 0o775, "root"),)), Status.WARN, "g+w: /srv"),
    ("group-writable", with_staged(folder("parts", 0o775)), Status.WARN, "g+w: parts"),
    ("by a list", with_staged(folder("parts", 0o775), acl=True), Status.UNKNOWN, "an access control list"),
    (
        "unreadable script",
        with_staged(staged_entry("data/rows.csv", "1,2\n", sha256=""), complaint="x: Permission denied"),
        Status.FAIL,
        "dbadmin cannot read",
    ),
    ("unhashed script", with_staged(staged_entry("data/rows.csv", "1,2\n", sha256="")), Status.UNKNOWN, "cannot read"),
    # what scripts read
    ("unsealed include", everywhere("030.sql", "\\i gone.sql\n"), Status.FAIL, "030.sql line 1: \\i gone.sql is not"),
    ("\\i is not \\ir", everywhere("parts/x.sql", "\\i rows.sql\n"), Status.FAIL, "is not sealed"),
    ("\\ir is not \\i", everywhere("parts/x.sql", "\\ir parts/rows.sql\n"), Status.FAIL, "is not sealed"),
    ("include above", everywhere("030.sql", "\\i ../x.sql\n"), Status.FAIL, "leaves the staged folder"),
    ("include elsewhere", everywhere("030.sql", "\\i /tmp/x.sql\n"), Status.FAIL, "leaves the staged folder"),
    ("include beside", everywhere("030.sql", "\\i /srv/release/orders2/x.sql\n"), Status.FAIL, "leaves the staged"),
    ("include at home", everywhere("030.sql", "\\i ~/x.sql\n"), Status.FAIL, "leaves the staged folder"),
    ("unsealed data", everywhere("030.sql", "\\copy a from 'x.csv'\n"), Status.FAIL, "\\copy x.csv is not sealed"),
    ("variable include", everywhere("030.sql", "\\i :x\n"), Status.UNKNOWN, "030.sql line 1: \\i :x reads a file"),
    ("program", everywhere("030.sql", COPY), Status.UNKNOWN, "runs a command on the database server"),
    (
        "program, strictly",
        lambda world: (everywhere("030.sql", COPY)(world), assign(strict=True)(world)),
        Status.FAIL,
        "cannot be sealed",
    ),
    (
        "include of another kind",
        lambda world: (everywhere("030.sql", "\\i x.inc\n")(world), everywhere("x.inc", "select 1;")(world)),
        Status.UNKNOWN,
        "x.inc: its name does not end in .sql",
    ),
    (
        "script too large to follow",
        assign(texts=lambda texts: Texts({}, {"010_first.sql": "larger than 8 MiB"})),
        Status.UNKNOWN,
        "010_first.sql: larger than 8 MiB",
    ),
    (
        "a character that nobody sees",
        everywhere("030.sql", "SELECT 1;\nCREATE TABLE late\u200b2 ();\n"),
        Status.WARN,
        "030.sql line 2: late\\u200b2 holds a character that nobody sees",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("mutate", "status", "said"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_every_single_flaw_is_found(mutate: Mutation, status: Status, said: str) -> None:
    world = World()
    mutate(world)
    told = world.told()
    assert world.judge().status is status, told
    assert said in told


GOOD: list[tuple[str, Mutation]] = [
    ("absolute include below", everywhere("030.sql", "\\i /srv/release/orders/parts/columns.sql\n")),
    ("include with ./", everywhere("030.sql", "\\i ./parts/../parts/columns.sql\n")),
    ("comment", everywhere("030.sql", "-- \\i nowhere.sql\nselect '\\! x';\n")),
    ("such a character in data", everywhere("030.sql", "SELECT 'late\u200b2'; -- \u200b\n")),
    ("no file listed", assign(files=())),
    ("sticky folder above", with_staged(parents=(folder("/tmp", 0o1777, "root"),))),
    ("the same script again, which does not run", everywhere("030.sql", SCRIPTS["010_first.sql"])),
    ("sticky folder of a group above", with_staged(parents=(folder("/srv", 0o1775, "root"),))),
    ("empty data file", everywhere("empty.csv", "")),
    ("the manifest staged too", lambda world: world.staged.update(SHA256SUMS=format_manifest(world.sealed))),
]  # fmt: skip


@pytest.mark.parametrize("mutate", [row[1] for row in GOOD], ids=[row[0] for row in GOOD])
def test_what_is_as_it_should_be_passes(mutate: Mutation) -> None:
    world = World()
    mutate(world)
    assert world.judge().status is Status.PASS, world.told()


def test_a_manifest_inside_the_approved_folder_seals_everything_but_itself() -> None:
    world = World()
    plan = world.plan()
    text = format_manifest(world.sealed)
    world.approved["SHA256SUMS"] = world.staged["SHA256SUMS"] = text
    scripts = replace(plan.scripts["orders"], manifest=plan.scripts["orders"].approved / "SHA256SUMS")
    check = ScriptHashes(replace(plan, scripts={"orders": scripts}), MOMENT)
    (subject,) = check.subjects()
    assert check.judge(subject, **world.facts()).status is Status.PASS


def test_the_login_that_may_not_become_the_account_is_named() -> None:
    world = World(account="release")
    judgement = world.judge()
    assert judgement.status is Status.PASS
    assert judgement.actual.endswith("by dbadmin, who may not become release")
    closed = World(account="release", staged_tree=lambda tree: replace(tree, problem="Permission denied"))
    assert closed.judge().status is Status.UNKNOWN


def test_several_flaws_are_all_told_worst_first() -> None:
    world = World()
    world.staged["010_first.sql"] += "-- late\n"
    world.staged["notes.txt"] = "x"
    del world.staged["data/rows.csv"]
    assert [point.status for point in world.judge().points] == [Status.FAIL, Status.FAIL, Status.WARN]


def test_hostile_names_stay_on_one_harmless_line() -> None:
    world = World()
    world.staged["\x1b[2J\n\u202e.sql"] = "x"
    told = [point.actual for point in world.judge().points or (world.judge(),)]
    assert all(text.isprintable() for text in told)


def test_paths_in_commands_are_quoted() -> None:
    world = World()
    name = "it's; rm -rf x.sql"
    everywhere(name, "select 1;\n")(world)
    del world.staged[name]
    assert "'sql/orders/it'\"'\"'s; rm -rf x.sql'" in world.judge().remedy
