# SPDX-License-Identifier: Apache-2.0
"""Admission of the engine (tests/tools/hansa-apid) as clients see it: webhooks, limit ranges, quota.

    kubectl, HTTP  -->  hansa-apid  --HTTPS-->  webhooks in this process
"""
import base64
import http.client
import json
import ssl
import threading
import time

import pytest

from test_engine_kubectl import Kubectl, Server, kubectls, wait_for
from webhook_lib import Hooks, allow, configuration, deny

V1 = "/api/v1/namespaces/default/"
HOOKS = "/apis/admissionregistration.k8s.io/v1/%swebhookconfigurations"


class Api:
    """HTTP with a bearer token, over TLS or plain."""

    def __init__(self, server, token="admin"):
        self.host, self.token = server.url.split("//")[1], token
        self.context = ssl._create_unverified_context() if server.url.startswith("https") else None

    def connect(self):
        return (http.client.HTTPSConnection(self.host, timeout=40, context=self.context) if self.context
                else http.client.HTTPConnection(self.host, timeout=40))

    def __call__(self, method, path, body=None, c=None, **headers):
        own = c is None
        c = c or self.connect()
        raw = headers.pop("raw", False)
        h = {"Authorization": "Bearer " + self.token, "Content-Type": headers.pop("type", "application/json")}
        h.update({k.replace("_", "-"): v for k, v in headers.items()})
        c.request(method, path, None if body is None else json.dumps(body), h)
        r = c.getresponse()
        r.data = r.read()
        if not raw:
            r.data = json.loads(r.data or b"null")
        if own:
            c.close()
        return r


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("apid"))
    s.start()
    yield s
    s.stop()


@pytest.fixture(scope="module")
def api(server):
    return Api(server)


@pytest.fixture(scope="module", params=[p.rsplit("/", 1)[-1] for p in kubectls()])
def k(request, server, tmp_path_factory):
    path = next(p for p in kubectls() if p.endswith("/" + request.param))
    return Kubectl(path, server, tmp_path_factory.mktemp("home"))


@pytest.fixture
def hooks(tmp_path, api):
    h = Hooks(tmp_path)
    yield h
    for kind in ("mutating", "validating"):
        for it in api("GET", HOOKS % kind).data["items"]:
            assert api("DELETE", HOOKS % kind + "/" + it["metadata"]["name"]).status == 200
    h.close()


def register(api, kind, name, *webhooks):
    r = api("POST", HOOKS % kind.lower(), configuration(kind, name, *webhooks))
    assert r.status == 201, r.data
    return r.data


def cm(name, labels=None, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": dict({"name": name}, **({"labels": labels} if labels else {})),
            "data": data}


def pod(name, requests=None, limits=None, **spec):
    c = {"name": "c", "image": "x:1"}
    if requests or limits:
        c["resources"] = {k: v for k, v in (("requests", requests), ("limits", limits)) if v}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": dict({"containers": [c]}, **spec)}


def fresh(api, name):
    r = api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert r.status == 201, r.data
    return "/api/v1/namespaces/%s/" % name


# --- webhooks ---

