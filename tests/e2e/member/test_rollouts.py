# SPDX-License-Identifier: Apache-2.0
"""Rollouts of DaemonSets and StatefulSets as kubectl sees them: maxSurge, generations of templates, undo of what needs escapes."""
import json

import pytest
from member_lib import Member, is_ready, wait_for


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    m = Member("rolls", tmp_path_factory.mktemp("rolls") / "m", extra=["--nodes", "3", "--runtime", "hollow"]).start()
    yield m
    m.stop()


def workload(kind, name, note="v1", **spec):
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": name}}, **spec,
                     "template": {"metadata": {"labels": {"app": name}, "annotations": {"note": note}},
                                  "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "x"}]}}}}


def test_new_daemons_come_before_old_ones_go(cluster):
    m = cluster
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    m.apply(workload("DaemonSet", "surge", updateStrategy=strategy, minReadySeconds=1))
    wait_for(lambda: m.json("daemonset", "surge")["status"].get("numberAvailable") == 3, 30, "the daemons")
    old = {p["metadata"]["uid"] for p in m.ready("app=surge", 3)}
    m.apply(workload("DaemonSet", "surge", "v2", updateStrategy=strategy, minReadySeconds=1))
    most, least = 0, 3

    def rolled():
        nonlocal most, least
        pods = m.pods("app=surge")
        most, least = max(most, len(pods)), min(least, sum(map(is_ready, pods)))
        return len(pods) == 3 and not old & {p["metadata"]["uid"] for p in pods} and all(map(is_ready, pods))

    wait_for(rolled, 60, "the update")
    assert most == 4 and least == 3
    ds = m.json("daemonset", "surge")
    assert ds["metadata"]["annotations"]["deprecated.daemonset.template.generation"] == "2"
    assert {p["metadata"]["labels"]["pod-template-generation"] for p in m.pods("app=surge")} == {"2"}


@pytest.mark.parametrize("kind", ["DaemonSet", "StatefulSet"])
def test_undo_to_what_is_there(cluster, kind):
    """kubectl compares bytes of the template, in which Go escapes <, > and &."""
    m, name = cluster, kind.lower()
    m.apply(workload(kind, name, "a < b && c > d"))
    m.ready(f"app={name}", 3 if kind == "DaemonSet" else 1)
    wait_for(lambda: m.kubectl("rollout", "status", name, name, "--timeout=5s"), 30, "the rollout")
    said = m.kubectl("rollout", "undo", kind, name, "--to-revision=1")
    assert "skipped rollback (current template already matches revision 1)" in said, said
    raw = m.kubectl("get", "--raw", "/apis/apps/v1/namespaces/default/controllerrevisions")
    assert "a \\u003c b \\u0026\\u0026 c \\u003e d" in raw
    assert any("a < b && c > d" in json.dumps(r["data"]) for r in json.loads(raw)["items"])


def test_many_addresses(cluster):
    """An Endpoints has a thousand addresses at most, and says when there are more; slices have all."""
    m = cluster
    m.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "many"},
             "spec": {"selector": {"app": "many"}, "ports": [{"port": 80}]}},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "many"},
             "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "many"}},
                      "template": {"metadata": {"labels": {"app": "many"}},
                                   "spec": {"terminationGracePeriodSeconds": 0,
                                            "containers": [{"name": "c", "image": "x"}]}}}})
    m.ready("app=many", 3)
    wait_for(lambda: len(m.json("endpoints", "many")["subsets"][0]["addresses"]) == 3, 20, "three addresses")
    assert "endpoints.kubernetes.io/over-capacity" not in m.json("endpoints", "many")["metadata"]["annotations"]
