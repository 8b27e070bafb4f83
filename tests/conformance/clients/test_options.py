# SPDX-License-Identifier: Apache-2.0
"""What may be asked of a write beside its object: dry runs, preconditions, deletions; and what metadata may not say."""
import pytest

from raw import Raw

MERGE, STRATEGIC, JSON_PATCH = ({"Content-Type": f"application/{t}+json"} for t in ("merge-patch", "strategic-merge-patch", "json-patch"))


@pytest.fixture
def raw(engine, ns):
    made = Raw(engine.api)
    made(f"/api/v1/namespaces/{ns}/secrets", "POST", {"metadata": {"name": "a"}})
    return made


def stored(raw, path):
    return raw(path).json()


def test_dry_runs(raw, ns):
    """What is there already cannot be created, not even for show; and there is one kind of dry run."""
    path = f"/api/v1/namespaces/{ns}/secrets"
    raw(path, "POST", {"metadata": {"name": "a"}}, dryRun="All").refused(409, "AlreadyExists", 'secrets "a" already exists')
    assert raw(path, "POST", {"metadata": {"name": "b"}}, dryRun="All").status == 201 and raw(path + "/b").status == 404
    for method, where, body, kind in (("POST", path, {"metadata": {"name": "b"}}, "Create"), ("PUT", path + "/a", {"metadata": {"name": "a"}}, "Update"),
                                      ("DELETE", path + "/a", None, "Delete"), ("DELETE", path + "/a", {"dryRun": ["Half"]}, "Delete")):
        query = {} if body and "dryRun" in body else {"dryRun": "Half"}
        raw(where, method, body, **query).refused(422, "Invalid", f'{kind}Options.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Half"]: '
                                                  'supported values: "All"')
    raw(path + "?dryRun=All&dryRun=Half", "POST", {"metadata": {"name": "b"}}).refused(
        422, "Invalid", 'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["All","Half"]: supported values: "All"')
    raw(path, "POST", {"metadata": {"name": "b"}}, fieldManager="x\n").refused(
        422, "Invalid", 'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "x\\n": invalid character U+000A (at position 1)')


def test_deletions_are_not_written(raw, ns):
    path = f"/api/v1/namespaces/{ns}/secrets/a"
    then = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    words = 'Secret "a" is invalid: metadata.deletionTimestamp: Invalid value: "2026-01-01T00:00:00Z": field is immutable'
    raw(path, "PATCH", then, MERGE).refused(422, "Invalid", words)
    raw(path, "PATCH", then, STRATEGIC).refused(422, "Invalid", words)
    raw(path, "PUT", {"metadata": {"name": "a", **then["metadata"]}}).refused(422, "Invalid", words)
    raw(path, "PATCH", {"metadata": {"deletionGracePeriodSeconds": 5}}, MERGE).refused(
        422, "Invalid", 'Secret "a" is invalid: metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable')
    assert raw(path, "PATCH", {"metadata": {"deletionTimestamp": None}}, MERGE).status == 200
    raw(path, "PATCH", {"metadata": {"finalizers": ["a.b/c"]}}, MERGE)
    gone = raw(path, "DELETE").json()["metadata"]
    assert gone["deletionTimestamp"]
    kept = raw(path, "PUT", {"metadata": {"name": "a", "finalizers": ["a.b/c"], "labels": {"x": "y"}}}).json()["metadata"]
    assert kept["deletionTimestamp"] == gone["deletionTimestamp"] and kept["labels"] == {"x": "y"}
    assert raw(path, "PUT", {"metadata": {**kept, **then["metadata"]}}).json()["metadata"]["deletionTimestamp"] == gone["deletionTimestamp"]


def test_updates_of_another_object(raw, ns):
    """Meant for one that is gone or was made anew: a conflict, which clients answer by reading again."""
    path = f"/api/v1/namespaces/{ns}/secrets"
    words = 'Operation cannot be fulfilled on secrets "%s": StorageError: invalid object, Code: 4, Key: /registry/secrets/%s/%s, ResourceVersion: 0, ' \
            "AdditionalErrorMsg: Precondition failed: UID in precondition: x, UID in object meta: %s"
    raw(path + "/none", "PUT", {"metadata": {"name": "none", "uid": "x"}}).refused(409, "Conflict", words % ("none", ns, "none", ""))
    raw(path + "/none", "PUT", {"metadata": {"name": "none"}}).refused(404, "NotFound", 'secrets "none" not found')
    uid = stored(raw, path + "/a")["metadata"]["uid"]
    raw(path + "/a", "PUT", {"metadata": {"name": "a", "uid": "x"}}).refused(409, "Conflict", words % ("a", ns, "a", uid))


def test_prefixes_of_names_may_change(raw, ns):
    path = f"/api/v1/namespaces/{ns}/secrets"
    name = raw(path, "POST", {"metadata": {"generateName": "g-"}}).json()["metadata"]["name"]
    assert raw(f"{path}/{name}", "PATCH", {"metadata": {"generateName": "h-"}}, MERGE).json()["metadata"]["generateName"] == "h-"
    assert "generateName" not in raw(f"{path}/{name}", "PUT", {"metadata": {"name": name}}).json()["metadata"]


def test_patches_of_nothing(raw, ns):
    path = f"/api/v1/namespaces/{ns}/secrets/a"
    raw(path, "PATCH", b"null", MERGE).refused(400, "BadRequest", "Invalid JSON Patch")
    before = stored(raw, path)
    for kind in (STRATEGIC, JSON_PATCH):
        assert raw(path, "PATCH", b"null", kind).json() == before


def test_options_of_deletions(raw, ns):
    path = f"/api/v1/namespaces/{ns}/secrets/a"
    policies = 'supported values: "Foreground", "Background", "Orphan", "nil"'
    for policy in ("", "Later"):
        raw(path, "DELETE", {"propagationPolicy": policy}).refused(422, "Invalid", f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: '
                                                                   f'Unsupported value: "{policy}": {policies}')
    assert raw(path, "DELETE", b"null").json()["status"] == "Success"


def test_namespaces_end_by_update_alone(raw, ns):
    path = f"/api/v1/namespaces/{ns}"
    for method in ("PATCH", "DELETE", "GET", "POST"):
        raw(path + "/finalize", method, {}, MERGE if method == "PATCH" else None).refused(
            405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    assert raw(path + "/status", "PUT", {"metadata": {"name": ns}}).json()["status"] == {"phase": "Active"}


def test_scales_of_another_object(raw, ns):
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    raw(path, "POST", {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
    told = raw(path + "/d/scale", "PUT", {"metadata": {"name": "d", "namespace": ns, "uid": "x"}, "spec": {"replicas": 3}})
    assert told.status == 409 and "UID in precondition: x" in told.json()["message"]
    assert stored(raw, path + "/d")["spec"]["replicas"] == 1