def test_mutating_adds_and_kubectl_sees_it(api, k, hooks):
    hooks.on("/label", lambda r: allow([{"op": "add", "path": "/metadata/labels", "value": {"by": "hook"}}]))
    register(api, "Mutating", "m", hooks.hook("label.hooks.test", "/label"))
    k("create", "configmap", "mutated", "--from-literal=a=1")
    o = k.json("get", "configmap", "mutated")
    assert o["metadata"]["labels"] == {"by": "hook"}
    k("delete", "configmap", "mutated")
    (r,) = hooks.asked("/label")
    assert r["operation"] == "CREATE" and r["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert r["resource"] == r["requestResource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert r["namespace"] == "default" and r["name"] == "mutated" and r["oldObject"] is None
    assert r["object"]["data"] == {"a": "1"} and r["dryRun"] is False
    assert r["options"]["kind"] == "CreateOptions" and "system:masters" in r["userInfo"]["groups"]


def test_who_owns_what_webhooks_see_and_add(api, hooks):
    def owners(o):
        return {m["manager"]: m["fieldsV1"] for m in o["metadata"].get("managedFields", [])}
    label = [{"op": "add", "path": "/metadata/labels", "value": {"by": "hook"}}]
    hooks.on("/label", lambda r: allow(label if not r["object"]["metadata"].get("labels") else []))
    register(api, "Mutating", "m", hooks.hook("label.hooks.test", "/label"))
    r = api("POST", V1 + "configmaps?fieldManager=me", cm("owned", a="1"))
    data = {"f:data": {".": {}, "f:a": {}}}
    assert r.data["metadata"]["labels"] == {"by": "hook"} and owners(r.data) == {"me": data}  # what a webhook adds is nobody's
    api("PATCH", V1 + "configmaps/owned?fieldManager=you", {"data": {"b": "2"}}, **{"Content-Type": "application/merge-patch+json"})
    first, second = hooks.asked("/label")
    assert owners(first["object"]) == {"me": data}
    assert owners(second["oldObject"]) == {"me": data}
    assert owners(second["object"]) == {"me": data, "you": {"f:data": {"f:b": {}}}}
    hooks.on("/label", lambda r: allow([{"op": "add", "path": "/metadata/managedFields/0/operation", "value": "Bogus"}]))
    r = api("PATCH", V1 + "configmaps/owned?fieldManager=you", {"data": {"b": "3"}}, **{"Content-Type": "application/merge-patch+json"})
    assert r.status == 200 and owners(r.data) == {"me": data, "you": {"f:data": {"f:b": {}}}}
    assert api("DELETE", V1 + "configmaps/owned").status == 200


def test_denied_in_kubernetes_words(api, k, hooks):
    hooks.on("/deny", lambda r: deny("no maps today"))
    register(api, "Validating", "v", hooks.hook("deny.hooks.test", "/deny"))
    k.fails('admission webhook "deny.hooks.test" denied the request: no maps today', "create", "configmap", "no")
    r = api("POST", V1 + "configmaps", cm("no"))
    assert r.status == 400 and r.data["status"] == "Failure" and r.data["code"] == 400
    hooks.on("/deny", lambda r: deny("quota", code=403, reason="Forbidden"))
    r = api("POST", V1 + "configmaps", cm("no"))
    assert (r.status, r.data["reason"]) == (403, "Forbidden")
    hooks.on("/deny", lambda r: deny())
    r = api("POST", V1 + "configmaps", cm("no"))
    assert r.data["message"] == 'admission webhook "deny.hooks.test" denied the request without explanation'


def test_update_delete_dry_run(api, hooks):
    hooks.on("/see", lambda r: allow(warnings=["look out"]))
    register(api, "Validating", "v", hooks.hook("see.hooks.test", "/see", operations=["*"]))
    assert api("POST", V1 + "configmaps", cm("seen", a="1")).status == 201
    r = api("PATCH", V1 + "configmaps/seen?dryRun=All&fieldManager=me", {"data": {"a": "2"}},
            type="application/merge-patch+json")
    assert r.status == 200 and r.getheader("Warning") == '299 - "look out"'
    assert api("DELETE", V1 + "configmaps/seen", {"propagationPolicy": "Background"}).status == 200
    create, update, delete = hooks.asked("/see")
    assert update["operation"] == "UPDATE" and update["dryRun"] is True
    assert update["oldObject"]["data"] == {"a": "1"} and update["object"]["data"] == {"a": "2"}
    assert update["options"]["kind"] == "UpdateOptions" and update["options"]["fieldManager"] == "me"
    assert delete["operation"] == "DELETE" and delete["object"] is None and delete["oldObject"]["data"] == {"a": "1"}
    assert delete["options"]["propagationPolicy"] == "Background"


def test_delete_can_be_denied_also_in_collections(api, hooks):
    hooks.on("/keep", lambda r: deny("kept") if r["name"] == "kept" else allow())
    for name in ("kept", "gone"):
        assert api("POST", V1 + "configmaps", cm(name, labels={"set": "d"})).status == 201
    register(api, "Validating", "v", hooks.hook("keep.hooks.test", "/keep", operations=["DELETE"]))
    r = api("DELETE", V1 + "configmaps/kept")
    assert r.data["message"] == 'admission webhook "keep.hooks.test" denied the request: kept'
    r = api("DELETE", V1 + "configmaps?labelSelector=set%3Dd")
    assert r.status == 400 and "kept" in r.data["message"]
    left = [o["metadata"]["name"] for o in api("GET", V1 + "configmaps?labelSelector=set%3Dd").data["items"]]
    assert left == ["kept"]
    assert api("DELETE", HOOKS % "validating" + "/v").status == 200
    assert api("DELETE", V1 + "configmaps/kept").status == 200


def test_what_a_new_object_has_no_one_gave_it_yet(api, hooks):
    """As from kube-apiserver: identity and a generated name come after those who may change the object."""
    apply_hooks = lambda kind, path: api("POST", HOOKS % kind.lower(), configuration(
        kind, "new", hooks.hook("new.example.com", path, operations=("CREATE",))))
    for kind, path in (("Mutating", "/new-m"), ("Validating", "/new-v")):
        hooks.on(path, lambda r: allow())
        assert apply_hooks(kind, path).status == 201
    try:
        made = api("POST", V1 + "configmaps", {"metadata": {"generateName": "g-"}, "data": {"a": "1"}})
        assert made.status == 201
        first, then = hooks.asked("/new-m")[-1], hooks.asked("/new-v")[-1]
        meta = first["object"]["metadata"]
        assert not {"name", "uid", "creationTimestamp", "generation"} & set(meta) and meta["namespace"] == "default"
        assert "name" not in first and then["name"] == then["object"]["metadata"]["name"] == made.data["metadata"]["name"]
        assert then["object"]["metadata"]["uid"] == made.data["metadata"]["uid"]
        # It stays what it is.
        for patch, words in (([{"op": "replace", "path": "/kind", "value": "Secret"}], "not a ConfigMap of v1"),
                             ([{"op": "replace", "path": "", "value": {}}], "Object 'Kind' is missing in '{}'"),
                             ([{"op": "remove", "path": "/apiVersion"}], "Object 'apiVersion' is missing")):
            hooks.on("/new-m", lambda r: allow(patch))
            refused = api("POST", V1 + "configmaps", {"metadata": {"name": "kind"}})
            assert refused.status == 500 and words in refused.data["message"], refused.data
    finally:
        for kind in ("mutating", "validating"):
            api("DELETE", HOOKS % kind + "/new")


def test_failure_policy(api, hooks):
    gone = {"url": "https://127.0.0.1:1/x", "caBundle": hooks.bundle()}
    register(api, "Validating", "v", hooks.hook("gone.hooks.test", "/x", clientConfig=gone, failurePolicy="Fail"))
    r = api("POST", V1 + "configmaps", cm("failed"))
    assert r.status == 500 and r.data["reason"] == "InternalError"
    assert r.data["message"].startswith('Internal error occurred: failed calling webhook "gone.hooks.test": failed to '
                                        'call webhook: Post "https://127.0.0.1:1/x?timeout=5s": dial tcp')
    assert r.data["message"].endswith("connect: connection refused")
    assert api("DELETE", HOOKS % "validating" + "/v").status == 200
    register(api, "Validating", "v", hooks.hook("gone.hooks.test", "/x", clientConfig=gone, failurePolicy="Ignore"))
    assert api("POST", V1 + "configmaps?dryRun=All", cm("ignored")).status == 201


@pytest.mark.parametrize("answer, words", [
    (lambda b: (200, b"{}"), "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview"),
    (lambda b: (200, b"nonsense"), "json parse error"),
    (lambda b: (500, b"broken"), 'an error on the server ("broken") has prevented the request from succeeding'),
    (lambda b: (404, b""), "the server could not find the requested resource"),
    (lambda b: (200, json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                                 "response": {"uid": "other", "allowed": True}}).encode()), 'got "other"'),
    (lambda b: (200, json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                                 "response": {"uid": b["request"]["uid"], "allowed": True, "patch": "W10="}}).encode()),
     "response.patch"),
])
def test_answers_that_are_none(api, hooks, answer, words):
    hooks.raw["/raw"] = answer
    register(api, "Mutating", "m", hooks.hook("raw.hooks.test", "/raw"))
    r = api("POST", V1 + "configmaps", cm("raw"))
    assert r.status == 500 and words in r.data["message"], r.data


