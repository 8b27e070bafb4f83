# SPDX-License-Identifier: Apache-2.0
"""What the server writes into metadata and what a client may: names, identity, generation, finalizers, preconditions."""
import pytest

from raw import Raw

MERGE = {"Content-Type": "application/merge-patch+json"}
POD = {"containers": [{"name": "c", "image": "x"}]}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": POD}
SELECTED = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
JOB = {"template": {"spec": {**POD, "restartPolicy": "Never"}}}


class Maps:
    """ConfigMaps of one namespace."""

    def __init__(self, engine, ns):
        self.raw, self.ns, self.path = Raw(engine.api), ns, f"/api/v1/namespaces/{ns}/configmaps"

    def make(self, name, **meta):
        return self.raw(self.path, "POST", {"metadata": {"name": name, **meta}})

    def get(self, name):
        return self.raw(f"{self.path}/{name}")

    def put(self, name, o):
        return self.raw(f"{self.path}/{name}", "PUT", o)

    def merge(self, name, patch, **query):
        return self.raw(f"{self.path}/{name}", "PATCH", patch, MERGE, **query)

    def delete(self, name, options=None, **query):
        return self.raw(f"{self.path}/{name}", "DELETE", options, **query)


@pytest.fixture
def maps(engine, ns):
    return Maps(engine, ns)


def meta(answer):
    assert answer.status in (200, 201), answer.body
    return answer.json()["metadata"]


