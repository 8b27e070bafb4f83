# SPDX-License-Identifier: Apache-2.0
"""A node's agent dies: its pods run elsewhere after their tolerationSeconds; when it is back, all is as before."""
import pytest
from member_lib import Member, deployment, wait_for

UNREACHABLE = "node.kubernetes.io/unreachable"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    m = Member("lossy", tmp_path_factory.mktemp("lossy") / "m",
               extra=["--nodes", "3", "--runtime", "hollow", "--node-monitor-grace-period", "15s"]).start()
    yield m
    m.stop()


def ready(m, node):
    return next(c["status"] for c in m.json("node", node)["status"]["conditions"] if c["type"] == "Ready")


def taints(m, node):
    return {(t["key"], t["effect"]) for t in m.json("node", node)["spec"].get("taints", [])}


def test_a_silent_agent(cluster):
    m = cluster
    tolerate = [{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2}]
    m.apply(deployment("web", replicas=6, pod={"tolerations": tolerate}))
    pods = m.ready("app=web", 6)
    lost = pods[0]["spec"]["nodeName"]
    here = {p["metadata"]["name"] for p in pods if p["spec"]["nodeName"] == lost}
    m.kubectl("annotate", "node", lost, "member.hansa.io/agent=stopped")
    wait_for(lambda: ready(m, lost) == "Unknown", 60, "the node to be lost")
    wait_for(lambda: taints(m, lost) == {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}, 30, "its taints")
    assert "NotReady" in m.kubectl("get", "node", lost)
    moved = m.ready("app=web", 6)
    assert lost not in {p["spec"]["nodeName"] for p in moved}
    # What ran there cannot be ended by anybody: it stays until the agent is back.
    left = {p["metadata"]["name"]: p for p in m.json("pods", "-l", "app=web")["items"] if p["metadata"]["name"] in here}
    assert set(left) == here and all("deletionTimestamp" in p["metadata"] for p in left.values())
    why = [c for p in left.values() for c in p["status"]["conditions"] if c["type"] == "DisruptionTarget"]
    assert {c["reason"] for c in why} == {"DeletionByTaintManager"}
    assert m.events(reason="NodeNotReady")
    m.kubectl("annotate", "node", lost, "member.hansa.io/agent-")
    wait_for(lambda: ready(m, lost) == "True" and not taints(m, lost), 30, "the node to be back")
    wait_for(lambda: not here & {p["metadata"]["name"] for p in m.json("pods", "-l", "app=web")["items"]}, 30,
             "the old pods to be gone")


def test_an_eviction_says_why(cluster):
    m = cluster
    m.apply(deployment("evicted"))
    pod = m.ready("app=evicted", 1)[0]["metadata"]["name"]
    m.kubectl("patch", "pod", pod, "-p", '{"metadata":{"finalizers":["example.com/look"]}}')
    m.kubectl("create", "--raw", f"/api/v1/namespaces/default/pods/{pod}/eviction", "-f", "-",
              stdin='{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"%s"}}' % pod)
    c = next(c for c in m.json("pod", pod)["status"]["conditions"] if c["type"] == "DisruptionTarget")
    m.kubectl("patch", "pod", pod, "-p", '{"metadata":{"finalizers":null}}')
    assert (c["status"], c["reason"], c["message"]) == ("True", "EvictionByEvictionAPI", "Eviction API: evicting")


def test_cordon_is_a_taint(cluster):
    m = cluster
    m.kubectl("cordon", "lossy-3")
    wait_for(lambda: ("node.kubernetes.io/unschedulable", "NoSchedule") in taints(m, "lossy-3"), 15, "the taint")
    m.kubectl("uncordon", "lossy-3")
    wait_for(lambda: not taints(m, "lossy-3"), 15, "no taint")