def test_timeout_does_not_hold_others_up(api, hooks):
    hooks.on("/slow", lambda r: time.sleep(6) or allow())
    register(api, "Validating", "v",
             hooks.hook("slow.hooks.test", "/slow", timeoutSeconds=3, objectSelector={"matchLabels": {"slow": "yes"}}))
    got = []
    t = threading.Thread(target=lambda: got.append(api("POST", V1 + "configmaps", cm("slow", {"slow": "yes"}))))
    t.start()
    wait_for(lambda: hooks.asked("/slow"), "the webhook to be asked")
    assert api("POST", V1 + "configmaps?dryRun=All", cm("quick")).status == 201
    assert not got  # the slow one still waits
    t.join()
    assert got[0].status == 500 and got[0].data["message"].endswith("context deadline exceeded")


def test_order_reinvocation_and_defaults(api, hooks):
    def add(key):
        return lambda r: allow([] if key in (r["object"].get("data") or {}) else
                               [{"op": "add", "path": "/data/" + key, "value": ",".join(sorted(r["object"]["data"]))}])
    hooks.on("/a", add("a"))
    hooks.on("/b", add("b"))
    register(api, "Mutating", "m2", hooks.hook("b.hooks.test", "/b"))
    register(api, "Mutating", "m1", hooks.hook("a.hooks.test", "/a", reinvocationPolicy="IfNeeded"))
    r = api("POST", V1 + "configmaps?dryRun=All", cm("order", z="0"))
    assert r.data["data"] == {"z": "0", "a": "z", "b": "a,z"}
    assert len(hooks.asked("/a")) == 2 and len(hooks.asked("/b")) == 1
    assert "b" in hooks.asked("/a")[1]["object"]["data"]


