"""Plan texts for tests: the shortest one, one with every key there is, and faulty ones made from that."""

from __future__ import annotations

import string
import tomllib

from hypothesis import strategies as st

from preflight.plan.gaps import SECTIONS

MINIMAL = """\
[release]
id = "REL-1"
[window]
zone = "Europe/Berlin"
start = 2026-10-17T00:00:00
end = 2026-10-17T06:00:00
"""
"""Six lines, so that what a test adds begins on line 7."""

FULL = """\
format = 1
[release]
id = "REL-2026-10-17"
title = "App 1 4.2 and App 2 3.0"
ticket = "CHG-10432"
attempt = 2
backed_out_because = "script 030 had been changed after approval"
changed_since = '''scripts sealed,
standby DBA named'''
without = { }
waiver_cutoff = "1h"
checks = "my_checks/"
allowed_signers = "signers"

[window]
zone = "America/New_York"
start = 2026-10-17T00:00:00
end = 2026-10-17T06:00:00
margin = "45min"
decision_reserve = "10min"
rollback_factor = 1.5
rollback_reserve = "1h 30min"

[roles.dba]
primary = "the DBA on call"
standby = "the second DBA"
contact = "ext. 4411"
access = ["db1", "orders"]
lead_time = "8h"

[hosts.bastion]
network_zone = "east"
login = "through"
ssh_config = true

[hosts.db1]
runbook = "https://wiki.example.net/x"
network_zone = "east"
address = "db1.example.net"
port = 2222
user = "dbadmin"
password = "env:DB1_PASSWORD"
local_account = true
second_factor = "prompt:Verification code"
become = ["postgres", { account = "orders", password = "prompt" }]
jump = "bastion"
known_hosts = ["known_hosts", "/etc/ssh/ssh_known_hosts"]
host_key_alias = "orders-db"
login_within = "20s"
person = "the DBA on call"
lead_time = "1d"
owner = "dba"

[hosts.app1-a]
network_zone = "west"
user = "deploy"
key = "~/.ssh/id_ed25519"
passphrase = "command:pass show deploy"
certificate = "deploy-cert.pub"

[hosts."app1.b"]
network_zone = "west"
user = "deploy"
agent = "SHA256:6LQ5oZw8mLrQ0rvwJ8vP2pQzC2r1WkQe3l9k5k8u0bA"

[databases.orders]
runbook = "https://wiki.example.net/x"
host = "db1"
name = "orders_live"
user = "release"
password = "file:orders.password"
local_account = true
port = 5433
address = "10.1.2.3"
server_name = "orders-db.example.net"
role = "replica"
connect = "tunnel"
sslmode = "verify-full"
sslrootcert = "ca.pem"
sslcert = "release.crt"
sslkey = "release.key"
version = "15"
migration = { from = "42", to = "43", table = "app.flyway_schema_history" }
backup = { none = "saved by its owner, too" }
drift_allowed = ["app.events_p*"]
data_directory = { path = "/var/lib/pg", by = "dba", on = 2026-10-10, reason = "pg_lsclusters" }
located_by = { by = "dba", on = 2026-10-10, reason = "a container" }
system_identifier = "7301234567890123456"
sessions = 4
clients = ["10.2.0.0/16"]
person = "the second DBA"
lead_time = "2d"
owner = "dba"

[databases.ledger]
addresses = ["ledger-a.example.net", "ledger-b.example.net"]
user = "release"
network_zone = "west"
sslmode = "verify-full"
sslrootcert = "system"
role = "replica"
provider_restores = { by = "dba", on = 2026-10-10, reason = "snapshot restored in staging" }
owner = "dba"

[databases.vault]
address = "vault.example.net"
connect = "tunnel"
through = "db1"
user = "release"
sslmode = "verify-full"
backup = { none = "only read" }
role = "replica"
owner = "dba"

[backups.orders]
runbook = "https://wiki.example.net/x"
database = "orders"
directory = "/backup/orders"
method = "pg_dump"
format = "directory"
account = "postgres"
login = "backup"
server = "/run/postgresql"
file = "orders-{date}"
program = "/usr/pgsql-15/bin/pg_dump"
options = ["--jobs=4"]
restore = { login = "owner", into = "orders", options = ["--clean", "--if-exists"] }
max_lag = "10min"
headroom = 1.3
expected = "20.5GiB"
mount = "/backup"
previous = "/backup/orders/*.dump"
reserve = "1GiB"
read_within = "10min"
verify = ["/usr/local/bin/check", "{file}"]
left_out = ["audit.*"]
globals = "/backup/globals-*.sql"
keep = 7
max_age = "2d"
step = "backup-orders"
owner = "dba"

[backups.by-command]
database = "orders"
directory = "/backup/command"
previous = "/backup/command/*.dump"
command = ["/usr/local/bin/backup", "orders"]
restore = { command = ["/usr/local/bin/restore", "orders"] }

[backups.of-mysql]
host = "db1"
engine = "mysql"
engine_shown = { by = "dba", on = 2026-10-10, reason = "looked at it" }
directory = "/backup/mysql"
previous = "/backup/mysql/*.sql"
command = ["/usr/local/bin/backup-mysql"]
restore = { command = ["/usr/local/bin/restore-mysql"] }
expected = "1GiB"
owner = "dba"

[backups.by-cron]
database = "orders"
directory = "/backup/cron"
previous = "/backup/cron/*.dump"
kept_on = "db1"
kept_by = "backup"
taken_by = "cron"

[backups.by-barman]
database = "orders"
method = "barman"
known_as = "orders-main"
directory = "/backup/barman"
taken_by = "cron"

[scripts.orders]
runbook = "https://wiki.example.net/x"
database = "orders"
approved = "sql/orders"
manifest = "sql/orders.SHA256SUMS"
staged = "/srv/release/orders"
program = "/usr/pgsql-15/bin/psql"
server = "localhost:5433"
login = "release"
files = ["030_app1.sql"]
variables = { schema = "app1" }
single_transaction = true
log = "/srv/release/log/orders.log"
account = "orders"
line_endings = "lf-or-crlf"
staged_by = ["deploy"]
touches = ["billing.*"]
privileges = { "audit.log" = ["INSERT"] }
rights_shown = { by = "dba", on = 2026-10-10, reason = "run 8812" }
runs_programs = { by = "dba", on = 2026-10-10, reason = "pg_dump alone, read by D. Kaya" }
way_back = "undo/{stem}.down.sql"
author = "a developer"
reviewer = "another developer"
allowed_signers = "signers"
runner = "the DBA on call"
step = "scripts-app1"
owner = "dba"

[scripts.by-command]
host = "db1"
engine = "mysql"
engine_shown = { by = "dba", on = 2026-10-10, reason = "looked at it" }
backup = { none = "only in plans of tests" }
approved = "sql/more"
manifest = "sql/more.SHA256SUMS"
staged = "/srv/release/more"
command = ["./deploy.sh", "prod"]
manifest_sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
stops_on_error = { by = "dba", on = 2026-10-10, reason = "run 8812" }
way_back = "undo/{stem}.down.sql"
step = "scripts-app1"

[scripts.by-wrapper]
database = "orders"
approved = "sql/wrapped"
manifest = "sql/wrapped.SHA256SUMS"
staged = "/srv/release/wrapped"
command = ["./deploy.sh", "prod"]
rehearse_command = ["./deploy.sh", "scratch"]
changes = "nothing"
way_back = "undo/{stem}.down.sql"
step = "scripts-app1"

[applications.app1]
runbook = "https://wiki.example.net/x"
network_zone = "west"
from = "4.1"
to = "4.2"
owner = "dba"

[[applications.app1.health]]
url = "https://[::1]:8443/health"
status = 203
samples = 2
ignore = ["components.mail"]
identity = { "app.name" = "orders" }
json = { status = "UP", "components.db.status" = "UP", nodes = 3, load = 0.5, ready = true }
text = "line one\\nline two"
version = "build.version"
max_latency = "1.5s"
min_bytes = 20
follow_redirects = true
final_url = "https://app1.example.net/health/ready"
server_name = "app1.example.net"
ca = "ca.pem"
bearer = "env:APP1_TOKEN"
headers = { X-Api-Key = "file:app1.key" }
client_cert = "monitor.crt"
client_key = "monitor.key"

[[applications.app1.health]]
url = "https://app1-b.example.net/health"
version = "build.version"
identity = { "app.name" = "orders" }
basic = { user = "monitor", password = "env:MONITOR_PASSWORD" }

[applications.app2]
network_zone = "west"
from = "2.7"
to = "3.0"
owner = "dba"
health = [{ url = "https://app2.example.net/health", version = "version", identity = { name = "app2" } }]

[rehearsal]
content = "restore"
programs = "pg/bin"

[rehearsal.server]
address = "rehearsal.example.net"
port = 5433
ssh_port = 2222
user = "rehearsal"
password = "env:REHEARSAL_PASSWORD"
sslmode = "verify-full"
sslrootcert = "ca.pem"

[rollback]
rehearsed = 2026-10-10
max_rehearsal_age = "14d"
files = [
    { host = "app1-a", path = "/srv/x", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" },
]
keep_broken = true
owner = "dba"

[[steps]]
id = "backup-orders"
minutes = 30

[[steps]]
id = "scripts-app1"
after = ["backup-orders"]
minutes = 90
minutes_over_network = 115.5
source = "measured 2026-10-10"
undo = { kind = "restore", minutes = 60, source = "rehearsed 2026-10-10" }
track = "orders"
host = "db1"

[[steps]]
id = "deploy-app1"
after = ["scripts-app1"]
minutes = 15
deploys = "app1"
undo = { kind = "redeploy", minutes = 10 }

[[steps]]
id = "announce"
after = ["deploy-app1"]
minutes = 5
blocking = false
undo = { kind = "nothing-to-undo" }

[[tested]]
versions = { app1 = "4.2", app2 = "2.7" }
on = 2026-10-01
evidence = "regression run 8812"
result = "failed"

[[rules]]
together = ["app1", "app2"]
reason = "one release for both"
decides = "dba"

[[rules]]
unrelated = ["app1", "app2"]

[[rules]]
exclude = { app1 = "4.2", app2 = "2.7" }
reason = "never tried"
decides = "dba"

[[decisions]]
on = "partial go-live"
steps = ["deploy-app1"]
rule = "only with both applications"
decides = "dba"
default = "roll back"

[[attest]]
id = "vendor"
text = "the vendor is on standby"
owner = "dba"
evidence = "VND-2231"
valid = "6h"

[[waivers]]
id = "slow-app1"
check = "app-health"
subject = "app1 https://[::1]:8443/health"
reason = "known since the last release"
limit = "1800 ms"
approved_by = "dba"
granted = 2026-10-15T12:00:00
expires = 2026-10-18T12:00:00

[freeze.year-end]
from = 2026-12-20
until = 2027-01-03T06:00:00
reason = "the books are closed"
owner = "dba"

[freshness]
identity = "20min"
state = "25min"
space = "35min"
access = "3h"
health = "2h"
backup = "20h"
people = "10h"
scripts = "15min"
said = "20d"

[checks.backup-space]
severity = "advisory"
reserve = "5GiB"
"""
"""Every key of every section."""

