# SPDX-License-Identifier: Apache-2.0
"""What a status may not say: counts beyond the whole, an end that is taken back, a phase that is not so."""
from raw import Raw
from test_python import until

MERGE = {"Content-Type": "application/merge-patch+json"}
POD = {"containers": [{"name": "c", "image": "x"}]}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": POD}
SELECTED = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}


class Things:
    """Objects of one namespace and what their status may say."""

    def __init__(self, engine, ns):
        self.raw, self.ns = Raw(engine.api), ns


    def post(self, path, spec, name="x"):
        made = self.raw(path, "POST", {"metadata": {"name": name}, "spec": spec})
        assert made.status == 201, made.body
        self.path = f"{path}/{name}/status"

    def says(self, status, *says, keep=False):
        done = self.raw(self.path, "PATCH", {"status": status}, MERGE, dryRun=None if keep else "All")
        said = [f"{c['field']}: {c['message']}" for c in done.json().get("details", {}).get("causes", [])]
        assert sorted(said) == sorted(says) and done.status == (422 if says else 200), done.body


def test_counts(engine, ns):
    t = Things(engine, ns)
    whole = "cannot be greater than status.replicas"
    base = f"/apis/apps/v1/namespaces/{ns}"
    t.post(f"{base}/deployments", SELECTED)
    t.says({"replicas": 2, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2})
    t.says({"replicas": 1, "updatedReplicas": 3, "readyReplicas": 2, "availableReplicas": 2},
           f"status.updatedReplicas: Invalid value: 3: {whole}", f"status.readyReplicas: Invalid value: 2: {whole}",
           f"status.availableReplicas: Invalid value: 2: {whole}")
    t.says({"replicas": 2, "availableReplicas": 1}, "status.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas")
    t.says({"replicas": -1}, "status.replicas: Invalid value: -1: must be greater than or equal to 0",
           *(f"status.{part}: Invalid value: 0: {whole}" for part in ("updatedReplicas", "readyReplicas", "availableReplicas")))
    t.says({"collisionCount": 2}, keep=True)
    t.says({"collisionCount": 1}, "status.collisionCount: Invalid value: 1: cannot be decremented")
    t.post(f"{base}/replicasets", SELECTED)
    t.says({"replicas": 1, "fullyLabeledReplicas": 2}, f"status.fullyLabeledReplicas: Invalid value: 2: {whole}")
    t.post(f"{base}/statefulsets", {**SELECTED, "serviceName": "s"})
    t.says({"replicas": 1, "currentReplicas": 2, "readyReplicas": 0, "availableReplicas": 1},
           f"status.currentReplicas: Invalid value: 2: {whole}", "status.availableReplicas: Invalid value: 1: cannot be greater than status.readyReplicas")
    t.post(f"{base}/daemonsets", {k: v for k, v in SELECTED.items() if k != "replicas"})
    t.says({"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": -1},
           "status.numberReady: Invalid value: -1: must be greater than or equal to 0")


def test_jobs_end_once(engine, ns):
    t = Things(engine, ns)
    t.post(f"/apis/batch/v1/namespaces/{ns}/jobs", {"template": {"spec": {**POD, "restartPolicy": "Never"}}})
    end = lambda *types: {"conditions": [{"type": one, "status": "True"} for one in types]}  # noqa: E731
    t.says(end("Failed", "FailureTarget"))
    t.says(end("Complete", "Failed"), "status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions")
    t.says(end("Complete", "FailureTarget"), "status.conditions: Invalid value: cannot set Complete=True and FailureTarget=true conditions")


def test_pods(engine, ns):
    t = Things(engine, ns)
    t.post(f"/api/v1/namespaces/{ns}/pods", {**POD, "restartPolicy": "OnFailure"})

    def state(code=None):
        one = {"running": {}} if code is None else {"terminated": {"exitCode": code}}
        return {"containerStatuses": [{"name": "c", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": one}]}

    t.says(state(1), keep=True)
    t.says(state(), keep=True)
    t.says(state(0), keep=True)
    t.says(state(), "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state")
    t.says({"qosClass": "Guaranteed"}, 'status.qosClass: Invalid value: "Guaranteed": field is immutable')
    t.says({"qosClass": None})
    t.says({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "::1"}], "hostIP": "10.0.0.2", "hostIPs": [{"ip": "10.0.0.2"}]})
    t.says({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]},
           'status.podIPs: Invalid value: [{"ip":"10.0.0.1"},{"ip":"10.0.0.2"}]: may specify no more than one IP for each IP family')
    t.says({"hostIPs": [{"ip": "10.0.0.2"}]}, 'status.hostIPs[0].ip: Invalid value: "10.0.0.2": must be equal to `hostIP`')


def test_namespaces_and_claims(engine, ns):
    t = Things(engine, ns)
    t.path = f"/api/v1/namespaces/{ns}/status"
    t.says({"phase": "Active"})
    for phase in ("Terminating", "Gone"):
        t.says({"phase": phase}, f'status.Phase: Invalid value: "{phase}": may only be \'Active\' if `deletionTimestamp` is empty')
    t.post(f"/api/v1/namespaces/{ns}/persistentvolumeclaims", {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}})
    t.says({"capacity": {"storage": "-1"}}, 'status.capacity[storage]: Invalid value: "-1": must be greater than or equal to 0')


