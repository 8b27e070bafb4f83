# SPDX-License-Identifier: Apache-2.0
"""The resource engine alone over plain HTTP: headers, credentials, streams: what kubectl does not show."""
import gzip
import http.client
import json
import shutil
import socket
import subprocess
import threading
import time

import pytest

from test_engine_kubectl import Server, wait_for

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Http:
    def __init__(self, server):
        self.host = server.url.split("//")[1]

    def __call__(self, method, path, body=None, token="admin", **headers):
        c = http.client.HTTPConnection(self.host, timeout=20)
        h = {k.replace("_", "-"): v for k, v in headers.items()}
        if token:
            h["Authorization"] = "Bearer " + token
        if body is not None:
            h.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        c.request(method, path, body, h)
        r = c.getresponse()
        r.data = r.read()
        c.close()
        return r

    def watch(self, path, accept="application/json"):
        c = http.client.HTTPConnection(self.host, timeout=20)
        c.request("GET", path, headers={"Authorization": "Bearer admin", "Accept": accept})
        r = c.getresponse()
        return c, r


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("apid"), "--plain")
    server.start()
    yield Http(server)
    server.stop()


CMS = "/api/v1/namespaces/default/configmaps"


def cm(name, **data):
    return {"metadata": {"name": name}, "data": data}


