"""Commands of cures, run as they are printed: against a real sshd, straight and through a jump host."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

from preflight.finding import Status
from preflight.judging.cures import command_on, copy_command, could_not_look, cure_of, pin_again_command
from preflight.judging.data_directory import not_shown
from preflight.plan import Account, Database, Plan, ServerRole
from preflight.probe import NoReply, Via
from preflight.reasons import Reason
from preflight.sessions.ssh.known_hosts import HostKeys
from preflight.wording import beside
from tests.site.asking import host_on, make_plan, pasted
from tests.site.site import Site
from tests.toy import MOMENT, toy_plan


@pytest.fixture
def plan(site: Site, tmp_path: Path) -> Plan:
    """A host with a key and a port of its own, and one that is reached through it."""
    login = site.account("good")
    key = tmp_path / "the key"
    key.write_bytes(login.key.read_bytes())
    key.chmod(0o600)
    sshd = site.sshd
    direct = host_on(sshd, login, key=key)
    hosts = [direct, replace(direct, id="behind", jump="db1")]
    return make_plan(tmp_path, hosts=hosts, known_hosts=sshd.known_hosts_lines())


def test_what_a_replica_does_not_take_is_run_on_its_primary() -> None:
    def cure(reason: Reason, role: ServerRole) -> str:
        entry = Database(id="copy", host="db1", user=Account("release"), role=role)
        lost = NoReply(reason, "copy: what was seen", MOMENT)
        return cure_of(toy_plan(databases=[entry]), Via.SQL, "copy", lost)

    grant = "GRANT CONNECT ON DATABASE copy TO release;"
    assert cure(Reason.NO_CONNECT_PRIVILEGE, ServerRole.PRIMARY) == grant
    assert cure(Reason.NO_CONNECT_PRIVILEGE, ServerRole.REPLICA) == f"{grant} -- on the primary of copy"
    assert "primary" not in cure(Reason.NO_PG_HBA, ServerRole.REPLICA), "each server has a file of its own"
    copy = Database(id="copy", host="db1", user=Account("release"), role=ServerRole.REPLICA)
    unseen = not_shown(toy_plan(databases=[copy]), MOMENT, copy, "its place cannot be seen")
    assert unseen.remedy.startswith("GRANT pg_read_all_settings TO release -- on the primary of copy; or have ")


@pytest.mark.parametrize("host", ["db1", "behind"])
def test_a_file_and_a_folder_are_copied_as_printed(plan: Plan, site: Site, host: str) -> None:
    source, target = plan.folder / "sql", site.new_path("stage")
    source.mkdir()
    (source / "010 a.sql").write_text("select 1;\n")
    target.mkdir(mode=0o777)
    target.chmod(0o777)
    folder = copy_command(plan, plan.hosts[host], "", f"{beside(plan.folder, source)}/.", str(target))
    assert pasted(plan, folder).returncode == 0, pasted(plan, folder).stderr
    one = copy_command(plan, plan.hosts[host], "", beside(plan.folder, source / "010 a.sql"), f"{target}/020.sql")
    assert pasted(plan, one).returncode == 0, pasted(plan, one).stderr
    assert {path.name for path in target.iterdir()} == {"010 a.sql", "020.sql"}


@pytest.mark.parametrize("host", ["db1", "behind"])
def test_a_command_runs_there_as_printed(plan: Plan, host: str) -> None:
    done = pasted(plan, command_on(plan, plan.hosts[host], "", "printf '%s' \"$USER 1\""))
    assert (done.returncode, done.stdout) == (0, f"{plan.hosts[host].user} 1"), done.stderr


@pytest.mark.parametrize("alias", ["", "db1.pinned"])
def test_a_key_that_seal_would_not_replace_is_taken_out_as_printed(plan: Plan, site: Site, alias: str) -> None:
    host = replace(plan.hosts["db1"], host_key_alias=alias)
    plan.sealed_known_hosts.write_text(site.sshd.known_hosts_lines(alias))
    taken_out, _, sealed = pin_again_command(plan, host).partition(" && ")
    assert sealed == plan.call("seal") == "preflight seal plan.toml"

    def pinned() -> bool:
        return bool(HostKeys([plan.sealed_known_hosts]).lookup(host.address, host.port, alias).keys)

    assert pinned()
    assert pasted(plan, taken_out).returncode == 0, pasted(plan, taken_out).stderr
    assert not pinned()


def test_what_lies_elsewhere_keeps_its_whole_path(plan: Plan) -> None:
    assert beside(plan.folder, plan.folder / "sql" / "a.sql") == "sql/a.sql"
    assert beside(plan.folder, Path("/srv/a.sql")) == "/srv/a.sql"


VIAS = {Via.SSH: "db1", Via.SQL: "orders", Via.HTTP: "app1", Via.LOCAL: "plan"}


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_every_reason_has_a_cure(reason: Reason) -> None:
    for via in map(Via, VIAS if isinstance(reason.cures, str) else reason.cures):
        lost = NoReply(reason, "what was seen", MOMENT)
        found = could_not_look(toy_plan(), via, VIAS[via], lost, " whether it works")
        assert (found.status, found.actual) == (Status.UNKNOWN, "what was seen")
        assert found.summary == f"could not look whether it works: {reason}"
        assert found.remedy
        assert "run again" not in found.remedy


PLACEHOLDER = re.compile(
    r"\b(?:ACCOUNT|ADDRESS|DATE|DIRECTORY|FILE|FOLDER|HOST|LOGIN(?!;)|NAME|PASSWORD|PLAN|PORT|PROGRAM|USER|VALUE|WHAT|WHEN|WHO)\b"
)


def test_no_cure_has_a_placeholder_in_capitals() -> None:
    """Whoever pastes it would have to know what is meant: it is filled in, or an act in words."""
    root = Path(__file__).parent.parent.parent
    readers_of_sql = {"psql_script.py"}
    files = [*root.glob("checks/**/*.py"), *root.glob("preflight/judging/*.py"), root / "preflight/plan/work.py"]
    for file in [*files, root / "preflight/reasons.py", root / "preflight/reference/requests.py"]:
        tree = ast.parse(file.read_text())
        silent = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]  # docstrings
        needs = [
            node for node in ast.walk(tree) if isinstance(node, ast.Assign) and "needs" in ast.unparse(node.targets[0])
        ]
        silent += [each for node in needs for each in ast.walk(node.value)]
        texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in silent]
        found = [each.value for each in texts if isinstance(each.value, str) and PLACEHOLDER.search(each.value)]
        assert not found or file.name in readers_of_sql, (file, found)
