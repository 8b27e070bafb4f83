# SPDX-License-Identifier: Apache-2.0
"""Rollout history at the federation: what `kubectl rollout history` and `undo` do there, and that clusters roll and see nothing else.
What kubectl prints of it is in tests/conformance/kubectl/workloads.yaml."""
import json
import re

import pytest

from fed import REGIONS, poll

PREFERENCES = '{"clusters":{"us-east1":{"weight":2},"europe-west1":{"weight":1}}}'
DEPLOYMENT = {
    "apiVersion": "apps/v1", "kind": "Deployment",
    "metadata": {"name": "app", "annotations": {"kubernetes.io/change-cause": "first",
                                                "federation.kubernetes.io/deployment-preferences": PREFERENCES}},
    "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "app"}},
             "template": {"metadata": {"labels": {"app": "app"}},
                          "spec": {"terminationGracePeriodSeconds": 1,
                                   "containers": [{"name": "web", "image": "hansa/echo:v1"}]}}}}


@pytest.fixture
def kubectl(federation, request):
    """kubectl in a federated namespace of the test's own."""
    name = request.node.name.split("[")[0].replace("_", "-")[5:45].strip("-")
    federation.kubectl("create", "namespace", name)

    def run(*argv, **kw):
        return federation.kubectl("-n", name, "--request-timeout=20s", *argv, **kw).stdout

    yield run
    federation.kubectl("delete", "namespace", name, "--timeout=60s")


def get(kubectl, *argv):
    return json.loads(kubectl("get", "-o", "json", *argv))


def history(kubectl, what="deployment/app"):
    return re.findall(r"^(\d+) +(.*?) *$", kubectl("rollout", "history", what), re.M)