def test_equivalent_versions_and_scale(api, hooks):
    hooks.on("/old", lambda r: allow())
    hooks.on("/scale", lambda r: allow([{"op": "replace", "path": "/spec/replicas", "value": 2}]))
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
                  "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}},
                           "template": {"metadata": {"labels": {"a": "b"}},
                                        "spec": {"containers": [{"name": "c", "image": "x:1"}]}}}}
    path = "/apis/apps/v1/namespaces/default/deployments"
    register(api, "Validating", "v", hooks.hook("old.hooks.test", "/old", resources=["deployments"],
                                                groups=["extensions"], versions=["v1beta1"]),
             hooks.hook("exact.hooks.test", "/exact", resources=["deployments"], groups=["extensions"],
                        versions=["v1beta1"], matchPolicy="Exact"))
    register(api, "Mutating", "m", hooks.hook("scale.hooks.test", "/scale", resources=["*/scale"], groups=["apps"]))
    assert api("POST", path, deployment).status == 201
    (r,) = hooks.asked("/old")
    assert r["kind"] == {"group": "extensions", "version": "v1beta1", "kind": "Deployment"}
    assert r["requestKind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert r["object"]["apiVersion"] == "extensions/v1beta1"
    s = api("PATCH", path + "/web/scale", {"spec": {"replicas": 5}}, type="application/merge-patch+json")
    assert s.status == 200 and s.data["spec"]["replicas"] == 2
    (r,) = hooks.asked("/scale")
    assert r["kind"]["kind"] == "Scale" and r["subResource"] == "scale" and r["object"]["spec"]["replicas"] == 5
    assert api("DELETE", path + "/web").status == 200


def test_selectors_and_services(api, hooks, tmp_path):
    hooks.on("/ns", lambda r: deny("selected"))
    register(api, "Validating", "v", hooks.hook("ns.hooks.test", "/ns", namespaceSelector={"matchLabels": {"strict": "yes"}}))
    assert api("POST", "/api/v1/namespaces", {"metadata": {"name": "strict", "labels": {"strict": "yes"}}}).status == 201
    assert api("POST", V1 + "configmaps?dryRun=All", cm("free")).status == 201
    assert api("POST", "/api/v1/namespaces/strict/configmaps", cm("bound")).status == 400


def test_service_is_reached_by_its_endpoints(api, tmp_path):
    h = Hooks(tmp_path, "DNS:hook.default.svc")
    h.on("/svc", lambda r: deny("by service"))
    try:
        hook = h.hook("svc.hooks.test", "/svc")
        hook["clientConfig"] = h.client("/svc", name="hook", namespace="default", port=8443)
        register(api, "Validating", "svc", hook)
        r = api("POST", V1 + "configmaps", cm("x"))
        assert r.data["message"].endswith('Post "https://hook.default.svc:8443/svc?timeout=5s": service "hook" not found')
        assert api("POST", V1 + "services", {"metadata": {"name": "hook"}, "spec": {
            "selector": {"app": "hook"}, "ports": [{"name": "https", "port": 8443, "targetPort": h.port}]}}).status == 201
        r = api("POST", V1 + "configmaps", cm("x"))
        assert r.data["message"].endswith('no endpoints available for service "hook"')
        slice_ = {"metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}}, "addressType": "IPv4",
                  "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
                  "ports": [{"name": "https", "port": h.port, "protocol": "TCP"}]}
        r = api("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice_)
        assert r.status == 201, r.data
        r = api("POST", V1 + "configmaps", cm("x"))
        assert r.data["message"] == 'admission webhook "svc.hooks.test" denied the request: by service'
    finally:
        api("DELETE", HOOKS % "validating" + "/svc")
        h.close()


def rule(**more):
    return {"rules": [dict({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}, **more)]}


# In Kubernetes' words (1.33).
WRONG = [
    ({"name": "a.b.C"}, 'webhooks[0].name: Invalid value: "a.b.C": a lowercase RFC 1123 subdomain must consist of'),
    ({"sideEffects": None}, "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"),
    ({"admissionReviewVersions": None}, "webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1"),
    ({"admissionReviewVersions": ["v1", "v1"]}, 'webhooks[0].admissionReviewVersions[1]: Invalid value: "v1": duplicate version'),
    ({"admissionReviewVersions": ["v2"]},
     'webhooks[0].admissionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, v1beta1'),
    (rule(operations=["*", "CREATE"]), "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"CREATE\"]: if '*' is present, "
     "must not specify other operations"),
    (rule(apiVersions=[""]), "webhooks[0].rules[0].apiVersions[0]: Required value"),
    (rule(resources=[""]), "webhooks[0].rules[0].resources[0]: Required value"),
    (rule(resources=["pods/*", "pods/status"]), "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/status\": if 'pods/*' is "
     "present, must not specify pods/status"),
    (rule(resources=["*/status", "pods/status"]), "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/status\": if '*/status' "
     "is present, must not specify pods/status"),
    (rule(resources=["*/*", "pods"]), "webhooks[0].rules[0].resources: Invalid value: [\"*/*\",\"pods\"]: if '*/*' is present, must "
     "not specify other resources"),
    (rule(resources=["*", "pods"]), "webhooks[0].rules[0].resources: Invalid value: [\"*\",\"pods\"]: if '*' is present, must not "
     "specify other resources without subresources"),
    ({"clientConfig": {"url": "https://u:p@h/#f"}}, '[webhooks[0].clientConfig.url: Invalid value: "u:p": user information is not '
     'permitted in the URL, webhooks[0].clientConfig.url: Invalid value: "f": fragments are not permitted in the URL]'),
    ({"clientConfig": {"service": {"name": "x"}}}, "webhooks[0].clientConfig.service.namespace: Required value: service namespace "
     "is required"),
    ({"clientConfig": {"service": {"name": "x", "namespace": "y", "path": "/a//b"}}},
     'webhooks[0].clientConfig.service.path: Invalid value: "/a//b": segment[1] may not be empty'),
    ({"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Foo"}]}},
     'webhooks[0].namespaceSelector.matchExpressions[0].operator: Invalid value: "Foo": not a valid selector operator'),
    ({"matchConditions": [{"name": "x", "expression": " "}]}, "webhooks[0].matchConditions[0].expression: Required value"),
    ({"matchConditions": [{"name": "a b", "expression": "true"}]}, 'webhooks[0].matchConditions[0].name: Invalid value: "a b": name part'),
    ({"matchConditions": [{"name": "x", "expression": "object.spec"}]},
     'webhooks[0].matchConditions[0].expression: Invalid value: "object.spec": must evaluate to bool'),
    ({"matchConditions": [{"name": "x", "expression": "request.nosuch == 1"}]},
     'webhooks[0].matchConditions[0].expression: Invalid value: "request.nosuch == 1": compilation failed: ERROR: <input>:1:8: '
     "undefined field 'nosuch'"),
]


