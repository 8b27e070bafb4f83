# SPDX-License-Identifier: Apache-2.0
"""The audit log: what each level and stage records, rotation, disks that are full or slow, a policy that changes.

    HTTP --> hansa-apid --plain --audit-log-path FILE | /dev/full | a FIFO that nobody reads
"""
import json
import os
import signal
import socket

import pytest

from test_admission import HOOKS, Api
from test_engine_kubectl import Server, wait_for
from webhook_lib import Hooks, allow, configuration

V1 = "/api/v1/namespaces/default/"


def policy(folder, *rules, **top):
    doc = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **top}
    (folder / "policy.yaml").write_text(json.dumps(doc))
    return str(folder / "policy.yaml")


@pytest.fixture
def start(tmp_path):
    made = []

    def make(*flags, path=None, plain=True):
        log = path or str(tmp_path / "audit.log")
        s = Server(tmp_path, *(["--plain"] if plain else []), "--audit-log-path", log, *flags)
        s.audit = log
        made.append(s)
        s.start()
        return s, Api(s)
    yield make
    for s in made:
        s.stop()


def events(server, **want):
    """The events whose objectRef has these values; `verb` is the event's own."""
    verb = want.pop("verb", None)
    try:
        with open(server.audit) as f:
            lines = [line for line in f if line.endswith("\n")]
    except FileNotFoundError:  # just renamed
        lines = []
    found = [json.loads(line) for line in lines]
    return [e for e in found if (not verb or e["verb"] == verb) and
            all(e.get("objectRef", {}).get(k) == v for k, v in want.items())]


def event(server, stage="ResponseComplete", **want):
    got = []

    def there():
        got[:] = [e for e in events(server, **want) if e["stage"] == stage]
        return got
    wait_for(there, "the event of %s" % want)
    return got[-1]


def said(server, words):
    with open(os.path.join(server.dir, "log")) as f:
        return words in f.read()


def cm(name, **data):
    return {"metadata": {"name": name}, "data": data}


def metric(api, name):
    c = api.connect()
    c.request("GET", "/metrics", headers={"Authorization": "Bearer admin"})
    text = c.getresponse().read().decode()
    c.close()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def test_without_a_policy_everything_is_metadata(start):
    """Nothing that is inside of an object, a patch or a token reaches the log."""
    s, api = start()
    secret = {"metadata": {"name": "s"}, "stringData": {"a": "swordfish-1"}}
    assert api("POST", V1 + "secrets", secret).status == 201
    patch = {"stringData": {"a": "swordfish-2"}}
    assert api("PATCH", V1 + "secrets/s", patch, type="application/merge-patch+json").status == 200
    patch = [{"op": "add", "path": "/stringData", "value": {"b": "swordfish-3"}}]
    assert api("PATCH", V1 + "secrets/s", patch, type="application/json-patch+json").status == 200
    assert api("PUT", V1 + "secrets/s", secret).status == 200
    assert api("POST", V1 + "secrets", {**secret, "type": 7}).status >= 400
    assert api("GET", V1 + "secrets").status == api("GET", V1 + "secrets/s").status == 200
    assert api("DELETE", V1 + "secrets").status == 200
    assert event(s, verb="deletecollection", resource="secrets")["level"] == "Metadata"
    got = events(s, resource="secrets")
    assert [e["verb"] for e in got] == ["create", "patch", "patch", "update", "create", "list", "get", "deletecollection"]
    assert {e["stage"] for e in got} == {"ResponseComplete"}
    assert not [e for e in got if "requestObject" in e or "responseObject" in e]
    with open(s.audit) as f:
        text = f.read()
    assert "swordfish" not in text and "c3dvcmRmaXNo" not in text  # base64 of swordfish


