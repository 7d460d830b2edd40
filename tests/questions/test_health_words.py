"""What bodies say of their own health, in the layouts that are usual."""

from __future__ import annotations

import json
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.questions.health_words import State, words_of
from preflight.questions.json_body import parse_json, value_at

UP = {"status": "UP"}
DOWN = {"status": "DOWN"}


def unwell(body: object) -> dict[str, State]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {word.path: word.state for word in words_of(text) if word.state is not State.WELL}


ILL = {
    "Spring Boot 1": ({**UP, "db": {**DOWN, "error": "refused"}, "diskSpace": {**UP, "free": 7}}, "db.status"),
    "Spring Boot 1, status as an object": ({"status": {"code": "DOWN", "description": ""}}, "status.code"),
    "Spring Boot 2.0": ({**UP, "details": {"db": {**DOWN, "details": {}}}}, "details.db.status"),
    "Spring Boot 2.0, composite": (
        {**UP, "details": {"db": {**UP, "details": {"second": DOWN}}}},
        "details.db.details.second.status",
    ),
    "Spring Boot 3": ({**UP, "components": {"db": {"status": "OUT_OF_SERVICE"}}}, "components.db.status"),
    "MicroProfile": ({**UP, "checks": [{"name": "db", **DOWN}, {"name": "mq", **UP}]}, "checks.db.status"),
    "MicroProfile without names": ({**UP, "checks": [UP, DOWN]}, "checks.1.status"),
    "MicroProfile 1.0": ({"outcome": "UP", "checks": [{"name": "db", "state": "DOWN"}]}, "checks.db.state"),
    "ASP.NET": ({"status": "Healthy", "entries": {"db": {"status": "Unhealthy", "data": {}}}}, "entries.db.status"),
    "ASP.NET, list": ({"Status": "Healthy", "results": [{"name": "db", "Status": "Unhealthy"}]}, "results.db.Status"),
    "django-health-check": ({"Cache": "working", "Database": "unavailable: Database error"}, "Database"),
    "django-health-check, unexpected": ({"Cache": "working", "Queue": "unexpected result: wrong"}, "Queue"),
    "RFC draft": ({"status": "pass", "checks": {"db:time": [{"status": "fail"}]}}, "checks.db:time.0.status"),
    "Consul": ([{"Node": {}, "Checks": [{"CheckID": "web", "Status": "critical"}]}], "0.Checks.web.Status"),
    "Consul agent": ({"service:web": {"Name": "web", "Status": "critical"}}, "service:web.Status"),
    "Dropwizard": ({"deadlocks": {"healthy": True}, "db": {"healthy": False, "message": "x"}}, "db.healthy"),
    "Terminus": ({"status": "ok", "info": {}, "details": {"db": {"status": "down"}}}, "details.db.status"),
    "Elasticsearch": ({"cluster_name": "x", "status": "red"}, "status"),
    "etcd": ({"health": "false", "reason": "RAFT NO LEADER"}, "health"),
    "gRPC": ({"status": "NOT_SERVING"}, "status"),
    "a number": ({"status": 503}, "status"),
    "by hand": ({"db": "ok", "redis": "error", "version": "4.1"}, "redis"),
    "by hand, alone": ({"redis": "DOWN"}, "redis"),
    "by hand, not": ({"health": "Not ready"}, "health"),
    "by hand, names of its own": ({"db_status": "failed"}, "db_status"),
    "Terminus, failing": ({"status": "ok", "failures": ["db"]}, "failures"),
    "Flask": ({"results": [{"checker": "db", "passed": False}]}, "results.0.passed"),
    "Laravel": ({"checkResults": [{"name": "Database", "status": "failed"}]}, "checkResults.Database.status"),
    "Kong": ({"database": {"reachable": False}}, "database.reachable"),
    "Kafka Connect": ({"tasks": [{"id": 0, "state": "FAILED"}]}, "tasks.0.state"),
    "by hand, mode": ({**UP, "mode": "read-only"}, "mode"),
    "by hand, a flag": ({**UP, "storage": {"readOnly": True}}, "storage.readOnly"),
    "Nextcloud": ({"installed": True, "maintenance": True}, "maintenance"),
    "MongoDB": ({"ok": 0}, "ok"),
    "a list of words": ({"status": ["UP", "DOWN"]}, "status.1"),
    "a monitoring plugin": ("CRITICAL - db refused | time=3s\n", ""),
    "a word and why": ("DOWN: db refused\n", ""),
    "XML attributes": ('<health><db status="DOWN"/></health>', "status"),
    "one JSON word": ('"DOWN"', ""),
    "one JSON truth": ("false", ""),
    "one word": ("Unhealthy\n", ""),
    "a sentence": ("The service is not healthy.", ""),
    "a sentence on maintenance": ("Down for maintenance", ""),
    "a sentence on a database": ("database connection failed", ""),
    "an error and why": ("Error: cannot connect\n", ""),
    "lines": ("database: ok\nqueue: DOWN\n", "queue"),
    "lines beside others": ("database = ok\nqueue = error\n", "queue"),
    "Kubernetes": ("[+]ping ok\n[-]etcd failed: reason withheld\nhealthz check failed\n", "etcd"),
    "a truth of each part": ({"healthy": True, "checks": {"db": False, "cache": True}}, "checks.db"),
    "a word of each part": ({**UP, "checks": {"db": "ko", "cache": "ok"}}, "checks.db"),
    "a usual part": ({"status": "ok", "db": True, "redis": False}, "redis"),
    "a truth in camel case": ({**UP, "isHealthy": False}, "isHealthy"),
    "a truth of a part": ({**UP, "db_ok": False}, "db_ok"),
    "why": ({**UP, "error": "connection refused"}, "error"),
    "why, of a part": (
        {**UP, "components": {"db": {**UP, "details": {"error": "timeout"}}}},
        "components.db.details.error",
    ),
    "why, within": ({**UP, "error": {"message": "db gone", "code": 7}}, "error"),
    "failed ones": ({"failed": ["db"]}, "failed"),
    "one that takes leave": ({**UP, "shuttingDown": True}, "shuttingDown"),
    "degraded": ({**UP, "degraded": True}, "degraded"),
    "going down": ({**UP, "lifecycle": "SHUTTING_DOWN"}, "lifecycle"),
    "maintenance mode": ({**UP, "maintenance_mode": True}, "maintenance_mode"),
    "an address that is not reached": ({**UP, "db": "unreachable"}, "db"),
    "a part that is lost": ({**UP, "db": {"state": "lost"}}, "db.state"),
    "an adverb": ("service is not yet ready", ""),
    "no longer": ("It is no longer healthy", ""),
    "an apostrophe": ("the database isn't available", ""),
    "a hyphen": ("un-healthy", ""),
    "a line of a log": ("OK\nERROR db refused\n", ""),
    "a result": ({"result": "ERROR"}, "result"),
    "what is not up": ({"dbUp": False}, "dbUp"),
    "what is not up, in snakes": ({**UP, "redis_up": 0}, "redis_up"),
    "is it up": ({"isUp": "no"}, "isUp"),
    "pairs in one line": ("status=UP;db=DOWN", "db"),
    "pairs in one line, spaced": ("status: UP, db: DOWN\n", "db"),
    "pairs in one line, one name twice": ("db=DOWN db=UP", "db"),
    "a message": ({"message": "database is down"}, "message"),
    "a message of a part": ({"db": {"msg": "could not connect to 10.0.0.5"}}, "db.msg"),
    "a metric": ("# TYPE app_up gauge\napp_up 0\n", "app_up"),
    "metrics of two": ('app_up{instance="a"} 0\napp_up{instance="b"} 1\n', "app_up"),
    "marks of lines": ("[OK] web\n[FAIL] db\n", ""),
    "two words": ("web UP\ndb ... DOWN\n", "db"),
    "a usual part alone": ({**UP, "db": "KO!"}, "db"),
    "what is not available": ({"db_available": False}, "db_available"),
    "a connection": ({"databaseConnection": False}, "databaseConnection"),
    "an exception": ({**UP, "exception": "java.sql.SQLException"}, "exception"),
    "problems": ({"ok": True, "problems": ["db"]}, "problems"),
    "a code": ({"code": 503, "data": None}, "code"),
    "a status code": ({"statusCode": 500}, "statusCode"),
    "work that stands still": ({**UP, "queue": {"status": "STALLED"}}, "queue.status"),
    "what is broken": ({**UP, "replication": "broken"}, "replication"),
    "a license": ({**UP, "license": {"valid": False}}, "license.valid"),
    "one that is suspended": ({**UP, "suspended": True}, "suspended"),
    "one out of rotation": ({**UP, "inRotation": False}, "inRotation"),
    "one that accepts nothing": ({**UP, "acceptingTraffic": False}, "acceptingTraffic"),
    "a truth as text": ({**UP, "maintenanceMode": "on"}, "maintenanceMode"),
    "one that takes no work": ({**UP, "outOfService": True}, "outOfService"),
    "XML": ("<health><status>DOWN</status></health>", "status"),
}


