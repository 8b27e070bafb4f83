# SPDX-License-Identifier: Apache-2.0
"""Jobs, CronJobs, StatefulSets, budgets, autoscalers and claims, with real pods, by kubectl new and old."""
import json
import subprocess
import time

import pytest

from member_lib import is_ready, wait_for


def pod_template(name, command=None, restart=None, labels=None, **spec):
    container = {"name": "main", "image": "hansa/echo:v1"}
    if command:
        container["command"] = ["sh", "-c", command]
    else:
        container["ports"] = [{"name": "http", "containerPort": 8080}]
        container["readinessProbe"] = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1}
    container.update(spec.pop("container", {}))
    pod = {"containers": [container], "terminationGracePeriodSeconds": 2, **spec}
    if restart:
        pod["restartPolicy"] = restart
    return {"metadata": {"labels": labels or {"app": name}}, "spec": pod}


def job(name, command, restart="Never", pod=None, **spec):
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"template": pod_template(name, command, restart, **(pod or {})), **spec}}


def all_pods(member, label):
    return member.json("pods", "-l", label)["items"]


# --- Jobs ---

def test_a_job_completes(member):
    member.apply(job("once", "echo done", completions=3, parallelism=2))
    assert "condition met" in member.kubectl("wait", "--for=condition=complete", "job/once", "--timeout=40s")
    status = member.json("job", "once")["status"]
    assert status["succeeded"] == 3 and "active" not in status and status["completionTime"]
    assert status.get("uncountedTerminatedPods") == {}
    assert "3/3" in member.kubectl("get", "job", "once")
    pods = all_pods(member, "job-name=once")
    assert len(pods) == 3 and all(p["status"]["phase"] == "Succeeded" for p in pods)
    wait_for(lambda: not any(p["metadata"].get("finalizers") for p in all_pods(member, "job-name=once")), what="no finalizer")
    assert member.kubectl("logs", "job/once").strip() == "done"
    wait_for(lambda: "Job completed" in member.kubectl("describe", "job", "once"), what="the event")
    assert "3 Succeeded" in member.kubectl("describe", "job", "once")
    member.kubectl("delete", "job", "once", "--timeout=20s")
    wait_for(lambda: not all_pods(member, "job-name=once"), what="its pods to go")


def test_kubectl_create_job(member):
    member.kubectl("create", "job", "made", "--image=hansa/echo:v1", "--", "sh", "-c", "echo hello")
    member.kubectl("wait", "--for=condition=complete", "job/made", "--timeout=40s")
    assert member.kubectl("logs", "job/made").strip() == "hello"


def test_a_job_that_fails_too_often(member):
    member.apply(job("sad", "exit 3", backoffLimit=0))
    member.kubectl("wait", "--for=condition=failed", "job/sad", "--timeout=40s")
    condition = [c for c in member.json("job", "sad")["status"]["conditions"] if c["type"] == "Failed"][0]
    assert condition["reason"] == "BackoffLimitExceeded"
    assert member.json("job", "sad")["status"]["failed"] == 1


def test_a_failure_is_followed_by_a_pause(member):
    member.apply(job("again", "exit 3", backoffLimit=3))
    wait_for(lambda: member.json("job", "again")["status"].get("failed") == 1, what="the failure to count")
    time.sleep(2)
    assert len(all_pods(member, "job-name=again")) == 1
    member.kubectl("delete", "job", "again", "--timeout=20s")


def test_a_deadline_ends_a_job(member):
    member.apply(job("late", "sleep 600", activeDeadlineSeconds=2))
    member.kubectl("wait", "--for=condition=failed", "job/late", "--timeout=40s")
    status = member.json("job", "late")["status"]
    assert [c["reason"] for c in status["conditions"] if c["type"] == "Failed"] == ["DeadlineExceeded"]
    wait_for(lambda: not [p for p in all_pods(member, "job-name=late") if p["status"]["phase"] == "Running"],
             what="its pod to go")