def test_levels_of_patches_watches_and_collections(start, tmp_path):
    rules = ({"level": "Request", "users": ["bob"]}, {"level": "RequestResponse", "resources": [{"group": ""}]})
    s, api = start("--audit-policy-file", policy(tmp_path, *rules, omitStages=["RequestReceived"]))
    assert api("POST", V1 + "configmaps", cm("a", x="1")).status == 201
    patch = [{"op": "replace", "path": "/data/x", "value": "2"}]
    assert api("PATCH", V1 + "configmaps/a", patch, type="application/json-patch+json").status == 200
    e = event(s, verb="patch", name="a")
    assert e["requestObject"] == patch and e["responseObject"]["data"] == {"x": "2"}
    assert api("PATCH", V1 + "configmaps/a", {"data": {"x": "3"}}, type="application/merge-patch+json").status == 200
    e = event(s, verb="patch", name="a")
    wait_for(lambda: len(events(s, verb="patch")) == 2, "the second patch")
    e = events(s, verb="patch")[1]
    assert e["requestObject"] == {"data": {"x": "3"}} and e["responseObject"]["data"] == {"x": "3"}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"y": "1"}}
    assert api("PATCH", V1 + "configmaps/b?fieldManager=t", body, type="application/apply-patch+yaml").status == 201
    e = event(s, verb="patch", name="b")
    assert e["requestObject"] == body and e["responseStatus"]["code"] == 201
    # A watch is a stream: it has a start and an end, and no body.
    c = api.connect()
    c.request("GET", V1 + "configmaps?watch=1&timeoutSeconds=1", headers={"Authorization": "Bearer admin"})
    assert c.getresponse().read()
    c.close()
    e = event(s, verb="watch")
    assert [x["stage"] for x in events(s, verb="watch")] == ["ResponseStarted", "ResponseComplete"]
    assert "responseObject" not in e and e["responseStatus"]["code"] == 200
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    assert api("DELETE", V1 + "configmaps?labelSelector=none", options).status == 200
    e = event(s, verb="deletecollection")
    assert e["requestObject"] == options and e["responseObject"]["kind"] == "ConfigMapList"
    assert "labelSelector=none" in e["requestURI"]
    # Level Request: the body of the answer is left out, also that of an error; what was refused unread has none.
    api("POST", V1 + "configmaps", cm("c", z="1"), Authorization="Bearer bob")
    e = event(s, verb="create", resource="configmaps", namespace="default")
    wait_for(lambda: [x for x in events(s, verb="create") if x["user"]["username"] == "bob"], "bob's")
    e = [x for x in events(s, verb="create") if x["user"]["username"] == "bob"][0]
    assert e["responseStatus"]["code"] == 403 and "requestObject" not in e and "responseObject" not in e


def test_events_are_those_of_kubernetes(start, tmp_path):
    """Compared with kube-apiserver: who is refused, what is deleted, what is no object, whose namespace it is."""
    rules = [{"level": "Request", "namespaces": ["own"]}, {"level": "RequestResponse"}]
    s, api = start("--audit-policy-file", policy(tmp_path, *rules))
    api("GET", V1 + "configmaps", Audit_Id="refused", Authorization="Bearer wrong")
    api("POST", "/api/v1/namespaces", {"metadata": {"name": "own"}})
    assert api("POST", V1 + "configmaps", cm("a")).status == 201
    assert api("PUT", V1 + "configmaps/a", {**cm("a"), "metadata": {"name": "a", "resourceVersion": "1"}}).status == 409
    api("DELETE", V1 + "configmaps/a")
    api("GET", "/openapi/v2", raw=True)
    api("GET", "/apis/batch/v1beta1/namespaces/default/cronjobs")
    # Whoever only looks at a body does not stumble over what it is.
    for path, kind in ((V1 + "configmaps", "ConfigMap"), ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "SelfSubjectAccessReview"),
                       (V1 + "serviceaccounts/default/token", "TokenRequest")):
        c = api.connect()
        c.request("POST", path, "{nope", {"Authorization": "Bearer admin", "Content-Type": "application/json"})
        r = c.getresponse()
        assert r.status == 400 and "(must be of type %s)" % kind in json.loads(r.read())["message"]
    api("GET", "/api/v1/namespaces/own")
    mine = event(s, resource="namespaces", name="own", verb="get")
    assert mine["level"] == "Request" and mine["objectRef"]["namespace"] == "own"
    refused = [e for e in events(s) if e["auditID"] == "refused"]
    assert [(e["stage"], e["user"], e["responseStatus"]["code"]) for e in refused] == [("ResponseStarted", {}, 401)]
    assert event(s, resource="configmaps", verb="delete")["responseStatus"]["status"] == "Success"
    assert event(s, resource="configmaps", verb="update")["objectRef"]["resourceVersion"] == "1"
    old = event(s, resource="cronjobs")["annotations"]
    assert old["k8s.io/deprecated"] == "true" and old["k8s.io/removed-release"] == "1.25"
    document = [e for e in events(s) if e["requestURI"] == "/openapi/v2" and e["stage"] == "ResponseComplete"]
    assert document and "responseObject" not in document[0]


