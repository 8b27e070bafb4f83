# SPDX-License-Identifier: Apache-2.0
"""Where pods go on a cluster of three nodes, and what is said when they cannot go anywhere.

    node 1 and 2: zone north      node 3: zone south       (labels `room`, as the zones are the cluster's own)
"""
import json

import pytest

from member_lib import deployment, is_ready, wait_for


@pytest.fixture(scope="module")
def three(make_member):
    m = make_member("three", extra=["--nodes", "3"])
    nodes = wait_for(lambda: len(m.json("nodes")["items"]) == 3 and sorted(n["metadata"]["name"] for n in m.json("nodes")["items"]),
                     what="three nodes")
    for node, room in zip(nodes, ("north", "north", "south")):
        m.kubectl("label", "node", node, f"room={room}")
    m.nodes = nodes
    return m


@pytest.fixture
def ns(three, request):
    name = request.node.name.removeprefix("test_").replace("_", "-")[:50].rstrip("-")
    three.kubectl("create", "namespace", name)
    wait_for(lambda: three.kubectl("-n", name, "get", "serviceaccount", "default"), what="the account")
    yield name
    three.kubectl("delete", "namespace", name, "--timeout=40s")


def apply(m, ns, *objects):
    m.kubectl("-n", ns, "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def listed(m, ns):
    return [p for p in m.json("-n", ns, "pods")["items"] if "deletionTimestamp" not in p["metadata"]]


def ready(m, ns, n):
    return wait_for(lambda: len(listed(m, ns)) == n and all(is_ready(p) for p in listed(m, ns)) and listed(m, ns), 60,
                    f"{n} ready pods in {ns}")


def placed(m, ns, n):
    return sorted(p["spec"]["nodeName"] for p in ready(m, ns, n))


def refusal(m, ns, has):
    """The text of PodScheduled=False of a pod that waits, once it says so; the event says the same."""
    def told():
        for p in listed(m, ns):
            for c in p["status"].get("conditions", []):
                if c["type"] == "PodScheduled" and c["status"] == "False" and has in c["message"]:
                    return c["message"]
        raise ValueError([p["status"] for p in listed(m, ns)])
    text = wait_for(told, 30, has)
    wait_for(lambda: [e for e in m.json("-n", ns, "events")["items"] if e["reason"] == "FailedScheduling" and e["message"] == text],
             what="the event")
    return text


def term(app, key):
    return {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}


def required(kind, *terms):
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


def pods(name, replicas=1, requests=None, **pod):
    more = {"resources": {"requests": requests}} if requests else {}
    if any("/" in name for name in requests or ()):
        more["resources"]["limits"] = requests  # of extended resources both are needed
    return deployment(name, replicas, pod={"terminationGracePeriodSeconds": 1, **pod}, **more)


def test_replicas_are_spread(three, ns):
    apply(three, ns, pods("even", 6))
    assert placed(three, ns, 6) == sorted(three.nodes * 2)


def test_apart_by_node(three, ns):
    apply(three, ns, pods("alone", 4, affinity=required("podAntiAffinity", term("alone", "kubernetes.io/hostname"))))
    text = refusal(three, ns, "anti-affinity")
    assert text == ("0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. preemption: 0/3 nodes are "
                    "available: 3 No preemption victims found for incoming pod."), text
    three.kubectl("-n", ns, "scale", "deployment/alone", "--replicas=3")
    assert placed(three, ns, 3) == three.nodes


def test_together_by_room(three, ns):
    apply(three, ns, pods("front", 2, affinity=required("podAffinity", term("back", "room"))))
    assert refusal(three, ns, "affinity").startswith("0/3 nodes are available: 3 node(s) didn't match pod affinity rules.")
    apply(three, ns, pods("back", 1, nodeSelector={"room": "south"}))
    assert placed(three, ns, 3) == [three.nodes[2]] * 3


def test_spread_over_rooms(three, ns):
    constraint = {"maxSkew": 1, "topologyKey": "room", "whenUnsatisfiable": "DoNotSchedule",
                  "labelSelector": {"matchLabels": {"app": "fair"}}}
    apply(three, ns, pods("fair", 4, topologySpreadConstraints=[constraint]))
    assert placed(three, ns, 4).count(three.nodes[2]) == 2
    three.kubectl("cordon", three.nodes[2])
    try:
        three.kubectl("-n", ns, "scale", "deployment/fair", "--replicas=6")
        text = refusal(three, ns, "spread")
        assert "2 node(s) didn't match pod topology spread constraints" in text and "1 node(s) were unschedulable" in text, text
    finally:
        three.kubectl("uncordon", three.nodes[2])
    assert placed(three, ns, 6).count(three.nodes[2]) == 3


def test_preferred_nodes_and_taints(three, ns):
    wish = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 100, "preference": {"matchExpressions": [{"key": "room", "operator": "In", "values": ["south"]}]}}]}}
    apply(three, ns, pods("wish", 2, affinity=wish))
    assert placed(three, ns, 2) == [three.nodes[2]] * 2
    three.kubectl("taint", "node", three.nodes[0], "kept=yes:NoSchedule")
    three.kubectl("taint", "node", three.nodes[1], "kept=yes:NoSchedule")
    try:
        apply(three, ns, pods("never", 1, nodeSelector={"room": "north"}))
        text = refusal(three, ns, "taint")
        assert text.startswith("0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 node(s) had untolerated "
                               "taint {kept: yes}. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."), text
    finally:
        three.kubectl("taint", "node", three.nodes[0], three.nodes[1], "kept-")
    ready(three, ns, 3)