def test_an_indexed_job(member):
    member.apply(job("indexed", "echo index $JOB_COMPLETION_INDEX", completions=4, parallelism=4, completionMode="Indexed"))
    member.kubectl("wait", "--for=condition=complete", "job/indexed", "--timeout=40s")
    assert member.json("job", "indexed")["status"]["completedIndexes"] == "0-3"
    seen = {member.kubectl("logs", p["metadata"]["name"]).strip() for p in all_pods(member, "job-name=indexed")}
    assert seen == {f"index {i}" for i in range(4)}


def test_suspend_and_resume(member):
    member.apply(job("held", "echo ran", suspend=True))
    wait_for(lambda: [c for c in member.json("job", "held")["status"].get("conditions", []) if c["type"] == "Suspended"],
             what="Suspended")
    assert not all_pods(member, "job-name=held")
    member.kubectl("patch", "job", "held", "--type=merge", "-p", '{"spec":{"suspend":false}}')
    member.kubectl("wait", "--for=condition=complete", "job/held", "--timeout=40s")


def test_ttl_removes_a_job(member):
    member.apply(job("brief", "true", ttlSecondsAfterFinished=1))
    wait_for(lambda: member.kubectl("get", "job", "brief", "--ignore-not-found") == "", what="the Job to go", timeout=40)
    wait_for(lambda: not all_pods(member, "job-name=brief"), what="its pods to go")


def test_orphaned_pods_lose_the_finalizer(member):
    member.apply(job("parent", "sleep 600"))
    wait_for(lambda: all_pods(member, "job-name=parent"), what="the pod")
    member.kubectl("delete", "job", "parent", "--cascade=orphan", "--timeout=20s")
    wait_for(lambda: not all_pods(member, "job-name=parent")[0]["metadata"].get("finalizers"), what="no finalizer")
    member.kubectl("delete", "pod", "-l", "job-name=parent", "--timeout=20s")


# --- CronJobs ---

def cronjob(name, schedule, command="true", **spec):
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name},
            "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": pod_template(name, command, "Never")}}, **spec}}


def owned_jobs(member, name):
    return [j for j in member.json("jobs")["items"]
            if any(o["kind"] == "CronJob" and o["name"] == name for o in j["metadata"].get("ownerReferences", []))]


def test_a_cronjob_fires(member):
    member.apply(cronjob("often", "@every 3s", successfulJobsHistoryLimit=1))
    wait_for(lambda: member.json("cronjob", "often")["status"].get("lastSuccessfulTime"), what="a success", timeout=60)
    wait_for(lambda: member.events(reason="SawCompletedJob"), what="the event")
    wait_for(lambda: member.events(reason="SuccessfulDelete"), what="old Jobs to go", timeout=60)
    member.kubectl("patch", "cronjob", "often", "-p", '{"spec":{"suspend":true}}')
    assert "True" in member.kubectl("get", "cronjob", "often")
    member.kubectl("delete", "cronjob", "often", "--timeout=20s")
    wait_for(lambda: not owned_jobs(member, "often"), what="its Jobs to go")


def test_a_job_from_a_cronjob(member):
    member.kubectl("create", "cronjob", "nightly", "--image=hansa/echo:v1", "--schedule=0 3 * * *", "--", "echo", "night")
    client = json.loads(member.kubectl("version", "--client", "-o", "json"))["clientVersion"]
    # kubectl 1.20 knows no batch/v1 CronJob; it may ask for the version that it knows
    kind = "cronjob" if client["gitVersion"] >= "v1.21" else "cronjobs.v1beta1.batch"
    member.kubectl("create", "job", "now", f"--from={kind}/nightly")
    member.kubectl("wait", "--for=condition=complete", "job/now", "--timeout=40s")
    assert member.kubectl("logs", "job/now").strip() == "night"


def test_wrong_schedules_are_refused(member):
    r = member.kubectl("create", "-f", "-", stdin=json.dumps(cronjob("wrong", "61 * * * *")), check=False)
    assert r.returncode and "spec.schedule" in r.stderr


# --- StatefulSets and claims ---

def statefulset(name, replicas, env="1", claims=True, **spec):
    container = {"env": [{"name": "V", "value": env}]}
    extra = {}
    if claims:
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        extra["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}]
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name},
            "spec": {"replicas": replicas, "serviceName": name, "selector": {"matchLabels": {"app": name}},
                     "template": pod_template(name, container=container), **extra, **spec}}


