# SPDX-License-Identifier: Apache-2.0
"""What a delete of a federated object does in the members, and whose objects are never touched."""
import json
import time

import pytest

from fed import REGIONS, poll

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "hansa/echo:v1"}]}
"""


@pytest.fixture
def ns(federation, request):
    """A federated namespace of the test's own, gone from everywhere afterwards."""
    name = request.node.name.split("[")[0].replace("_", "-")[5:45].strip("-")
    federation.kubectl("create", "namespace", name)
    yield name
    for context in ("fed", *REGIONS):
        federation.kubectl("--context", context, "delete", "namespace", name, "--ignore-not-found")
    for context in ("fed", *REGIONS):
        poll(lambda: not there(federation, context, None, "namespace", name), what=f"{name} gone from {context}")


def there(fed, context, ns, kind, name):
    """The object, or None."""
    where = ["-n", ns] if ns else []
    done = fed.kubectl("--context", context, *where, "get", kind, name, "-o", "json", check=False)
    assert done.returncode == 0 or "NotFound" in done.stderr, done.stderr
    return json.loads(done.stdout) if done.returncode == 0 else None


def everywhere(fed, ns, kind, name):
    poll(lambda: all(there(fed, c, ns, kind, name) for c in REGIONS), what=f"{kind} {name} in all clusters")


def nowhere(fed, ns, kind, name):
    poll(lambda: not any(there(fed, c, ns, kind, name) for c in ("fed", *REGIONS)), what=f"{kind} {name} gone")


def pods(fed, cluster, ns):
    return fed.get("--context", cluster, "-n", ns, "pods")["items"]


def test_an_orphaned_namespace_stays_with_all_that_is_in_it(federation, ns):
    fed = federation
    fed.kubectl("apply", "-f", "-", stdin=DEPLOYMENT.replace("NS", ns))
    everywhere(fed, ns, "deployment", "web")
    uids = [there(fed, c, ns, "deployment", "web")["metadata"]["uid"] for c in REGIONS]
    fed.kubectl("delete", "namespace", ns, "--cascade=orphan", "--timeout=20s")
    assert not there(fed, "fed", None, "namespace", ns)
    for c, uid in zip(REGIONS, uids):
        left = there(fed, c, ns, "deployment", "web")["metadata"]
        assert left["uid"] == uid and "deletionTimestamp" not in left and "federation.hansa.io/managed" not in left.get("labels", {})


@pytest.mark.parametrize("how", ["background", "foreground"])
def test_delete_removes_from_all_members(federation, ns, how):
    fed = federation
    fed.kubectl("apply", "-f", "-", stdin=DEPLOYMENT.replace("NS", ns))
    fed.kubectl("-n", ns, "create", "configmap", "c", "--from-literal=a=b")
    everywhere(fed, ns, "deployment", "web")
    everywhere(fed, ns, "configmap", "c")
    poll(lambda: all(pods(fed, c, ns) for c in REGIONS), what="pods")
    fed.kubectl("-n", ns, "delete", "deployment/web", "configmap/c", f"--cascade={how}", "--timeout=20s")
    if how == "foreground":  # its end is told when all that depends on it is gone
        assert not any(there(fed, c, ns, "deployment", "web") for c in REGIONS)
    nowhere(fed, ns, "deployment", "web")
    nowhere(fed, ns, "configmap", "c")
    poll(lambda: not any(pods(fed, c, ns) for c in REGIONS), what="no pods")


def test_delete_with_orphan_leaves_them(federation, ns):
    fed = federation
    fed.kubectl("apply", "-f", "-", stdin=DEPLOYMENT.replace("NS", ns))
    everywhere(fed, ns, "deployment", "web")
    poll(lambda: all(len(pods(fed, c, ns)) == 1 for c in REGIONS), what="a pod in each cluster")
    uids = {c: there(fed, c, ns, "deployment", "web")["metadata"]["uid"] for c in REGIONS}
    running = {c: [p["metadata"]["uid"] for p in pods(fed, c, ns)] for c in REGIONS}
    fed.kubectl("-n", ns, "delete", "deployment", "web", "--cascade=orphan", "--timeout=20s")
    assert there(fed, "fed", ns, "deployment", "web") is None
    time.sleep(1)  # nothing is to happen
    for c in REGIONS:
        left = there(fed, c, ns, "deployment", "web")
        assert left and left["metadata"]["uid"] == uids[c] and left["spec"]["replicas"] == 1
        assert "deletionTimestamp" not in left["metadata"]
        assert [p["metadata"]["uid"] for p in pods(fed, c, ns)] == running[c]