def test_conditions(api, hooks):
    """Which requests a webhook is asked about, by expressions."""
    def on(name, expression, **more):
        hooks.on("/" + name, lambda r: deny("asked"))
        return hooks.hook(name + ".hooks.test", "/" + name, operations=["*"], matchConditions=[
            {"name": "%d.%s" % (i, name), "expression": e} for i, e in enumerate(expression)], **more)

    def asked(names, method, path, body=None, **more):
        hooks.forget()
        r = api(method, path, body, **more)
        assert [n for n in all_names if hooks.asked("/" + n)] == names, (r.status, r.data)
        return r
    all_names = ("plain", "user", "gone", "broken")
    register(api, "Validating", "v",
             on("plain", ["object != null && object.metadata.name.startsWith('p')", "request.operation == 'CREATE'",
                          "request.resource.resource == 'configmaps' && request.kind.kind == 'ConfigMap'", "!request.dryRun",
                          "request.namespace == 'default' && !has(request.subResource)"]),
             on("user", ["'nobody' in request.userInfo.groups"]),
             on("gone", ["object == null && oldObject.metadata.labels['x'] == 'y'", "request.options.kind == 'DeleteOptions'"],
                failurePolicy="Ignore"))
    assert asked(["plain"], "POST", V1 + "configmaps", cm("p1")).status == 400
    asked([], "POST", V1 + "configmaps?dryRun=All", cm("p1"))
    assert asked([], "POST", V1 + "configmaps", cm("other", {"x": "y"})).status == 201
    assert asked([], "POST", V1 + "configmaps", cm("other2")).status == 201
    assert asked(["gone"], "DELETE", V1 + "configmaps/other").status == 400
    assert asked([], "DELETE", V1 + "configmaps/other2").status == 200  # no such key: Ignore says no
    register(api, "Mutating", "m", on("broken", ["object.data.a == 'b'"]), on("false", ["object.data.a == 'b'", "false"]))
    r = asked([], "POST", V1 + "configmaps", cm("x"))
    assert (r.status, r.data["reason"]) == (403, "Forbidden")
    assert r.data["message"] == """configmaps "x" is forbidden: expression 'object.data.a == 'b'' resulted in error: no such key: data"""
    asked(["broken"], "POST", V1 + "configmaps", cm("x", a="b"))
    assert api("DELETE", HOOKS % "mutating" + "/m").status == 200
    unlimited = "[1,2,3,4,5,6,7,8,9,10].all(a, %s)"
    for _ in range(6):
        unlimited %= "[1,2,3,4,5,6,7,8,9,10].all(a, %s)"
    register(api, "Mutating", "m", on("broken", [unlimited % "a > 0"]))
    r = asked([], "POST", V1 + "configmaps", cm("x"))
    assert r.status == 403 and "cost limit exceeded" in r.data["message"]
    for kind, name in (("mutating", "m"), ("validating", "v")):
        assert api("DELETE", HOOKS % kind + "/" + name).status == 200
    assert api("DELETE", V1 + "configmaps/other").status == 200