VALUES = (
    "1", "-1", "0", "true", "nan", "inf", "1e400", '""', '"x"', '"\\u0000"', "[]", "{}", "[[]]", "[1]", '["a", 2]',
    "{ a = 1 }", "[{}]", "2026-10-17", "2026-10-17T00:00:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00",
    "00:00:00", "9223372036854775808", "0xffffffffffffffffffffff", '"9999999999d"', "'''\n'''", '"env:X"',
)  # fmt: skip


def with_reasons(text: str) -> str:
    """A plan that says, below all else, why it has nothing of each kind that it has nothing of."""
    try:
        missing = {*(SECTIONS.keys() - tomllib.loads(text).keys()), "rehearsal"}
    except tomllib.TOMLDecodeError:
        return text
    return "\n".join([text, "[release.without]", *(f'{section} = "a toy"' for section in sorted(missing)), ""])


LINES = FULL.splitlines()
ASSIGNMENTS = [index for index, line in enumerate(LINES) if " = " in line]


@st.composite
def mutated_plans(draw: st.DrawFn, text: str = FULL) -> str:
    """The full plan, or another, with values replaced by odd ones, and lines dropped, doubled and moved."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 4)):
            case 0:
                del lines[at]
            case 1:
                lines.insert(draw(st.integers(0, len(lines))), lines[at])
            case 2 if " = " in lines[at]:
                lines[at] = lines[at].partition(" = ")[0] + " = " + draw(st.sampled_from(VALUES))
            case 3 if " = " in lines[at]:
                lines[at] = (
                    draw(st.text(string.ascii_lowercase + "_.", min_size=1)) + " =" + lines[at].partition("=")[2]
                )
            case _:
                cut = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:cut] + draw(st.text(max_size=3)) + lines[at][cut:]
    return "\n".join(lines)
