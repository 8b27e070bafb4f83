# SPDX-License-Identifier: Apache-2.0
"""HorizontalPodAutoscalers with real load: pods that are busy while a file is there, counted from /proc each 15 s."""
import json

import pytest

from fed import with_status
from member_lib import deployment, wait_for


@pytest.fixture
def load(member, tmp_path):
    """A file; while it exists each pod of the Deployment `worker` uses some 100m of processor, of 20m that it asks for."""
    flag = tmp_path / "busy"
    tmp_path.chmod(0o755)
    work = f"while :; do if [ -e {flag} ]; then i=0; while [ $i -lt 4000 ]; do i=$((i+1)); done; sleep 0.05; else sleep 0.2; fi; done"
    obj = deployment("worker", 1, command=["sh", "-c", work], resources={"requests": {"cpu": "20m"}}, readinessProbe=None,
                     ports=[], pod={"terminationGracePeriodSeconds": 0})
    member.apply(obj)
    member.ready("app=worker", 1)
    yield flag
    member.kubectl("delete", "hpa,deployment", "worker", "--ignore-not-found", "--timeout=30s")


def replicas(member):
    return member.json("deployment", "worker")["spec"]["replicas"]


def condition(member, name, kind):
    return next((c for c in member.json("hpa", name)["status"].get("conditions", []) if c["type"] == kind), None)


def said(member, words):
    """An event is written after the replicas."""
    wait_for(lambda: any(e["message"].startswith(words) for e in member.events(reason="SuccessfulRescale")), what=words)


def autoscaler(name, target="worker", metrics=None, **spec):
    cpu = [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
        "minReplicas": 1, "maxReplicas": 3, "metrics": metrics or cpu, **spec}}


def test_load_raises_the_replicas_and_its_end_lowers_them(member, load):
    load.touch()
    member.apply(autoscaler("worker", behavior={
        "scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]},
        "scaleDown": {"stabilizationWindowSeconds": 0}}))
    wait_for(lambda: replicas(member) == 2, 90, "one more: the policy allows no more at once")
    wait_for(lambda: replicas(member) == 3, 90, "as many as are allowed")
    wait_for(lambda: condition(member, "worker", "ScalingLimited")["reason"] == "TooManyReplicas", 90, "TooManyReplicas")
    status = member.json("hpa", "worker")["status"]
    assert status["currentMetrics"][0]["resource"]["current"]["averageUtilization"] > 55, status
    assert condition(member, "worker", "ScalingActive")["reason"] == "ValidMetricFound"
    said(member, "New size: 2; reason: cpu resource utilization (percentage of request) above target")
    load.unlink()
    wait_for(lambda: replicas(member) == 1, 90, "the replicas to fall")
    said(member, "New size: 1; reason: All metrics below target")
    wait_for(lambda: condition(member, "worker", "AbleToScale")["reason"] == "ReadyForNewScale", 90, "ReadyForNewScale")
    described = member.kubectl("describe", "hpa", "worker")
    assert "SuccessfulRescale" in described and "resource cpu on pods" in described