def test_what_subresources_are_called(api, hooks):
    """Kind and resource of a subresource are of different groups; a body may leave out what it is; options are of what is done."""
    hooks.on("/all", lambda r: allow())
    register(api, "Validating", "v", hooks.hook("all.hooks.test", "/all", resources=["*/*"], operations=["*"], groups=["*"], versions=["*"]))
    apps = "/apis/apps/v1/namespaces/default/deployments"
    deployment = {"metadata": {"name": "sub"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}}}
    assert api("POST", apps, deployment).status == 201
    hooks.forget()
    assert api("PATCH", apps + "/sub/scale", {"spec": {"replicas": 2}}, type="application/merge-patch+json").status == 200
    api("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {"user": "x", "nonResourceAttributes": {"path": "/"}}})
    api("PATCH", V1 + "configmaps/applied?fieldManager=me&force=true", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}},
        type="application/apply-patch+yaml")
    scale, access, applied = hooks.asked("/all")
    assert scale["kind"] == scale["requestKind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert scale["resource"] == scale["requestResource"] == {"group": "apps", "version": "v1", "resource": "deployments"}
    assert (scale["subResource"], scale["options"]["kind"]) == ("scale", "UpdateOptions")
    assert access["kind"] == {"group": "authorization.k8s.io", "version": "v1", "kind": "SubjectAccessReview"}
    assert access["resource"] == {"group": "authorization.k8s.io", "version": "v1", "resource": "subjectaccessreviews"}
    assert access["object"]["apiVersion"] == "authorization.k8s.io/v1" and access["object"]["kind"] == "SubjectAccessReview"
    assert (applied["operation"], applied["options"]["kind"], applied["options"]["fieldManager"]) == ("CREATE", "CreateOptions", "me")
    for path in (apps + "/sub", V1 + "configmaps/applied"):
        assert api("DELETE", path).status == 200


def test_calls_are_counted(api, hooks):
    hooks.on("/no", lambda r: deny("no"))
    hooks.on("/yes", lambda r: allow())
    gone = {"url": "https://127.0.0.1:1/x", "caBundle": hooks.bundle()}
    register(api, "Mutating", "m", hooks.hook("yes.count.test", "/yes"))
    register(api, "Validating", "v", hooks.hook("no.count.test", "/no"),
             hooks.hook("gone.count.test", "/x", clientConfig=gone, failurePolicy="Ignore"))
    assert api("POST", V1 + "configmaps", cm("counted")).status == 400
    r = api("GET", "/metrics", raw=True)
    lines = set(r.data.decode().splitlines())
    calls = "apiserver_admission_webhook_"
    for line in ('request_total{code="200",name="yes.count.test",operation="CREATE",rejected="false",type="admit"} 1',
                 'request_total{code="400",name="no.count.test",operation="CREATE",rejected="true",type="validating"} 1',
                 'request_total{code="500",name="gone.count.test",operation="CREATE",rejected="false",type="validating"} 1',
                 'rejection_count{error_type="no_error",name="no.count.test",operation="CREATE",rejection_code="400",type="validating"} 1',
                 'admission_duration_seconds_count{name="yes.count.test",operation="CREATE",rejected="false",type="admit"} 1',
                 'fail_open_count{name="gone.count.test",type="validating"} 1'):
        assert calls + line in lines, line


def test_a_bundle_that_is_none(api, hooks):
    """Manifests leave a placeholder (often one line break) for who fills it in later: it is refused when it is used."""
    blank = dict(hooks.client("/x"), caBundle="Cg==")
    register(api, "Validating", "v", hooks.hook("blank.hooks.test", "/x", clientConfig=blank))
    r = api("POST", V1 + "configmaps", cm("blank"))
    assert r.status == 500 and "unable to load root certificates: unable to parse bytes as PEM block" in r.data["message"]


def test_configurations_are_checked(api, hooks):
    def status(**more):
        return api("POST", HOOKS % "validating", configuration("Validating", "bad", dict(hooks.hook("a.hooks.test", "/a"), **more)))
    r = status(clientConfig={"url": "http://plain/x"})
    assert r.status == 422 and "'https' is the only allowed URL scheme" in r.data["message"]
    for more, words in WRONG:
        r = status(**more)
        assert r.status == 422 and ": " + words in r.data["message"], (more, r.data)
    twice = hooks.hook("a.hooks.test", "/a")
    r = api("POST", HOOKS % "validating", configuration("Validating", "bad", twice, twice))
    assert r.status == 422 and 'webhooks[1].name: Duplicate value: "a.hooks.test"' in r.data["message"]
    r = status(sideEffects="Some")
    assert r.status == 422 and 'webhooks[0].sideEffects: Unsupported value: "Some"' in r.data["message"]
    r = status(timeoutSeconds=31)
    assert "the timeout value must be between 1 and 30 seconds" in r.data["message"]
    r = api("POST", HOOKS % "validating", configuration("Validating", "d", hooks.hook("d.hooks.test", "/a")))
    w = r.data["webhooks"][0]
    assert (w["failurePolicy"], w["matchPolicy"], w["namespaceSelector"]) == ("Fail", "Equivalent", {})
    assert w["rules"][0].get("scope") == "*"


# --- limit ranges ---

def test_limit_range(api, k):
    at = fresh(api, "limits-%d" % k.minor)
    ns = "limits-%d" % k.minor
    r = api("POST", at + "limitranges", {"metadata": {"name": "lr"}, "spec": {"limits": [
        {"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "100m"}, "default": {"cpu": "500m", "memory": "256Mi"},
         "defaultRequest": {"memory": "64Mi"}, "maxLimitRequestRatio": {"cpu": "4"}},
        {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}]}})
    assert r.status == 201, r.data
    assert r.data["spec"]["limits"][0]["defaultRequest"]["cpu"] == "500m"
    r = api("POST", at + "pods", pod("defaulted"))
    assert r.status == 201, r.data
    assert r.data["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m", "memory": "256Mi"},
                                                            "requests": {"cpu": "500m", "memory": "64Mi"}}
    assert r.data["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c")
    k.fails("maximum cpu usage per Container is 1, but limit is 2", "-n", ns, "create", "-f", "-",
            stdin=json.dumps(pod("big", limits={"cpu": "2"})))
    r = api("POST", at + "pods", pod("small", requests={"cpu": "50m"}))
    assert r.status == 403
    assert r.data["message"] == (
        'pods "small" is forbidden: [minimum cpu usage per Container is 100m, but request is 50m, '
        'cpu max limit to request ratio per Container is 4, but provided ratio is 10.000000]')
    claim = {"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"],
                                                 "resources": {"requests": {"storage": "500Mi"}}}}
    r = api("POST", at + "persistentvolumeclaims", claim)
    assert r.data["message"] == ('persistentvolumeclaims "c" is forbidden: minimum storage usage per '
                                 'PersistentVolumeClaim is 1Gi, but request is 500Mi')
    assert "Container" in k("-n", ns, "describe", "limitrange", "lr")