def test_what_only_the_server_writes(maps):
    asked = {"uid": "mine", "selfLink": "/x", "creationTimestamp": "2000-01-01T00:00:00Z", "generation": 7,
             "deletionTimestamp": "2000-01-01T00:00:00Z", "deletionGracePeriodSeconds": 9}
    made = meta(maps.make("a", **asked))
    assert made["uid"] != "mine" and not made["creationTimestamp"].startswith("2000")
    assert not {"selfLink", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"} & set(made)
    o = maps.get("a").json()
    o["metadata"].update({k: v for k, v in asked.items() if k != "uid" and not k.startswith("deletion")})  # those: test_options.py
    assert {k: meta(maps.put("a", o)).get(k) for k in asked} == {k: made.get(k) for k in asked}
    for path in ("", "/a"):
        assert "selfLink" not in maps.raw(maps.path + path).body.decode()
    maps.make("b", resourceVersion="5").refused(400, "BadRequest", "resourceVersion should not be set on objects to be created")


def test_identity(maps):
    made = meta(maps.make("a"))
    key = f"/registry/configmaps/{maps.ns}/a"
    at = 'Operation cannot be fulfilled on configmaps "a": '
    modified = at + "the object has been modified; please apply your changes to the latest version and try again"
    maps.put("a", {"metadata": {"name": "a", "uid": "x"}}).refused(
        409, "Conflict", f"{at}StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition "
        f"failed: UID in precondition: x, UID in object meta: {made['uid']}")
    maps.merge("a", {"metadata": {"uid": "x"}}).refused(422, "Invalid", 'ConfigMap "a" is invalid: metadata.uid: Invalid value: "x": field is immutable')
    assert meta(maps.put("a", {"metadata": {"name": "a", "uid": made["uid"]}}))["uid"] == made["uid"]
    for answer in (maps.put("a", {"metadata": {"name": "a", "resourceVersion": "1"}}), maps.merge("a", {"metadata": {"resourceVersion": "1"}})):
        assert answer.refused(409, "Conflict", modified)["details"] == {"name": "a", "kind": "configmaps"}
    wrong_name = "the name of the object (b) does not match the name on the URL (a)"
    maps.put("a", {"metadata": {"name": "b"}}).refused(400, "BadRequest", wrong_name)
    maps.merge("a", {"metadata": {"name": "b"}}).refused(400, "BadRequest", wrong_name)
    elsewhere = "the namespace of the provided object does not match the namespace sent on the request"
    maps.put("a", {"metadata": {"name": "a", "namespace": "other"}}).refused(400, "BadRequest", elsewhere)
    maps.make("c", namespace="other").refused(400, "BadRequest", elsewhere)
    maps.make("a").refused(409, "AlreadyExists", 'configmaps "a" already exists')
    maps.put("none", {"metadata": {"name": "none"}}).refused(404, "NotFound", 'configmaps "none" not found')


def test_what_changes_nothing_is_no_write(maps):
    before = meta(maps.make("a", labels={"a": "b"}))["resourceVersion"]
    assert meta(maps.merge("a", {"metadata": {"labels": {"a": "b"}}}))["resourceVersion"] == before
    assert meta(maps.put("a", maps.get("a").json()))["resourceVersion"] == before
    assert meta(maps.merge("a", {"metadata": {"labels": None}}))["resourceVersion"] != before
    assert "labels" not in meta(maps.get("a"))


def test_names(maps):
    made = meta(maps.raw(maps.path, "POST", {"metadata": {"generateName": "g-"}}))
    assert made["name"].startswith("g-") and len(made["name"]) == 7 and made["generateName"] == "g-"
    maps.raw(maps.path, "POST", {"metadata": {}}).refused(
        422, "Invalid", 'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required')
    assert maps.make("Not_valid").status == 422
    maps.raw("/api/v1/namespaces/none/configmaps", "POST", {"metadata": {"name": "a"}}).refused(404, "NotFound", 'namespaces "none" not found')


def test_finalizers(maps):
    maps.make("a", finalizers=["example.com/a", "example.com/b"])
    waits = meta(maps.delete("a"))
    assert waits["deletionTimestamp"] and waits["deletionGracePeriodSeconds"] == 0
    assert meta(maps.delete("a"))["resourceVersion"] == waits["resourceVersion"]  # says the same again
    o = maps.get("a").json()
    o["metadata"]["finalizers"].append("example.com/c")
    maps.put("a", o).refused(422, "Invalid", 'ConfigMap "a" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the '
                             'object is being deleted, found new finalizers []string{"example.com/c"}')
    assert meta(maps.merge("a", {"data": {"a": "b"}}))["deletionTimestamp"] == waits["deletionTimestamp"]
    assert meta(maps.merge("a", {"metadata": {"finalizers": ["example.com/b"]}}))["finalizers"] == ["example.com/b"]
    assert maps.merge("a", {"metadata": {"finalizers": None}}).status == 200
    maps.get("a").refused(404, "NotFound", 'configmaps "a" not found')


def test_propagation(maps):
    """The garbage collector's part is not here: what waits for it bears its finalizer."""
    for name, options in (("f", {"propagationPolicy": "Foreground"}), ("o", {"propagationPolicy": "Orphan"}), ("old", {"orphanDependents": True})):
        maps.make(name)
        waits = meta(maps.delete(name, options))
        assert waits["finalizers"] == ["foregroundDeletion" if name == "f" else "orphan"] and waits["deletionTimestamp"]
    maps.make("b")
    gone = maps.delete("b", {"propagationPolicy": "Background"}).json()
    assert (gone["kind"], gone["status"], gone["details"]["name"], gone["details"]["kind"]) == ("Status", "Success", "b", "configmaps")
    maps.make("c")
    bad = 'DeleteOptions.meta.k8s.io "" is invalid: '
    maps.delete("c", {"orphanDependents": True, "propagationPolicy": "Orphan"}).refused(
        422, "Invalid", bad + 'propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set')
    maps.delete("c", {"propagationPolicy": "Some"}).refused(
        422, "Invalid", bad + 'propagationPolicy: Unsupported value: "Some": supported values: "Foreground", "Background", "Orphan", "nil"')
    maps.delete("c", {"dryRun": ["Some"]}).refused(422, "Invalid", bad + 'dryRun: Unsupported value: ["Some"]: supported values: "All"')
    assert maps.delete("c", {"dryRun": ["All"]}).status == 200 and maps.get("c").status == 200
    assert maps.delete("c", gracePeriodSeconds="x").status == 400


def test_jobs_keep_their_pods_unless_told(maps):
    path = f"/apis/batch/v1/namespaces/{maps.ns}/jobs"
    for name, options, finalizers in (("a", None, ["orphan"]), ("b", {"propagationPolicy": "Orphan"}, ["orphan"]), ("c", {"propagationPolicy": "Background"}, None)):
        assert maps.raw(path, "POST", {"metadata": {"name": name}, "spec": JOB}).status == 201
        answer = maps.raw(f"{path}/{name}", "DELETE", options)
        assert answer.json()["metadata"].get("finalizers") == finalizers
        warning = answer.headers.get("Warning")
        assert bool(warning) == (options is None) and (not warning or "child pods are preserved by default when jobs are deleted" in warning)


def test_preconditions(maps):
    made = meta(maps.make("a"))
    words = 'Operation cannot be fulfilled on ConfigMap "a": the '
    status = maps.delete("a", {"preconditions": {"uid": "x"}}).refused(
        409, "Conflict", words + f"UID in the precondition (x) does not match the UID in record ({made['uid']}). The object might have been "
        "deleted and then recreated")
    assert status["details"] == {"name": "a", "kind": "ConfigMap"}
    maps.delete("a", {"preconditions": {"resourceVersion": "1"}}).refused(
        409, "Conflict", words + f"ResourceVersion in the precondition (1) does not match the ResourceVersion in record "
        f"({made['resourceVersion']}). The object might have been modified")
    assert maps.delete("a", {"preconditions": {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}}).status == 200


def names(maps):
    return [o["metadata"]["name"] for o in maps.raw(maps.path).json()["items"]]


def test_collections(maps):
    for name in "abcd":
        maps.make(name, labels={"n": name}, **({"finalizers": ["example.com/f"]} if name == "c" else {}))
    assert maps.raw(maps.path, "DELETE", labelSelector="n in (a,b)").status == 200 and names(maps) == ["c", "d"]
    assert maps.raw(maps.path, "DELETE", dryRun="All").status == 200 and names(maps) == ["c", "d"]
    assert maps.raw(maps.path, "DELETE", labelSelector="===").status == 400
    assert maps.raw(maps.path, "DELETE", fieldSelector="data.x=y").status == 400
    assert maps.raw(maps.path, "DELETE", resourceVersionMatch="Exact").status == 422
    assert names(maps) == ["c", "d"]
    assert maps.raw(maps.path, "DELETE", fieldSelector="metadata.name!=x").status == 200 and names(maps) == ["c"]
    assert meta(maps.get("c"))["deletionTimestamp"]


CHANGES = [  # path after its namespace, spec, a change of it, whether the kind counts its generations
    ("/apis/apps/v1", "deployments", SELECTED, {"replicas": 3}, True),
    ("/apis/apps/v1", "daemonsets", SELECTED, {"minReadySeconds": 3}, True),
    ("/apis/apps/v1", "statefulsets", {"serviceName": "x", **SELECTED}, {"replicas": 3}, True),
    ("/apis/apps/v1", "replicasets", SELECTED, {"replicas": 3}, True),
    ("/apis/batch/v1", "jobs", JOB, {"suspend": True}, True),
    ("/apis/batch/v1", "cronjobs", {"schedule": "* * * * *", "jobTemplate": {"spec": JOB}}, {"suspend": True}, True),
    ("/api/v1", "replicationcontrollers", {"selector": {"a": "b"}, "template": TEMPLATE}, {"replicas": 3}, True),
    ("/apis/networking.k8s.io/v1", "ingresses", {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}, {"ingressClassName": "x"}, True),
    ("/apis/networking.k8s.io/v1", "networkpolicies", {"podSelector": {}}, {"policyTypes": ["Egress"]}, True),
    ("/apis/policy/v1", "poddisruptionbudgets", {"minAvailable": 1}, {"minAvailable": 2}, True),
    ("/apis/autoscaling/v2", "horizontalpodautoscalers", {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 3}, {"maxReplicas": 4}, False),
    ("/api/v1", "pods", POD, {"activeDeadlineSeconds": 30}, False),
    ("/api/v1", "services", {"ports": [{"port": 80}]}, {"sessionAffinity": "ClientIP"}, False),
    ("/api/v1", "resourcequotas", {"hard": {"pods": "3"}}, {"hard": {"pods": "4"}}, False),
    ("/apis/coordination.k8s.io/v1", "leases", {"holderIdentity": "a"}, {"holderIdentity": "b"}, False),
]


@pytest.mark.parametrize("group,kind,spec,change,counts", CHANGES, ids=[c[1] for c in CHANGES])
def test_generation(maps, group, kind, spec, change, counts):
    """1 at first, one more with each change of the spec and with the deletion; labels and status change nothing."""
    path = f"{group}/namespaces/{maps.ns}/{kind}"
    made = maps.raw(path, "POST", {"metadata": {"name": "x", "finalizers": ["example.com/f"]}, "spec": spec})
    seen = [meta(made).get("generation")]
    for what, sub in (({"metadata": {"labels": {"x": "y"}}}, ""), ({"spec": change}, ""), ({"spec": change}, ""), ({"metadata": {"annotations": {"x": "y"}}}, "/status")):
        answer = maps.raw(f"{path}/x{sub}", "PATCH", what, MERGE)
        if not (sub and answer.status == 404):  # no status
            seen.append(meta(answer).get("generation"))
    seen.append(meta(maps.raw(f"{path}/x", "DELETE", {"propagationPolicy": "Background"})).get("generation"))
    whole = [1, 1, 2, 2, 2, 3] if len(seen) == 6 else [1, 1, 2, 2, 3]
    assert seen == (whole if counts else [None] * len(seen))


def test_large(maps):
    """1.5 MiB an object, 3 MiB a request, 256 KiB of annotations."""
    assert maps.raw(maps.path, "POST", {"metadata": {"name": "a"}, "data": {"x": "x" * 900000}}).status == 201
    too_long = maps.raw(maps.path, "POST", {"metadata": {"name": "b"}, "data": {"x": "x" * 1100000}})
    assert too_long.status == 422 and too_long.json()["message"] == 'ConfigMap "b" is invalid: []: Too long: must have at most 1048576 bytes'
    custom = {"metadata": {"name": "c"}, "spec": {"volumes": [], "containers": [{"name": "c", "image": "x", "args": ["x" * 2_000_000]}]}}
    pod = maps.raw(f"/api/v1/namespaces/{maps.ns}/pods", "POST", custom)
    assert pod.status == 413 and pod.json()["reason"] == "RequestEntityTooLarge"
    assert pod.json()["message"].startswith("Request entity too large: the object has ") and pod.json()["message"].endswith(" bytes, limit is 1572864")
    whole = maps.raw(maps.path, "POST", {"metadata": {"name": "d"}, "data": {"x": "x" * 3_300_000}})
    assert whole.refused(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
    notes = maps.make("e", annotations={"a": "x" * 262144})
    assert notes.status == 422 and notes.json()["details"]["causes"][0] == {
        "reason": "FieldValueTooLong", "message": "Too long: must have at most 262144 bytes", "field": "metadata.annotations"}, notes.body


def test_kinds_that_are_not_replaced_blindly(engine, ns):
    raw, path = Raw(engine.api), f"/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
    lease = {"metadata": {"name": "blind"}}
    made = raw(path, "POST", lease).json()
    raw(path + "/blind", "PUT", lease).refused(
        422, "Invalid", 'leases.coordination.k8s.io "blind" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update')
    lease["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
    assert raw(path + "/blind", "PUT", lease).status == 200


def test_answers_are_not_kept(engine, ns):
    raw = Raw(engine.api)
    for path in ("/api/v1/namespaces", "/version", "/api/v1/nope"):
        assert raw(path).headers["Cache-Control"] == "no-cache, private"
    assert raw("/openapi/v3").headers.get_all("Cache-Control") in (["public"], ["no-cache, private"])
