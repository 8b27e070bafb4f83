# SPDX-License-Identifier: Apache-2.0
"""Rules of custom kinds (x-kubernetes-validations): the resource engine alone (tests/tools/hansa-apid, sqlite store) in
front of a real kubectl.

    kubectl --TLS--> hansa-apid
"""
import json
import threading
import time

from fed import with_status
from test_crd import definition, install, replace, version
from test_crd import newest as k, server  # noqa: F401  (fixtures)


def rules(*texts, **more):
    return [{"rule": t, **more} if isinstance(t, str) else t for t in texts]


def obj(kind, name, spec, api="example.com/v1", **more):
    return json.dumps({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec, **more})


def put(k, text):
    k("create", "-f", "-", stdin=text)


# --- a kind in the manner of the Gateway API ---

LISTENER = {
    "type": "object", "required": ["name", "port", "protocol"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 253},
        "hostname": {"type": "string", "maxLength": 253},
        "port": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535},
        "protocol": {"type": "string", "maxLength": 255},
        "tls": {"type": "object",
                "properties": {"mode": {"type": "string", "enum": ["Terminate", "Passthrough"], "default": "Terminate"},
                               "certificateRefs": {"type": "array", "maxItems": 64, "items": {"type": "object", "properties": {
                                   "name": {"type": "string"}}}},
                               "options": {"type": "object", "maxProperties": 16, "additionalProperties": {"type": "string", "maxLength": 4096}}},
                "x-kubernetes-validations": rules({"rule": "self.mode == 'Terminate' ? size(self.certificateRefs) > 0 || size(self.options) > 0 : true",
                                                   "message": "certificateRefs or options must be specified when mode is Terminate"})},
    }}
GATEWAY = {"spec": {
    "type": "object", "required": ["listeners"],
    "properties": {
        "gatewayClassName": {"type": "string"},
        "addresses": {"type": "array", "maxItems": 16, "items": {
            "type": "object", "required": ["value"],
            "properties": {"type": {"type": "string", "default": "IPAddress"}, "value": {"type": "string", "maxLength": 253}},
            "x-kubernetes-validations": rules({"rule": "self.type == 'Hostname' ? self.value.matches(r\"^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?"
                                                       "(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$\") : true",
                                               "message": "Hostname value must only contain valid characters"},
                                              {"rule": "self.type == 'IPAddress' ? isIP(self.value) : true", "fieldPath": ".value",
                                               "messageExpression": "self.value + ' is no address'"})},
            "x-kubernetes-validations": rules({"rule": "self.all(a1, a1.type == 'IPAddress' ? self.exists_one(a2, a2.type == a1.type && "
                                                       "a2.value == a1.value) : true)", "message": "IPAddress values must be unique"})},
        "listeners": {"type": "array", "minItems": 1, "maxItems": 64, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                      "items": LISTENER,
                      "x-kubernetes-validations": rules(
                          {"rule": "self.all(l, l.protocol in ['HTTP', 'TCP', 'UDP'] ? !has(l.tls) : true)",
                           "message": "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']"},
                          {"rule": "self.all(l, l.protocol in ['TCP', 'UDP'] ? (!has(l.hostname) || l.hostname == '') : true)",
                           "message": "hostname must not be specified for protocols ['TCP', 'UDP']"},
                          {"rule": "self.all(l1, self.exists_one(l2, l1.port == l2.port && l1.protocol == l2.protocol && "
                                   "(has(l1.hostname) && has(l2.hostname) ? l1.hostname == l2.hostname : !has(l1.hostname) && !has(l2.hostname))))",
                           "message": "Combination of port, protocol and hostname must be unique for each listener", "reason": "FieldValueDuplicate"})},
    }}}


def gateway(name, *listeners, **spec):
    return obj("Gateway", name, {"gatewayClassName": "c", "listeners": list(listeners), **spec}, api="gw.example.com/v1")


def listener(name, port=80, protocol="HTTP", **more):
    return {"name": name, "port": port, "protocol": protocol, **more}