def test_the_window_holds_the_replicas(member, load):
    """kubectl autoscale gives the default behavior: up at once, down after five minutes of less."""
    load.touch()
    member.kubectl("autoscale", "deployment", "worker", "--min=1", "--max=2", "--cpu-percent=50")
    assert member.json("horizontalpodautoscalers.v1.autoscaling", "worker")["spec"]["targetCPUUtilizationPercentage"] == 50
    assert member.json("horizontalpodautoscalers.v2beta2.autoscaling", "worker")["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 50
    wait_for(lambda: replicas(member) == 2, 90, "two replicas")
    load.unlink()
    wait_for(lambda: condition(member, "worker", "AbleToScale")["reason"] == "ScaleDownStabilized", 90, "ScaleDownStabilized")
    assert replicas(member) == 2
    row = member.kubectl("get", "hpa", "worker").splitlines()[1].split()
    assert row[1] == "Deployment/worker" and row[2] == "cpu:" and row[3].endswith("%/50%") and row[4:7] == ["1", "2", "2"], row


def test_what_is_missing_is_said(member, load):
    member.apply(autoscaler("lost", "nobody"))
    got = wait_for(lambda: condition(member, "lost", "AbleToScale"), 40, "AbleToScale")
    assert (got["status"], got["reason"]) == ("False", "FailedGetScale")
    assert got["message"] == 'the HPA controller was unable to get the target\'s current scale: deployments/scale.apps "nobody" not found'
    member.apply(deployment("modest", 1))
    (pod,) = member.ready("app=modest", 1)
    member.apply(autoscaler("modest", "modest"))
    lacks = f"failed to get cpu utilization: missing request for cpu in container echo of Pod {pod['metadata']['name']}"
    wait_for(lambda: condition(member, "modest", "ScalingActive")["message"] ==
             "the HPA was unable to compute the replica count: " + lacks, 90, lacks)  # two samples, then a look: each 15 s
    got = condition(member, "modest", "ScalingActive")
    assert (got["status"], got["reason"]) == ("False", "FailedGetResourceMetric")
    assert condition(member, "modest", "AbleToScale")["reason"] == "SucceededGetScale"
    wait_for(lambda: any(e["message"] == f"invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: {lacks}"
                         for e in member.events(reason="FailedComputeMetricsReplicas")), what="the event")
    external = [{"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "Value", "value": "5"}}}]
    member.apply(autoscaler("outside", "modest", external))
    got = wait_for(lambda: condition(member, "outside", "ScalingActive"), 40, "ScalingActive")
    assert got["reason"] == "FailedGetExternalMetric" and "no external metrics API (external.metrics.k8s.io) registered" in got["message"]
    member.kubectl("scale", "deployment", "modest", "--replicas=0")
    member.apply(autoscaler("modest", "modest", minReplicas=2))
    wait_for(lambda: condition(member, "modest", "ScalingActive")["reason"] == "ScalingDisabled", 40, "ScalingDisabled")
    member.kubectl("delete", "hpa", "lost", "modest", "outside")
    member.kubectl("delete", "deployment", "modest", "--timeout=20s")


def test_bounds_and_deletion(member, load):
    member.apply(autoscaler("worker", minReplicas=2))
    wait_for(lambda: replicas(member) == 2, 40, "as many as are required")
    r = member.kubectl("create", "-f", "-", stdin=json.dumps(autoscaler("wrong", minReplicas=4)), check=False)
    assert r.returncode and "must be greater than or equal to `minReplicas`" in r.stderr, r.stderr
    member.kubectl("delete", "hpa", "worker")
    assert replicas(member) == 2


CREW = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "crews.ships.test"}, "spec": {
    "group": "ships.test", "scope": "Namespaced", "names": {"plural": "crews", "singular": "crew", "kind": "Crew"},
    "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
        "type": "object", "x-kubernetes-preserve-unknown-fields": True}}, "subresources": {"status": {}, "scale": {
            "specReplicasPath": ".spec.hands", "statusReplicasPath": ".status.hands", "labelSelectorPath": ".status.selector"}}}]}}


def test_a_custom_kind_is_scaled(member, load):
    """By its scale subresource: the pods are those that the selector in its status names."""
    member.apply(CREW)
    ref = {"apiVersion": "ships.test/v1", "kind": "Crew", "name": "black"}
    wait_for(lambda: member.kubectl("get", "crews", check=False).returncode == 0, 40, "the kind to be served")
    member.apply(autoscaler("crew", minReplicas=2, scaleTargetRef=ref))
    wait_for(lambda: 'crews.ships.test "black" not found' in condition(member, "crew", "AbleToScale")["message"], 40,
             "the autoscaler to look")
    member.apply({"apiVersion": "ships.test/v1", "kind": "Crew", "metadata": {"name": "black"}, "spec": {"hands": 1}})
    wait_for(lambda: condition(member, "crew", "ScalingActive")["reason"] == "InvalidSelector", 90, "the selector to be missed")
    path = "/apis/ships.test/v1/namespaces/default/crews/black"
    black = with_status(member.kubectl("get", "--raw", path), hands=1, selector="app=worker")
    member.kubectl("replace", "--raw", path + "/status", "-f", "-", stdin=black)
    hands = lambda: member.json("crews", "black")["spec"]["hands"]
    wait_for(lambda: hands() == 2, 90, "as many as are required")
    said(member, "New size: 2; reason: Current number of replicas below Spec.MinReplicas")
    load.touch()
    wait_for(lambda: hands() == 3, 90, "more for the load of its pods")
    load.unlink()
    member.kubectl("delete", "hpa", "crew")
    member.kubectl("delete", "crd", "crews.ships.test", "--timeout=40s")