@pytest.mark.case(10)
@pytest.mark.parametrize(("body", "path"), ILL.values(), ids=ILL.keys())
def test_a_part_that_is_ill_is_found_and_named(body: object, path: str) -> None:
    assert unwell(body) == {path: State.ILL}


@pytest.mark.parametrize(
    "body",
    [
        {**UP, "components": {"db": {**UP, "details": {"database": "PostgreSQL", "validationQuery": "isValid()"}}}},
        {**UP, "components": {"kafka": {**UP, "details": {"listeners": [{"isPaused": False, "state": "CLOSED"}]}}}},
        {"status": "pass", "version": "1", "notes": [""], "output": "", "checks": {"cpu:load": [{"status": "pass"}]}},
        [{"Service": {"Tags": [], "Weights": {"Passing": 10, "Warning": 1}}, "Checks": [{"Status": "passing"}]}],
        {"status": "ok", "log_level": "error", "debug": False, "read_only": "false", "last_error": "timeout"},
        {"Database": "working", "Cache backend: default": "working"},
        {"app": {"name": "orders", "version": "4.1"}, "git": {"branch": "main"}},
        {"status": 200, "code": 0},
        {"health": "true"}, {"ok": 1}, {"responseHeader": {"status": 0}, "status": "OK"}, {"errors": [], "error": {}},
        {**UP, "components": {"ssl": {**UP, "details": {"validChains": [{"validity": {"status": "VALID"}}]}}}},
        {**UP, "components": {"livenessState": UP, "ping": UP}, "groups": ["liveness", "readiness"]},
        {"installed": True, "maintenance": False, "needsDbUpgrade": False}, {"database": "ok", "commit": "abc"},
        {"status": None}, {"error": "none", "errors": "0"}, {**UP, "maintenance": "Sundays 02:00", "beta": False},
        {**UP, "draining": False},
        {"update_available": False, "signUp": False, "lookup": False}, {**UP, "checks": {"total": 450, "failed": 0}},
        "OK", "pong", "4.1\n", "I am alive!", "", "{}", "[]", "true", "status: OK\nuptime: 5 days\n",
        "OK - all well | time=3s", "STATUS: OK", "ERROR: 0", "timeout: 30", "All systems operational",
        {"initialized": True, "sealed": False, "standby": False, "replication_dr_mode": "disabled", "version": "1.15"},
        {"cluster_name": "es", "status": "green", "timed_out": False, "number_of_nodes": 3, "unassigned_shards": 0},
        {"status": {"overall": {"level": "available", "summary": "All services are available"}}},
        {"name": "influxdb", "message": "ready for queries and writes", "status": "pass", "checks": []},
        {"state": "running", "role": "master", "timeline": 1, "replication": [{"state": "streaming"}]},
        {"outcome": "success", "result": "running"}, {"code": 0, "message": "OK", "result": {"count": 450}},
        {"code": 200, "msg": "success", "data": {"result": "ok"}}, {"state": "LIVE", "hot_restart": "disabled"},
        {"metadatabase": {"status": "healthy"}, "triggerer": {"latest_heartbeat": None, "status": None}},
        {"client": {"message": "ok", "ok": True}, "server": {"message": "ok", "ok": True}},
        {"connection": "keep-alive", "beta_available": False},
        {"nodeVersion": {"version": "400"}, "starting": False, "signUp": False, "backup": False, "scale_up": 0},
        {**UP, "message": "no maintenance planned; next down time on Sunday", "reason": None, "detail": ""},
        [{"Checks": [{"CheckID": "web", "Status": "passing", "Output": "HTTP GET http://x: 200 OK Output: up"}]}],
        "Active connections: 1 \nserver accepts handled requests\n 10 10 10 \nReading: 0 Writing: 1 Waiting: 0 \n",
        "Total Accesses: 5\nReqPerSec: 0\nBusyWorkers: 1\nIdleWorkers: 0\nScoreboard: ___W..\n",
        "pool: www\nprocess manager: dynamic\nlisten queue: 0\nslow requests: 0\n", "Prometheus Server is Healthy.\n",
        "OK - Listed applications for virtual host [localhost]\n/:running:0:ROOT\n/manager:running:1:manager\n",
        '# TYPE pg_up gauge\npg_up 1\npg_locks_count{mode="x"} 0\nprocess_startup 0\n', "redis: ok; db: ok; load=0",
        "<html><title>Unavailable</title><h1>Down</h1></html>", "[+]ping ok\nhealthz check passed\n",
    ],
)  # fmt: skip
def test_what_is_well_or_about_something_else_is_nothing_unwell(body: object) -> None:
    assert unwell(body) == {}


