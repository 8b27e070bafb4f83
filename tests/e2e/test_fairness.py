# SPDX-License-Identifier: Apache-2.0
"""A flood from one user does not starve another.

    wrk, 200 connections as "flood" --\\
                                        >--> hansa-apid --plain
    one connection as "guest" --------/
"""
import json
import shutil
import socket
import subprocess
import threading
import time

import pytest

from test_admission import HOOKS, Api, cm
from builds import SLOW
from test_engine_kubectl import Server, kubectls, wait_for
from webhook_lib import Hooks, allow, configuration

V1 = "/api/v1/namespaces/default/"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    yield from serve(tmp_path_factory.mktemp("apid"), "--plain")


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """kubectl sends no token without TLS."""
    yield from serve(tmp_path_factory.mktemp("apid"))


def serve(folder, *flags):
    s = Server(folder, *flags, "--max-requests-inflight", "40", "--max-mutating-requests-inflight", "20")
    s.start()
    api = Api(s)
    rbac = "/apis/rbac.authorization.k8s.io/v1/"
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    assert api("POST", rbac + "clusterroles", {"metadata": {"name": "all"}, "rules": [rule]}).status == 201
    subjects = [{"kind": "User", "name": n, "apiGroup": "rbac.authorization.k8s.io"} for n in ("flood", "guest")]
    assert api("POST", rbac + "clusterrolebindings", {
        "metadata": {"name": "all"}, "subjects": subjects,
        "roleRef": {"kind": "ClusterRole", "name": "all", "apiGroup": "rbac.authorization.k8s.io"}}).status == 201
    c = api.connect()
    for i in range(1500):
        assert api("POST", V1 + "configmaps", cm("c%d" % i, a="x" * 1000), c=c).status == 201
    yield s
    s.stop()


def metric(api, name):
    c = api.connect()
    c.request("GET", "/metrics", headers={"Authorization": "Bearer admin"})
    text = c.getresponse().read().decode()
    c.close()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def measure(api, seconds, method="GET", path=V1 + "configmaps/c1"):
    """p50 and p99 in milliseconds of one connection that asks every 10 ms."""
    c, took, end = api.connect(), [], time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        body = cm("g%d" % len(took)) if method == "POST" else None
        r = api(method, path, body, c=c, Impersonate_User="guest")
        assert r.status in (200, 201), r.data
        took.append((time.monotonic() - begin) * 1000)
        time.sleep(0.01)
    c.close()
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk makes the flood")
def test_lists(server):
    api = Api(server)
    alone = measure(api, 2)
    flood = subprocess.Popen(["wrk", "-t", "1", "-c", "200", "-d", "8s", "-H", "Authorization: Bearer admin", "-H",
                              "Impersonate-User: flood", server.url + V1 + "configmaps"],
                             stdout=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: metric(api, "apiserver_flowcontrol_current_inqueue_requests") > 0, "the flood to queue")
        flooded = measure(api, 5)
    finally:
        out = flood.communicate(timeout=30)[0]
    print("guest alone p50 %.1f p99 %.1f ms; flooded p50 %.1f p99 %.1f ms\n%s" % (*alone, *flooded, out))
    # 200 lists of 1.5 MB stand before each request of the guest where nothing is fair: most of a second.
    assert flooded[0] < 100 * SLOW and flooded[1] < 400 * SLOW, (alone, flooded)
    assert metric(api, "apiserver_flowcontrol_rejected_requests_total") > 0