def names(member, name):
    return sorted(p["metadata"]["name"] for p in member.pods(f"app={name}"))


def values(member, name):
    return {p["metadata"]["name"]: p["spec"]["containers"][0]["env"][0]["value"] for p in member.pods(f"app={name}")}


def test_a_statefulset_keeps_names_and_data(member):
    member.apply(statefulset("db", 2))
    pods = member.ready("app=db", 2)
    assert names(member, "db") == ["db-0", "db-1"]
    by_name = {p["metadata"]["name"]: p for p in pods}
    assert by_name["db-0"]["status"]["startTime"] <= by_name["db-1"]["status"]["startTime"]
    assert by_name["db-1"]["spec"]["hostname"] == "db-1" and by_name["db-1"]["spec"]["subdomain"] == "db"
    claims = {c["metadata"]["name"]: c for c in member.json("pvc")["items"]}
    assert set(claims) >= {"data-db-0", "data-db-1"} and claims["data-db-0"]["status"]["phase"] == "Bound"
    volume = member.json("pv", claims["data-db-0"]["spec"]["volumeName"])
    folder = volume["spec"]["hostPath"]["path"]
    with open(folder + "/kept", "w") as f:
        f.write("mine")
    uid = by_name["db-0"]["metadata"]["uid"]
    member.kubectl("delete", "pod", "db-0", "--timeout=20s")
    wait_for(lambda: [p for p in member.ready("app=db", 2) if p["metadata"]["name"] == "db-0"][0]["metadata"]["uid"] != uid,
             what="a new db-0")
    assert open(folder + "/kept").read() == "mine"
    member.kubectl("scale", "sts", "db", "--replicas=1")
    wait_for(lambda: names(member, "db") == ["db-0"], what="db-1 to go", timeout=30)
    assert "data-db-1" in member.kubectl("get", "pvc")
    member.kubectl("delete", "sts", "db", "--timeout=20s")
    wait_for(lambda: not member.pods("app=db"), what="the pods to go", timeout=30)
    member.kubectl("delete", "pvc", "data-db-0", "data-db-1", "--timeout=20s")
    wait_for(lambda: not [v for v in member.json("pv")["items"] if v["spec"]["claimRef"]["name"].startswith("data-db")],
             what="the volumes to go")
    with pytest.raises(FileNotFoundError):
        open(folder + "/kept")


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_the_order_of_a_statefulset(member, policy):
    """One after the other, and back in the opposite order; or all at once."""
    name = policy.lower()
    slow = pod_template(name, "trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.05; done",
                        container={"readinessProbe": {"exec": {"command": ["true"]}, "initialDelaySeconds": 1, "periodSeconds": 1}})
    pods = "/api/v1/namespaces/default/pods"
    now = json.loads(member.kubectl("get", "--raw", pods + "?limit=1"))["metadata"]["resourceVersion"]
    path = f"{pods}?watch=true&labelSelector=app%3D{name}&timeoutSeconds=300&resourceVersion={now}"
    watch = subprocess.Popen(["kubectl", "--kubeconfig", str(member.kubeconfig), "get", "--raw", path], stdout=subprocess.PIPE, text=True)
    wanted = statefulset(name, 3, claims=False, podManagementPolicy=policy)
    wanted["spec"]["template"] = slow
    order, state = [], {}
    try:
        member.apply(wanted)
        member.ready(f"app={name}", 3)
        member.kubectl("scale", "sts", name, "--replicas=0")
        while list(state.values()).count("gone") < 3 and (line := watch.stdout.readline()):
            event = json.loads(line)
            pod, n = event["object"], event["object"]["metadata"]["name"][-1]
            now = ("gone" if event["type"] == "DELETED" else "ending" if "deletionTimestamp" in pod["metadata"]
                   else "ready" if is_ready(pod) else "made")
            if state.get(n) != now:
                state[n] = now
                order.append(now + n)
    finally:
        watch.kill()
        watch.wait()
    if policy == "OrderedReady":
        assert order == ["made0", "ready0", "made1", "ready1", "made2", "ready2",
                         "ending2", "gone2", "ending1", "gone1", "ending0", "gone0"]
    else:
        assert set(order[:3]) == {"made0", "made1", "made2"} and set(order[6:9]) == {"ending0", "ending1", "ending2"}