@pytest.mark.parametrize(
    ("body", "path", "state"),
    [
        ({"status": "warn"}, "status", State.IMPAIRED),
        ("Degraded", "", State.IMPAIRED),
        ("WARNING - 2 of 3 nodes", "", State.IMPAIRED),
        ({"state": "FIRST_RUN"}, "state", State.UNCLEAR),
        ({"status": "UP (degraded)"}, "status", State.UNCLEAR),
        ({**UP, "circuitBreakers": {"billing": {"state": "OPEN"}}}, "circuitBreakers.billing.state", State.IMPAIRED),
        ({**UP, "queue": {"state": "paused"}}, "queue.state", State.IMPAIRED),
        ({**UP, "billingBreaker": "half-open"}, "billingBreaker", State.IMPAIRED),
        ({**UP, "components": {"mq": {"status": "DEGRADED"}}}, "components.mq.status", State.IMPAIRED),
        ({**UP, "components": {"mq": {"status": "UNKNOWN"}}}, "components.mq.status", State.UNCLEAR),
        ({**UP, "components": {"mq": {"status": "DRAINING"}}}, "components.mq.status", State.UNCLEAR),
        ({"status": "Humming"}, "status", State.UNCLEAR),
        ({"meshUp": False}, "meshUp", State.UNCLEAR),
        ('node_network_up{device="eth1"} 0', "node_network_up", State.UNCLEAR),
        ({**UP, "message": "the database is down"}, "message", State.UNCLEAR),
    ],
)
def test_other_words_are_no_pass_and_no_failure(body: object, path: str, state: State) -> None:
    assert unwell(body) == {path: state}


@pytest.mark.long
@given(st.recursive(
    st.none() | st.booleans() | st.text() | st.sampled_from(["UP", "DOWN"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["status", "a.b", "name", "ok", "1"]), inner),
))  # fmt: skip
def test_any_value_is_walked_and_each_path_leads_to_its_word(value: object) -> None:
    body = json.dumps(value)
    for word in words_of(body):
        if word.path:
            found = value_at(parse_json(body), word.path)
            assert str(found).lower() == word.text.lower()


@given(st.text())
def test_any_text_is_read(body: str) -> None:
    list(words_of(body))


@pytest.mark.parametrize(
    "body",
    [
        "<" + "a" * 65_000, "<a " * 20_000, "x" * 65_000, "a = " * 16_000, " a" * 32_000, "<a>" + " " * 65_000,
        json.dumps({f"{number}": "x" for number in range(6_000)}), "a: b\n" * 13_000,
        json.dumps([{"name": f"{number}", "status": "x"} for number in range(2_000)]),
    ],
)  # fmt: skip
def test_a_hostile_body_is_read_in_linear_time(body: str) -> None:
    begun = process_time()
    list(words_of(body))
    assert process_time() - begun < 2