# --- quota ---

def test_quota_by_kubectl(api, k):
    ns = "quota-%d" % k.minor
    at = fresh(api, ns)
    k("-n", ns, "create", "quota", "q", "--hard=pods=2,configmaps=1,count/deployments.apps=1,requests.cpu=1")
    k.fails("failed quota: q: must specify requests.cpu for: c", "-n", ns, "create", "-f", "-", stdin=json.dumps(pod("p0")))
    for name in ("p1", "p2"):
        k("-n", ns, "create", "-f", "-", stdin=json.dumps(pod(name, requests={"cpu": "250m"})))
    r = api("POST", at + "pods", pod("p3", requests={"cpu": "250m"}))
    assert r.status == 403
    assert r.data["message"] == 'pods "p3" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
    wait_for(lambda: api("GET", at + "resourcequotas/q").data.get("status", {}).get("used", {}).get("pods") == "2",
             "the quota's status")
    used = api("GET", at + "resourcequotas/q").data["status"]
    assert used["used"] == {"pods": "2", "configmaps": "0", "count/deployments.apps": "0", "requests.cpu": "500m"}
    assert used["hard"]["requests.cpu"] == "1"
    out = k("-n", ns, "describe", "quota", "q")
    assert "pods" in out and "500m" in out
    assert api("DELETE", at + "pods/p1").status == 200
    wait_for(lambda: api("GET", at + "resourcequotas/q").data["status"]["used"]["pods"] == "1", "the pod to be given back")
    k("-n", ns, "create", "-f", "-", stdin=json.dumps(pod("p3", requests={"cpu": "750m"})))


