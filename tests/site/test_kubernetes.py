"""The guide's plan for a cluster, by a real kubectl over a real sshd, against an API server of the tests' own."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from preflight_checks.command import CommandCheck

from preflight.finding import Finding, Status
from preflight.plan.load import load_plan
from tests.cli.program import preflight
from tests.docs.example_site import shifted
from tests.docs.test_toml_blocks import guide_plan
from tests.site.accounts import Account
from tests.site.asking import findings, told
from tests.site.https import HttpsApp
from tests.site.machine import needs
from tests.site.site import Site

pytestmark = pytest.mark.long

_DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
_VERBS = ("get", "list", "watch", "update")
_FORBIDDEN = 'deployments.apps "shop" is forbidden: User "release" cannot get resource "deployments"'


class Cluster:
    """What kubectl asks of an API server, in the shapes of Kubernetes' own: `kubectl -v=8` shows them."""

    def __init__(self, app: HttpsApp) -> None:
        self.app = app
        app.answer("/readyz", "ok")
        app.answer("/version", json.dumps({"major": "1", "minor": "20", "gitVersion": "v1.20.0"}))
        app.answer_json({"kind": "APIVersions", "versions": ["v1"]}, "/api")
        groups = [
            {"name": group, "versions": [version], "preferredVersion": version}
            for group in ("apps", "authorization.k8s.io")
            for version in [{"groupVersion": f"{group}/v1", "version": "v1"}]
        ]
        app.answer_json({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}, "/apis")
        deployments = {"name": "deployments", "singularName": "deployment", "kind": "Deployment", "namespaced": True}
        self._answer_resources("/api/v1", "v1")
        self._answer_resources("/apis/authorization.k8s.io/v1", "authorization.k8s.io/v1")
        self._answer_resources("/apis/apps/v1", "apps/v1", {**deployments, "verbs": _VERBS})
        self.deploy(available=3)
        self.allow(is_allowed=True)

    def _answer_resources(self, path: str, group: str, *resources: object) -> None:
        listed = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": resources}
        self.app.answer_json(listed, path)

    def deploy(self, *, available: int) -> None:
        """So many of three pods."""
        pods = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": available, "availableReplicas": available}
        one = {
            "kind": "Deployment", "apiVersion": "apps/v1",
            "metadata": {"name": "shop", "namespace": "shop", "generation": 2, "resourceVersion": "1"},
            "spec": {"replicas": 3}, "status": {"observedGeneration": 2, **pods},
        }  # fmt: skip
        listed = {"kind": "DeploymentList", "apiVersion": "apps/v1", "metadata": {"resourceVersion": "1"}}
        self.app.answer_json(one, f"{_DEPLOYMENTS}/shop")
        self.app.answer_json({**listed, "items": [one]}, _DEPLOYMENTS)

    def allow(self, *, is_allowed: bool) -> None:
        """Whether the account may do what it asks about."""
        review = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {}}
        asked = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        self.app.answer_json({**review, "status": {"allowed": is_allowed}}, asked, status=201)

    def refuse(self, status: int, reason: str, message: str, *paths: str) -> None:
        refused = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": status}
        for path in paths:
            self.app.answer_json({**refused, "reason": reason, "message": message}, path, status=status)


@pytest.fixture
def cluster(site: Site) -> Iterator[Cluster]:
    app = site.start_app()
    yield Cluster(app)
    app.close()


@dataclass
class Shop:
    """The guide's plan, with an account on a host that has a kubeconfig."""

    plan: Path
    kubeconfig: Path

    def look(self) -> dict[str, Finding]:
        """By the names of the plan's commands; without any one of their replies none of them passes."""
        found = dict(findings(CommandCheck, load_plan(self.plan, {"command": CommandCheck.Settings})))
        assert {each.owner for each in found.values()} == {"S. Lind (platform), platform on call, ext. 4420"}
        return found


