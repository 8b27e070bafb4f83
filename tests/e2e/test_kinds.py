# SPDX-License-Identifier: Apache-2.0
"""Jobs, CronJobs and autoscalers through the federation: their numbers are divided over the clusters, their state is told as one."""
import json

import pytest

from fed import REGIONS, poll


@pytest.fixture
def ns(federation, request):
    name = request.node.name.split("[")[0].replace("_", "-")[5:45].strip("-")
    federation.kubectl("create", "namespace", name)
    yield name
    federation.kubectl("delete", "namespace", name, "--timeout=60s")


def template(command):
    return {"spec": {"restartPolicy": "Never", "containers": [
        {"name": "main", "image": "hansa/echo:v1", "command": ["sh", "-c", command]}]}}


def pods(fed, cluster, ns):
    return fed.get("--context", cluster, "-n", ns, "pods")["items"]


def counts(fed, ns):
    return sorted(len(pods(fed, c, ns)) for c in REGIONS)


def apply(fed, ns, obj):
    obj["metadata"]["namespace"] = ns
    fed.kubectl("apply", "-f", "-", stdin=json.dumps(obj))


def test_job_is_divided(federation, ns):
    fed = federation
    apply(fed, ns, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sum"},
                    "spec": {"completions": 6, "parallelism": 3, "template": template("echo done")}})
    out = fed.kubectl("-n", ns, "wait", "--for=condition=complete", "job/sum", "--timeout=60s").stdout
    assert "condition met" in out
    assert fed.get("-n", ns, "job", "sum")["status"]["succeeded"] == 6
    assert counts(fed, ns) == [2, 2, 2]
    assert all(fed.get("--context", c, "-n", ns, "job", "sum")["spec"]["completions"] == 2 for c in REGIONS)
    assert "6/6" in fed.kubectl("-n", ns, "get", "job", "sum").stdout


def test_job_of_one_pod_runs_once(federation, ns):
    fed = federation
    fed.kubectl("-n", ns, "create", "job", "one", "--image=hansa/echo:v1", "--", "echo", "once")
    fed.kubectl("-n", ns, "wait", "--for=condition=complete", "job/one", "--timeout=60s")
    assert counts(fed, ns) == [0, 0, 1]


def test_job_ttl_is_the_hubs(federation, ns):
    fed = federation
    apply(fed, ns, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "brief"},
                    "spec": {"completions": 3, "parallelism": 3, "ttlSecondsAfterFinished": 1, "template": template("true")}})
    poll(lambda: fed.kubectl("-n", ns, "get", "job", "brief", "--ignore-not-found").stdout == "", timeout=60, what="no Job")
    poll(lambda: counts(fed, ns) == [0, 0, 0], timeout=60, what="no pods")


def test_cronjob_is_divided(federation, ns):
    fed = federation
    apply(fed, ns, {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "often"},
                    "spec": {"schedule": "@every 2s", "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": {
                        "completions": 3, "parallelism": 3, "template": template("sleep 30")}}}})
    poll(lambda: counts(fed, ns) == [1, 1, 1], timeout=60, what="one pod in each cluster")
    status = poll(lambda: fed.get("-n", ns, "cronjob", "often").get("status", {}), what="a status")
    poll(lambda: len(fed.get("-n", ns, "cronjob", "often")["status"].get("active", [])) == 3, what="three active", timeout=30)
    assert status


def test_autoscaler_is_divided(federation, ns):
    fed = federation
    apply(fed, ns, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": "hansa/echo:v1", "resources": {"requests": {"cpu": "50m"}}}]}}}})
    fed.kubectl("-n", ns, "autoscale", "deployment", "web", "--min=6", "--max=9", "--cpu-percent=80")
    assert all(poll(lambda c=c: fed.get("--context", c, "-n", ns, "hpa", "web"), what=f"the part of {c}")["spec"]["maxReplicas"] == 3
               for c in REGIONS)
    assert all(fed.get("--context", c, "-n", ns, "hpa", "web")["spec"]["minReplicas"] == 2 for c in REGIONS)
    poll(lambda: counts(fed, ns) == [2, 2, 2], timeout=60, what="each cluster's own minimum")
    poll(lambda: fed.get("-n", ns, "hpa", "web")["status"].get("currentReplicas") == 6, timeout=60, what="the sum")
    fed.kubectl("-n", ns, "patch", "hpa", "web", "--type=merge", "-p", '{"spec":{"minReplicas":9}}')
    poll(lambda: counts(fed, ns) == [3, 3, 3], timeout=60, what="the new minimum")
    fed.kubectl("-n", ns, "delete", "hpa", "web")
    poll(lambda: all(fed.kubectl("--context", c, "-n", ns, "get", "hpa", "--ignore-not-found", "-o", "name").stdout == "" for c in REGIONS),
         timeout=60, what="no autoscaler")
    poll(lambda: counts(fed, ns) == [1, 1, 1], timeout=60, what="the Deployment's own number again")
