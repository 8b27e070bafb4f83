# SPDX-License-Identifier: Apache-2.0
"""Who owns what: orphans are taken by the set that selects them, what is relabelled is let go, taken names are avoided."""
import json

from member_lib import deployment, wait_for


def sets(member, name):
    return member.json("rs", "-l", f"app={name}")["items"]


def owners(obj):
    return [(o["kind"], o["name"]) for o in obj["metadata"].get("ownerReferences", [])]


def uids(objects):
    return sorted(o["metadata"]["uid"] for o in objects)


def test_a_deployment_takes_back_its_replica_sets(member):
    member.apply(deployment("twice", 2))
    pods = uids(member.ready("app=twice", 2))
    member.kubectl("delete", "deployment", "twice", "--cascade=orphan", "--timeout=20s")
    wait_for(lambda: not owners(sets(member, "twice")[0]), what="an orphaned ReplicaSet")
    member.apply(deployment("twice", 2))
    assert "successfully rolled out" in member.kubectl("rollout", "status", "deployment/twice", "--timeout=30s")
    assert [owners(s) for s in sets(member, "twice")] == [[("Deployment", "twice")]]
    assert uids(member.ready("app=twice", 2)) == pods
    member.kubectl("set", "env", "deployment/twice", "V=2")
    member.kubectl("rollout", "status", "deployment/twice", "--timeout=40s")
    assert len(sets(member, "twice")) == 2
    member.kubectl("rollout", "undo", "deployment/twice")
    member.kubectl("rollout", "status", "deployment/twice", "--timeout=40s")
    assert len(sets(member, "twice")) == 2
    member.kubectl("delete", "deployment", "twice", "--timeout=20s")
    wait_for(lambda: not sets(member, "twice"), what="its sets to go", timeout=30)


def test_a_replica_set_takes_orphaned_pods(member):
    member.apply(deployment("lone", 2))
    pods = uids(member.ready("app=lone", 2))
    (rs,) = sets(member, "lone")
    member.kubectl("delete", "deployment", "lone", "--cascade=orphan", "--timeout=20s")
    member.kubectl("delete", "rs", rs["metadata"]["name"], "--cascade=orphan", "--timeout=20s")
    wait_for(lambda: [p for p in member.pods("app=lone") if not owners(p)] and len(member.pods("app=lone")) == 2, what="orphans")
    spec = {**rs["spec"], "replicas": 3}
    member.apply({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "finder", "labels": {"app": "lone"}}, "spec": spec})
    now = member.ready("app=lone", 3)
    assert set(pods) < set(uids(now)) and {o for p in now for o in owners(p)} == {("ReplicaSet", "finder")}
    member.kubectl("delete", "rs", "finder", "--timeout=20s")


def test_a_relabelled_pod_is_let_go_and_replaced(member):
    member.apply(deployment("looked", 1))
    (pod,) = member.ready("app=looked", 1)
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    member.kubectl("label", "pod", name, "app=under-study", "--overwrite")
    (other,) = member.ready("app=looked", 1)
    assert other["metadata"]["uid"] != uid
    wait_for(lambda: not owners(member.json("pod", name)), what="the pod to be nobody's")
    assert member.json("pod", name)["metadata"]["uid"] == uid
    member.kubectl("delete", "deployment", "looked", "--timeout=20s")
    wait_for(lambda: not member.pods("app=looked"), what="its pods to go", timeout=30)
    assert member.ready("app=under-study", 1)
    member.kubectl("delete", "pod", name, "--timeout=20s")


def test_a_name_that_is_taken_is_avoided(member):
    member.apply(deployment("named", 1))
    member.ready("app=named", 1)
    (rs,) = sets(member, "named")
    name = rs["metadata"]["name"]
    member.kubectl("delete", "deployment", "named", "--timeout=20s")
    wait_for(lambda: not sets(member, "named"), what="the set to go", timeout=30)
    stranger = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name},
                "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "stranger"}},
                         "template": {**rs["spec"]["template"], "metadata": {"labels": {"app": "stranger"}}}}}
    member.kubectl("create", "-f", "-", stdin=json.dumps(stranger))
    member.apply(deployment("named", 1))
    member.ready("app=named", 1)
    (fresh,) = sets(member, "named")
    assert fresh["metadata"]["name"] != name
    wait_for(lambda: member.json("deployment", "named")["status"].get("collisionCount") == 1, what="the collision to be counted")


def test_owners_may_be_of_any_kind(member):
    """Cluster-wide kinds own others too, and the collector serves their deletion."""
    member.kubectl("create", "clusterrole", "owner", "--verb=get", "--resource=pods")
    member.kubectl("create", "clusterrolebinding", "hung", "--clusterrole=owner", "--user=x")
    uid = member.json("clusterrole", "owner")["metadata"]["uid"]
    ref = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": "owner", "uid": uid, "blockOwnerDeletion": True}
    member.kubectl("patch", "clusterrolebinding", "hung", "--type=merge", "-p", json.dumps({"metadata": {"ownerReferences": [ref]}}))
    member.kubectl("delete", "clusterrole", "owner", "--cascade=foreground", "--timeout=20s")
    assert "hung" not in member.kubectl("get", "clusterrolebindings")