def sets(kubectl, *context):
    """{revision: ReplicaSet}"""
    return {o["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: o
            for o in get(kubectl, *context, "replicasets")["items"]}


def has(kubectl, what, want):
    poll(lambda: history(kubectl, what) == want, what=f"{what}: {want}, not {history(kubectl, what)}")


def environment(o):
    return o["spec"]["template"]["spec"]["containers"][0].get("env")


def in_members(kubectl, clusters=REGIONS):
    return {c: get(kubectl, "--context", c, "deployment", "app") for c in clusters}


def rolled(kubectl, env):
    """The members with replicas have rolled to this environment."""
    def are():
        return all(environment(o) == env and o["status"].get("updatedReplicas") == o["status"].get("replicas") ==
                   o["status"].get("availableReplicas") for o in in_members(kubectl, REGIONS[:2]).values())
    poll(are, timeout=60, what=f"members at {env}")


def counts(o):
    return o["spec"]["replicas"], o["status"].get("replicas", 0), o["status"].get("readyReplicas", 0)


def start(kubectl):
    kubectl("apply", "-f", "-", stdin=json.dumps(DEPLOYMENT))
    kubectl("rollout", "status", "deployment/app", "--timeout=60s")
    has(kubectl, "deployment/app", [("1", "first")])


def test_undo_rolls_the_clusters_back(kubectl):
    start(kubectl)
    poll(lambda: counts(sets(kubectl)["1"]) == (3, 3, 3), what="all pods in the first set")
    kubectl("set", "env", "deployment/app", "A=B")
    kubectl("annotate", "deployment", "app", "kubernetes.io/change-cause=second", "--overwrite")
    rolled(kubectl, [{"name": "A", "value": "B"}])
    has(kubectl, "deployment/app", [("1", "first"), ("2", "second")])
    poll(lambda: [counts(sets(kubectl)[n]) for n in "12"] == [(0, 0, 0), (3, 3, 3)], what="pods of the new set alone")
    shown = kubectl("describe", "deployment", "app")
    assert re.search(r"NewReplicaSet: +app-\w+ \(3/3 replicas created\)", shown), shown
    # Where replicas go is no part of a revision: it is as it is now.
    now = PREFERENCES.replace("2", "1")
    kubectl("annotate", "deployment", "app", f"federation.kubernetes.io/deployment-preferences={now}", "--overwrite")
    poll(lambda: all(o["metadata"]["annotations"]["federation.kubernetes.io/deployment-preferences"] == now
                     for o in sets(kubectl).values()), what="all sets follow")
    kubectl("rollout", "undo", "deployment/app")
    rolled(kubectl, None)
    has(kubectl, "deployment/app", [("2", "second"), ("3", "first")])
    o = get(kubectl, "deployment", "app")
    assert o["metadata"]["annotations"]["federation.kubernetes.io/deployment-preferences"] == now
    assert o["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    kubectl("rollout", "undo", "deployment/app", "--to-revision=2")
    rolled(kubectl, [{"name": "A", "value": "B"}])
    poll(lambda: sorted(sets(kubectl)) == ["3", "4"], what="the second set is the newest again")


def test_the_sets_live_at_the_federation_alone(kubectl):
    start(kubectl)
    kubectl("set", "env", "deployment/app", "A=B")
    rolled(kubectl, [{"name": "A", "value": "B"}])
    poll(lambda: len(sets(kubectl)) == 2, what="two sets")
    names = {o["metadata"]["name"]: o for o in sets(kubectl).values()}
    for o in names.values():
        assert "finalizers" not in o["metadata"]
        assert o["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
    for cluster in REGIONS:
        assert not get(kubectl, "--context", cluster, "replicasets", "-l", "federation.hansa.io/managed=true")["items"]
        assert not {o["metadata"]["name"] for o in get(kubectl, "--context", cluster, "replicasets")["items"]} & set(names)
    # The label stays with it, so that a record that is let go does not start pods.
    name = next(iter(names))
    kubectl("label", "replicaset", name, "federation.hansa.io/history-")
    assert get(kubectl, "replicaset", name)["metadata"]["labels"]["federation.hansa.io/history"] == "true"


def test_a_record_that_is_lost_is_made_again_and_clusters_notice_nothing(kubectl):
    start(kubectl)
    poll(lambda: counts(sets(kubectl)["1"]) == (3, 3, 3), what="all pods in the set")
    before = {c: o["metadata"]["resourceVersion"] for c, o in in_members(kubectl).items()}
    uid = sets(kubectl)["1"]["metadata"]["uid"]
    kubectl("delete", "replicasets", "--all", "--wait=false")
    poll(lambda: sets(kubectl) and sets(kubectl)["1"]["metadata"]["uid"] != uid and counts(sets(kubectl)["1"]) == (3, 3, 3),
         what="a new set")
    assert {c: o["metadata"]["resourceVersion"] for c, o in in_members(kubectl).items()} == before


def test_paused_and_limited(kubectl):
    start(kubectl)
    kubectl("rollout", "pause", "deployment/app")
    kubectl("set", "env", "deployment/app", "A=B")
    kubectl("scale", "deployment/app", "--replicas=4")
    poll(lambda: counts(sets(kubectl)["1"])[0] == 4, what="the paused Deployment's set is scaled")
    has(kubectl, "deployment/app", [("1", "first")])
    kubectl("rollout", "resume", "deployment/app")
    has(kubectl, "deployment/app", [("1", "first"), ("2", "first")])
    rolled(kubectl, [{"name": "A", "value": "B"}])
    kubectl("patch", "deployment", "app", "--type=merge", "-p", '{"spec":{"revisionHistoryLimit":0}}')
    poll(lambda: sorted(sets(kubectl)) == ["2"], what="the history is forgotten")
    poll(lambda: counts(sets(kubectl)["2"]) == (4, 4, 4), what="all pods are the second's")


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_deleting(kubectl, cascade):
    start(kubectl)
    kubectl("set", "env", "deployment/app", "A=B")
    poll(lambda: sorted(sets(kubectl)) == ["1", "2"], what="two sets")
    kubectl("delete", "deployment", "app", f"--cascade={cascade}", "--timeout=60s")
    if cascade != "orphan":
        poll(lambda: not sets(kubectl), what="the sets are gone")
        for cluster in REGIONS:
            poll(lambda: not get(kubectl, "--context", cluster, "replicasets")["items"], what=f"and those in {cluster}")
        return
    # The clusters' Deployments keep their own sets and pods; what the hub remembers runs nothing, and starts nothing.
    poll(lambda: [counts(o) for o in sets(kubectl).values()] == [(0, 0, 0)] * 2, what="nothing runs by the sets")
    assert not any("ownerReferences" in o["metadata"] for o in sets(kubectl).values())
    names = {o["metadata"]["name"] for o in sets(kubectl).values()}
    for cluster in REGIONS[:2]:
        assert not names & {o["metadata"]["name"] for o in get(kubectl, "--context", cluster, "replicasets")["items"]}
        assert get(kubectl, "--context", cluster, "pods")["items"]
    again = json.loads(json.dumps(DEPLOYMENT))
    again["metadata"]["annotations"]["federation.hansa.io/adopt"] = "true"
    kubectl("apply", "-f", "-", stdin=json.dumps(again))
    has(kubectl, "deployment/app", [("2", "first"), ("3", "first")])
    poll(lambda: counts(sets(kubectl)["3"]) == (3, 3, 3), what="the adopted pods are the newest set's")


def test_daemonset_and_statefulset(kubectl):
    for kind, name in (("DaemonSet", "ds"), ("StatefulSet", "db")):
        o = json.loads(json.dumps(DEPLOYMENT).replace('"app"', f'"{name}"'))
        o["kind"] = kind
        del o["spec"]["replicas"]
        if kind == "StatefulSet":
            o["spec"]["serviceName"] = name
        what = f"{kind.lower()}/{name}"
        kubectl("apply", "-f", "-", stdin=json.dumps(o))
        has(kubectl, what, [("1", "first")])
        o["metadata"]["annotations"]["kubernetes.io/change-cause"] = "second"
        o["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "B"}]
        kubectl("apply", "-f", "-", stdin=json.dumps(o))
        has(kubectl, what, [("1", "first"), ("2", "second")])
        poll(lambda: environment(get(kubectl, "--context", REGIONS[0], what)), what="the cluster has the second")
        kubectl("rollout", "undo", what)
        has(kubectl, what, [("2", "second"), ("3", "first")])
        poll(lambda: not environment(get(kubectl, "--context", REGIONS[0], what)), what="the cluster is back")
        kubectl("delete", what, "--timeout=60s")
    poll(lambda: not get(kubectl, "controllerrevisions")["items"], what="the revisions are gone")
