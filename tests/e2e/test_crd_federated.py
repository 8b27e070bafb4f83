# SPDX-License-Identifier: Apache-2.0
"""Kinds that users define: the definition and its objects are created at the federation and are in every cluster.

    kubectl --> federation: CustomResourceDefinition, objects --> us-east1, europe-west1, asia-east1
                      status <-- what an operator writes there
"""
import contextlib
import json
import os
import signal

import pytest

from fed import REGIONS, end, poll, with_status
from loss_lib import is_condition, pids_of

GROUP = "mills.example.com"
HOST = "us-east1"


def version(name, storage=False):
    number = {"type": "integer"}
    return {"name": name, "served": True, "storage": storage,
            "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas",
                                                     "statusReplicasPath": ".status.replicas"}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {"replicas": number, "sails": number, "on": {"type": "boolean"}}},
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}


def definition(plural, *versions, scope="Namespaced", **annotations):
    return json.dumps({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}",
                     "annotations": {f"federation.hansa.io/{k}": v for k, v in annotations.items()}},
        "spec": {"group": GROUP, "scope": scope, "names": {"plural": plural, "kind": plural.capitalize()},
                 "versions": list(versions or [version("v1", storage=True)])}})


def mill(plural, name, api="v1", annotations=None, **spec):
    return json.dumps({"apiVersion": f"{GROUP}/{api}", "kind": plural.capitalize(),
                       "metadata": {"name": name, "annotations": annotations or {}}, "spec": spec})


class Hands:
    """Objects of one kind in the federation and in its clusters."""

    def __init__(self, fed, ns, plural):
        self.fed, self.ns, self.plural = fed, ns, plural
        self.kind, self.crd = f"{plural}.{GROUP}", f"{plural}.{GROUP}"

    def define(self, *versions, context="fed", **annotations):
        self.fed.kubectl("--context", context, "create", "-f", "-", stdin=definition(self.plural, *versions, **annotations))
        self.fed.kubectl("--context", context, "wait", "--for=condition=Established", f"crd/{self.crd}", "--timeout=20s")

    def create(self, name, context="fed", **spec):
        self.fed.kubectl("--context", context, "-n", self.ns, "create", "-f", "-", stdin=mill(self.plural, name, **spec))

    def get(self, name, context="fed"):
        done = self.fed.kubectl("--context", context, "-n", self.ns, "get", self.kind, name, "-o", "json", check=False)
        gone = "NotFound" in done.stderr or "doesn't have a resource type" in done.stderr
        assert done.returncode == 0 or gone, done.stderr
        return json.loads(done.stdout) if done.returncode == 0 else None

    def definition(self, context="fed"):
        done = self.fed.kubectl("--context", context, "get", "crd", self.crd, "-o", "json", check=False)
        assert done.returncode == 0 or "NotFound" in done.stderr, done.stderr
        return json.loads(done.stdout) if done.returncode == 0 else None

    def everywhere(self, name, clusters=REGIONS):
        poll(lambda: all(self.get(name, c) for c in clusters), what=f"{self.kind} {name} in {clusters}")

    def nowhere(self, name, clusters=REGIONS):
        poll(lambda: not any(self.get(name, c) for c in clusters), what=f"{self.kind} {name} not in {clusters}")

    def clusters(self, name=None):
        """What the annotation tells of each cluster."""
        o = self.get(name) if name else self.definition()
        return json.loads(o["metadata"].get("annotations", {}).get("federation.hansa.io/clusters", "{}"))

    def report(self, name, cluster, **status):
        path = f"/apis/{GROUP}/v1/namespaces/{self.ns}/{self.plural}/{name}"
        now = self.fed.kubectl("--context", cluster, "get", "--raw", path).stdout
        self.fed.kubectl("--context", cluster, "replace", "--raw", path + "/status", "-f", "-", stdin=with_status(now, **status))

    def annotate(self, what, *annotations):
        self.fed.kubectl("-n", self.ns, "annotate", "--overwrite", *what, *annotations)

    def delete_definition(self, *flags):
        self.fed.kubectl("delete", "crd", self.crd, "--timeout=20s", *flags)