def test_stages(start, tmp_path):
    rules = [{"level": "None", "nonResourceURLs": ["/metrics"]},
             {"level": "Metadata", "omitStages": ["RequestReceived", "ResponseStarted"],
              "resources": [{"group": "", "resources": ["secrets"]}]}, {"level": "Metadata"}]
    s, api = start("--audit-policy-file", policy(tmp_path, *rules))
    api("GET", V1 + "configmaps/none")
    event(s, resource="configmaps")
    assert [e["stage"] for e in events(s, resource="configmaps")] == ["RequestReceived", "ResponseComplete"]
    assert len({e["auditID"] for e in events(s, resource="configmaps")}) == 1
    c = api.connect()
    c.request("GET", V1 + "secrets?watch=1&timeoutSeconds=1", headers={"Authorization": "Bearer admin"})
    c.getresponse().read()
    c.close()
    event(s, resource="secrets")
    assert [e["stage"] for e in events(s, resource="secrets")] == ["ResponseComplete"]


def test_annotations_of_webhooks(start, tmp_path):
    s, api = start("--audit-policy-file", policy(tmp_path, {"level": "Metadata"}, omitStages=["RequestReceived"]))
    hooks = Hooks(tmp_path)
    try:
        hooks.on("/note", lambda r: allow(auditAnnotations={"rule": "seven", "n": "1"}))
        hook = hooks.hook("note.hooks.test", "/note")
        assert api("POST", HOOKS % "validating", configuration("Validating", "note", hook)).status == 201
        hooks.on("/broken", lambda r: {"allowed": 1 / 0})
        hook = hooks.hook("broken.hooks.test", "/broken", failurePolicy="Ignore")
        assert api("POST", HOOKS % "mutating", configuration("Mutating", "broken", hook)).status == 201
        assert api("POST", V1 + "configmaps", cm("noted")).status == 201
    finally:
        hooks.close()
    notes = event(s, verb="create", resource="configmaps")["annotations"]
    assert notes["note.hooks.test/rule"] == "seven" and notes["note.hooks.test/n"] == "1"
    assert notes["authorization.k8s.io/decision"] == "allow"
    assert "broken.hooks.test" in notes.values()