def test_gateways(server, k):
    """A kind with the rules that real ones have: refused with all causes, accepted when they hold; the same after a restart."""
    install(k, definition([version("v1", GATEWAY, True)], group="gw.example.com", plural="gateways", kind="Gateway"))
    put(k, gateway("good", listener("a"), listener("b", hostname="x.example.com"), listener("c", 443, "HTTPS", tls={"certificateRefs": [{"name": "s"}]}),
                   addresses=[{"value": "10.0.0.1"}, {"type": "Hostname", "value": "*.example.com"}]))
    def refuse(words, text):
        k.fails(words, "create", "--validate=false", "-f", "-", stdin=text)
    refuse('spec.listeners: Invalid value: "array": tls must not be specified for protocols',
           gateway("bad", listener("a", tls={"options": {"k": "v"}})))
    refuse('spec.listeners: Duplicate value: "array"', gateway("bad", listener("a"), listener("b")))
    refuse("hostname must not be specified for protocols ['TCP', 'UDP']", gateway("bad", listener("a", 5, "UDP", hostname="h")))
    refuse('spec.addresses[0].value: Invalid value: "object": 10.0.0.300 is no address',
           gateway("bad", listener("a"), addresses=[{"value": "10.0.0.300"}]))
    refuse("Hostname value must only contain valid characters",
           gateway("bad", listener("a"), addresses=[{"type": "Hostname", "value": "a_b"}]))
    refuse("IPAddress values must be unique", gateway("bad", listener("a"), addresses=[{"value": "::1"}, {"value": "::1"}]))
    refuse("no such key: certificateRefs evaluating rule: certificateRefs or options must be specified",
           gateway("bad", listener("a", 443, "HTTPS", tls={})))
    # What has not even its form is not asked.
    refuse("some validation rules were not checked because the object was invalid", gateway("bad", {"name": "a", "port": 1}))
    server.stop()
    server.start()
    refuse("IPAddress values must be unique", gateway("bad", listener("a"), addresses=[{"value": "::1"}, {"value": "::1"}]))
    k("apply", "--server-side", "-f", "-", stdin=gateway("good2", listener("a")))


# --- a kind of our own: what may not change ---

BOX = {
    "spec": {
        "type": "object", "required": ["size"],
        "properties": {
            "size": {"type": "integer", "x-kubernetes-validations": rules({"rule": "self == oldSelf", "message": "size is immutable"})},
            "class": {"type": "string"},
            "deadline": {"type": "string", "format": "date-time"},
            "timeout": {"type": "string", "format": "duration"},
            "memory": {"x-kubernetes-int-or-string": True},
            "place-of": {"type": "string"},
            "note": {"type": "string", "x-kubernetes-validations": rules(
                {"rule": "!oldSelf.hasValue() || self.startsWith(oldSelf.value())", "optionalOldSelf": True, "message": "notes only grow"},
                {"rule": "oldSelf.hasValue() || self != 'first'", "optionalOldSelf": True, "message": "no first notes"})},
            "labels": {"type": "object", "additionalProperties": {"type": "string", "x-kubernetes-validations": rules("self.size() < 5")}},
        },
        "x-kubernetes-validations": rules(
            {"rule": "!has(oldSelf.class) || has(self.class)", "message": "class cannot be removed", "reason": "FieldValueForbidden", "fieldPath": ".class"},
            {"rule": "!has(self.timeout) || self.timeout <= duration('1h30m')", "messageExpression": "'%s is too long'.format([string(self.timeout)])"},
            {"rule": "!has(self.deadline) || self.deadline > timestamp('2020-01-01T00:00:00Z')"},
            {"rule": "!has(self.memory) || (type(self.memory) == int ? self.memory < 100 : quantity(self.memory).isLessThan(quantity('1Gi')))"},
            {"rule": "!has(self.place__dash__of) || self.place__dash__of.split('-').all(p, p != '')"})},
    "status": {"type": "object", "properties": {"phase": {"type": "string", "x-kubernetes-validations": rules(
        {"rule": "oldSelf != 'Done' || self == 'Done'", "message": "what is done stays done"})}}},
}


def box(name, **spec):
    return obj("Box", name, {"size": 1, **spec})