@pytest.fixture
def shop(site: Site, cluster: Cluster, tmp_path: Path) -> Shop:
    needs("kubectl")
    account: Account = site.accounts.add("kube")
    kubeconfig = account.home / ".kube/config"
    kubeconfig.parent.mkdir()
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: shop\n"
        f"clusters: [{{name: c, cluster: {{server: '{cluster.app.url('')}', certificate-authority: {cluster.app.ca}"
        "}}]\n"
        "users: [{name: release, user: {token: of-the-release}}]\n"
        "contexts: [{name: shop, context: {cluster: c, user: release}}]\n"
    )
    for path in (kubeconfig.parent, kubeconfig):
        shutil.chown(path, account.name, account.name)
    health = site.start_app()
    health.answer_json({"name": "shop", "version": "2.2"})
    on_this_site = {
        '"tools.example.net"': f'"{site.sshd.address}"\nport = {site.sshd.port}',
        '"release"\nkey     = "keys/release"': f'"{account.name}"\nkey = "{account.key}"',
        '"https://shop.example.net/health"': f'"{health.url()}", ca = "{health.ca}"',
    }
    plan = tmp_path / "shop-cluster.toml"
    plan.write_text(shifted(guide_plan("shop-cluster", on_this_site)))
    plan.with_suffix(".known_hosts").write_text(site.sshd.known_hosts_lines())
    return Shop(plan, kubeconfig)


def test_a_healthy_cluster_passes(shop: Shop, cluster: Cluster) -> None:
    found = {name: (each.status, each.judgement.summary) for name, each in shop.look().items()}
    assert found == {
        "cluster": (Status.PASS, "ok"),
        "rollout": (Status.PASS, 'deployment "shop" successfully rolled out'),
        "may-deploy": (Status.PASS, "yes"),
    }
    assert {each["Authorization"] for _, _, each in cluster.app.requests} == {"Bearer of-the-release"}


def test_the_whole_plan_is_asked(shop: Shop) -> None:
    done = preflight("run", shop.plan, "--format", "json")
    not_well = {
        each["check"]: each for each in json.loads(done.stdout)["findings"] if each["status"] not in ("pass", "warn")
    }
    assert set(not_well) == {"on-call"}, not_well  # this is no site with people


def test_a_rollout_that_is_not_complete_fails(shop: Shop, cluster: Cluster) -> None:
    cluster.deploy(available=1)
    found = shop.look()["rollout"]
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary.startswith('Waiting for deployment "shop" rollout to finish: 1 of 3 updated')
    assert found.judgement.remedy == "kubectl describe deployment/shop --namespace=shop"


def test_an_account_that_may_not_fails_with_what_the_server_said(shop: Shop, cluster: Cluster) -> None:
    cluster.refuse(403, "Forbidden", _FORBIDDEN, _DEPLOYMENTS, f"{_DEPLOYMENTS}/shop")
    cluster.allow(is_allowed=False)
    found = shop.look()
    assert found["cluster"].status is Status.PASS
    refused, may = found["rollout"], found["may-deploy"]
    assert (refused.status, may.status) == (Status.FAIL, Status.FAIL), told(refused) + told(may)
    assert refused.judgement.summary == f"exit status 1: Error from server (Forbidden): {_FORBIDDEN}"
    assert (may.judgement.summary, may.judgement.expected) == ("no", "this account may deploy")
    assert may.judgement.remedy == "have the account's role grant update on deployments in the namespace shop"


@pytest.mark.parametrize("why", ["down", "another authority", "another cluster", "no kubeconfig", "token"])
def test_a_cluster_that_cannot_be_asked_never_passes(shop: Shop, cluster: Cluster, site: Site, why: str) -> None:
    wanted = "certificate signed by unknown authority"
    if why == "down":
        cluster.app.close()
        wanted = "was refused"
    elif why == "another authority":
        text = shop.kubeconfig.read_text()
        shop.kubeconfig.write_text(re.sub(r", certificate-authority: [^}]*", "", text))
    elif why == "another cluster":
        text = shop.kubeconfig.read_text()
        shop.kubeconfig.write_text(
            text.replace("context: shop", "context: other").replace("{name: shop,", "{name: other,")
        )
        wanted = 'context "shop" does not exist'
    elif why == "token":
        paths = list(cluster.app.answers)
        cluster.refuse(401, "Unauthorized", "Unauthorized", *paths)
        wanted = "(Unauthorized)"
    else:
        shop.kubeconfig.unlink()
        wanted = 'context "shop" does not exist'
    found = shop.look()
    assert {each.status for each in found.values()} == {Status.FAIL}
    asked = found["cluster"].judgement
    assert asked.summary.startswith("exit status 1: "), told(found["cluster"])
    assert wanted in asked.summary
    assert asked.expected == "the cluster's API server answers this account"
    assert asked.remedy == "kubectl config view --minify; kubectl cluster-info"