def test_what_webhooks_change_is_recorded(start, tmp_path):
    """By round and place among all webhooks: that each changed the object or not; from level Request on also its patch."""
    secret = {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets"]}]}
    s, api = start("--audit-policy-file", policy(tmp_path, secret, {"level": "Request"}, omitStages=["RequestReceived"]))
    hooks = Hooks(tmp_path)
    label = lambda key: [{"op": "add", "value": {key: "yes"}, "path": "/metadata/labels"}]
    one = dict(resources=("configmaps", "secrets"))
    try:
        hooks.on("/first", lambda r: allow(label("first") if "labels" not in r["object"]["metadata"] else None))
        hooks.on("/open", lambda r: {"allowed": 1 / 0})
        hooks.on("/second", lambda r: allow([{"path": "/metadata/labels/second", "op": "add", "value": "y"}]))
        hooks.on("/same", lambda r: allow([{"op": "test", "path": "/kind", "value": r["object"]["kind"]}]))
        first = configuration("Mutating", "a", hooks.hook("first.hooks.test", "/first", reinvocationPolicy="IfNeeded", **one))
        rest = configuration("Mutating", "b", hooks.hook("open.hooks.test", "/open", failurePolicy="Ignore", **one),
                             hooks.hook("second.hooks.test", "/second", **one), hooks.hook("same.hooks.test", "/same", **one))
        for doc in (first, rest):
            assert api("POST", HOOKS % "mutating", doc).status == 201
        assert api("POST", V1 + "configmaps", cm("seen")).status == 201
        assert api("POST", V1 + "secrets", {"metadata": {"name": "hidden"}}).status == 201
    finally:
        hooks.close()
    notes = event(s, verb="create", resource="configmaps", name="seen")["annotations"]
    mine = {k: json.loads(v) for k, v in notes.items() if k.startswith(("mutation.", "patch."))}
    mutation, patch = "mutation.webhook.admission.k8s.io/round_%d_index_%d", "patch.webhook.admission.k8s.io/round_%d_index_%d"
    said = lambda conf, hook, changed: {"configuration": conf, "webhook": hook + ".hooks.test", "mutated": changed}
    added = lambda conf, hook, *steps: {"configuration": conf, "webhook": hook + ".hooks.test", "patch": list(steps), "patchType": "JSONPatch"}
    assert mine == {
        mutation % (0, 0): said("a", "first", True), patch % (0, 0): added("a", "first", *label("first")),
        mutation % (0, 1): said("b", "open", False),
        mutation % (0, 2): said("b", "second", True),
        patch % (0, 2): added("b", "second", {"op": "add", "path": "/metadata/labels/second", "value": "y"}),
        mutation % (0, 3): said("b", "same", False),
        patch % (0, 3): added("b", "same", {"op": "test", "path": "/kind", "value": "ConfigMap"}),
        mutation % (1, 0): said("a", "first", False)}
    assert notes["failed-open.mutation.webhook.admission.k8s.io/round_0_index_1"] == "open.hooks.test"
    assert notes[patch % (0, 0)].startswith('{"configuration":"a","webhook":"first.hooks.test","patch":[{"op":')
    notes = event(s, verb="create", resource="secrets", name="hidden")["annotations"]
    assert mutation % (0, 0) in notes and not [k for k in notes if k.startswith("patch.")]


def test_files_are_renamed_and_dropped(start, tmp_path):
    rule = {"level": "Request", "resources": [{"group": "", "resources": ["configmaps"]}]}
    s, api = start("--audit-policy-file", policy(tmp_path, rule, omitStages=["RequestReceived"]), "--audit-log-maxsize",
                   "1", "--audit-log-maxbackup", "2")
    c = api.connect()
    for i in range(60):  # 100 kB each: six files, of which two and the last stay
        assert api("POST", V1 + "configmaps?dryRun=All", cm("c%d" % i, x="y" * 100000), c=c).status == 201
    wait_for(
        lambda: [e for e in events(s) if e["requestObject"]["metadata"]["name"] == "c59"], "the last event")
    files = sorted(f for f in os.listdir(tmp_path) if f.startswith("audit"))
    assert len(files) == 3 and "audit.log" in files
    names = []
    for f in sorted(files, key=lambda f: (f == "audit.log", f)):
        assert os.path.getsize(tmp_path / f) <= 1 << 20
        with open(tmp_path / f) as text:
            names += [json.loads(line)["requestObject"]["metadata"]["name"] for line in text]
    assert names == ["c%d" % i for i in range(60 - len(names), 60)] and len(names) > 20


def test_a_full_disk(start, tmp_path):
    """/dev/full refuses each write: requests go on, what is lost is counted and said."""
    s, api = start("--audit-policy-file", policy(tmp_path, {"level": "Metadata", "verbs": ["create"]},
                                                 omitStages=["RequestReceived"]), path="/dev/full")
    for i in range(20):
        assert api("POST", V1 + "configmaps", cm("c%d" % i)).status == 201
    wait_for(lambda: metric(api, 'apiserver_audit_error_total{plugin="log"}') == 20, "the losses to be counted")
    wait_for(lambda: said(s, "audit log: 20 events were dropped: No space left on device"), "the losses to be said", 30)


def test_a_disk_that_does_not_follow(start, tmp_path):
    """A FIFO that nobody reads: 32 MiB wait in memory, the rest is dropped whole; then the log goes on."""
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    s, api = start("--audit-policy-file", policy(tmp_path, {"level": "Request", "verbs": ["create"]},
                                                 omitStages=["RequestReceived"]), path=fifo)
    try:
        c, big = api.connect(), "y" * 1000000
        for i in range(50):
            assert api("POST", V1 + "configmaps?dryRun=All", cm("c%d" % i, x=big), c=c).status == 201
        lost = metric(api, "apiserver_audit_error_total")
        assert 10 < lost < 25
        os.set_blocking(reader, True)
        f = os.fdopen(reader)
        reader = None
        names = [json.loads(f.readline())["requestObject"]["metadata"]["name"] for _ in range(50 - int(lost))]
        assert names[:5] == ["c%d" % i for i in range(5)] and len(set(names)) == len(names)
        assert api("POST", V1 + "configmaps?dryRun=All", cm("after"), c=c).status == 201
        assert json.loads(f.readline())["requestObject"]["metadata"]["name"] == "after"
        f.close()
    finally:
        if reader is not None:
            os.close(reader)


def test_the_policy_is_read_again(start, tmp_path):
    s, api = start("--audit-policy-file", policy(tmp_path, {"level": "None"}))
    assert api("POST", V1 + "configmaps", cm("unseen")).status == 201
    policy(tmp_path, {"level": "RequestResponse"}, omitStages=["RequestReceived"])
    s.proc.send_signal(signal.SIGHUP)
    wait_for(lambda: said(s, "audit policy were read again"), "the policy to be read")
    assert api("POST", V1 + "configmaps", cm("seen")).status == 201
    assert event(s, verb="create")["responseObject"]["metadata"]["name"] == "seen"
    (tmp_path / "policy.yaml").write_text("kind: Policy\nrules: [{level: Some}]\n")
    s.proc.send_signal(signal.SIGHUP)
    wait_for(lambda: said(s, "audit policy stay as they were"), "the refusal")
    assert api("POST", V1 + "configmaps", cm("also")).status == 201
    wait_for(lambda: len(events(s, verb="create")) == 2, "the second event")
    # And without a signal, within ten seconds of the change.
    policy(tmp_path, {"level": "Metadata"}, omitStages=["RequestReceived"])
    wait_for(lambda: api("POST", V1 + "configmaps?dryRun=All", cm("x")) and events(s, verb="create")[-1]["level"] ==
             "Metadata", "the policy to be looked at", 30)


def raw(api, data, wait=True):
    """(status code of the first answer or 0, the socket)"""
    host, port = api.host.split(":")
    s = socket.create_connection((host, int(port)), timeout=30)
    s.sendall(data)
    got = s.recv(64) if wait else b""
    return int(got.split(b" ")[1]) if got else 0, s


def series(api, name, **labels):
    c = api.connect()
    c.request("GET", "/metrics", headers={"Authorization": "Bearer admin"})
    text = c.getresponse().read().decode()
    c.close()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.split("\n") if line.startswith(name + "{") and
               all('%s="%s"' % kv in line for kv in labels.items()))


