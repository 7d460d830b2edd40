"""host-login judged from plain facts: each passing state beside those that flip it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from preflight_checks.host_login import HostLogin

from preflight.finding import Judgement, Status
from preflight.plan import Account, Become, Host, Role, SaidUntil, Window
from preflight.plan.values import LoginUse
from preflight.probe import NoReply, Reply
from preflight.questions.accounts import Aging, Expiry, Login
from preflight.questions.authorized_keys import AuthorizedKey, UserCertificate
from preflight.reasons import Reason
from tests.toy import toy_plan

ASKED_AT = datetime(2026, 10, 16, 19, 0, tzinfo=UTC)
# Needed until Sat 2026-10-17 23:30 UTC.
WINDOW = Window(zone="UTC", start=ASKED_AT + timedelta(hours=9), end=datetime(2026, 10, 17, 22, 30, tzinfo=UTC))
LOGIN = Login("dbadmin", 1000, "db1", ASKED_AT, {"auth": "key SHA256:abc", "address": "192.0.2.1:22"})
TODAY = ASKED_AT.date()
VALID = "[checks.host-login.valid_through] "
FILE = "/home/dbadmin/.ssh/authorized_keys"
KEY_LINE = AuthorizedKey(1, FILE, "SHA256:abc", None)
NEVER = Expiry(Aging.KNOWN, keys=(KEY_LINE,))
DIRECTORY = replace(NEVER, aging=Aging.NOT_LOCAL, said="chage: user 'dbadmin' does not exist in /etc/passwd")
HIDDEN = replace(NEVER, aging=Aging.NOT_SHOWN, said="chage is not installed")


def judged(
    login: Login | NoReply = LOGIN,
    expiry: Expiry | NoReply = NEVER,
    *,
    window: Window = WINDOW,
    declared: Mapping[str, date] | None = None,
    on: date = TODAY,
) -> Judgement:
    """`declared`: host -> last day, said on the day `on`."""
    plan = toy_plan(window=window, roles=[Role(id="dba", primary="D. Kaya", contact="ext. 4411")])
    said = {
        host: SaidUntil(by="dba", on=on, reason="asked the directory", until=until)
        for host, until in (declared or {}).items()
    }
    check = HostLogin(plan, ASKED_AT, HostLogin.Settings(valid_through=said))
    (subject,) = check.subjects()
    found: Judgement = check.judge(subject, login=login, expiry=expiry)
    return found


def banner(text: str) -> Login:
    return replace(LOGIN, session={**LOGIN.session, "banner": text})


def day(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize(
    ("account_expires", "status"),
    [
        (None, Status.PASS),
        ("2026-10-25", Status.PASS),
        ("2026-10-24", Status.WARN),
        ("2026-10-18", Status.WARN),  # refused from 00:00 UTC of the 18th, half an hour after it is needed
        ("2026-10-17", Status.FAIL),  # refused on the very day
        ("2026-10-01", Status.FAIL),
    ],
)
def test_an_account_is_refused_from_the_first_minute_of_its_day(account_expires: str | None, status: Status) -> None:
    expires = day(account_expires) if account_expires else None
    assert judged(expiry=replace(NEVER, account_expires=expires)).status is status


@pytest.mark.parametrize(
    ("password_expires", "status"),
    [
        (None, Status.PASS),
        ("2026-10-24", Status.PASS),
        ("2026-10-23", Status.WARN),
        ("2026-10-17", Status.WARN),  # holds all of the 17th
        ("2026-10-16", Status.FAIL),
    ],
)
def test_a_password_holds_all_of_its_last_day(password_expires: str | None, status: Status) -> None:
    expires = day(password_expires) if password_expires else None
    assert judged(expiry=replace(NEVER, password_expires=expires)).status is status


def test_the_remedy_names_a_date_that_would_pass() -> None:
    found = judged(expiry=replace(NEVER, account_expires=day("2026-10-17")))
    assert "chage -E 2026-10-25 dbadmin" in found.remedy
    assert judged(expiry=replace(NEVER, account_expires=day("2026-10-25"))).status is Status.PASS


def test_a_window_that_ends_past_midnight_utc_needs_the_next_day() -> None:
    later = replace(WINDOW, end=WINDOW.end + timedelta(hours=1))  # 00:30 UTC of the 18th, 19:30 in New York
    expiry = replace(NEVER, password_expires=day("2026-10-17"))
    assert judged(expiry=expiry).status is Status.WARN
    assert judged(expiry=expiry, window=later).status is Status.FAIL


def test_a_password_that_must_be_changed_fails() -> None:
    assert judged(expiry=replace(NEVER, must_change=True)).status is Status.FAIL


@pytest.mark.parametrize("expiry", [DIRECTORY, HIDDEN])
def test_dates_nobody_tells_are_unknown_until_somebody_answers_for_one(expiry: Expiry) -> None:
    found = judged(expiry=expiry)
    assert found.status is Status.UNKNOWN
    assert expiry.said in found.summary
    said = 'db1 = { until = 2026-10-19, by = "dba", on = 2026-10-16, reason = "" }'
    assert (
        f"D. Kaya (dba), ext. 4411 answer for it and write how that is known as `reason`: {VALID}{said}" in found.remedy
    )
    found = judged(expiry=expiry, declared={"db1": day("2026-12-31")})
    assert found.status is Status.WARN
    assert "; said by D. Kaya (dba) on 2026-10-16, not observed: asked the directory" in found.summary
    assert judged(expiry=expiry, declared={"db1": day("2026-10-18")}).status is Status.WARN
    assert judged(expiry=expiry, declared={"db1": day("2026-10-16")}).status is Status.FAIL
    assert judged(expiry=expiry, declared={"db2": day("2026-12-31")}).status is Status.UNKNOWN


def test_what_is_said_on_a_day_to_come_is_not_said_yet() -> None:
    found = judged(expiry=DIRECTORY, declared={"db1": day("2026-12-31")}, on=day("2026-10-17"))
    assert found.status is Status.UNKNOWN
    assert "what D. Kaya (dba) says of it is dated 2026-10-17, after the day judged, 2026-10-16" in found.summary
    assert found.remedy.startswith(
        f"have D. Kaya (dba) look again, and write that day as `on` of {VALID}db1; or ask whoever keeps the account"
    )


@pytest.mark.parametrize(("days", "status"), [(30, Status.WARN), (31, Status.UNKNOWN)])
def test_a_word_counts_for_so_long_up_to_the_day_of_the_window(days: int, status: Status) -> None:
    on = WINDOW.start.date() - timedelta(days=days)
    found = judged(expiry=DIRECTORY, declared={"db1": day("2026-12-31")}, on=on)
    assert found.status is status
    assert (f"is of {on}, more than 30 d before the window (`said` of [freshness])" in found.summary) == (days > 30)


def test_a_declared_date_does_not_hide_an_earlier_one_of_the_host() -> None:
    expiry = replace(NEVER, account_expires=day("2026-10-17"))
    assert judged(expiry=expiry, declared={"db1": day("2026-12-31")}).status is Status.FAIL


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Authorized use only", Status.PASS),
        ("Warning: your password will expire in 14 days", Status.PASS),
        ("Warning: your password will expire in 3 days", Status.WARN),
        ("Warning: your password will expire in 1 day", Status.WARN),  # pam_unix: all of the 17th
        ("Warning: your password will expire in 0 days", Status.FAIL),
        ("Your password will expire in 1 day(s).", Status.FAIL),  # SSSD: 24 hours, until 19:00 of the 17th
        ("Your password will expire in 2 day(s).", Status.WARN),
        ("Password will expire in 5 hour(s).", Status.FAIL),
        ("Password will expire in 30 minutes", Status.FAIL),
        ("Your account will expire in 1 days", Status.FAIL),
        ("Your account will expire in 2 days", Status.WARN),
        ("Your password will expire today", Status.UNKNOWN),  # cannot be read
        ("Your password will expire in 99999999999 days", Status.PASS),
        ("Sessions expire after 10 minutes", Status.PASS),
    ],
)
def test_what_the_server_announces_at_login_is_judged(text: str, status: Status) -> None:
    assert judged(banner(text)).status is status


def test_an_announcement_alone_leaves_the_account_of_a_directory_unknown() -> None:
    assert judged(banner("Your password will expire in 60 day(s)."), DIRECTORY).status is Status.UNKNOWN
    assert judged(banner("Your password will expire in 1 day(s)."), DIRECTORY).status is Status.FAIL


def test_an_announcement_counts_from_the_moment_of_the_login_not_of_the_judging() -> None:
    old = replace(banner("Warning: your password will expire in 3 days"), asked_at=ASKED_AT - timedelta(days=3))
    assert judged(old).status is Status.FAIL


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        ("sshd;*;dbadmin;Wk0800-1800", Status.UNKNOWN),
        ("*;*;*;Wk0800-1800", Status.UNKNOWN),
        ("sshd;*;!root;Wk0800-1800", Status.UNKNOWN),
        ("sshd|login;*;root|db*;!Al2000-0400", Status.UNKNOWN),
        ("sshd;*;@netgroup;Al0000-2400", Status.UNKNOWN),
        ("login;*;dbadmin;Wk0800-1800", Status.PASS),
        ("sshd;*;root;Wk0800-1800", Status.PASS),
        ("sshd;*;!dbadmin;Wk0800-1800", Status.PASS),
        ("no rule", Status.PASS),
    ],
)
def test_rules_of_hours_that_may_name_the_account_are_unknown(rule: str, status: Status) -> None:
    assert judged(expiry=replace(NEVER, time_rules=(rule,))).status is status


@pytest.mark.parametrize(
    ("rule", "of_sudo", "become", "status"),
    [
        ("sudo;*;dbadmin;!Al2000-0600", True, True, Status.UNKNOWN),
        ("sudo;*;dbadmin;!Al2000-0600", False, True, Status.UNKNOWN),
        ("sudo;*;dbadmin;!Al2000-0600", True, False, Status.PASS),
        ("sshd;*;dbadmin;!Al2000-0600", True, True, Status.PASS),
        ("sudo;*;root;!Al2000-0600", True, True, Status.PASS),
    ],
)
def test_hours_of_sudo_count_where_the_login_becomes_another_account(
    rule: str, of_sudo: bool, become: bool, status: Status
) -> None:
    accounts = (Become(account=Account("postgres")),) if become else ()
    host = Host(id="db1", user=Account("dbadmin"), become=accounts)
    plan = toy_plan([host], window=WINDOW, roles=[Role(id="dba", primary="D. Kaya", contact="ext. 4411")])
    said = SaidUntil(by="dba", on=TODAY, reason="asked", until=day("2026-12-31"))
    for declared in ({}, {"db1": said}):
        check = HostLogin(plan, ASKED_AT, HostLogin.Settings(valid_through=declared))
        (subject,) = check.subjects()
        found = check.judge(subject, login=LOGIN, expiry=replace(NEVER, time_rules=(rule,), time_of_sudo=of_sudo))
        assert (found.status is Status.UNKNOWN) is (status is Status.UNKNOWN and not declared), found
        assert (rule in repr(found)) is (status is Status.UNKNOWN)


def test_rules_of_hours_that_cannot_be_read_are_unknown() -> None:
    assert judged(expiry=replace(NEVER, time_rules=(), time_rules_readable=False)).status is Status.UNKNOWN


def test_only_the_key_that_logged_in_counts() -> None:
    soon = ASKED_AT + timedelta(hours=5)
    ends = AuthorizedKey(1, FILE, "SHA256:abc", soon)
    assert judged(expiry=replace(NEVER, keys=(ends,))).status is Status.FAIL
    assert judged(expiry=replace(NEVER, keys=(ends, KEY_LINE))).status is Status.PASS
    assert (
        judged(expiry=replace(NEVER, keys=(replace(ends, fingerprint="SHA256:abcd"), KEY_LINE))).status is Status.PASS
    )


def test_settings_that_accept_the_key_until_different_ends_leave_it_unknown() -> None:
    soon = AuthorizedKey(2, "/etc/keys", "SHA256:abc", ASKED_AT + timedelta(hours=5))
    found = judged(expiry=replace(NEVER, keys=(KEY_LINE, soon)))
    assert found.status is Status.UNKNOWN
    assert f"from /etc/keys or {FILE}, with different ends: Match in its configuration decides" in found.summary
    assert judged(expiry=replace(NEVER, keys=(KEY_LINE, replace(soon, until=None)))).status is Status.PASS
    assert judged(expiry=replace(NEVER, keys=(replace(soon, setting=1), soon))).status is Status.FAIL
    late = replace(soon, until=WINDOW.end + timedelta(days=30))
    assert judged(expiry=replace(NEVER, keys=(KEY_LINE, late))).status is Status.PASS


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ({"command"}, "sshd has the key from AuthorizedKeysCommand"),
        ({"unreadable"}, "names, which this login may not read"),
    ],
)
def test_a_key_that_no_file_shows_is_unknown_until_somebody_answers_for_it(sources: set[str], said: str) -> None:
    expiry = Expiry(Aging.KNOWN, key_sources=frozenset(sources), keys=(replace(KEY_LINE, is_authority=True),))
    found = judged(expiry=expiry)
    assert found.status is Status.UNKNOWN
    assert said in found.summary
    assert "[checks.host-login.valid_through] db1 = { until = 2026-10-19" in found.remedy
    by_password = replace(LOGIN, session={**LOGIN.session, "auth": "password"})
    assert judged(by_password, expiry).status is Status.PASS


CERTIFICATE = UserCertificate("dba", "SHA256:ca", ASKED_AT - timedelta(minutes=5), ASKED_AT + timedelta(hours=8))
CA_LINE = AuthorizedKey(1, FILE, "SHA256:ca", None, is_authority=True)


def certified(*certificates: UserCertificate, auth: str = "key SHA256:abc") -> Login:
    session = {**LOGIN.session, "auth": auth, "user_certificates": UserCertificate.as_json(certificates)}
    return replace(LOGIN, session=session)


@pytest.mark.parametrize(
    ("login", "keys", "sources", "status"),
    [
        (certified(CERTIFICATE), (CA_LINE,), (), Status.FAIL),
        (certified(CERTIFICATE), (), ("authorities",), Status.FAIL),
        (certified(replace(CERTIFICATE, not_after=None)), (CA_LINE,), (), Status.PASS),
        (certified(replace(CERTIFICATE, not_after=None)), (), ("authorities",), Status.PASS),
        (certified(replace(CERTIFICATE, not_after=None)), (), ("unreadable",), Status.PASS),
        (certified(replace(CERTIFICATE, not_after=None)), (), ("command",), Status.UNKNOWN),
        (certified(replace(CERTIFICATE, not_after=None)), (replace(CA_LINE, until=ASKED_AT),), (), Status.FAIL),
        (certified(CERTIFICATE), (CA_LINE, KEY_LINE), (), Status.WARN),  # ssh offers the key itself next
        (certified(CERTIFICATE, auth="agent SHA256:abc"), (CA_LINE, KEY_LINE), (), Status.FAIL),
        (certified(CERTIFICATE), (CA_LINE, replace(KEY_LINE, until=ASKED_AT)), (), Status.FAIL),
        (certified(replace(CERTIFICATE, hop="ProxyJump j")), (KEY_LINE,), (), Status.FAIL),
        (certified(replace(CERTIFICATE, hop="db1")), (KEY_LINE,), (), Status.PASS),  # it has a line of its own
    ],
)  # fmt: skip
def test_a_certificate_holds_as_long_as_it_and_its_acceptance(
    login: Login, keys: tuple[AuthorizedKey, ...], sources: tuple[str, ...], status: Status
) -> None:
    found = judged(login, Expiry(Aging.KNOWN, keys=keys, key_sources=frozenset(sources)))
    assert found.status is status, found.summary
    assert status is not Status.FAIL or "ends Fri 2026-10-16" in found.summary or "ends Sat" in found.summary


def test_another_account_than_planned_fails() -> None:
    found = judged(replace(LOGIN, user="other"))
    assert (found.status, found.summary) == (Status.FAIL, "the shell runs as other, not as dbadmin")


def lost(reason: Reason, vantage: str = "from here to db1 as dbadmin") -> NoReply:
    return NoReply(reason, "db1: what was seen", ASKED_AT, 0.1, vantage)


def test_an_expired_password_or_one_to_be_changed_is_set_anew_by_its_owner() -> None:
    found = judged(lost(Reason.PASSWORD_EXPIRED))
    assert (found.status, found.summary) == (Status.FAIL, "no login: no usable shell (password expired)")
    assert found.remedy.startswith("log in to db1 as dbadmin, set a new password, and put it where the plan finds it;")
    assert found.remedy.endswith('as root there: chage -d "$(date +%F)" dbadmin')


def test_a_server_that_wants_no_second_factor_is_told_and_one_that_does_is_no_news() -> None:
    lax = judged(replace(LOGIN, session={**LOGIN.session, "code": "not asked for"}))
    assert lax.status is Status.WARN
    assert "take `second_factor` out of [hosts.db1]" in lax.remedy
    strict = judged(replace(LOGIN, session={**LOGIN.session, "code": "typed"}))
    assert strict.status is Status.PASS
    assert "and a typed code" in strict.summary


def test_nobody_to_type_a_code_is_unknown_and_a_refused_one_a_failure() -> None:
    assert judged(lost(Reason.NO_CODE)).status is Status.UNKNOWN
    assert judged(lost(Reason.BAD_CODE)).summary == "no login: denied (second factor)"


def test_a_secret_that_is_not_there_to_try_with_tells_nothing_of_the_account() -> None:
    assert judged(lost(Reason.NO_SECRET)).status is Status.UNKNOWN


REFUSALS = [
    reason
    for reason in Reason
    if reason.status is Status.FAIL and (isinstance(reason.cures, str) or "ssh" in reason.cures)
]


@pytest.mark.parametrize("reason", REFUSALS, ids=str)
def test_no_login_is_a_failure_where_the_far_end_or_the_network_is_the_reason(reason: Reason) -> None:
    found = judged(lost(reason), lost(reason))
    assert (found.status, found.actual) == (Status.FAIL, "db1: what was seen")
    assert found.summary == f"no login: {reason}"
    assert "{" not in found.remedy


def test_the_remedy_names_the_port_that_was_dialled() -> None:
    refused = lost(Reason.NOT_LISTENING)
    assert "sshd started on db1 port 22," in judged(refused).remedy
    elsewhere = replace(refused, session={"port": "2222"})  # of ssh_config
    assert "sshd started on db1 port 2222," in judged(elsewhere).remedy


@pytest.mark.parametrize(
    "answer",
    [
        lost(Reason.NOT_ASKED),
        lost(Reason.UNREADABLE),
        lost(Reason.JUMP),
        lost(Reason.DEFECT),
        lost(Reason.THROTTLED),
        lost(Reason.OPEN_FILES),
        lost(Reason.NAME_SERVICE),
        lost(Reason.NO_COMMON_ALGORITHM),
        lost(Reason.RUN_DEADLINE),
    ],
)
def test_what_was_never_tried_is_unknown(answer: NoReply) -> None:
    assert judged(answer, answer).status is Status.UNKNOWN


@pytest.mark.parametrize("reason", [Reason.NOLOGIN, Reason.NO_SHELL, Reason.FORCED_COMMAND])
def test_a_jump_host_without_a_shell_is_told_the_key_that_says_so_and_any_other_host_is_not(reason: Reason) -> None:
    plan = toy_plan()
    jump = replace(plan.hosts["db1"], become=())
    behind = replace(jump, id="db2", jump="db1")
    needed = replace(jump, become=(Become(account=Account("postgres")),))
    alone = replace(plan, window=WINDOW, hosts={"db1": jump}, databases={}, backups={}, scripts={}, rollback=None)
    as_jump = replace(alone, hosts={"db1": jump, "db2": behind})
    offered = []
    for each in (alone, as_jump, replace(as_jump, hosts={"db1": needed, "db2": behind})):
        check = HostLogin(each, ASKED_AT, HostLogin.Settings())
        subject = next(subject for subject in check.subjects() if subject.id == "db1")
        found = check.judge(subject, login=lost(reason), expiry=lost(reason))
        assert found.status is Status.FAIL
        offered.append('login = "through"' in found.remedy)
    assert offered == [False, True, False]


def test_a_login_whose_dates_could_not_be_asked_is_unknown_or_worse() -> None:
    assert judged(expiry=lost(Reason.QUESTION_LIMIT)).status is Status.UNKNOWN
    announced = banner("Warning: your password will expire in 0 days")
    assert judged(announced, lost(Reason.QUESTION_LIMIT)).status is Status.FAIL


KEY_ENDS = AuthorizedKey(1, FILE, "SHA256:abc", datetime(2026, 10, 17, 5, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("login", "expiry", "expected"),
    [
        (LOGIN, NEVER, []),
        (
            LOGIN,
            replace(NEVER, account_expires=day("2026-10-17"), password_expires=day("2026-12-31")),
            [
                ("2026-10-17T00:00:00+00:00", "account of dbadmin on db1 ends"),
                ("2027-01-01T00:00:00+00:00", "password of dbadmin on db1 ends"),
            ],
        ),
        (LOGIN, replace(NEVER, keys=(KEY_ENDS,)), [("2026-10-17T05:30:00+00:00", "key of dbadmin on db1 ends")]),
        (LOGIN, replace(NEVER, must_change=True), [(ASKED_AT.isoformat(), "password of dbadmin on db1 ends")]),
        (
            banner("Warning: your password will expire in 3 days"),
            DIRECTORY,
            [("2026-10-20T00:00:00+00:00", "password of dbadmin on db1 ends (as announced at login)")],
        ),
    ],
)
def test_every_end_is_an_event_of_the_window_whatever_the_status(
    login: Login, expiry: Expiry, expected: list[tuple[str, str]]
) -> None:
    events = judged(login, expiry).events
    assert sorted((event.at.isoformat(), event.text) for event in events) == expected


def test_a_declared_end_is_an_event_too() -> None:
    (event,) = judged(expiry=DIRECTORY, declared={"db1": day("2027-01-31")}).events
    assert event.at == datetime(2027, 2, 1, tzinfo=UTC)
    assert event.text == "login of dbadmin on db1 ends (as said in the plan)"


def test_a_login_that_only_lets_through_shows_no_dates() -> None:
    host = Host(id="jump", user=Account("through"), login=LoginUse.THROUGH)
    plan = toy_plan([host], window=WINDOW, roles=[Role(id="dba", primary="D. Kaya", contact="ext. 4411")])
    way = Reply(0, "", ASKED_AT, 0.1, "jump", session={"auth": "key SHA256:a", "user": "through"})
    for until, status in (("", Status.UNKNOWN), ("2026-12-31", Status.WARN), ("2026-10-16", Status.FAIL)):
        said = {"jump": SaidUntil(by="dba", on=TODAY, reason="asked", until=day(until))} if until else {}
        check = HostLogin(plan, ASKED_AT, HostLogin.Settings(valid_through=said))
        (subject,) = check.subjects()
        assert set(check.probes(subject)) == {"through"}
        assert check.judge(subject, through=way).status is status, until