def test_rolling_update_history_and_undo_of_a_statefulset(member):
    member.apply(statefulset("roll", 2, claims=False, podManagementPolicy="Parallel"))
    member.ready("app=roll", 2)
    assert "roll" in member.kubectl("rollout", "status", "sts/roll", "--timeout=20s")
    member.kubectl("set", "env", "sts/roll", "V=2")
    member.kubectl("rollout", "status", "sts/roll", "--timeout=40s")
    assert set(values(member, "roll").values()) == {"2"}
    history = member.kubectl("rollout", "history", "sts/roll")
    assert "1 " in history and "2 " in history, history
    assert "V:\t1" in member.kubectl("rollout", "history", "sts/roll", "--revision=1")
    member.kubectl("rollout", "undo", "sts/roll")
    wait_for(lambda: set(values(member, "roll").values()) == {"1"}, what="the old template", timeout=40)
    member.kubectl("rollout", "status", "sts/roll", "--timeout=40s")
    assert "3 " in member.kubectl("rollout", "history", "sts/roll")
    status = member.json("sts", "roll")["status"]
    assert status["currentRevision"] == status["updateRevision"] and status["updatedReplicas"] == 2


def test_partition_and_on_delete(member):
    member.apply(statefulset("part", 3, claims=False, podManagementPolicy="Parallel",
                             updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}))
    member.ready("app=part", 3)
    member.kubectl("set", "env", "sts/part", "V=2")
    wait_for(lambda: values(member, "part") == {"part-0": "1", "part-1": "1", "part-2": "2"}, what="the last one", timeout=40)
    member.kubectl("rollout", "status", "sts/part", "--timeout=40s")
    member.kubectl("delete", "pod", "part-0", "--timeout=20s")
    wait_for(lambda: values(member, "part").get("part-0") == "1" and len(member.pods("app=part")) == 3,
             what="part-0 of the old template", timeout=40)
    member.kubectl("patch", "sts", "part", "--type=merge", "-p", '{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null}}}')
    member.kubectl("set", "env", "sts/part", "V=3")
    member.kubectl("delete", "pod", "part-1", "--timeout=20s")
    wait_for(lambda: values(member, "part").get("part-1") == "3", what="a new part-1", timeout=40)
    assert values(member, "part")["part-0"] == "1"


def test_a_sick_update_can_be_taken_back(member):
    member.apply(statefulset("heal", 2, claims=False))
    member.ready("app=heal", 2)
    member.kubectl("set", "image", "sts/heal", "main=stranger:1")
    wait_for(lambda: [p for p in member.pods("app=heal") if not is_ready(p)], what="a sick pod", timeout=30)
    member.kubectl("rollout", "undo", "sts/heal")
    member.ready("app=heal", 2)


def test_orphans_are_adopted(member):
    member.apply(statefulset("kept", 1, claims=False))
    uid = member.ready("app=kept", 1)[0]["metadata"]["uid"]
    member.kubectl("delete", "sts", "kept", "--cascade=orphan", "--timeout=20s")
    wait_for(lambda: not member.pods("app=kept")[0]["metadata"].get("ownerReferences"), what="an orphan")
    member.apply(statefulset("kept", 1, claims=False))
    wait_for(lambda: member.pods("app=kept")[0]["metadata"].get("ownerReferences"), what="an owner")
    time.sleep(1)
    assert member.ready("app=kept", 1)[0]["metadata"]["uid"] == uid


# --- DaemonSets, Deployments and ReplicationControllers ---

def test_history_and_undo_of_a_daemonset(member):
    ds = statefulset("agent", 1, claims=False)
    ds["kind"] = "DaemonSet"
    del ds["spec"]["replicas"], ds["spec"]["serviceName"]
    member.apply(ds)
    member.ready("app=agent", 1)
    member.kubectl("set", "env", "ds/agent", "V=2")
    member.kubectl("rollout", "status", "ds/agent", "--timeout=40s")
    wait_for(lambda: set(values(member, "agent").values()) == {"2"}, what="the new template", timeout=30)
    assert "2 " in member.kubectl("rollout", "history", "ds/agent")
    member.kubectl("rollout", "undo", "ds/agent", "--to-revision=1")
    wait_for(lambda: set(values(member, "agent").values()) == {"1"}, what="the old template", timeout=40)
    member.kubectl("rollout", "restart", "ds/agent")
    member.kubectl("rollout", "status", "ds/agent", "--timeout=40s")