def test_writes_that_wait_for_webhooks(server, tmp_path):
    api = Api(server)
    hooks = Hooks(tmp_path)
    gate = threading.Event()
    hooks.on("/slow", lambda r: gate.wait(20) and allow() or allow())
    hook = hooks.hook("slow.hooks.test", "/slow", timeoutSeconds=20, objectSelector={"matchLabels": {"slow": "yes"}})
    assert api("POST", HOOKS % "validating", configuration("Validating", "slow", hook)).status == 201
    got = []

    def one(i):
        r = api("POST", V1 + "configmaps", cm("slow%d" % i, {"slow": "yes"}), Impersonate_User="flood")
        got.append((r.status, r.getheader("Retry-After"), r.data.get("reason")))
    threads = [threading.Thread(target=one, args=(i,)) for i in range(100)]
    try:
        for t in threads:
            t.start()
        wait_for(lambda: len(hooks.asked("/slow")) >= 10 and len(got) >= 60, "the flood to be held and refused")
        assert len(hooks.asked("/slow")) == 10  # half of the writing seats
        p50, p99 = measure(api, 1, "POST", V1 + "configmaps")
        assert p99 < 1000 * SLOW, (p50, p99)
    finally:
        gate.set()
        for t in threads:
            t.join()
        api("DELETE", HOOKS % "validating" + "/slow")
        hooks.close()
    assert {g for g in got if g[0] != 201} == {(429, "1", "TooManyRequests")}
    assert sum(g[0] == 201 for g in got) == 40  # ten at once, thirty in the queue


def test_a_client_that_leaves_the_queue(server, tmp_path):
    api = Api(server)
    hooks = Hooks(tmp_path)
    gate = threading.Event()
    hooks.on("/hold", lambda r: gate.wait(20) and allow() or allow())
    hook = hooks.hook("hold.hooks.test", "/hold", timeoutSeconds=20, objectSelector={"matchLabels": {"hold": "yes"}})
    assert api("POST", HOOKS % "validating", configuration("Validating", "hold", hook)).status == 201
    conns = []
    try:
        for i in range(15):
            c = api.connect()
            c.request("POST", V1 + "configmaps", json.dumps(cm("hold%d" % i, {"hold": "yes"})),
                      {"Authorization": "Bearer admin", "Content-Type": "application/json", "Impersonate-User": "flood"})
            conns.append(c)
        wait_for(lambda: metric(api, "apiserver_flowcontrol_current_inqueue_requests") == 5, "five to wait")
        for c in conns:
            c.close()
        wait_for(lambda: metric(api, "apiserver_flowcontrol_current_inqueue_requests") == 0, "the queue to be empty")
    finally:
        gate.set()
        api("DELETE", HOOKS % "validating" + "/hold")
    wait_for(lambda: metric(api, 'apiserver_current_inflight_requests{request_kind="mutating"}') == 0, "the rest to end")
    hooks.close()


def kubectl(server, *argv, user, check=True):
    done = subprocess.run([kubectls()[-1], "--kubeconfig", "/dev/null", "--server", server.url, "--insecure-skip-tls-verify",
                           "--token", "admin", "--as", user, *argv], capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk makes the flood")
def test_a_guest_waits_for_few_requests_of_the_flood(tls):
    """Counted in requests, which holds on any machine: between one answer to the guest and the next, the flood gets few."""
    server, api, n = tls, Api(tls), 40
    flood = subprocess.Popen(["wrk", "-t", "1", "-c", "100", "-d", "10s", "-H", "Authorization: Bearer admin", "-H",
                              "Impersonate-User: flood", server.url + V1 + "configmaps"], stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: metric(api, "apiserver_flowcontrol_current_inqueue_requests") > 10, "the flood to queue")
        c = api.connect()
        before = requests_served(api, "LIST")
        for _ in range(n):
            assert api("GET", V1 + "configmaps/c1", c=c, Impersonate_User="guest").status == 200
        served = requests_served(api, "LIST") - before
        c.close()
        # kubectl's own requests (discovery, the object) are as many turns.
        begin = requests_served(api, "LIST")
        kubectl(server, "get", "configmap", "c1", user="guest")
        for_kubectl = requests_served(api, "LIST") - begin
    finally:
        flood.wait(30)
    print("lists of the flood served for each request of the guest: %.1f; during one kubectl: %d" % (served / n, for_kubectl))
    assert served / n < 6, served


def requests_served(api, verb):
    c = api.connect()
    c.request("GET", "/metrics", headers={"Authorization": "Bearer admin"})
    text = c.getresponse().read().decode()
    c.close()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith("apiserver_request_total{") and
               'code="200"' in line and 'verb="%s"' % verb in line)