def test_what_http_refuses_is_counted(start, tmp_path):
    """A request that is none is counted and not audited, as in kube-apiserver; one whose body is too large is a request: whoever asks
    is known, may or may not, and both are in the log."""
    s, api = start("--audit-policy-file", policy(tmp_path, {"level": "Metadata"}, omitStages=["RequestReceived"]),
                   "--http-header-timeout", "1s", "--http-body-timeout", "1s", "--http-max-connections-per-client", "8")
    total = lambda **labels: series(api, "apiserver_request_total", **labels)
    ended = lambda **labels: series(api, "apiserver_request_terminations_total", **labels)
    head = "POST %sconfigmaps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" % V1
    assert raw(api, b"nonsense\r\n\r\n")[0] == 400
    assert raw(api, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 70000 + b"\r\n\r\n")[0] == 431
    assert raw(api, b"GET / HTTP/1.1\r\nHo")[0] == 408
    assert raw(api, (head + "Authorization: Bearer admin\r\nContent-Length: 5\r\n\r\nab").encode())[0] == 408
    assert total(code="400", verb="other", resource="") == 1 and total(code="431", verb="other") == 1
    assert total(code="408", verb="other") == 1 and total(code="408", verb="POST", resource="") == 1
    assert ended(code="408") == 2 and ended(code="400") == 0
    before = len(events(s))
    big = "Authorization: Bearer %s\r\nContent-Length: 4000000\r\n\r\n{"
    assert raw(api, (head + big % "admin").encode())[0] == 413
    assert raw(api, (head + big % "bob").encode())[0] == 403
    assert raw(api, (head + big % "wrong").encode())[0] == 401
    chunked = head + "Authorization: Bearer admin\r\nTransfer-Encoding: chunked\r\n\r\n3d0900\r\n" + " " * 4000000 + "\r\n0\r\n\r\n"
    try:
        assert raw(api, chunked.encode())[0] == 413
    except ConnectionError:  # it was refused while we sent on
        pass
    assert total(code="413", verb="POST", resource="configmaps", version="v1", scope="resource") == 2
    found = []
    wait_for(lambda: found.extend(events(s)[before + len(found):]) or
             [e["responseStatus"]["code"] for e in found if e["verb"] == "create"].count(413) == 2, "the events")
    refused = [(e["user"].get("username"), e["responseStatus"]["code"]) for e in found if e["verb"] == "create"]
    assert ("bob", 403) in refused and ("admin", 413) in refused
    conns = [raw(api, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")[1] for _ in range(8)]
    assert raw(api, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")[0] == 429
    for c in conns:
        c.close()
    wait_for(lambda: metric_or_none(api) == 1, "room again")
    assert 1 <= total(code="429", verb="GET") == ended(code="429", verb="GET")  # the looks for room may be more


def metric_or_none(api):
    try:
        c = api.connect()
        c.request("GET", "/metrics", headers={"Authorization": "Bearer admin"})
        r = c.getresponse()
        text = r.read().decode()
        c.close()
        return 1 if r.status == 200 and "apiserver_request_total" in text else None
    except OSError:
        return None