def test_what_is_observed(engine, ns):
    """Balancers, budgets, quotas, Jobs."""
    t = Things(engine, ns)
    ip = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
    t.post(f"/api/v1/namespaces/{ns}/services", {"ports": [{"port": 80}]}, "balanced")
    t.says({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "a.b"}]}})
    t.says({"loadBalancer": {"ingress": [{"ip": "x"}, {"hostname": "1.2.3.4"}]}},
           f'status.loadBalancer.ingress[0].ip: Invalid value: "x": {ip}',
           'status.loadBalancer.ingress[1].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address')
    t.post(f"/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets", {"minAvailable": 1})
    well = {"type": "A", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z", "reason": "R", "message": ""}
    t.says({"conditions": [well]})
    t.says({"conditions": [{**well, "status": "X", "reason": ""}, {**well, "type": "A"}]},
           'status.conditions[0].status: Unsupported value: "X": supported values: "False", "True", "Unknown"',
           "status.conditions[0].reason: Required value: must be set", 'status.conditions[1].type: Duplicate value: "A"')
    t.post(f"/api/v1/namespaces/{ns}/resourcequotas", {"hard": {"pods": "1"}})
    t.says({"hard": {"pods": "1"}, "used": {"pods": "-1"}}, 'status.used[pods]: Invalid value: "-1": must be greater than or equal to 0')
    t.post(f"/apis/batch/v1/namespaces/{ns}/jobs", {"template": {"spec": {**POD, "restartPolicy": "Never"}}}, "ended")
    t.says({"startTime": "2020-01-01T00:00:00Z", "completionTime": "2019-01-01T00:00:00Z"},
           'status.completionTime: Invalid value: "2019-01-01T00:00:00Z": cannot set completionTime when there is no Complete=True condition',
           'status.completionTime: Invalid value: "2019-01-01T00:00:00Z": completionTime cannot be set before startTime')

def metadata_of(raw, path):
    meta = raw(path).json()["metadata"]
    return meta.get("labels"), meta.get("annotations"), meta.get("finalizers"), [o["name"] for o in meta.get("ownerReferences", [])]


def test_metadata_is_written_along(engine, ns):
    """As the status strategies of kube-apiserver have it: its Deployment controller writes the revision's annotation so."""
    raw = Raw(engine.api)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "u"}
    new = {"labels": {"n": "1"}, "annotations": {"n": "1"}, "finalizers": ["n/n"], "ownerReferences": [owner]}
    all_of_it = ({"n": "1"}, {"n": "1"}, ["n/n"], ["owner"])
    definition = {"group": f"{ns}.io", "scope": "Namespaced", "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
                  "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
                                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}
    base = f"namespaces/{ns}"
    for path, body, want in (
            (f"/apis/apps/v1/{base}/replicasets", {"spec": SELECTED}, all_of_it),
            (f"/apis/apps/v1/{base}/deployments", {"spec": SELECTED}, (None, *all_of_it[1:])),
            (f"/api/v1/{base}/pods", {"spec": POD}, (*all_of_it[:3], [])),
            ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {"metadata": {"name": f"things.{ns}.io"}, "spec": definition}, None),
            (f"/apis/{ns}.io/v1/{base}/things", {"apiVersion": f"{ns}.io/v1", "kind": "Thing"}, None)):
        name = body.setdefault("metadata", {}).setdefault("name", "along")
        until(lambda: raw(path).status == 200, lambda: f"{path} to be served")
        assert raw(path, "POST", body).status == 201
        before = metadata_of(raw, f"{path}/{name}")
        body = raw(f"{path}/{name}").json()
        body["metadata"].update(new)
        done = raw(f"{path}/{name}/status", "PUT", body)
        assert done.status == 200, done.body
        assert metadata_of(raw, f"{path}/{name}") == (want or before), path
        raw(f"{path}/{name}", "PATCH", {"metadata": {"finalizers": None}}, MERGE)
    raw(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{ns}.io", "DELETE")


def test_managers_of_a_status_are_the_servers(engine, ns):
    """A client older than managedFields' `subresource` loses it; its repeated status is still no change."""
    raw = Raw(engine.api)
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    assert raw(path, "POST", {"metadata": {"name": "x"}, "spec": SELECTED}).status == 201
    body = raw(f"{path}/x").json()
    body["status"] = {"replicas": 1}
    before = raw(f"{path}/x/status", "PUT", body).json()
    assert [m for m in before["metadata"]["managedFields"] if m.get("subresource") == "status"]
    seen = raw(f"{path}/x").json()
    for m in seen["metadata"]["managedFields"]:
        m.pop("subresource", None)
    assert raw(f"{path}/x/status", "PUT", seen).json() == before


def test_the_last_finalizer_may_go_with_a_status(engine, ns):
    raw = Raw(engine.api)
    path = f"/apis/apps/v1/namespaces/{ns}/replicasets"
    assert raw(path, "POST", {"metadata": {"name": "x", "finalizers": ["a/b"]}, "spec": SELECTED}).status == 201
    assert raw(f"{path}/x", "DELETE").json()["metadata"]["deletionTimestamp"]
    body = raw(f"{path}/x").json()
    del body["metadata"]["finalizers"]
    assert raw(f"{path}/x/status", "PUT", body).status == 200
    assert raw(f"{path}/x").status == 404
