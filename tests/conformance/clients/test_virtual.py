# SPDX-License-Identifier: Apache-2.0
"""Bodies of what is no stored object: reviews, tokens, evictions, bindings, scales. Their types and ?fieldValidation hold as for any other."""
import pytest

from raw import Raw

REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
SPEC = {"resourceAttributes": {"verb": "get", "resource": "pods"}}
ROWS = [
    (REVIEW, {"spec": {**SPEC, "nope": 1}}, 'SelfSubjectAccessReview in version "v1" cannot be handled as a SelfSubjectAccessReview: strict decoding error: '
     'unknown field "spec.nope"'),
    (REVIEW, b'{"spec": {"resourceAttributes": {"verb": "get", "verb": "list"}}}', 'SelfSubjectAccessReview in version "v1" cannot be handled as a '
     'SelfSubjectAccessReview: strict decoding error: duplicate field "spec.resourceAttributes.verb"'),
    ("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x"}, "more": {}}, 'TokenReview in version "v1" cannot be handled as a TokenReview: '
     'strict decoding error: unknown field "more"'),
    ("/api/v1/namespaces/{ns}/serviceaccounts/a/token", {"spec": {"audience": "x", "audiences": ["y"]}}, 'TokenRequest in version "v1" cannot be handled as a '
     'TokenRequest: strict decoding error: unknown field "spec.audience"'),
]


@pytest.fixture
def raw(engine, ns):
    raw = Raw(engine.api)
    raw(f"/api/v1/namespaces/{ns}/serviceaccounts", "POST", {"metadata": {"name": "a"}})
    return raw


def test_unknown_and_duplicate_fields(raw, ns):
    for path, body, says in ROWS:
        path = path.format(ns=ns)
        raw(path, "POST", body, fieldValidation="Strict").refused(400, "BadRequest", says)
        for asked in (None, "Warn"):
            done = raw(path, "POST", body, fieldValidation=asked)
            assert done.status == 201, done.body
            assert done.headers.get_all("Warning") == ['299 - "' + says.split("error: ")[1].replace('"', '\\"') + '"']
        done = raw(path, "POST", body, fieldValidation="Ignore")
        assert done.status == 201 and not done.headers.get_all("Warning")


def test_wrong_types(raw):
    raw(REVIEW, "POST", {"spec": {"resourceAttributes": "x"}}).refused(
        400, "BadRequest", 'SelfSubjectAccessReview in version "v1" cannot be handled as a SelfSubjectAccessReview: json: cannot unmarshal string into Go '
        'struct field SelfSubjectAccessReviewSpec.spec.resourceAttributes of type v1.ResourceAttributes')
    assert raw(REVIEW, "POST", {"spec": SPEC}, fieldValidation="Often").status == 422


def test_scale(raw, ns):
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    labels = {"matchLabels": {"a": "b"}}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    assert raw(path, "POST", {"metadata": {"name": "d"}, "spec": {"replicas": 2, "selector": labels, "template": template}}).status == 201
    path += "/d/scale"
    merge, smart = ({"Content-Type": f"application/{kind}merge-patch+json"} for kind in ("", "strategic-"))
    go = "json: cannot unmarshal string into Go struct field ScaleSpec.spec.replicas of type int32"
    said = raw(path, "PATCH", {"spec": {"replicas": "x"}}, merge).json()
    assert (said["code"], said["details"]["causes"][0]["field"]) == (422, "patch") and said["message"].endswith(go), said
    said = raw(path, "PATCH", {"spec": {"replicas": "x"}}, smart).json()
    assert (said["code"], said["details"]["causes"][0]["field"]) == (422, "patch"), said
    for body in ({"spec": "x"}, {"spec": {"replicas": 1 << 40}}, {"metadata": {"labels": 1}}):
        assert raw(path, "PATCH", body, merge).status == 422, body
    assert raw(path, "PUT", {"metadata": {"name": "d"}, "spec": "x"}).status == 400
    assert raw(path, "PATCH", {"spec": {"replica": 1}}, merge, fieldValidation="Strict").json()["message"].endswith('strict decoding error: unknown field "spec.replica"')
    done = raw(path, "PATCH", {"spec": {"replica": 1}}, merge)
    assert done.status == 200 and done.headers.get_all("Warning") == ['299 - "unknown field \\"spec.replica\\""']
    assert raw(path).json()["spec"]["replicas"] == 2


def test_what_a_dry_deletion_answers(raw, ns):
    """The object, of those kinds whose deletion answers it."""
    accounts, maps = (f"/api/v1/namespaces/{ns}/{kind}" for kind in ("serviceaccounts", "configmaps"))
    made = raw(f"{accounts}/a").json()
    assert raw(f"{accounts}/a", "DELETE", dryRun="All").json() == made
    raw(maps, "POST", {"metadata": {"name": "m"}})
    assert raw(f"{maps}/m", "DELETE", dryRun="All").json()["kind"] == "Status"
    assert raw(f"{accounts}/a").json() == made


def test_what_reviews_repeat(raw, ns):
    """Only what their types have; of a question about rules nothing, as in kube-apiserver."""
    done = raw(REVIEW, "POST", {"spec": {**SPEC, "user": "bob"}}).json()
    assert done["spec"] == SPEC, done
    done = raw("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "POST", {"spec": {"namespace": ns}}).json()
    assert done["spec"] == {} and done["status"]["resourceRules"], done
    local = f"/apis/authorization.k8s.io/v1/namespaces/{ns}/localsubjectaccessreviews"
    done = raw(local, "POST", {"spec": {"user": "bob", "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": ns}}}).json()
    assert done["metadata"]["namespace"] == ns and done["status"]["allowed"] is False, done
    raw(local, "POST", {"metadata": {"namespace": "other"}, "spec": {"user": "bob"}}).refused(
        400, "BadRequest", "the namespace of the provided object does not match the namespace sent on the request")


def test_token_requests(raw, ns):
    path = f"/api/v1/namespaces/{ns}/serviceaccounts/a/token"
    done = raw(path, "POST", {"spec": {"expirationSeconds": 700}}).json()
    assert done["metadata"].pop("creationTimestamp") and done["metadata"] == {"name": "a", "namespace": ns}
    assert done["spec"]["boundObjectRef"] is None and done["spec"]["expirationSeconds"] == 700
    raw(path, "POST", {"spec": {"expirationSeconds": 5}}).refused(
        422, "Invalid", 'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 5: may not specify a '
        'duration less than 10 minutes')
    raw(path, "POST", {"metadata": {"name": "b"}}).refused(
        422, "Invalid", 'TokenRequest.authentication.k8s.io "a" is invalid: metadata.name: Invalid value: "b": must match the service '
        'account name if specified')
    assert raw(path.replace("/a/", "/none/"), "POST", {"spec": {"expirationSeconds": 5}}).status == 404
