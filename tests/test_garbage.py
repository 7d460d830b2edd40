"""Every reader of what others wrote, with damaged text: it says what is wrong in its own error, or reads what is there.

`--hypothesis-profile=long` tries 10,000 of each; its last figures stand in CONTRIBUTING.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from preflight.errors import PlanError
from preflight.evidence import Evidence, EvidenceError
from preflight.judging.psql_script import find_inputs, scan_script
from preflight.plan.confirmed import Confirmation, Confirmed, Decided, DecisionTaken, format_confirmed, read_confirmed
from preflight.plan.manifest import ManifestError, format_manifest, parse_manifest
from preflight.plan.sealed_servers import Sealed, SealedServer, format_sealed, read_sealed
from preflight.probe import Question, Reply, Unreadable, Via
from preflight.questions.rehearsed import format_rehearsal, parse_rehearsal
from preflight.report.formats import json as json_report
from preflight.report.json_report import ReportError, read_report
from preflight.sessions.ssh.batch import BatchReader, Frame, Stream
from preflight.sessions.ssh.config import parse
from preflight.sessions.ssh.known_hosts import HostKeys
from tests.checks.test_rehearsal import RECORD
from tests.hostile import TRAPS
from tests.report.formats.cases import no_go, waived
from tests.toy import MOMENT

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
KNOWN_HOSTS = f"""\
# pinned
db1.example.net,192.0.2.7 {KEY}
[db2.example.net]:2222 {KEY} a comment
|1|c2FsdHNhbHRzYWx0c2FsdHM=|ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGk= {KEY}
*.example.org,!db9.example.org {KEY}
@revoked * {KEY}
@cert-authority *.example.com {KEY}
"""
SSH_G = """\
host db1
user dbadmin
hostname db1.example.net
port 2222
identityfile ~/.ssh/id_ed25519
identityfile /srv/my keys/id
userknownhostsfile /root/.ssh/known_hosts /root/.ssh/known_hosts2
proxyjump none
identityagent SSH_AUTH_SOCK
"""
SCRIPT = r'''
\set ON_ERROR_STOP on
\i sub/one.sql
\ir '../two.sql' \\ SELECT $$ body $x$ $$, E'it\'s', "a ""b""", U&'d\0061t' /* a /* b */ c */;
COPY app.orders FROM stdin;
1	a
\.
\copy app.orders from 'data.csv' csv
\if :x \lo_import 'picture' \endif
CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
INSERT INTO a VALUES (:'name', :"column", :value) \gexec
'''
SERVER = SealedServer(
    system_identifier="7713386628197382432",
    port=5433,
    data_directory="/srv/pg",
    addresses=("192.0.2.7",),
    oid="16390",
    timeline="2",
)
SEALED = Sealed(databases={"orders": SERVER})
CONFIRMED = Confirmed(
    confirmations=(Confirmation(by="D. Kaya", at=MOMENT, covers={"roles.dba": "d" * 64}, role="dba"),),
    decided=(
        Decided(decision=DecisionTaken.GO, by="M. Ortiz", at=MOMENT, verdict="NO-GO", plan="d" * 64, run="e" * 64,
                because="we know"),
    ),
)  # fmt: skip
ANSWER = Reply(0, "end=yes\n", MOMENT, 0.1, "on db1 as me", "", {"user": "me"})
QUESTION = Question(Via.SSH, "db1", "echo end=yes")
EVIDENCE = Evidence("d" * 64, MOMENT, {QUESTION.id: (QUESTION, ANSWER)}, {"plan": "d" * 64})
PIECES = ("\0", "\n", "\r", "\t", " ", "=", '"', "'", "\\", "{", "}", "[", "]", "9" * 400, "-1", "1e999", "null", "NaN")


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """Parts of it lost, doubled, moved and spoiled."""
    for _ in range(draw(st.integers(1, 4))):
        begin, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        short = min(end, begin + draw(st.integers(0, 12)))
        match draw(st.integers(0, 4)):
            case 0:
                text = text[:begin] + text[short:]
            case 1:
                text = text[:end]
            case 2:
                text = text[:end] + text[begin:short] + text[end:]
            case 3:
                text = text[:begin] + draw(st.sampled_from(PIECES + TRAPS)) + text[short:]
            case _:
                text = text[:begin] + draw(st.text(max_size=3)) + text[short:]
    return text


def written(read: Callable[[Path], object], path: Path, text: str) -> object:
    path.write_text(text, "utf-8", errors="surrogatepass")
    return read(path)


@given(text=damaged(EVIDENCE.to_json()))
def test_damaged_evidence_is_refused_unless_it_says_the_same(text: str) -> None:
    try:
        found = Evidence.from_json(text)
    except EvidenceError:
        return
    assert found == EVIDENCE


@given(text=damaged(json_report.render(no_go())) | damaged(json_report.render(waived())))
def test_a_damaged_report_is_read_or_refused(text: str) -> None:
    try:
        found = read_report(text)
    except ReportError:
        return
    assert found.planned == len(found.findings)


@given(text=damaged(format_rehearsal(RECORD)))
def test_a_damaged_record_of_a_rehearsal_is_read_or_refused(text: str) -> None:
    try:
        found = parse_rehearsal(text)
    except Unreadable:
        return
    assert parse_rehearsal(format_rehearsal(found)) == found


@given(text=damaged(format_confirmed(CONFIRMED)))
def test_damaged_confirmations_are_read_or_refused(tmp_path: Path, text: str) -> None:
    try:
        found = written(read_confirmed, tmp_path / "p.confirmed.toml", text)
    except PlanError as error:
        assert "p.confirmed.toml" in str(error)  # noqa: PT017 - both ways are right
        return
    assert isinstance(found, Confirmed)


@given(text=damaged(format_sealed(SEALED)))
def test_damaged_seals_are_read_or_refused(tmp_path: Path, text: str) -> None:
    try:
        found = written(read_sealed, tmp_path / "p.sealed.json", text)
    except PlanError as error:
        assert "p.sealed.json" in str(error)  # noqa: PT017 - both ways are right
        return
    assert isinstance(found, Sealed)


@given(text=damaged(format_manifest({"010.sql": "a" * 64, "sub/020 x.sql": "b" * 64})))
def test_a_damaged_manifest_is_read_or_refused(text: str) -> None:
    try:
        found = parse_manifest(text)
    except ManifestError:
        return
    assert all(len(digest) == 64 for digest in found.values())


@given(text=damaged(KNOWN_HOSTS))
def test_damaged_known_hosts_pin_no_host_to_another_key(tmp_path: Path, text: str) -> None:
    found = written(lambda path: HostKeys([path]).lookup("db1.example.net"), tmp_path / "known_hosts", text)
    assert {key.base64 for key in found.keys} <= {KEY.partition(" ")[2]} | {  # type: ignore[attr-defined]
        word for line in text.splitlines() for word in line.split()
    }


@given(text=damaged(SSH_G))
def test_what_ssh_prints_is_read_whatever_it_is(text: str) -> None:
    assert all(key == key.lower() and values for key, values in parse(text).items())


@given(text=damaged(SCRIPT))
def test_a_damaged_script_is_read_to_its_end(text: str) -> None:
    scan = scan_script(text)
    lines = text.count("\n") + 1
    assert all(1 <= each.line <= lines for each in (*scan.includes, *scan.unsealable, *scan.deviations))
    find_inputs("/srv", {"010.sql": text})


NONCE = "0123456789abcdef0123456789abcdef"
OUT = f"\n{NONCE} S timeout -k 2\n" + "".join(
    f"\n{NONCE} B {number}\nsaid {number}\n\n{NONCE} E {number} 0\n" for number in range(3)
)
ERR = "".join(f"\n{NONCE} B {number}\n\n{NONCE} E {number} 0\n" for number in range(3))


@given(out=damaged(OUT), err=damaged(ERR) | st.just(ERR), size=st.integers(1, 50))
def test_the_answers_of_a_damaged_batch_are_each_of_one_question(out: str, err: str, size: int) -> None:
    reader = BatchReader(NONCE, [Question(Via.SSH, "db1", str(number)) for number in range(3)])
    frames = list[Frame]()
    for stream, text in ((Stream.OUT, out), (Stream.ERR, err)):
        content = text.encode("utf-8", "surrogatepass")
        for start in range(0, len(content), size):
            frames += reader.feed(stream, content[start : start + size])
    assert all(frame.number in range(3) and frame.code >= 0 for frame in frames)
    assert all(NONCE not in frame.out.decode(errors="replace") for frame in frames) or out.count(NONCE) > 7