def millicores(three):
    cpu = three.json("nodes")["items"][0]["status"]["allocatable"]["cpu"]
    return int(cpu[:-1]) if cpu.endswith("m") else int(cpu) * 1000


def test_requests_are_counted_and_claims_awaited(three, ns):
    cores = millicores(three) // 1000
    apply(three, ns, pods("big", 1, requests={"cpu": str(cores + 1)}))
    text = refusal(three, ns, "cpu")
    assert text.startswith("0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 "), text
    three.kubectl("-n", ns, "delete", "deployment", "big")
    apply(three, ns, pods("gpu", 1, requests={"example.com/gpu": "1"}))
    refusal(three, ns, "3 Insufficient example.com/gpu")
    three.kubectl("-n", ns, "delete", "deployment", "gpu")
    wait_for(lambda: not listed(three, ns), what="no pods")
    apply(three, ns, pods("keeper", 1, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "late"}}]))
    refusal(three, ns, '3 persistentvolumeclaim "late" not found')
    apply(three, ns, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "late"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}})
    ready(three, ns, 1)


def test_gates_hold_a_pod(three, ns):
    apply(three, ns, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "gated"}, "spec": {
        "schedulingGates": [{"name": "example.com/wait"}], "containers": [{"name": "main", "image": "hansa/echo:v1"}]}})
    wait_for(lambda: [c for c in three.json("-n", ns, "pod", "gated")["status"]["conditions"]
                      if c["type"] == "PodScheduled" and c["reason"] == "SchedulingGated"], what="SchedulingGated")
    three.kubectl("-n", ns, "patch", "pod", "gated", "--type=json", "-p", '[{"op":"remove","path":"/spec/schedulingGates"}]')
    wait_for(lambda: is_ready(three.json("-n", ns, "pod", "gated")), what="the pod to run")


def test_the_more_important_take_the_place(three, ns):
    cpu = millicores(three)
    for name, value, policy in (("low", -10, "PreemptLowerPriority"), ("high", 1000, "PreemptLowerPriority"), ("meek", 1000, "Never")):
        three.kubectl("create", "priorityclass", name, f"--value={value}", f"--preemption-policy={policy}")
    share = {"cpu": f"{cpu * 6 // 10}m"}
    apply(three, ns, pods("filler", 3, requests=share, priorityClassName="low"))
    assert placed(three, ns, 3) == three.nodes
    apply(three, ns, pods("meek", 1, requests=share, priorityClassName="meek"))
    assert "preemption: not eligible due to preemptionPolicy=Never." in refusal(three, ns, "Insufficient cpu")
    three.kubectl("-n", ns, "delete", "deployment", "meek")
    apply(three, ns, pods("urgent", 1, requests=share, priorityClassName="high"))
    wait_for(lambda: [p for p in listed(three, ns) if p["metadata"]["labels"]["app"] == "urgent" and is_ready(p)], 40, "the urgent pod")
    wait_for(lambda: [e for e in three.json("-n", ns, "events")["items"] if e["reason"] == "Preempted"], what="the event")
    fillers = lambda: [p for p in listed(three, ns) if p["metadata"]["labels"]["app"] == "filler"]
    wait_for(lambda: len(fillers()) == 3, what="another pod for the one that was ended")
    assert len([p for p in fillers() if is_ready(p)]) == 2
    three.kubectl("-n", ns, "delete", "deployment", "urgent")
    assert placed(three, ns, 3) == three.nodes
    three.kubectl("delete", "priorityclass", "low", "high", "meek")
