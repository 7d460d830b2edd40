"""How long the logins to many databases take, beside psql. Run: python3 -m tests.bench.many_databases [DATABASES]

All are of one server, over SCRAM and TLS, each asked what database-login asks; the peer runs psql for each, 16 at a
time, with one statement. Medians of interleaved runs of the whole programs; only their ratio travels to other
machines. Needs root (the server's account)."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.bench.many_hosts import measured
from tests.cli.program import BASE, write_plan
from tests.site.machine import needs
from tests.site.postgres import Cluster, DatabaseRole
from tests.site.site import Site


def main(databases: int) -> None:
    with Site() as site, tempfile.TemporaryDirectory() as folder:
        role = site.postgres.create_role("release")
        names = [site.postgres.create_database("app") for _ in range(databases)]
        figures = measured(peers(Path(folder), site.postgres, role, names))
    psql = figures["psql, 16 at a time"][0]
    print(f"{databases} databases, one login each, SCRAM over TLS")
    print(f"{'':20} {'wall s':>8} {'client CPU s':>13} {'x psql':>8}")
    for name, (wall, cpu) in figures.items():
        print(f"{name:20} {wall:8.2f} {cpu:13.2f} {wall / psql:8.2f}")


def peers(folder: Path, cluster: Cluster, role: DatabaseRole, names: list[str]) -> dict[str, list[str]]:
    """Name -> command line, for these databases."""
    password, passfile, listed = folder / "password", folder / "pgpass", folder / "names"
    for file, text in ((password, role.password), (passfile, f"*:*:*:*:{role.password}\n")):
        file.write_text(text)
        file.chmod(0o600)
    listed.write_text("".join(f"{name}\n" for name in names))
    login = f'port = {cluster.port}\nuser = "{role.name}"\npassword = "file:{password}"\nsslmode = "require"\n'
    entries = (f'\n[databases.{name}]\nname = "{name}"\naddress = "{cluster.address}"\n{login}' for name in names)
    plan = write_plan(folder, BASE + "".join(entries))
    uri = f"postgresql://{role.name}@{cluster.address}:{cluster.port}/{{}}?sslmode=require&passfile={passfile}"
    psql = f"xargs -P 16 -I{{}} {needs('psql')} -Xwqc 'SELECT 1' '{uri}' <{listed} >/dev/null"
    tool = [sys.executable, "-m", "preflight", "run", plan, "--only", "database-login", "--format", "json"]
    return {"preflight run": list(map(str, tool)), "psql, 16 at a time": ["sh", "-c", psql]}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