def test_quota_is_exact_under_concurrency(api):
    at = fresh(api, "exact")
    assert api("POST", at + "resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "25"}}}).status == 201
    results = []

    def worker(w):
        c = api.connect()
        for i in range(10):
            results.append(api("POST", at + "configmaps", cm("c-%d-%d" % (w, i)), c=c).status)
        c.close()
    threads = [threading.Thread(target=worker, args=(w,)) for w in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(set(results)) == [201, 403] and results.count(201) == 25
    assert len(api("GET", at + "configmaps").data["items"]) == 25
    wait_for(lambda: api("GET", at + "resourcequotas/q").data["status"]["used"]["configmaps"] == "25", "the status")


def test_quota_scopes_services_and_raises(api):
    at = fresh(api, "scopes")
    quota = {"metadata": {"name": "be"}, "spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}}
    assert api("POST", at + "resourcequotas", quota).status == 201
    assert api("POST", at + "pods", pod("a", requests={"cpu": "1"})).status == 201
    assert api("POST", at + "pods", pod("b")).status == 201
    assert api("POST", at + "pods", pod("c")).status == 403
    quota = {"metadata": {"name": "svc"}, "spec": {"hard": {"services.nodeports": "1", "services": "5"}}}
    assert api("POST", at + "resourcequotas", quota).status == 201
    svc = {"metadata": {"name": "s"}, "spec": {"type": "ClusterIP", "clusterIP": "None", "ports": [
        {"name": "a", "port": 1}, {"name": "b", "port": 2}]}}
    assert api("POST", at + "services", svc).status == 201
    r = api("POST", at + "services", {"metadata": {"name": "n"}, "spec": {"type": "NodePort", "ports": [
        {"name": "a", "port": 1, "nodePort": 30001}, {"name": "b", "port": 2, "nodePort": 30002}]}})
    assert r.status == 403 and "services.nodeports=2" in r.data["message"]
    r = api("PATCH", at + "resourcequotas/be", {"spec": {"hard": {"pods": "2"}}}, type="application/merge-patch+json")
    assert r.status == 200
    assert api("POST", at + "pods", pod("c")).status == 201


def test_priority_classes(api):
    at = fresh(api, "prio")
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    assert api("POST", at + "pods", pod("plain")).data["spec"]["priority"] == 0
    assert api("POST", classes, {"metadata": {"name": "high"}, "value": 1000}).status == 201
    r = api("POST", at + "pods", pod("h", priorityClassName="high"))
    assert r.data["spec"]["priority"] == 1000 and r.data["spec"]["preemptionPolicy"] == "PreemptLowerPriority"
    r = api("POST", at + "pods", pod("s", priorityClassName="system-node-critical"))
    assert r.data["spec"]["priority"] == 2000001000
    r = api("POST", at + "pods", pod("n", priorityClassName="none"))
    assert r.data["message"] == 'pods "n" is forbidden: no PriorityClass with name none was found'
    assert api("POST", classes, {"metadata": {"name": "dflt"}, "value": 7, "globalDefault": True}).status == 201
    r = api("POST", at + "pods", pod("d"))
    assert (r.data["spec"]["priority"], r.data["spec"]["priorityClassName"]) == (7, "dflt")
    r = api("POST", classes, {"metadata": {"name": "two"}, "value": 8, "globalDefault": True})
    assert r.status == 403 and "already marked as default" in r.data["message"]
    assert api("DELETE", classes + "/dflt").status == 200