def test_credentials(api):
    r = api("GET", CMS, token="wrong")
    assert r.status == 401
    assert json.loads(r.data) == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                                  "message": "Unauthorized", "reason": "Unauthorized", "code": 401}
    r = api("GET", CMS, token=None)
    assert r.status == 403 and b'User \\"system:anonymous\\" cannot list' in r.data
    assert api("GET", "/readyz", token=None).data == b"ok"
    assert api("GET", "/metrics", token=None).status == 403
    assert api("GET", "/version", token="bob").status == 200
    r = api("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, Impersonate_User="eve", Impersonate_Group="g")
    info = json.loads(r.data)["status"]["userInfo"]
    assert info["username"] == "eve" and info["groups"] == ["g", "system:authenticated"]
    assert api("GET", CMS, Impersonate_User="eve").status == 403
    assert api("GET", CMS, token="bob", Impersonate_User="admin", Impersonate_Group="system:masters").status == 403
    assert api("GET", CMS, Impersonate_Group="g").status == 400


def test_service_account_tokens_need_a_key(api):
    """--plain has no key: a JWT is refused, a TokenRequest says why."""
    assert api("GET", CMS, token="eyJhbGciOiJub25lIn0.e30.").status == 401
    api("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "sa"}})
    assert api("POST", "/api/v1/namespaces/default/serviceaccounts/sa/token", {}).status == 501


def test_other_verbs_that_create(api):
    """Server-side apply and, of some kinds, PUT make what is not there: for those who may create it."""
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/"
    services = "/api/v1/namespaces/default/services"
    rules = [{"apiGroups": [""], "resources": ["configmaps", "services"], "verbs": ["get", "patch", "update"]}]
    assert api("POST", rbac + "roles", {"metadata": {"name": "changer"}, "rules": rules}).status == 201
    assert api("POST", rbac + "rolebindings", {
        "metadata": {"name": "changer"}, "subjects": [{"kind": "User", "name": "pat", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "changer"}}).status == 201
    new = dict(cm("made", a="b"), apiVersion="v1", kind="ConfigMap")
    service = {"metadata": {"name": "made"}, "spec": {"ports": [{"port": 80}]}}

    def apply(**h):
        return api("PATCH", CMS + "/made?fieldManager=x", new, Content_Type="application/apply-patch+yaml", **h)

    def put(body, **h):
        return api("PUT", services + "/made", body, **h)
    for r, kind in ((apply(Impersonate_User="pat"), "configmaps"), (put(service, Impersonate_User="pat"), "services")):
        assert r.status == 403 and json.loads(r.data)["message"] == (
            '%s "made" is forbidden: User "pat" cannot create resource "%s" in API group "" in the namespace "default"' % (kind, kind))
    assert apply().status == 201 and apply(Impersonate_User="pat").status == 200
    for known, status in (({"uid": "0-1"}, 409), ({"resourceVersion": "7"}, 404)):
        assert put({"metadata": dict(service["metadata"], **known), "spec": service["spec"]}).status == status
    r = put(service)
    assert r.status == 201 and json.loads(r.data)["metadata"]["uid"], r.data
    assert put(service, Impersonate_User="pat").status == 200
    assert api("PUT", CMS + "/never", cm("never")).status == 404
    for path in (CMS, services):
        assert api("DELETE", path + "/made").status == 200


def test_metrics(api):
    """Names and labels that dashboards made for Kubernetes look for; the format is checked by promtool where there is one."""
    assert api("POST", CMS, cm("counted")).status == 201
    assert api("DELETE", CMS + "/counted?dryRun=All").status == 200
    assert api("DELETE", CMS + "/counted").status == 200
    assert api("GET", "/apis/batch/v1beta1/namespaces/default/cronjobs").headers["Warning"].startswith("299")
    watch, r = api.watch(CMS + "?watch=true&resourceVersion=0&allowWatchBookmarks=false")
    assert api("POST", CMS, cm("watched")).status == 201
    while b"watched" not in r.readline():
        pass
    text = api("GET", "/metrics").data.decode()
    watch.close()
    assert api("DELETE", CMS + "/watched").status == 200
    got = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            got[name] = float(value)
    of = 'component="apiserver",dry_run="%s",group="",resource="configmaps",scope="resource",subresource="",verb="%s",version="v1"'
    assert got["apiserver_request_total{code=\"200\",%s}" % of % ("All", "DELETE")] == 1
    assert got["apiserver_request_duration_seconds_count{%s}" % of % ("All", "DELETE")] == 1
    assert got["apiserver_request_duration_seconds_bucket{%s,le=\"30\"}" % of % ("", "POST")] >= 2
    assert got['apiserver_longrunning_requests{component="apiserver",group="",resource="configmaps",scope="namespace",subresource="",'
               'verb="WATCH",version="v1"}'] == 1
    assert got['apiserver_watch_events_total{group="",kind="ConfigMap",version="v1"}'] >= 1
    assert got['apiserver_requested_deprecated_apis{group="batch",removed_release="1.25",resource="cronjobs",subresource="",'
               'version="v1beta1"}'] == 1
    assert 0 <= got["process_cpu_seconds_total"] < 1000
    assert got["process_virtual_memory_bytes"] > got["process_resident_memory_bytes"] > 1e6
    assert 3 < got["process_open_fds"] < got["process_max_fds"]
    assert abs(got["process_start_time_seconds"] - time.time()) < 3600
    if shutil.which("promtool"):
        p = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, timeout=60)
        assert p.returncode == 0, p.stdout + p.stderr


def test_documents_have_tags(api):
    for path, accept in (("/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"),
                         ("/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"),
                         ("/openapi/v3", "application/json")):
        r = api("GET", path, Accept=accept)
        assert r.status == 200, path
        again = api("GET", path, Accept=accept, If_None_Match=r.headers["Etag"])
        assert again.status == 304 and again.data == b""
    assert api("GET", "/openapi/v2", Accept=accept).headers["Content-Type"] == "application/json"
    r = api("GET", "/openapi/v2", Accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    assert r.headers["Content-Type"] == "application/octet-stream" and r.data[:5] == b"\x0a\x032.0"
    r = api("GET", "/apis", Accept="application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json")
    assert r.headers["Content-Type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    index = json.loads(api("GET", "/openapi/v3").data)["paths"]
    assert "api/v1" in index and "apis/apps/v1" in index
    doc = api("GET", index["apis/apps/v1"]["serverRelativeURL"])
    assert "components" in json.loads(doc.data)
    assert index["apis/apps/v1"]["serverRelativeURL"].endswith(doc.headers["Etag"].strip('"'))
    assert api("GET", "/openapi/v3/apis/nope/v1").status == 404


def test_forms(api):
    api("POST", CMS, cm("form", a="b"))
    assert b"\n  " in api("GET", CMS + "/form?pretty=true").data
    assert b"\n" not in api("GET", CMS + "/form").data
    assert api("GET", CMS + "/form", Accept="application/yaml").data.startswith(b"apiVersion: v1\n")
    assert api("GET", CMS + "/form", Accept="application/vnd.kubernetes.protobuf").status == 406
    r = api("GET", CMS + "/form", Accept="application/vnd.kubernetes.protobuf,application/json")
    assert r.headers["Content-Type"] == "application/json"
    t = json.loads(api("GET", CMS + "/form", Accept=TABLE).data)
    assert [c["name"] for c in t["columnDefinitions"]] == ["Name", "Data", "Age"] and t["rows"][0]["cells"][:2] == ["form", 1]
    r = api("POST", "/apis/extensions/v1beta1/namespaces/default/ingresses", {"metadata": {"name": "i"}, "spec": {
        "backend": {"serviceName": "s", "servicePort": 80}}})
    assert r.status == 201 and "299 - " in r.headers["Warning"]


def test_unknown_fields_are_told(api):
    r = api("POST", CMS, dict(cm("warned"), dataa={}))
    assert r.status == 201 and r.headers["Warning"] == '299 - "unknown field \\"dataa\\""'
    r = api("POST", CMS + "?fieldValidation=Strict", dict(cm("strict"), dataa={}))
    assert r.status == 400
    assert json.loads(r.data)["message"] == ('ConfigMap in version "v1" cannot be handled as a ConfigMap: '
                                             'strict decoding error: unknown field "dataa"')


def events(r, n):
    return [json.loads(r.readline()) for _ in range(n)]


def test_watch_stream(api):
    api("POST", CMS, cm("w1"))
    c, r = api.watch(CMS + "?watch=1&fieldSelector=metadata.name%3Dw1&sendInitialEvents=true&allowWatchBookmarks=true"
                     "&resourceVersionMatch=NotOlderThan")
    first, end = events(r, 2)
    assert first["type"] == "ADDED" and first["object"]["metadata"]["name"] == "w1"
    assert end["type"] == "BOOKMARK"
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    api("PATCH", CMS + "/w1", {"data": {"a": "b"}}, Content_Type="application/merge-patch+json")
    api("DELETE", CMS + "/w1")
    mod, gone = events(r, 2)
    assert (mod["type"], gone["type"]) == ("MODIFIED", "DELETED")
    assert int(gone["object"]["metadata"]["resourceVersion"]) > int(mod["object"]["metadata"]["resourceVersion"])
    c.close()
    # From a revision, in the form of a table, until the time-out.
    rev = mod["object"]["metadata"]["resourceVersion"]
    c, r = api.watch(CMS + "?watch=1&timeoutSeconds=1&resourceVersion=" + rev, TABLE)
    (e,) = events(r, 1)
    assert e["type"] == "DELETED" and e["object"]["kind"] == "Table" and len(e["object"]["rows"]) == 1
    assert e["object"]["columnDefinitions"]
    assert r.read() == b""
    c.close()
    # The old path.
    c, r = api.watch("/api/v1/watch/namespaces/default/configmaps/form")
    assert r.status == 200
    c.close()


def test_slow_watcher_gets_all_or_is_cut(api):
    """A client that does not read does not hold the server up, and loses nothing when it reads on."""
    host, port = api.host.split(":")
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect((host, int(port)))
    s.sendall(b"GET %s?watch=1&labelSelector=slow HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n\r\n" % CMS.encode())
    n, text = 600, "y" * 20000
    for i in range(n):
        o = cm("slow-%d" % i, x=text)
        o["metadata"]["labels"] = {"slow": ""}
        assert api("POST", CMS, o).status == 201
    got = bytearray()
    s.settimeout(20)
    while got.count(b'"type":"ADDED"') < n:
        part = s.recv(1 << 20)
        assert part
        got += part
    names = [got.find(b'"name":"slow-%d"' % i) for i in range(n)]
    assert -1 not in names and names == sorted(names)
    s.close()
    assert api("DELETE", CMS + "?labelSelector=slow").status == 200


def test_long_list_is_streamed_and_packed(api):
    for i in range(40):
        assert api("POST", "/api/v1/namespaces/kube-public/configmaps", cm("big-%d" % i, x="z" * 60000)).status == 201
    plain = api("GET", "/api/v1/namespaces/kube-public/configmaps")
    assert len(json.loads(plain.data)["items"]) == 40
    packed = api("GET", "/api/v1/namespaces/kube-public/configmaps", Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.data) == plain.data
    # A client that leaves in the middle.
    host, port = api.host.split(":")
    for _ in range(5):
        s = socket.create_connection((host, int(port)))
        s.sendall(b"GET /api/v1/configmaps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n\r\n")
        s.recv(1000)
        s.close()
    assert api("GET", "/readyz").status == 200


def test_writers_at_once(api):
    """Patches without a revision all succeed; updates with a stale one are told."""
    api("POST", CMS, cm("busy"))
    codes = []

    def patch(i):
        r = api("PATCH", CMS + "/busy", {"data": {"k%d" % i: "v"}}, Content_Type="application/merge-patch+json")
        codes.append(r.status)
    threads = [threading.Thread(target=patch, args=(i,)) for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    ok = codes.count(200)
    assert set(codes) <= {200, 409} and ok >= 5
    assert len(json.loads(api("GET", CMS + "/busy").data)["data"]) == ok


def test_protobuf_damage(api):
    for body in (b"", b"k8s\0", b"k8s\0\x0a\xff", b"nope", b"k8s\0\x0a\x0d\x0a\x02v1\x12\x07Nothing"):
        r = api("POST", CMS, body, Content_Type="application/vnd.kubernetes.protobuf")
        assert r.status in (400, 415), body
    wait_for(lambda: api("GET", "/readyz").status == 200, "the server to be well")


def test_a_deleted_collection_is_answered(api):
    """With the list of what was deleted, in the form that was asked for; `limit` deletes no more."""
    for i in range(5):
        assert api("POST", CMS, dict(cm("gone%d" % i, a="b"), metadata={"name": "gone%d" % i, "labels": {"of": "many"}})).status == 201
    where = CMS + "?labelSelector=of%3Dmany"
    r = api("DELETE", where + "&limit=2")
    first = json.loads(r.data)
    assert (r.status, first["kind"], first["apiVersion"]) == (200, "ConfigMapList", "v1")
    assert [o["metadata"]["name"] for o in first["items"]] == ["gone0", "gone1"]
    assert first["items"][0]["data"] == {"a": "b"} and first["metadata"]["continue"]
    assert int(first["metadata"]["resourceVersion"]) >= int(first["items"][1]["metadata"]["resourceVersion"])
    dry = json.loads(api("DELETE", where + "&dryRun=All").data)
    assert len(dry["items"]) == 3
    table = json.loads(api("DELETE", where, Accept=TABLE).data)
    assert table["kind"] == "Table" and [row["cells"][0] for row in table["rows"]] == ["gone2", "gone3", "gone4"]
    none = json.loads(api("DELETE", where).data)
    assert none["kind"] == "ConfigMapList" and none["items"] == [] and "continue" not in none["metadata"]
    assert json.loads(api("GET", where).data)["items"] == []
    r = api("DELETE", where + "&limit=x")
    assert r.status == 400, r.data


def test_packed_bodies_are_no_objects(api):
    """Content-Encoding of requests is not looked at, as in kube-apiserver: what comes is read as it is, and refused in its words."""
    body = gzip.compress(json.dumps(cm("packed")).encode())
    r = api("POST", CMS, body, Content_Encoding="gzip")
    status = json.loads(r.data)
    assert (r.status, status["reason"]) == (400, "BadRequest")
    assert status["message"] == ("the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse "
                                 "error: invalid character '\\x1f' looking for beginning of value (%s ...)" % body[:30].hex())
    r = api("POST", CMS, body, Content_Encoding="gzip", Content_Type="application/yaml")
    assert r.status == 400 and json.loads(r.data)["message"].endswith("(%s ...)" % body[:30].hex())
    assert api("POST", CMS, cm("packed"), Content_Encoding="gzip").status == 201  # it is not packed
    r = api("POST", CMS, "{bad")
    assert json.loads(r.data)["message"].endswith(" ({bad)")


def managers(obj):
    return {(m["manager"], m["apiVersion"]): m["fieldsV1"] for m in obj["metadata"]["managedFields"]}


def test_managed_fields_are_of_the_version_of_the_request(api):
    """As in kube-apiserver: whoever writes through autoscaling/v1 manages what that version has."""
    v1, v2 = ("/apis/autoscaling/%s/namespaces/default/horizontalpodautoscalers" % v for v in ("v1", "v2"))
    hpa = {"metadata": {"name": "h"}, "spec": {"maxReplicas": 5, "targetCPUUtilizationPercentage": 50, "scaleTargetRef":
                                               {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}}}
    r = api("POST", v1 + "?fieldManager=one", hpa)
    assert r.status == 201, r.data
    assert "f:targetCPUUtilizationPercentage" in managers(json.loads(r.data))["one", "autoscaling/v1"]["f:spec"]
    r = api("PATCH", v2 + "/h?fieldManager=two", {"spec": {"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {
        "type": "Utilization", "averageUtilization": 60}}}]}}, Content_Type="application/merge-patch+json")
    both = managers(json.loads(r.data))
    assert both["two", "autoscaling/v2"] == {"f:spec": {"f:metrics": {}}}
    assert "f:targetCPUUtilizationPercentage" not in both["one", "autoscaling/v1"]["f:spec"]
    web = {"metadata": {"name": "w"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}}}
    r = api("POST", "/apis/extensions/v1beta1/namespaces/default/deployments?fieldManager=one", web)
    assert r.status == 201 and list(managers(json.loads(r.data))) == [("one", "extensions/v1beta1")]
    r = api("PATCH", "/apis/apps/v1/namespaces/default/deployments/w?fieldManager=one", {"spec": {"replicas": 3}},
            Content_Type="application/merge-patch+json")
    both = managers(json.loads(r.data))
    assert both["one", "apps/v1"] == {"f:spec": {"f:replicas": {}}} and "f:replicas" not in both["one", "extensions/v1beta1"]["f:spec"]


def test_time_zones_of_cronjobs(api):
    path = "/apis/batch/v1/namespaces/default/cronjobs"
    pod = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}
    make = lambda name, zone: api("POST", path, {"metadata": {"name": name}, "spec": {"schedule": "0 * * * *", "timeZone": zone,
                                                                                      "jobTemplate": {"spec": {"template": pod}}}})
    for zone, words in (("Mars/Olympus", "unknown time zone Mars/Olympus"), ("", "timeZone must be nil or non-empty string"),
                        ("local", "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"),
                        ("../etc/passwd", "unknown time zone ../etc/passwd"), ("Europe", "unknown time zone Europe")):
        r = make("z", zone)
        (cause,) = json.loads(r.data)["details"]["causes"]
        assert r.status == 422 and cause["field"] == "spec.timeZone" and cause["message"].endswith(words), r.data
    for i, zone in enumerate(("UTC", "Etc/UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires")):
        assert make("z%d" % i, zone).status == 201
    r = api("PATCH", path + "/z0", {"spec": {"timeZone": "Nowhere"}}, Content_Type="application/merge-patch+json")
    assert r.status == 422