def test_a_replication_controller(member):
    rc = {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "old"},
          "spec": {"replicas": 2, "selector": {"app": "old"}, "template": pod_template("old")}}
    member.apply(rc)
    member.ready("app=old", 2)
    member.kubectl("scale", "rc", "old", "--replicas=1")
    wait_for(lambda: len(member.pods("app=old")) == 1, what="one pod")
    wait_for(lambda: member.json("rc", "old")["status"]["replicas"] == 1, what="the status")
    member.kubectl("delete", "rc", "old", "--timeout=20s")
    wait_for(lambda: not member.pods("app=old"), what="no pod")


# --- budgets, drain, taints ---

def test_a_budget_holds_up_evictions(member):
    member.apply(statefulset("guarded", 2, claims=False, podManagementPolicy="Parallel"))
    member.ready("app=guarded", 2)
    member.kubectl("create", "pdb", "guarded", "--selector=app=guarded", "--min-available=2")
    wait_for(lambda: member.json("pdb", "guarded")["status"].get("currentHealthy") == 2, what="the budget to count")
    eviction = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "guarded-0", "namespace": "default"}})
    r = member.kubectl("create", "--raw", "/api/v1/namespaces/default/pods/guarded-0/eviction", "-f", "-", stdin=eviction,
                       check=False)
    assert r.returncode and "Cannot evict pod as it would violate the pod's disruption budget." in r.stderr, r.stderr
    member.kubectl("patch", "pdb", "guarded", "--type=merge", "-p", '{"spec":{"minAvailable":1}}')
    wait_for(lambda: member.json("pdb", "guarded")["status"]["disruptionsAllowed"] == 1, what="one allowed")
    uid = member.json("pod", "guarded-0")["metadata"]["uid"]
    member.kubectl("create", "--raw", "/api/v1/namespaces/default/pods/guarded-0/eviction", "-f", "-", stdin=eviction)
    wait_for(lambda: [p for p in member.ready("app=guarded", 2) if p["metadata"]["name"] == "guarded-0"][0]["metadata"]["uid"] != uid,
             what="a new pod")
    assert "N/A" in member.kubectl("get", "pdb", "guarded")


def test_drain_and_uncordon(member):
    node = member.json("nodes")["items"][0]["metadata"]["name"]
    member.apply(statefulset("moved", 1, claims=False))
    member.ready("app=moved", 1)
    member.kubectl("delete", "pdb", "--all")
    out = member.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=50s")
    assert out.splitlines()[-1] in (f"node/{node} drained", f"node/{node} evicted")  # kubectl 1.20 says evicted
    wait_for(lambda: member.pods("app=moved") and not is_ready(member.pods("app=moved")[0]), what="a pod that waits")
    member.kubectl("uncordon", node)
    member.ready("app=moved", 1)


def test_taints_drive_pods_away(member):
    node = member.json("nodes")["items"][0]["metadata"]["name"]
    member.apply(statefulset("bare", 1, claims=False))
    hardy = statefulset("hardy", 1, claims=False)
    hardy["spec"]["template"]["spec"]["tolerations"] = [{"key": "broken", "operator": "Exists"}]
    member.apply(hardy)
    member.ready("app=bare", 1)
    uid = member.ready("app=hardy", 1)[0]["metadata"]["uid"]
    member.kubectl("taint", "node", node, "broken=yes:NoExecute")
    wait_for(lambda: member.pods("app=bare") and not member.pods("app=bare")[0]["spec"].get("nodeName"), what="a pod without node",
             timeout=30)
    assert member.ready("app=hardy", 1)[0]["metadata"]["uid"] == uid
    wait_for(lambda: member.events(reason="TaintManagerEviction"), what="the event")
    member.kubectl("taint", "node", node, "broken-")
    member.ready("app=bare", 1)