def test_objects_of_others_are_conflicts_until_adopted(federation, ns):
    fed, cluster = federation, "europe-west1"
    everywhere(fed, None, "namespace", ns)
    fed.kubectl("--context", cluster, "-n", ns, "create", "configmap", "c", "--from-literal=whose=theirs")
    before = there(fed, cluster, ns, "configmap", "c")
    fed.kubectl("-n", ns, "create", "configmap", "c", "--from-literal=whose=ours")
    poll(lambda: there(fed, "us-east1", ns, "configmap", "c"))
    poll(lambda: "Conflict" in fed.kubectl("-n", ns, "get", "events").stdout, what="an event Conflict")
    poll(lambda: "Conflict" in (told := there(fed, "fed", ns, "configmap", "c")["metadata"]["annotations"]["federation.hansa.io/clusters"])
         and cluster in told, what="the annotation")
    assert there(fed, cluster, ns, "configmap", "c") == before

    fed.kubectl("-n", ns, "delete", "configmap", "c", "--timeout=20s")
    poll(lambda: not there(fed, "us-east1", ns, "configmap", "c"))
    assert there(fed, cluster, ns, "configmap", "c") == before

    fed.kubectl("-n", ns, "create", "configmap", "c", "--from-literal=whose=ours")
    poll(lambda: there(fed, "us-east1", ns, "configmap", "c"))
    fed.kubectl("-n", ns, "annotate", "configmap", "c", "federation.hansa.io/adopt=true")
    poll(lambda: there(fed, cluster, ns, "configmap", "c")["data"] == {"whose": "ours"}, what="adopted")
    assert there(fed, cluster, ns, "configmap", "c")["metadata"]["uid"] == before["metadata"]["uid"]
    fed.kubectl("-n", ns, "delete", "configmap", "c", "--timeout=20s")
    nowhere(fed, ns, "configmap", "c")


def test_shared_namespace_survives(federation):
    """A namespace that a member had before is used, and stays with what else is in it."""
    fed, cluster, ns = federation, "asia-east1", "shared"
    fed.kubectl("--context", cluster, "create", "namespace", ns)
    fed.kubectl("--context", cluster, "-n", ns, "create", "configmap", "theirs", "--from-literal=a=b")
    uid = there(fed, cluster, None, "namespace", ns)["metadata"]["uid"]
    fed.kubectl("create", "namespace", ns)
    fed.kubectl("-n", ns, "create", "configmap", "ours", "--from-literal=a=b")
    everywhere(fed, ns, "configmap", "ours")
    fed.kubectl("delete", "namespace", ns, "--timeout=20s")
    for c in ("fed", "us-east1", "europe-west1"):
        poll(lambda: not there(fed, c, None, "namespace", ns), what=f"gone from {c}")
    poll(lambda: not there(fed, cluster, ns, "configmap", "ours"), what="ours gone")
    namespace = there(fed, cluster, None, "namespace", ns)
    assert namespace and namespace["metadata"]["uid"] == uid and "deletionTimestamp" not in namespace["metadata"]
    assert there(fed, cluster, ns, "configmap", "theirs")
    fed.kubectl("--context", cluster, "delete", "namespace", ns)


def test_a_shared_namespace_that_its_cluster_deletes_comes_back(federation):
    """It was the cluster's own; once it is gone, the federation's is made there, with what is in it."""
    fed, cluster, ns = federation, "asia-east1", "shared-and-gone"
    fed.kubectl("--context", cluster, "create", "namespace", ns)
    fed.kubectl("create", "namespace", ns)
    fed.kubectl("-n", ns, "create", "configmap", "theirs", "--from-literal=a=b")
    everywhere(fed, ns, "configmap", "theirs")
    fed.kubectl("--context", cluster, "delete", "namespace", ns, "--timeout=30s")
    poll(lambda: there(fed, cluster, "", "namespace", ns), what="the namespace")
    everywhere(fed, ns, "configmap", "theirs")
    fed.kubectl("delete", "namespace", ns, "--timeout=30s")
    nowhere(fed, "", "namespace", ns)
