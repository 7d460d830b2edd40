"""`preflight confirm` as people call it: who said what is written beside the plan, and a run reads it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from preflight.plan.confirmed import read_confirmed
from preflight.plan.load import load_plan
from tests.cli.program import BASE, argv, environment, preflight, write_plan
from tests.signing import allowed, signing_key

PEOPLE = """
[roles.dba]
primary = "D. Kaya"
standby = "M. Ortiz"
contact = "ext. 4411"

[roles.app1]
primary = "J. O'Neil"
standby = "L. Brandt"
contact = "ext. 4433"

[[attest]]
id = "vendor"
text = "the vendor is on standby"
owner = "dba"
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return write_plan(tmp_path, BASE.replace("2030", "2199") + PEOPLE)


def confirm(plan: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return preflight("confirm", plan.name, *arguments, cwd=plan.parent)


def told(plan: Path, check: str) -> str:
    """All that a run says of this check."""
    report = json.loads(preflight("run", plan, "--only", check, "--format", "json").stdout)
    return "\n".join(f"{each['status']} {each['subject']}: {each['summary']}" for each in report["findings"])


def test_both_confirm_and_the_run_says_who_and_when(plan: Path) -> None:
    digest = load_plan(plan).digest
    assert "not confirmed by D. Kaya and M. Ortiz" in told(plan, "on-call")
    done = confirm(plan, "--role", "dba", "--by", "d. kaya", "--by", "M. Ortiz")
    assert (done.returncode, done.stderr) == (0, "")
    assert "dba: confirmed by D. Kaya and M. Ortiz, " in done.stdout
    assert "for      release, window, roles.dba, attest.vendor\nin       plan.confirmed.toml\n" in done.stdout
    assert "not yet" not in done.stdout
    assert load_plan(plan).digest == digest
    seen = told(plan, "on-call")
    assert "warn dba: the confirmation ends " in seen, "so long before the window another one is needed"
    assert "fail app1: not confirmed by J. O'Neil and L. Brandt" in seen


def test_who_confirms_alone_is_told_whose_word_is_still_missing(plan: Path) -> None:
    assert confirm(plan, "--role", "dba", "--by", "D. Kaya").stdout.endswith("not yet  M. Ortiz\n")
    assert "not yet" not in confirm(plan, "--role", "dba", "--by", "M. Ortiz").stdout
    plan.write_text(plan.read_text().replace("ext. 4411", "ext. 4412"))
    assert "not yet  D. Kaya" in confirm(plan, "--role", "dba", "--by", "M. Ortiz").stdout, "his is void"


def test_an_item_is_attested_and_a_change_of_the_plan_elsewhere_does_not_void_it(plan: Path) -> None:
    assert "unknown vendor: not confirmed by D. Kaya or M. Ortiz" in told(plan, "attestations")
    confirm(plan, "--item", "vendor", "--by", "M. Ortiz")
    plan.write_text(plan.read_text().replace("ext. 4411", "ext. 4412"))
    assert "warn vendor: the confirmation ends " in told(plan, "attestations")
    plan.write_text(plan.read_text().replace("on standby", "on site"))
    assert "changed since then: attest.vendor" in told(plan, "attestations")


def test_a_word_for_another_release_or_attempt_is_none_for_this_one(plan: Path) -> None:
    confirm(plan, "--role", "dba", "--by", "D. Kaya", "--by", "M. Ortiz")
    confirm(plan, "--item", "vendor", "--by", "M. Ortiz")
    plan.write_text(plan.read_text().replace('id = "REL-1"', 'id = "REL-2"'))
    assert "changed since then: release" in told(plan, "on-call")
    assert "changed since then: release" in told(plan, "attestations")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--role", "dbaa", "--by", "x"), "--role: no such role 'dbaa'; did you mean dba?"),
        (("--role", "dba", "--by", "M. Ortis"), "--by: no such person of dba 'M. Ortis'; did you mean M. Ortiz?"),
        (("--role", "dba", "--by", "L. Brandt"), "There are: D. Kaya, M. Ortiz"),
        (("--item", "vendors", "--by", "M. Ortiz"), "--item: no such item 'vendors'; did you mean vendor?"),
        (("--by", "M. Ortiz"), "give one of --role and --item"),
        (("--role", "dba", "--item", "vendor", "--by", "M. Ortiz"), "give one of --role and --item"),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest_and_nothing_is_written(
    plan: Path, arguments: tuple[str, ...], error: str
) -> None:
    done = confirm(plan, *arguments)
    assert (done.returncode, error in done.stderr) == (2, True), done.stderr
    assert not load_plan(plan).confirmed_file.exists()


@pytest.mark.long
def test_many_at_once_lose_no_word(plan: Path) -> None:
    """Each in a process of its own, all begun before the first has ended."""
    calls = [("dba", "D. Kaya"), ("dba", "M. Ortiz"), ("app1", "J. O'Neil"), ("app1", "L. Brandt")]
    begun = [
        subprocess.Popen(
            argv("confirm", plan, "--role", role, "--by", name), env=environment(), stdout=subprocess.DEVNULL
        )
        for role, name in calls
    ]
    assert [each.wait() for each in begun] == [0] * len(calls)
    said = read_confirmed(load_plan(plan).confirmed_file).confirmations
    assert {(each.role, each.by) for each in said} == set(calls)


@pytest.mark.parametrize(
    ("text", "told"),
    [("format = 2\n", "format"), ("[[confirmations]]\nby = 1\n", "confirmations[1].by"), ("this is", "not TOML")],
)
def test_a_file_that_cannot_be_read_is_an_error_that_says_how_to_go_on(plan: Path, text: str, told: str) -> None:
    load_plan(plan).confirmed_file.write_text(text)
    for done in (preflight("run", plan), confirm(plan, "--role", "dba", "--by", "D. Kaya")):
        assert (done.returncode, "plan.confirmed.toml" in done.stderr, told in done.stderr) == (2, True, True)
    assert load_plan_text(plan) == text


def load_plan_text(plan: Path) -> str:
    return plan.with_name("plan.confirmed.toml").read_text()


@pytest.fixture
def signing(plan: Path) -> Path:
    """The key of M. Ortiz; whoever confirms must sign."""
    key = signing_key(plan.parent / "ortiz")
    allowed(plan.parent / "signers", ('"M. Ortiz" namespaces="preflight-confirmation"', key))
    plan.write_text(plan.read_text().replace('id = "REL-1"', 'id = "REL-1"\nallowed_signers = "signers"'))
    return key


def test_a_word_that_its_own_person_signed_counts_and_no_other(plan: Path, signing: Path) -> None:
    confirm(plan, "--item", "vendor", "--by", "M. Ortiz")
    assert "and not signed" in told(plan, "attestations")
    assert confirm(plan, "--item", "vendor", "--by", "M. Ortiz", "--sign", str(signing)).returncode == 0
    assert "warn vendor: the confirmation ends" in told(plan, "attestations")
    file = load_plan(plan).confirmed_file
    signed = file.read_text()
    file.write_text(signed.replace('by = "M. Ortiz"', 'by = "D. Kaya"'))
    assert "and the signature is not of D. Kaya: Signature verification failed" in told(plan, "attestations")
    file.write_text("")
    confirm(plan, "--item", "vendor", "--by", "D. Kaya", "--sign", str(signing))
    assert "and the signature is not of D. Kaya: signed by M. Ortiz" in told(plan, "attestations")


def test_a_key_that_ends_before_the_window_begins_is_told_as_soon_as_a_word_is_signed(
    plan: Path, signing: Path
) -> None:
    allowed(plan.parent / "signers", ('"M. Ortiz" valid-before="21990101Z"', signing))
    assert confirm(plan, "--item", "vendor", "--by", "M. Ortiz", "--sign", str(signing)).returncode == 0
    seen = told(plan, "attestations")
    assert "fail vendor: the key ends Tue 2199-01-01 00:00 +00:00, before the work is over" in seen


def test_one_key_is_not_two_people(plan: Path, signing: Path) -> None:
    """Who holds it could say both words alone; of an item one word is enough, whoever's of the two it is."""
    allowed(plan.parent / "signers", ('"M. Ortiz,D. Kaya" namespaces="preflight-confirmation"', signing))
    for name in ("D. Kaya", "M. Ortiz"):
        confirm(plan, "--role", "dba", "--by", name, "--sign", str(signing))
    assert "and its key is that of M. Ortiz, too: each needs one of his own" in told(plan, "on-call")
    confirm(plan, "--item", "vendor", "--by", "M. Ortiz", "--sign", str(signing))
    assert "warn vendor: the confirmation ends" in told(plan, "attestations")


def unsigned(plan: Path) -> None:
    plan.write_text(plan.read_text().replace('allowed_signers = "signers"', ""))


def test_allowed_signers_that_are_taken_out_of_a_sealed_plan_hold_it_until_somebody_says_so_by_hand(
    plan: Path, signing: Path
) -> None:
    assert preflight("seal", plan, "--scripts-only").returncode == 0
    assert "Nobody's signature" not in told(plan, "plan-coverage")
    unsigned(plan)
    gone = "unknown release.allowed_signers: Nobody's signature is wanted any more: [release] named `allowed_signers`"
    assert gone in told(plan, "plan-coverage")
    assert "Nobody's signature is wanted any more" in preflight("lint", plan).stdout
    assert preflight("seal", plan, "--scripts-only").returncode == 0
    assert gone in told(plan, "plan-coverage"), "sealing again forgets nothing"
    by_hand(plan)
    assert "allowed_signers" not in told(plan, "plan-coverage")


def by_hand(plan: Path) -> None:
    sealed = load_plan(plan).sealed_servers
    sealed.write_text(re.sub(r'"release": "[0-9a-f]{64}"', "", sealed.read_text()))


def test_a_key_that_is_added_after_sealing_holds_the_plan_until_somebody_says_so_by_hand(
    plan: Path, signing: Path
) -> None:
    assert preflight("seal", plan, "--scripts-only").returncode == 0
    assert "pass release.allowed_signers: as it was sealed" in told(plan, "plan-coverage")
    signers = plan.parent / "signers"
    was = signers.read_text()
    other = signing_key(plan.parent / "other").with_name("other.pub").read_text()
    signers.write_text(f'{was}"D. Kaya" {other}')
    changed = "Other keys may sign than when the plan was sealed: signers, `allowed_signers` of [release]"
    assert f"unknown release.allowed_signers: {changed}" in told(plan, "plan-coverage")
    refused = preflight("seal", plan, "--scripts-only")
    assert (refused.returncode, changed in refused.stderr) == (2, True)
    assert (
        'take "release" out of `allowed_signers` in plan.sealed.json by hand, then run: preflight seal'
        in refused.stderr
    )
    signers.write_text(was)
    assert "pass release.allowed_signers" in told(plan, "plan-coverage"), "taken back"
    signers.unlink()
    assert "unknown release.allowed_signers" in told(plan, "plan-coverage")
    assert "signers: No such file" in preflight("seal", plan, "--scripts-only").stderr
    signers.write_text(f'{was}"D. Kaya" {other}')
    by_hand(plan)
    assert preflight("seal", plan, "--scripts-only").returncode == 0
    assert "pass release.allowed_signers" in told(plan, "plan-coverage"), "meant, and sealed again"


def test_a_signed_word_that_nothing_verifies_any_more_is_a_warning(plan: Path, signing: Path) -> None:
    confirm(plan, "--item", "vendor", "--by", "M. Ortiz", "--sign", str(signing))
    assert "nothing verifies" not in told(plan, "attestations")
    unsigned(plan)
    report = json.loads(preflight("run", plan, "--only", "attestations", "--format", "json").stdout)
    points = [
        point for line in report["findings"] for point in line["points"] if "nothing verifies" in point["summary"]
    ]
    assert [(each["status"], each["summary"]) for each in points] == [
        ("warn", "signed by M. Ortiz, which nothing verifies: [release] names no `allowed_signers`")
    ]


def test_each_signs_for_himself(plan: Path, signing: Path) -> None:
    both = confirm(plan, "--role", "dba", "--by", "D. Kaya", "--by", "M. Ortiz", "--sign", str(signing))
    assert (both.returncode, "--sign is one person's: give one --by" in both.stderr) == (2, True)
    report = preflight("run", plan, "--only", "on-call", "--format", "json").stdout
    assert (
        "D. Kaya runs: preflight confirm plan.toml --role dba --by 'D. Kaya' --sign ~/.ssh/id_ed25519; M. Ortiz runs:"
        in report
    )


def test_a_key_that_cannot_sign_is_an_error_and_nothing_is_written(plan: Path) -> None:
    done = confirm(plan, "--role", "dba", "--by", "D. Kaya", "--sign", "missing")
    assert (done.returncode, "--sign missing: ssh-keygen did not sign" in done.stderr) == (2, True)
    assert not load_plan(plan).confirmed_file.exists()
