# SPDX-License-Identifier: Apache-2.0
"""CustomResourceDefinitions: the resource engine alone (tests/tools/hansa-apid, sqlite store) in front of real kubectls,
the oldest and the newest, and a conversion webhook.

    kubectl --TLS--> hansa-apid --TLS, ConversionReview--> a Python HTTPS server of this test
"""
import http.server
import json
import os
import pathlib
import re
import ssl
import subprocess
import threading
import time

import pytest
from builds import SLOW
from test_engine_kubectl import ROOT, Kubectl, Server, kubectls, wait_for

OLDEST = pathlib.Path(ROOT, "build/tools/kubectl-debian/usr/bin/kubectl")


def all_kubectls():
    return ([str(OLDEST)] if OLDEST.exists() else []) + kubectls()


def definition(versions, group="example.com", plural="boilers", kind="Boiler", **spec):
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": plural + "." + group},
            "spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind}, "versions": versions, **spec}}


def version(name, props, storage=False, **more):
    return {"name": name, "served": True, "storage": storage,
            "schema": {"openAPIV3Schema": {"type": "object", "description": "Makes water hot.", "properties": props}}, **more}


BOILER = {
    "spec": {
        "type": "object", "description": "What is wanted.", "required": ["litres"],
        "properties": {
            "litres": {"type": "integer", "minimum": 1, "maximum": 500, "description": "How much it holds."},
            "mode": {"type": "string", "enum": ["eco", "fast"], "default": "eco"},
            "replicas": {"type": "integer", "default": 1},
            "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "host": {"type": "string", "pattern": r"^[\w\-.]+$"},
            "valves": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                       "items": {"type": "object", "required": ["name"],
                                 "properties": {"name": {"type": "string"}, "open": {"type": "boolean", "default": False}}}},
            "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "template": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
            "either": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                       "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        }},
    "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"},
                                                "phase": {"type": "string"}}},
}
V1 = version("v1", BOILER, True,
             subresources={"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                                                   "labelSelectorPath": ".status.selector"}},
             additionalPrinterColumns=[{"name": "Litres", "type": "integer", "jsonPath": ".spec.litres"},
                                       {"name": "Since", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                                       {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1}],
             selectableFields=[{"jsonPath": ".spec.mode"}])


def boiler(name, api="example.com/v1", **spec):
    return json.dumps({"apiVersion": api, "kind": "Boiler", "metadata": {"name": name, "namespace": "default"}, "spec": spec})


@pytest.fixture()
def server(tmp_path):
    s = Server(tmp_path, "--store", "sqlite")
    s.start()
    yield s
    s.stop()


@pytest.fixture(params=all_kubectls() or ["none"], ids=os.path.basename)
def kubectl(request, server, tmp_path):
    if request.param == "none":
        pytest.skip("no kubectl here")
    return Kubectl(request.param, server, tmp_path)


@pytest.fixture()
def newest(server, tmp_path):
    if not kubectls():
        pytest.skip("no kubectl here")
    return Kubectl(kubectls()[-1], server, tmp_path)


def install(k, crd):
    k("create", "-f", "-", stdin=json.dumps(crd))
    k("wait", "--for=condition=Established", "crd/" + crd["metadata"]["name"], "--timeout=20s")


def replace(k, crd):
    k("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(crd))


def test_life(server, kubectl):
    k = kubectl
    crd = definition([V1], names={"plural": "boilers", "kind": "Boiler", "shortNames": ["bo"], "categories": ["all"]})
    install(k, crd)
    k("create", "-f", "-", stdin=boiler("one", litres=3, port="80", extra={"x": {"y": 1}}, valves=[{"name": "a"}]))
    out = k("get", "bo")
    assert "LITRES" in out and "SINCE" in out and "MODE" not in out and "AGE" not in out
    assert "eco" in k("get", "boilers", "-o", "wide")
    assert "boiler.example.com/one" in k("get", "all", "-o", "name")
    got = k.json("get", "boiler", "one")
    assert got["spec"] == {"litres": 3, "mode": "eco", "replicas": 1, "port": "80", "extra": {"x": {"y": 1}},
                           "valves": [{"name": "a", "open": False}]}
    assert "How much it holds." in k("explain", "boiler.spec") and "integer" in k("explain", "boilers.spec.litres")
    # What is wrong is said as Kubernetes says it; what is unknown is refused by the client (old) or the server (new).
    k.fails("unknown field", "create", "-f", "-", stdin=boiler("bad", litres=3, colour="red"))
    for spec, words in (({"litres": 0}, "spec.litres in body should be greater than or equal to 1"),
                        ({}, "spec.litres: Required value"),
                        ({"litres": "x"}, 'spec.litres in body must be of type integer: "string"'),
                        ({"litres": 1, "mode": "x"}, 'Unsupported value: "x": supported values: "eco", "fast"'),
                        ({"litres": 1, "host": "a b"}, "spec.host in body should match"),
                        ({"litres": 1, "valves": [{"name": "a"}, {"name": "a"}]}, "spec.valves[1]: Duplicate value"),
                        ({"litres": 1, "either": {"a": "1", "b": "2"}}, "must validate one and only one schema (oneOf)"),
                        ({"litres": 1, "template": {"kind": "X"}}, "spec.template.apiVersion: Required value")):
        k.fails(words, "create", "--validate=false", "-f", "-", stdin=boiler("bad", **spec))
    # subresources
    k("scale", "boiler", "one", "--replicas=4")
    got = k.json("get", "boiler", "one")
    assert got["spec"]["replicas"] == 4 and got["metadata"]["generation"] == 2
    k("patch", "boiler", "one", "--type=merge", "-p", '{"status":{"phase":"Lost"},"spec":{"litres":5}}')
    got = k.json("get", "boiler", "one")
    assert got["spec"]["litres"] == 5 and "status" not in got and got["metadata"]["generation"] == 3
    k.fails("the body of the request was in an unknown format", "patch", "boiler", "one", "--type=strategic", "-p", '{"spec":{"litres":6}}')
    k("apply", "-f", "-", stdin=boiler("one", litres=7))
    k("label", "boiler", "one", "hot=yes")
    assert k("get", "boilers", "-l", "hot=yes", "--field-selector", "spec.mode=eco", "-o", "name").strip() == "boiler.example.com/one"
    k.fails("field label not supported: spec.litres", "get", "boilers", "--field-selector", "spec.litres=7")
    # a restart finds the kind before its objects
    server.stop()
    server.start()
    assert k.json("get", "boiler", "one")["spec"]["litres"] == 7
    # Deletion: the objects first (one waits for its finalizer), then the definition.
    k("patch", "boiler", "one", "--type=merge", "-p", '{"metadata":{"finalizers":["example.com/wait"]}}')
    k("delete", "crd", "boilers.example.com", "--wait=false")
    wait_for(lambda: "deletionTimestamp" in k.json("get", "boiler", "one")["metadata"], "the object to be ended")
    k.fails("create not allowed while custom resource definition is terminating", "create", "-f", "-", stdin=boiler("two", litres=1))
    assert [c["status"] for c in k.json("get", "crd", "boilers.example.com")["status"]["conditions"] if c["type"] == "Terminating"] == ["True"]
    k("patch", "boiler", "one", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    wait_for(lambda: k.run("get", "crd", "boilers.example.com")[0] != 0, "the definition to go")
    assert "boilers" not in k("api-resources", "-o", "name")
    install(k, crd)
    assert k.json("get", "boilers")["items"] == []


def test_refused(server, newest):
    """Definitions that are not structural, or contradict themselves."""
    k = newest
    def refuse(words, crd):
        k.fails(words, "create", "-f", "-", stdin=json.dumps(crd))
    refuse("must be spec.names.plural+", {**definition([V1]), "metadata": {"name": "x.example.com"}})
    refuse("must have exactly one version marked as storage version", definition([{**V1, "storage": False}]))
    refuse("spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields",
           definition([version("v1", {"spec": {"description": "x"}}, True)]))
    refuse("must have approval annotation", definition([V1], group="boil.k8s.io"))
    refuse("should be a domain with at least one dot", definition([V1], group="boil"))
    refuse("uniqueItems cannot be set to true",
           definition([version("v1", {"spec": {"type": "array", "uniqueItems": True, "items": {"type": "string"}}}, True)]))
    refuse("must be a valid regular expression", definition([version("v1", {"spec": {"type": "string", "pattern": "a("}}, True)]))
    refuse("in body must be of type integer", definition([version("v1", {"spec": {"type": "integer", "default": "x"}}, True)]))
    refuse("entries must all be names of item properties",
           definition([version("v1", {"spec": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                                               "items": {"type": "object", "properties": {"n": {"type": "string"}}}}}, True)]))
    refuse("undefined field 'b'", definition([version("v1", {
        "spec": {"type": "object", "properties": {"a": {"type": "integer"}}, "x-kubernetes-validations": [{"rule": "self.b > 1"}]}}, True)]))
    install(k, definition([V1]))
    # The same names for another kind of the group: not accepted, and accepted once they are free.
    other = definition([V1], plural="kettles", kind="Boiler")
    k("wait", "--for=condition=Established", "crd/boilers.example.com", "--timeout=20s")
    k("create", "-f", "-", stdin=json.dumps(other))
    k("wait", "--for=condition=NamesAccepted=False", "crd/kettles.example.com", "--timeout=20s")
    assert "ListKindConflict" in k("get", "crd", "kettles.example.com", "-o", "yaml")
    k("delete", "crd", "boilers.example.com")
    k("wait", "--for=condition=Established", "crd/kettles.example.com", "--timeout=20s")


def test_changed_schema(server, newest, tmp_path):
    """A new schema holds at once: for requests, for what is stored (defaults, unknown fields), for explain; watches end."""
    k = newest
    install(k, definition([V1]))
    k("create", "-f", "-", stdin=boiler("one", litres=3, host="h"))
    log = tmp_path / "watch"
    with open(log, "w") as f:
        watch = subprocess.Popen([k.path, "get", "boilers", "--watch-only", "-v=6"], env=k.env, stdout=f, stderr=f)
    wait_for(lambda: re.search(r"watch=true.*200 OK", log.read_text()), "the watch to be open")
    props = json.loads(json.dumps(BOILER))
    props["spec"]["properties"]["kelvin"] = {"type": "integer", "default": 333, "description": "How hot."}
    del props["spec"]["properties"]["host"]
    before = k.json("get", "boiler", "one")["metadata"]["resourceVersion"]
    replace(k, definition([{**V1, "schema": {"openAPIV3Schema": {"type": "object", "properties": props}}}]))
    got = k.json("get", "boiler", "one")
    assert got["spec"]["kelvin"] == 333 and "host" not in got["spec"]
    assert got["metadata"]["resourceVersion"] == before
    assert "How hot." in k("explain", "boiler.spec")
    watch.wait(20 * SLOW)
    server.stop()
    server.start()
    assert k.json("get", "boiler", "one")["spec"]["kelvin"] == 333


# --- several versions ---

def test_versions_none(server, newest):
    k = newest
    v2 = {**V1, "name": "v2", "storage": False}
    install(k, definition([V1, v2]))
    k("create", "-f", "-", stdin=boiler("one", litres=3))
    assert k.json("get", "boilers.v2.example.com", "one")["apiVersion"] == "example.com/v2"
    replace(k, definition([{**V1, "storage": False}, {**v2, "storage": True}]))
    assert k.json("get", "crd", "boilers.example.com")["status"]["storedVersions"] == ["v1", "v2"]
    assert k.json("get", "boilers.v1.example.com", "one")["spec"]["litres"] == 3
    k("patch", "boilers.v1.example.com", "one", "--type=merge", "-p", '{"spec":{"litres":4}}')
    server.stop()
    server.start()
    assert k.json("get", "boilers.v2.example.com", "one")["spec"]["litres"] == 4
    k.fails("missing from spec.versions; v1 was previously a storage version", "replace", "-f", "-", stdin=json.dumps(
        {**definition([{**v2, "storage": True}]), "metadata": k.json("get", "crd", "boilers.example.com")["metadata"]}))
    replace(k, definition([{**V1, "storage": False, "served": False}, {**v2, "storage": True}]))
    assert "v1" not in [v["version"] for g in json.loads(k("get", "--raw", "/apis"))["groups"] if g["name"] == "example.com" for v in g["versions"]]
    assert k.run("get", "--raw", "/apis/example.com/v1/boilers")[0] != 0


class Converter(http.server.BaseHTTPRequestHandler):
    """v1 has spec.litres, v2 has spec.size = "3l"."""
    broken, calls = False, 0

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        want, objects = review["request"]["desiredAPIVersion"], review["request"]["objects"]
        Converter.calls += 1
        for o in objects:
            if o["apiVersion"] != want and want.endswith("/v2"):
                o["spec"]["size"] = "%dl" % o["spec"].pop("litres")
            elif o["apiVersion"] != want:
                o["spec"]["litres"] = int(o["spec"].pop("size")[:-1])
            o["apiVersion"] = want
        result = {"status": "Failed", "message": "out of steam"} if Converter.broken else {"status": "Success"}
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": "ConversionReview",
                           "response": {"uid": review["request"]["uid"], "result": result, "convertedObjects": objects}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture()
def converter(tmp_path):
    cert, key = str(tmp_path / "hook.crt"), str(tmp_path / "hook.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Converter)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    Converter.broken = False
    import base64
    yield {"url": "https://127.0.0.1:%d/convert" % httpd.server_port, "caBundle": base64.b64encode(open(cert, "rb").read()).decode()}
    httpd.shutdown()
    httpd.server_close()


def test_versions_webhook(server, newest, converter, tmp_path):
    k = newest
    one = version("v1", {"spec": {"type": "object", "properties": {"litres": {"type": "integer", "minimum": 1}}}}, True)
    two = version("v2", {"spec": {"type": "object", "properties": {"size": {"type": "string", "pattern": "^[0-9]+l$"}}}},
                  additionalPrinterColumns=[{"name": "Size", "type": "string", "jsonPath": ".spec.size"}])
    hook = {"strategy": "Webhook", "webhook": {"clientConfig": converter, "conversionReviewVersions": ["v1"]}}
    install(k, definition([one, two], conversion=hook))
    k("create", "-f", "-", stdin=boiler("one", litres=3))
    k("create", "-f", "-", stdin=boiler("two", api="example.com/v2", size="7l"))
    assert k.json("get", "boilers.v2.example.com", "one")["spec"] == {"size": "3l"}
    assert k.json("get", "boilers.v1.example.com", "two")["spec"] == {"litres": 7}
    assert [o["spec"]["size"] for o in k.json("get", "boilers.v2.example.com")["items"]] == ["3l", "7l"]
    assert "3l" in k("get", "boilers.v2.example.com")
    k.fails("should match", "create", "-f", "-", stdin=boiler("bad", api="example.com/v2", size="many"))
    log = open(tmp_path / "watch", "w+")
    watch = subprocess.Popen([k.path, "get", "boilers.v2.example.com", "-w", "-o", "jsonpath={.metadata.name} {.spec}{\"\\n\"}"],
                             env=k.env, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: '"7l"' in open(log.name).read(), "the watch to begin")
        k("patch", "boilers.v2.example.com", "two", "--type=merge", "-p", '{"spec":{"size":"9l"}}')
        wait_for(lambda: '"9l"' in open(log.name).read(), "the change in the watch")
    finally:
        watch.kill()
        watch.wait()
        log.close()
    assert k.json("get", "boilers.v1.example.com", "two")["spec"] == {"litres": 9}
    k("apply", "--server-side", "-f", "-", stdin=boiler("two", api="example.com/v2", size="9l"))
    # Another version is stored from now on; what is there is still read.
    replace(k, definition([{**one, "storage": False}, {**two, "storage": True}], conversion=hook))
    assert k.json("get", "boilers.v1.example.com", "one")["spec"] == {"litres": 3}
    k("label", "boilers.v1.example.com", "one", "a=b")
    server.stop()
    server.start()
    assert [o["spec"]["litres"] for o in k.json("get", "boilers.v1.example.com")["items"]] == [3, 9]
    Converter.broken = True
    k("label", "boilers.v2.example.com", "one", "c=d")
    k.fails("conversion webhook for example.com/v2, Kind=Boiler failed: out of steam", "get", "boilers.v1.example.com", "one")
    k("delete", "crd", "boilers.example.com", "--timeout=30s")


# --- a definition as they are in the wild ---

def deep_schema(levels):
    s = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 63}, "data": {
        "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}
    for n in range(levels):
        s = {"type": "object", "description": "Level %d." % n, "required": ["items"],
             "properties": {"items": {"type": "array", "maxItems": 100, "x-kubernetes-list-type": "atomic", "items": s},
                            "selector": {"type": "object", "x-kubernetes-map-type": "atomic",
                                         "properties": {"matchLabels": {"type": "object", "additionalProperties": {"type": "string"}}}},
                            "timeout": {"type": "string", "format": "duration", "default": "30s"},
                            "when": {"type": "string", "format": "date-time", "nullable": True},
                            "ratio": {"type": "number", "multipleOf": 0.5}}}
    return s


def test_deep(server, newest):
    k = newest
    spec = deep_schema(8)
    install(k, definition([version("v1alpha1", {"spec": spec, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}, True,
                                   subresources={"status": {}})], plural="pipelines", kind="Pipeline", scope="Cluster"))
    value = {"name": "leaf", "data": {"any": [1, {"thing": True}]}}
    for _ in range(8):
        value = {"items": [value], "ratio": 1.5, "when": None}
    k("create", "-f", "-", stdin=json.dumps({"apiVersion": "example.com/v1alpha1", "kind": "Pipeline", "metadata": {"name": "p"}, "spec": value}))
    got = k.json("get", "pipeline", "p")["spec"]
    for _ in range(8):
        assert got["timeout"] == "30s" and got["when"] is None
        got = got["items"][0]
    assert got == {"name": "leaf", "data": {"any": [1, {"thing": True}]}}
    k("explain", "pipelines", "--recursive")
    assert "Level" in k("explain", "pipelines.spec.items.items")


def test_wide(server, newest):
    """Tens of thousands of members in one object cost about as many steps, in maps and under schemas alike."""
    k, n = newest, 20000
    install(k, definition([version("v1", {"spec": {"type": "object", "properties": {
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "fields": {"type": "object", "default": {}, "properties": {"f%d" % i: {"type": "integer", "default": i} for i in range(n)}}}}}, True)]))
    for value in "x", "y":
        body = boiler("wide", map={"k%d" % i: value for i in range(n)})
        begun = time.monotonic()
        k("apply", "--server-side", "--force-conflicts", "--validate=false", "-f", "-", stdin=body)
        assert time.monotonic() - begun < 15  # a walk for each member would take a minute
    spec = k.json("get", "boiler", "wide")["spec"]
    assert len(spec["fields"]) == n and set(spec["map"].values()) == {"y"}