def boxes(props=BOX, root=()):
    v = version("v1", props, True, subresources={"status": {}})
    if root:
        v["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] = rules(*root)
    return definition([v], plural="boxes", kind="Box")


def patch(k, name, spec, *flags):
    return ["patch", "box", name, "--type=merge", *flags, "-p", json.dumps(spec)]


def test_transitions(server, k):
    install(k, boxes(root=["self.metadata.name.startsWith('box')"]))
    k.fails('<nil>: Invalid value: "object": failed rule: self.metadata.name.startsWith', "create", "-f", "-", stdin=box("crate"))
    put(k, box("box", **{"class": "a", "place-of": "a-b", "memory": "512Mi", "timeout": "1h", "labels": {"k": "v"}}))
    k.fails('spec.size: Invalid value: "integer": size is immutable', *patch(k, "box", {"spec": {"size": 2}}))
    k(*patch(k, "box", {"spec": {"size": 1, "class": "b"}}))
    k.fails("spec.class: Forbidden: class cannot be removed", *patch(k, "box", {"spec": {"class": None}}))
    k.fails('spec: Invalid value: "object": 7200s is too long', *patch(k, "box", {"spec": {"timeout": "2h"}}))
    k.fails("failed rule: !has(self.deadline)", *patch(k, "box", {"spec": {"deadline": "2019-01-01T00:00:00Z"}}))
    k.fails("failed rule: !has(self.memory)", *patch(k, "box", {"spec": {"memory": "2Gi"}}))
    k.fails("failed rule: !has(self.memory)", *patch(k, "box", {"spec": {"memory": 200}}))
    k.fails("failed rule: !has(self.place__dash__of)", *patch(k, "box", {"spec": {"place-of": "a--b"}}))
    k.fails('spec.labels[k]: Invalid value: "string": failed rule: self.size() < 5', *patch(k, "box", {"spec": {"labels": {"k": "longer"}}}))
    k.fails("no first notes", *patch(k, "box", {"spec": {"note": "first"}}))
    k(*patch(k, "box", {"spec": {"note": "one"}}))
    k.fails("notes only grow", *patch(k, "box", {"spec": {"note": "two"}}))
    k(*patch(k, "box", {"spec": {"note": "one, two"}}))
    # Server-side apply and dry runs are held to them too.
    k.fails("size is immutable", "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=box("box", size=3))
    k.fails("size is immutable", *patch(k, "box", {"spec": {"size": 2}}, "--dry-run=server"))
    # The status is written through its own path.
    path = "/apis/example.com/v1/namespaces/default/boxes/box"
    status = ["replace", "--raw", path + "/status", "-f", "-"]
    k(*status, stdin=with_status(k("get", "--raw", path), phase="Done"))
    k.fails("what is done stays done", *status, stdin=with_status(k("get", "--raw", path), phase="Open"))
    got = k.json("get", "box", "box")
    assert got["spec"]["size"] == 1 and got["spec"]["note"] == "one, two" and got["status"] == {"phase": "Done"}


def test_new_rules_and_old_objects(server, k):
    """A rule that comes later: what was there may stay as it is, with a warning, but not become worse."""
    install(k, boxes())
    put(k, box("box", labels={"k": "v"}, **{"class": "a"}))
    stricter = json.loads(json.dumps(BOX))
    stricter["spec"]["properties"]["class"]["x-kubernetes-validations"] = rules("self.size() > 3")
    replace(k, boxes(stricter))
    rc, _, err = k.run(*patch(k, "box", {"spec": {"labels": {"k": "w"}}}))
    assert rc == 0 and 'spec.class: Invalid value: "string": failed rule: self.size() > 3' in err, err
    k.fails("failed rule: self.size() > 3", *patch(k, "box", {"spec": {"class": "b"}}))
    k(*patch(k, "box", {"spec": {"class": "large"}}))
    k.fails("failed rule: self.size() > 3", "create", "-f", "-", stdin=box("box2", **{"class": "a"}))


def test_mistakes_in_definitions(server, k):
    def refuse(props, *words):
        rc, _, err = k.run("create", "-f", "-", stdin=json.dumps(definition([version("v1", {"spec": props}, True)], plural="boxes", kind="Box")))
        assert rc != 0
        for w in words:
            assert w in err, err
    spec = {"type": "object", "properties": {"a": {"type": "integer"}, "l": {"type": "array", "items": {"type": "string"}},
                                             "any": {"x-kubernetes-preserve-unknown-fields": True}}}
    def refuse_rule(rule, *words):
        refuse({**spec, "x-kubernetes-validations": rules(rule)}, "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0]", *words)
    refuse_rule("self.b > 1", ".rule: Invalid value: ", "compilation failed: ERROR: <input>:1:5: undefined field 'b'\n | self.b > 1\n | ....^")
    refuse_rule("self.a > 'x'", "ERROR: <input>:1:8: found no matching overload for '_>_' applied to '(int, string)'")
    refuse_rule("self.a >", "Syntax error: mismatched input '<EOF>'")
    refuse_rule("self.a", "cel expression must evaluate to a bool")
    refuse_rule("self.any == 1", "undefined field 'any'")
    refuse_rule("nothing(self)", "undeclared reference to 'nothing'")
    refuse_rule("self.l.exists(x, x.matches('['))", "invalid matches argument")
    refuse_rule({"rule": "true", "messageExpression": "1"}, "messageExpression: Invalid value", "messageExpression must evaluate to a string")
    refuse_rule({"rule": "true", "fieldPath": ".c"}, "fieldPath must be a valid path")
    refuse_rule({"rule": "true", "reason": "No"}, "Unsupported value: \"No\"")
    refuse_rule({"rule": "true", "optionalOldSelf": True}, "may not be set if oldSelf is not used in rule")
    refuse_rule(" ", "rule is not specified")
    refuse({**spec, "properties": {"l": {"type": "array", "items": {"type": "string", "x-kubernetes-validations": rules("self == oldSelf")}}}},
           "oldSelf cannot be used on the uncorrelatable portion of the schema within spec.validation.openAPIV3Schema.properties[spec].properties[l]")
    refuse({**spec, "properties": {"a": {"type": "integer", "default": 9, "x-kubernetes-validations": rules("self < 5")}}}, "failed rule: self < 5")
    refuse({**spec, "x-kubernetes-validations": rules("(" * 5000)}, "expression recursion limit exceeded")
    # All that is wrong is told at once.
    refuse({**spec, "x-kubernetes-validations": rules("self.x", "self.y")}, "undefined field 'x'", "undefined field 'y'")


def test_costs_are_bounded(server, k):
    """Rules that would run for hours are ended; meanwhile and after, the server answers others."""
    spec = {"type": "object", "properties": {"l": {"type": "array", "items": {"type": "string"}}},
            "x-kubernetes-validations": rules("self.l.all(a, self.l.all(b, self.l.all(c, a + b + c != 'x')))")}
    install(k, definition([version("v1", {"spec": spec}, True)], plural="slows", kind="Slow"))
    pattern = {"type": "object", "properties": {"s": {"type": "string"}},
               "x-kubernetes-validations": rules("self.s.matches('^(((a*)*)*)*b$')")}
    install(k, definition([version("v1", {"spec": pattern}, True)], plural="loops", kind="Loop"))
    put(k, obj("Slow", "small", {"l": ["a"] * 10}))
    slowest, stop = [0.0], threading.Event()
    def ask():
        while not stop.is_set():
            begin = time.monotonic()
            k("get", "--raw", "/api/v1/namespaces/default")
            slowest[0] = max(slowest[0], time.monotonic() - begin)
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        begin = time.monotonic()
        for _ in range(3):
            k.fails("no further validation rules will be run due to call cost exceeds limit", "create", "-f", "-",
                    stdin=obj("Slow", "large", {"l": ["a" * 10] * 20000}))
        k.fails("spec", "create", "-f", "-", stdin=obj("Loop", "large", {"s": "a" * 500000}))
        took = time.monotonic() - begin
    finally:
        stop.set()
        asking.join()
    assert took < 60 and slowest[0] < 20, (took, slowest)
    put(k, obj("Loop", "small", {"s": "aaab"}))
