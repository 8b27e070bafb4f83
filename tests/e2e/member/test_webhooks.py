# SPDX-License-Identifier: Apache-2.0
"""Admission webhooks of an included cluster: what they do to pods of controllers, to exec and to evictions."""
import json

import pytest

from member_lib import deployment, wait_for
from webhook_lib import Hooks, allow, configuration, deny

TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture
def hooks(member, tmp_path):
    h = Hooks(tmp_path)
    yield h
    for kind in ("mutating", "validating"):
        member.kubectl("delete", kind + "webhookconfiguration", "test", "--ignore-not-found")
    h.close()


def register(member, kind, *webhooks):
    member.apply(configuration(kind, "test", *webhooks))


def test_a_container_that_is_added_has_the_token(member, hooks):
    side = {"name": "side", "image": "hansa/echo:v1", "args": ["--listen", ":9091"]}
    hooks.on("/add", lambda r: allow([{"op": "add", "path": "/spec/containers/-", "value": side}]))
    register(member, "Mutating", hooks.hook("add.hooks.test", "/add", resources=["pods"], operations=["CREATE"]))
    member.apply(deployment("added"))
    wait_for(lambda: member.pods("app=added"), what="a pod")
    spec = member.pods("app=added")[0]["spec"]
    mounts = [[m["name"] for m in c["volumeMounts"] if m["mountPath"] == TOKENS] for c in spec["containers"]]
    assert len(mounts) == 2 and mounts[0] == mounts[1] and len(mounts[0]) == 1
    assert [v["name"] for v in spec["volumes"]] == mounts[0]
    assert spec["containers"][1]["terminationMessagePath"] == "/dev/termination-log"  # defaults, too
    member.kubectl("delete", "deployment", "added")


def test_an_account_that_a_webhook_names_must_be_there(member, hooks):
    hooks.on("/sa", lambda r: allow([{"op": "replace", "path": "/spec/serviceAccountName", "value": "nobody"}]))
    register(member, "Mutating", hooks.hook("sa.hooks.test", "/sa", resources=["pods"], operations=["CREATE"]))
    r = member.kubectl("run", "orphan", "--image=hansa/echo:v1", check=False)
    assert 'error looking up service account default/nobody: serviceaccount "nobody" not found' in r.stderr


def test_pods_have_the_secrets_of_their_account(member):
    member.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "puller"}, "imagePullSecrets": [{"name": "registry"}]})
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pulls"},
           "spec": {"serviceAccountName": "puller", "containers": [{"name": "c", "image": "hansa/echo:v1"}]}}
    member.apply(pod)
    assert member.json("pod", "pulls")["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    own = dict(pod, metadata={"name": "own"}, spec=dict(pod["spec"], imagePullSecrets=[{"name": "mine"}]))
    member.apply(own)
    assert member.json("pod", "own")["spec"]["imagePullSecrets"] == [{"name": "mine"}]
    member.kubectl("delete", "pod", "pulls", "own", "--grace-period=1")


def test_refusals_reach_who_asked(member, hooks):
    hooks.on("/no", lambda r: deny("not here", code=403, reason="Forbidden"))
    member.apply(deployment("asked"))
    pod = member.ready("app=asked", 1)[0]["metadata"]["name"]
    register(member, "Validating",
             hooks.hook("no.hooks.test", "/no", resources=["pods/exec", "pods/eviction"], operations=["CREATE", "CONNECT"]),
             hooks.hook("create.hooks.test", "/no", resources=["pods"], operations=["CREATE"]))
    r = member.kubectl("exec", pod, "--", "true", check=False)
    assert r.stderr.strip() == 'Error from server (Forbidden): admission webhook "no.hooks.test" denied the request: not here'
    r = member.kubectl("create", "--raw", f"/api/v1/namespaces/default/pods/{pod}/eviction", "-f", "-", check=False,
                       stdin=json.dumps({"metadata": {"name": pod}}))
    assert "denied the request: not here" in r.stderr
    exec_, eviction = hooks.asked("/no")
    assert exec_["object"]["kind"] == "PodExecOptions" and exec_["object"]["command"] == ["true"] and exec_["operation"] == "CONNECT"
    assert eviction["kind"] == {"group": "policy", "version": "v1", "kind": "Eviction"}
    assert eviction["resource"] == {"group": "", "version": "v1", "resource": "pods"} and eviction["subResource"] == "eviction"
    assert eviction["object"]["apiVersion"] == "policy/v1"
    member.kubectl("scale", "deployment", "asked", "--replicas=2")
    words = 'Error creating: admission webhook "create.hooks.test" denied the request: not here'
    wait_for(lambda: any(e["message"] == words for e in member.events(reason="FailedCreate")), what="an event that says so")
    member.kubectl("delete", "deployment", "asked")