def ask(server, path, user, window=None, accept="application/json", h2=False):
    """A request whose answer nobody reads (yet)."""
    host, port = server.url.split("//")[1].split(":")
    s = socket.socket()
    if window:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    s.connect((host, int(port)))
    fields = {"authorization": "Bearer admin", "impersonate-user": user, "accept": accept}
    if h2:
        s.sendall(h2_request(path, fields))
    else:
        head = "".join("%s: %s\r\n" % f for f in fields.items())
        s.sendall(("GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (path, head)).encode())
    return s


def h2_request(path, fields):
    """Preface, empty SETTINGS, one HEADERS frame (END_STREAM, END_HEADERS) of literals: RFC 9113, RFC 7541."""
    text = lambda t: bytes([len(t)]) + t.encode()
    block = b"\x82\x86\x04" + text(path) + b"\x01" + text("x")
    block += b"".join(b"\x00" + text(k) + text(v) for k, v in fields.items())
    frame = lambda kind, flags, stream, body: len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 5, 1, block)


def test_watches_take_no_seats(server):
    """Sixty of them where forty may read at once; then the same user reads as ever."""
    api, conns = Api(server), []
    try:
        for _ in range(60):
            conns.append(ask(server, V1 + "configmaps?watch=1&resourceVersion=0&fieldSelector=metadata.name%3Dc1", "flood"))
        for s in conns:
            s.settimeout(20 * SLOW)
            assert s.recv(12) == b"HTTP/1.1 200"
        assert metric(api, "apiserver_flowcontrol_current_inqueue_requests") == 0
        for user in ("flood", "guest"):
            assert api("GET", V1 + "configmaps?limit=10", Impersonate_User=user).status == 200
            assert api("POST", V1 + "configmaps", cm("w-" + user), Impersonate_User=user).status == 201
    finally:
        for s in conns:
            s.close()


def test_long_answers_keep_their_seats(server):
    """A list of 12 MB is sent as the client takes it and keeps its seat until then: of 20 seats a user who does not read fills
    all, and the rest of his requests wait; another user is served. Small answers are sent sixteen at a time."""
    api = Api(server)
    path, conns = big_list(api), []
    queued = lambda: metric(api, "apiserver_flowcontrol_current_inqueue_requests")
    try:
        for _ in range(26):
            conns.append(ask(server, path, "flood", 4096))
        wait_for(lambda: queued() == 6, "long answers to hold the seats")
        begin = time.monotonic()
        assert api("GET", V1 + "configmaps/c1", Impersonate_User="guest").status == 200
        assert api("GET", path + "?limit=1", Impersonate_User="guest").status == 200
        assert time.monotonic() - begin < 5 * SLOW
        assert queued() == 6
    finally:
        for s in conns:
            s.close()
    wait_for(lambda: queued() == 0, "the queue to be empty")
    conns = [ask(server, V1 + "configmaps/c1", "flood", 4096) for _ in range(16)]
    for s in conns:
        s.settimeout(20 * SLOW)
        assert s.recv(12) == b"HTTP/1.1 200"
        s.close()


def big_list(api):
    """Of 12 MB."""
    path, c = "/api/v1/namespaces/kube-public/configmaps", api.connect()
    for i in range(12):
        assert api("POST", path, cm("big%d" % i, a="x" * 1000000), c=c).status in (201, 409)
    return path


def test_answers_made_whole_weigh_more(server):
    """A list of 12 MB in YAML takes a seat for each MiB until the client has taken it: of 20 seats a user who does not read has two
    such answers, over whichever protocol; what he asks besides waits, and the server keeps 24 MB for him and not 360."""
    api = Api(server)
    path, conns = big_list(api), []
    queued = lambda: metric(api, "apiserver_flowcontrol_current_inqueue_requests")
    memory = lambda: metric(api, "process_resident_memory_bytes")
    for h2 in (False, True):
        before = memory()
        try:
            for _ in range(30):
                conns.append(ask(server, path, "flood", 4096, "application/yaml", h2))
            wait_for(lambda: queued() == 28, "whole answers to hold the seats")
            assert api("GET", V1 + "configmaps/c1", Impersonate_User="guest").status == 200
            assert api("GET", path + "?limit=1", Impersonate_User="guest").status == 200
            assert queued() == 28
            if SLOW == 1:  # sanitizers keep what is freed
                assert memory() - before < 150e6, (before, memory())
            # One is taken: the next has its turn.
            if not h2:
                conns[0].settimeout(20 * SLOW)
                left = 12000000
                while left > 0:
                    left -= len(conns[0].recv(1 << 20))
                wait_for(lambda: queued() == 27, "the next to have its turn")
        finally:
            while conns:
                conns.pop().close()
        wait_for(lambda: queued() == 0, "the queue to be empty")


@pytest.mark.parametrize("accept", ["application/json", "application/yaml"])
@pytest.mark.parametrize("h2", [False, True])
def test_who_takes_nothing_is_cut_off(tmp_path, accept, h2):
    """His places are free again though he keeps his connections."""
    server = Server(tmp_path, "--plain", "--http-idle-timeout", "2s", "--max-requests-inflight", "40")
    server.start()
    api, conns = Api(server), []
    rbac = "/apis/rbac.authorization.k8s.io/v1/"
    assert api("POST", rbac + "clusterrolebindings", {
        "metadata": {"name": "all"}, "subjects": [{"kind": "User", "name": "flood", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"}}).status == 201
    queued = lambda: metric(api, "apiserver_flowcontrol_current_inqueue_requests")
    try:
        path = big_list(api)
        for _ in range(26):
            conns.append(ask(server, path, "flood", 4096, accept, h2))
        wait_for(lambda: queued() > 0, "the seats to be taken")
        assert queued() <= 24
        wait_for(lambda: queued() <= 4, "the first to be cut off", 60)
    finally:
        for s in conns:
            s.close()
        server.stop()


def test_who_is_exempt_and_who_is_told_to_wait(tls, tmp_path):
    """While a user's seats and queue are full: system:masters and health go through at once; his kubectl is answered 429, waits as
    Retry-After says, and succeeds when there is room."""
    server, api = tls, Api(tls)
    hooks = Hooks(tmp_path)
    gate = threading.Event()
    hooks.on("/full", lambda r: gate.wait(60) and allow() or allow())
    hook = hooks.hook("full.hooks.test", "/full", timeoutSeconds=30, objectSelector={"matchLabels": {"full": "yes"}})
    assert api("POST", HOOKS % "validating", configuration("Validating", "full", hook)).status == 201
    rejected = lambda: metric(api, "apiserver_flowcontrol_rejected_requests_total")
    before, threads = rejected(), []
    try:
        for i in range(60):
            threads.append(threading.Thread(target=lambda i=i: api("POST", V1 + "configmaps", cm("full%d" % i, {"full": "yes"}),
                                                                   Impersonate_User="flood")))
            threads[-1].start()
        wait_for(lambda: rejected() - before >= 20, "the queue to be full")
        for path in ("/livez", "/readyz", V1 + "configmaps/c1"):
            c = api.connect()
            c.request("GET", path, headers={"Authorization": "Bearer admin"})
            assert c.getresponse().status == 200
            c.close()
        assert api("POST", V1 + "configmaps", cm("by-admin")).status == 201
        seen, done = rejected(), []
        patient = threading.Thread(target=lambda: done.append(kubectl(server, "create", "configmap", "patient", "-n", "default",
                                                                      user="flood", check=False)))
        patient.start()
        wait_for(lambda: rejected() - seen >= 2, "kubectl to be told to wait, twice", 60)
        assert not done
        gate.set()
        patient.join(60)
        assert done and done[0].returncode == 0, done
    finally:
        gate.set()
        for t in threads:
            t.join()
        api("DELETE", HOOKS % "validating" + "/full")
        hooks.close()
