# SPDX-License-Identifier: Apache-2.0
"""Which method a path takes, and what is told of a path that leads nowhere."""
import pytest

from raw import Raw

NOWHERE = "the server could not find the requested resource"
METHOD = "the server does not allow this method on the requested resource"


@pytest.fixture
def raw(engine, ns):
    made = Raw(engine.api)
    made(f"/api/v1/namespaces/{ns}/configmaps", "POST", {"metadata": {"name": "c"}})
    return made


def test_head_is_for_what_is_no_resource(raw, ns):
    maps = f"/api/v1/namespaces/{ns}/configmaps"
    for path in ("/api", "/api/v1", "/apis/apps/v1", "/version", "/api/v1/namespaces", maps, maps + "/c", maps + "/none", "/api/v1/pods",
                 "/apis/apps/v1/namespaces/x/deployments/d/scale", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"):
        assert raw(path, "HEAD").status == 405, path
    for path in ("/", "/apis", "/apis/apps", "/healthz", "/readyz", "/metrics", "/openapi/v2", "/openapi/v3"):
        assert raw(path, "HEAD").status == 200, path
    for path in ("/apis/none/v1", "/api/v2", "/none", "/api/v1/none", "/api/v1/configmaps/c"):
        assert raw(path, "HEAD").status == 404, path


def test_methods_that_are_not_there(raw, ns):
    maps = f"/api/v1/namespaces/{ns}/configmaps"
    for method, path in (("POST", "/api"), ("PUT", "/api/v1"), ("DELETE", "/apis/apps/v1"), ("POST", maps + "/c"), ("PUT", maps), ("PATCH", maps),
                         ("OPTIONS", maps), ("POST", "/version"), ("POST", "/api/v1/configmaps"), ("DELETE", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")):
        told = raw(path, method, {}).refused(405, "MethodNotAllowed", METHOD)
        assert told["details"] == {}, path


def test_paths_that_lead_nowhere(raw, ns):
    """With any method: that it is not there comes before that it may not be done."""
    for method in ("GET", "POST", "DELETE"):
        for path in ("/api/v2", "/api/v1/none", "/apis/apps/v1/none", "/apis/apps/v9", "/apis/apps/v9/deployments", "/api/v1//namespaces", "/api//v1/namespaces",
                     f"/api/v1/namespaces/{ns}//configmaps", f"/api/v1/namespaces/{ns}/configmaps//status", "/api/v1/namespaces/x/nodes"):
            raw(path, method).refused(404, "NotFound", NOWHERE)
        for path in ("/apis/none", "/apis/none/v1", "/apis/none/v1/namespaces/x/foos"):  # no group of this server
            got = raw(path, method)
            assert (got.status, got.body) == (404, b"404 page not found\n") and got.headers["Content-Type"].startswith("text/plain")
        for path in ("/none", "//api/v1/namespaces", "/healthzx", "/healthz/", "/metrics/", "/openapi/v2/", "/openapi/v3/none", "/.well-known/none"):
            got = raw(path, method)
            assert got.status == 404 and "/apis/apps/v1" in got.json()["paths"], path


def test_an_empty_namespace_is_all_of_them(raw, ns):
    """Clients that are given no namespace ask for /namespaces//configmaps."""
    for path in ("/api/v1/namespaces//configmaps", "/api/v1/configmaps/", "/api/v1/namespaces//configmaps/"):
        found = raw(path, fieldSelector="metadata.name=c").json()
        assert found["kind"] == "ConfigMapList" and ns in [o["metadata"]["namespace"] for o in found["items"]]
    raw("/api/v1/namespaces//configmaps/c").refused(400, "BadRequest", "Namespace parameter required.")


def test_health(raw):
    """Probes written for Kubernetes exclude etcd, and name what is not there."""
    assert raw("/healthz/etcd").body == raw("/livez/ping").body == b"ok"
    assert "/apis" in raw("/readyz/none").json()["paths"]
    assert b"[+]store excluded: ok\n" in raw("/livez", verbose="", exclude="etcd").body
    told = raw("/readyz", verbose="", exclude="none").body.decode().splitlines()
    assert told[-2:] == ['warn: some health checks cannot be excluded: no matches for "none"', "readyz check passed"]
    assert "warn" not in raw("/readyz", verbose="", exclude="ping").body.decode()