@contextlib.contextmanager
def absent(fed, cluster):
    """All processes of the cluster are stopped, and it is seen to be away."""
    stopped = list(fed.pids(cluster))
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        poll(lambda: is_condition(fed, cluster, "Offline"), what="Offline")
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def fed(make_federation):
    fed = make_federation("--apiserver-arg-overrides=--cluster-failure-grace=3s")
    yield fed
    for pid in fed.pids():
        os.kill(pid, signal.SIGCONT)
    end(fed)


@pytest.fixture
def hands(fed, request):
    """A kind of the test's own, and a namespace."""
    name = request.node.name.replace("_", "")[4:30]
    fed.kubectl("create", "namespace", name)
    hands = Hands(fed, name, name)
    yield hands
    for context in ("fed", *REGIONS):
        fed.kubectl("--context", context, "delete", "crd", hands.crd, "--ignore-not-found", "--timeout=20s")
    fed.kubectl("delete", "namespace", name, "--timeout=20s")


def test_definition_and_objects_are_in_every_cluster(hands):
    hands.define()
    assert hands.definition()["metadata"]["annotations"]["federation.hansa.io/residence"] == "members"
    hands.create("a", sails=4, on=False)
    hands.everywhere("a")
    for c in REGIONS:
        assert hands.get("a", c)["spec"] == {"sails": 4, "on": False}
        assert hands.definition(c)["metadata"]["labels"]["federation.hansa.io/managed"] == "true"
    poll(lambda: [x["state"] for x in hands.clusters().values()] == ["Synced"] * 3, what="the definition is told as Synced")

    # Replicas are copied, and divided where the object asks for it.
    hands.fed.kubectl("-n", hands.ns, "patch", hands.kind, "a", "--type=merge", "-p", '{"spec":{"replicas":6,"on":true}}')
    poll(lambda: all(hands.get("a", c)["spec"] == {"sails": 4, "on": True, "replicas": 6} for c in REGIONS), what="6 in each")
    prefer = {"rebalance": True, "clusters": {"*": {"weight": 1}}}
    hands.annotate([hands.kind, "a"], f"federation.kubernetes.io/replica-preferences={json.dumps(prefer)}")
    poll(lambda: [hands.get("a", c)["spec"]["replicas"] for c in REGIONS] == [2, 2, 2], what="2 in each")
    hands.fed.kubectl("-n", hands.ns, "scale", hands.kind, "a", "--replicas=9")
    poll(lambda: [hands.get("a", c)["spec"]["replicas"] for c in REGIONS] == [3, 3, 3], what="3 in each")

    # What operators say there comes back: of several clusters sums, what all say, conditions.
    for n, c in enumerate(REGIONS):
        turning = {"type": "Turning", "status": "True", "reason": "Wind", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        hands.report("a", c, replicas=3, readyReplicas=n, wind="west", where=c, observedGeneration=99, conditions=[turning])
    status = poll(lambda: (s := hands.get("a").get("status", {})).get("wind") and s, what="status")
    assert (status["replicas"], status["readyReplicas"]) == (9, 3) and "where" not in status
    assert [(c["type"], c["status"], c["reason"]) for c in status["conditions"]] == [("Turning", "True", "Wind")]
    assert status["observedGeneration"] == hands.get("a")["metadata"]["generation"]
    assert {c: x["status"]["where"] for c, x in hands.clusters("a").items()} == {c: c for c in REGIONS}

    # Of one cluster all of it; the selector chooses.
    selector = json.dumps([{"key": "mill", "operator": "In", "values": [hands.ns]}])
    hands.fed.kubectl("label", "cluster", "asia-east1", f"mill={hands.ns}")
    hands.annotate([hands.kind, "a"], f"federation.alpha.kubernetes.io/cluster-selector={selector}")
    hands.nowhere("a", ["us-east1", "europe-west1"])
    poll(lambda: hands.get("a")["status"].get("where") == "asia-east1", what="asia's status")

    # A new field and a new subresource reach the clusters' definitions.
    hands.fed.kubectl("patch", "crd", hands.crd, "--type=json", "-p", json.dumps([
        {"op": "add", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/colour", "value": {"type": "string"}}]))
    poll(lambda: all("colour" in json.dumps(hands.definition(c)["spec"]) for c in REGIONS), what="the schema everywhere")
    poll(lambda: hands.fed.kubectl("-n", hands.ns, "patch", hands.kind, "a", "--type=merge", "-p", '{"spec":{"colour":"red"}}'))
    poll(lambda: hands.get("a", "asia-east1")["spec"].get("colour") == "red", what="red")

    hands.delete_definition()
    assert not any(hands.definition(c) for c in REGIONS) and hands.definition() is None


def test_an_end_with_orphan_leaves_both(hands):
    hands.define()
    hands.create("a", sails=4)
    hands.everywhere("a")
    hands.delete_definition("--cascade=orphan")
    for c in REGIONS:
        assert "federation.hansa.io/managed" not in hands.definition(c)["metadata"].get("labels", {})
        assert "federation.hansa.io/managed" not in hands.get("a", c)["metadata"].get("labels", {})


def test_definitions_of_clusters_are_used_as_they_are(hands):
    own, other = "us-east1", "europe-west1"
    hands.define(version("v1beta1", storage=True), context=own)  # without the version that the federation stores
    hands.fed.kubectl("--context", other, "create", "-f", "-", stdin=definition(hands.plural, scope="Cluster"))
    before = {c: hands.definition(c)["metadata"]["uid"] for c in (own, other)}
    hands.create("theirs", own, api="v1beta1", sails=1)

    hands.define(version("v1beta1"), version("v1", storage=True))
    hands.create("a", sails=4)
    hands.everywhere("a", [own, "asia-east1"])
    assert hands.get("a", own)["apiVersion"] == f"{GROUP}/v1beta1"
    assert "federation.hansa.io/managed" not in json.dumps(hands.definition(own)["metadata"])
    poll(lambda: hands.clusters()[own] == {"state": "Synced", "own": True}, what="it is told whose it is")
    poll(lambda: hands.clusters()[other]["state"] == "Conflict", what="a conflict")
    poll(lambda: hands.clusters("a")[other]["state"] == "Failed", what="the object cannot be there")
    hands.fed.kubectl("-n", hands.ns, "patch", hands.kind, "a", "--type=merge", "-p", '{"spec":{"sails":5}}')
    poll(lambda: hands.get("a", own)["spec"]["sails"] == 5, what="a change")

    # It goes away there: the federation makes one. (kubectl is not to wait: it may take the new one for the old.)
    hands.fed.kubectl("--context", other, "delete", "crd", hands.crd, "--wait=false")
    hands.everywhere("a")

    # With the definition go the objects that we made, and nothing else.
    hands.delete_definition()
    assert hands.definition(own)["metadata"]["uid"] == before[own] and hands.get("theirs", own)
    assert not hands.get("a", own) and not hands.definition("asia-east1")


def test_objects_of_clusters_keep_their_definition(hands):
    hands.define()
    hands.create("a", sails=4)
    hands.everywhere("a")
    hands.create("theirs", "asia-east1", sails=1)
    hands.create("theirs", sails=4)  # an object of that name is theirs until it is adopted
    poll(lambda: hands.clusters("theirs")["asia-east1"]["state"] == "Conflict", what="a conflict")
    hands.annotate([hands.kind, "theirs"], "federation.hansa.io/adopt=true")
    poll(lambda: hands.get("theirs", "asia-east1")["spec"]["sails"] == 4, what="adopted")
    hands.fed.kubectl("-n", hands.ns, "delete", hands.kind, "theirs", "--timeout=20s")
    hands.nowhere("theirs")
    hands.create("mine", "asia-east1", sails=1)
    hands.delete_definition()
    assert hands.get("mine", "asia-east1") and not hands.get("a", "asia-east1")
    assert not hands.definition("us-east1")


def test_what_lives_at_the_hub_stays(hands):
    hands.define(residence="hub")
    hands.create("a", sails=4)
    refused = hands.fed.kubectl("annotate", "--overwrite", "crd", hands.crd, "federation.hansa.io/residence=mars", check=False)
    assert refused.returncode and 'supported values: "hub", "members"' in refused.stderr
    own = json.loads(definition(hands.plural, residence="members"))
    own["metadata"]["name"], own["spec"]["group"] = f"{hands.plural}.x.hansa.io", "x.hansa.io"
    refused = hands.fed.kubectl("create", "-f", "-", stdin=json.dumps(own), check=False)
    assert refused.returncode and "the federation's own" in refused.stderr
    assert not any(hands.definition(c) for c in REGIONS)

    # It is sent out, and taken back; an update that does not speak of it moves nothing.
    hands.annotate(["crd", hands.crd], "federation.hansa.io/residence=members")
    hands.everywhere("a")
    without = json.loads(definition(hands.plural))
    without["metadata"].pop("annotations")
    hands.fed.kubectl("apply", "-f", "-", stdin=json.dumps(without))
    assert hands.definition()["metadata"]["annotations"]["federation.hansa.io/residence"] == "members"
    hands.create("theirs", "asia-east1", sails=1)
    hands.annotate(["crd", hands.crd], "federation.hansa.io/residence=hub")
    poll(lambda: not hands.definition("us-east1") and not hands.definition("europe-west1"), what="taken back")
    poll(lambda: not hands.definition()["metadata"].get("finalizers"), what="nothing is held")
    assert hands.get("a")["spec"] == {"sails": 4} and not hands.get("a")["metadata"].get("finalizers")
    assert hands.get("theirs", "asia-east1") and not hands.get("a", "asia-east1")


def test_nothing_is_lost_by_kills_and_absence(hands):
    fed, away = hands.fed, "asia-east1"
    hands.define()
    hands.create("a", sails=4)
    hands.create("b", sails=4)
    hands.everywhere("b")
    with absent(fed, away):
        hands.create("c", sails=4)
        fed.kubectl("-n", hands.ns, "delete", hands.kind, "b", "--timeout=20s")
        pid, = pids_of(fed, HOST, "hansa-fedapi")
        os.kill(pid, signal.SIGKILL)
        poll(lambda: fed.kubectl("get", "--raw", "/readyz", "--request-timeout=2s", check=False).returncode == 0, timeout=60,
             what="the federation's API")
        fed.kubectl("-n", hands.ns, "patch", hands.kind, "a", "--type=merge", "-p", '{"spec":{"sails":6}}')
        poll(lambda: hands.get("a", "europe-west1")["spec"]["sails"] == 6, what="a change after the kill")
        hands.everywhere("c", ["us-east1", "europe-west1"])
    poll(lambda: is_condition(fed, away, "Ready"), timeout=60, what="Ready again")
    hands.everywhere("c", [away])
    hands.nowhere("b", [away])
    poll(lambda: hands.get("a", away)["spec"]["sails"] == 6, what="the change there too")


def test_what_a_lost_cluster_has_is_swept(hands):
    """The definition is gone when it returns. What is not ours keeps the definition there, and nothing else of ours stays."""
    away = "asia-east1"
    hands.define()
    hands.create("a", sails=4)
    hands.everywhere("a")
    hands.create("theirs", away, sails=1)
    with absent(hands.fed, away):
        hands.delete_definition()
    poll(lambda: is_condition(hands.fed, away, "Ready"), timeout=60, what="Ready again")
    hands.nowhere("a", [away])
    poll(lambda: "managed" not in json.dumps(hands.definition(away)["metadata"].get("labels", {})), what="its own definition")
    assert hands.get("theirs", away)
