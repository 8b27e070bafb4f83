# SPDX-License-Identifier: Apache-2.0
"""What passes through, and what happens with backends and clients that misbehave."""
import hashlib
import http.client
import os
import socket
import threading
import time

import pytest

from glb import World, free_port, ok, simple_world, wait_for

HOST = b"Host: api.example.com\r\n"


def connect(b):
    return socket.create_connection((b.host, b.port), timeout=15)


def read_answer(s):
    """(head, body) of one answer with Content-Length, or until the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = s.recv(65536)
        if not more:
            return data, None
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    body = bytearray(body)
    length = [int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length:")]
    while length and len(body) < length[0]:
        more = s.recv(65536)
        if not more:
            break
        body += more
    return head, bytes(body)


def read_all(s):
    data = b""
    while True:
        try:
            more = s.recv(65536)
        except ConnectionResetError:
            return data
        if not more:
            return data
        data += more


def one(b, request):
    with connect(b) as s:
        s.sendall(request)
        return read_answer(s)


def world_of(*ups, cluster="us-east1"):
    return simple_world({cluster: [(u.host, u.port) for u in ups]})


def two(first, second):
    return simple_world({"europe-west1": [(first.host, first.port)], "asia-east1": [(second.host, second.port)]})


# ---- what passes ----

def test_hop_by_hop_fields_end_here(balancer, backend):
    up = backend(ok(extra=b"Connection: X-Secret\r\nX-Secret: 1\r\nX-Kept: 2\r\nKeep-Alive: timeout=5\r\n"))
    b = balancer(world_of(up))
    head, _ = one(b, b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close, X-Mine\r\nX-Mine: 1\r\nX-Other: 2\r\nTE: gzip\r\n"
                     b"Hansa-Hop: 1\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\r\n")
    got = up.heads[-1].lower()
    assert b"x-mine" not in got and b"\r\nte:" not in got and b"connection:" not in got and b"hansa-hop" not in got
    assert b"x-other: 2" in got and b"x-forwarded-for: 192.0.2.7, 127.0.0.1" in got and b"x-forwarded-proto: http\r\n" in got
    assert b"X-Secret" not in head and b"Keep-Alive" not in head and b"X-Kept: 2" in head


def test_keep_alive_and_pipelining(balancer, backend):
    seen = []

    def handle(s, head, rest):
        path = head.split(b" ")[1]
        seen.append(path)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))
        return rest
    b = balancer(world_of(backend(handle)))
    n = 200
    with connect(b) as s:
        s.sendall(b"".join(b"GET /%d HTTP/1.1\r\n" % i + HOST + b"\r\n" for i in range(n)))
        data = b""
        want = b"".join(b"/%d" % i for i in range(n))
        while data.count(b"HTTP/1.1 200") < n or not data.endswith(b"/%d" % (n - 1)):
            data += s.recv(65536)
    bodies = b"".join(p.split(b"HTTP/1.1")[0] for p in data.split(b"\r\n\r\n")[1:])
    assert bodies == want
    assert seen == [b"/%d" % i for i in range(n)]


def test_pipelined_failures_do_not_recurse(balancer, backend):
    b = balancer(world_of(backend(ok())))
    n = 5000
    with connect(b) as s:
        t = threading.Thread(target=s.sendall, args=(b"GET / HTTP/1.1\r\nHost: nowhere\r\n\r\n" * n,))
        t.start()
        data = b""
        while data.count(b"404 Not Found") < n:
            more = s.recv(1 << 20)
            assert more
            data += more
        t.join()


def test_head_has_no_body(balancer, backend):
    b = balancer(world_of(backend(ok(b"x" * 100))))
    with connect(b) as s:
        s.sendall(b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\nGET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        data = read_all(s)
    assert data.count(b"HTTP/1.1 200") == 2 and data.count(b"x" * 100) == 1


def test_chunked_answer_and_trailers(balancer, backend):
    def handle(s, head, rest):
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        time.sleep(0.02)
        s.sendall(b"6;x=y\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n")
        return rest
    b = balancer(world_of(backend(handle)))
    c = http.client.HTTPConnection(b.host, b.port, timeout=10)
    for _ in range(3):
        c.request("GET", "/", headers={"Host": "api.example.com"})
        assert c.getresponse().read() == b"hello world"
    # HTTP/1.0 knows no chunks
    with connect(b) as s:
        s.sendall(b"GET / HTTP/1.0\r\n" + HOST + b"\r\n")
        head, body = read_all(s).split(b"\r\n\r\n", 1)
    assert body == b"hello world" and b"chunked" not in head.lower()


def test_answer_until_close(balancer, backend):
    def handle(s, head, rest):
        s.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * 100000)
        return None
    b = balancer(world_of(backend(handle)))
    with connect(b) as s:
        s.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        head, body = read_all(s).split(b"\r\n\r\n", 1)
    assert len(body) == 100000 and b"Connection: close" in head


def echo_sum(s, head, rest):
    """Reads the body (either framing) and answers its digest."""
    low = head.lower()
    h = hashlib.sha256()
    if b"transfer-encoding: chunked" in low:
        while True:
            while b"\r\n" not in rest:
                rest += s.recv(65536)
            line, rest = rest.split(b"\r\n", 1)
            n = int(line.split(b";")[0], 16)
            while len(rest) < n + 2:
                rest += s.recv(65536)
            h.update(rest[:n])
            rest = rest[n + 2:]
            if n == 0:
                break
    else:
        n = [int(l.split(b":")[1]) for l in low.split(b"\r\n") if l.startswith(b"content-length:")]
        left = n[0] if n else 0
        while left:
            if not rest:
                rest = s.recv(65536)
                if not rest:
                    return None
            h.update(rest[:left])
            used = min(left, len(rest))
            rest, left = rest[used:], left - used
    body = h.hexdigest().encode()
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    return rest


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 1 << 20, 30 << 20])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_up(balancer, backend, size, chunked):
    b = balancer(world_of(backend(echo_sum)))
    data = os.urandom(size)
    c = http.client.HTTPConnection(b.host, b.port, timeout=30)
    for _ in range(2):
        if chunked:
            c.request("POST", "/", body=(data[i:i + 50000] for i in range(0, size, 50000)), encode_chunked=True,
                      headers={"Host": "api.example.com", "Transfer-Encoding": "chunked"})
        else:
            c.request("PUT", "/", body=data, headers={"Host": "api.example.com"})
        r = c.getresponse()
        assert (r.status, r.read().decode()) == (200, hashlib.sha256(data).hexdigest())


def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(l.split()[1]) for l in f if l.startswith("VmRSS"))


def test_big_body_down_to_a_slow_client_is_not_buffered(balancer, backend):
    size = 100 << 20
    block = os.urandom(1 << 20)

    def handle(s, head, rest):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 20):
            s.sendall(block)
        return rest
    b = balancer(world_of(backend(handle)))
    before = rss(b.proc.pid)
    with connect(b) as s:
        s.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        time.sleep(0.5)
        assert rss(b.proc.pid) - before < 20000
        head, body = read_answer(s)
    assert hashlib.sha256(body).digest() == hashlib.sha256(block * (size >> 20)).digest()


def test_big_body_up_to_a_slow_backend_is_not_buffered(balancer, backend):
    go = threading.Event()

    def handle(s, head, rest):
        go.wait(10)
        return echo_sum(s, head, rest)
    b = balancer(world_of(backend(handle)))
    data = os.urandom(50 << 20)
    before = rss(b.proc.pid)
    c = http.client.HTTPConnection(b.host, b.port, timeout=30)
    t = threading.Thread(target=lambda: c.request("POST", "/", body=data, headers={"Host": "api.example.com"}))
    t.start()
    time.sleep(0.5)
    assert rss(b.proc.pid) - before < 20000
    go.set()
    t.join()
    assert c.getresponse().read().decode() == hashlib.sha256(data).hexdigest()


def test_expect_100_continue(balancer, backend):
    up = backend(echo_sum)
    b = balancer(world_of(up))
    with connect(b) as s:
        s.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"hello")
        head, body = read_answer(s)
    assert body.decode() == hashlib.sha256(b"hello").hexdigest()
    assert b"expect" not in up.heads[-1].lower()
    with connect(b) as s:  # not for what nobody serves
        s.sendall(b"POST / HTTP/1.1\r\nHost: none\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert read_all(s).startswith(b"HTTP/1.1 404")


def test_upgrade_is_a_tunnel(balancer, backend):
    def handle(s, head, rest):
        assert b"upgrade: websocket" in head.lower() and b"connection: upgrade" in head.lower()
        s.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
        while True:
            data = s.recv(65536)
            if not data:
                return None
            s.sendall(data.upper())
    b = balancer(world_of(backend(handle)))
    with connect(b) as s:
        s.sendall(b"GET /ws HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
        data = b""
        while not data.endswith(b"firstEARLY"):
            data += s.recv(1000)
        assert data.startswith(b"HTTP/1.1 101") and b"Upgrade: websocket" in data
        block = b"abc" * 300000
        t = threading.Thread(target=s.sendall, args=(block,))
        t.start()
        got = b""
        while len(got) < len(block):
            got += s.recv(65536)
        t.join()
        assert got == block.upper()
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == b""


def test_refused_upgrade_is_an_ordinary_answer(balancer, backend):
    b = balancer(world_of(backend(ok(b"no\n"))))
    head, body = one(b, b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and body == b"no\n"


# ---- backends that misbehave ----

def silent(s, head, rest):
    time.sleep(20)


def test_silent_backend_is_hedged_elsewhere(balancer, backend):
    first, second = backend(silent), backend(ok(b"second\n"))
    b = balancer(two(first, second), "--probes=false")
    began = time.monotonic()
    head, body = one(b, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    assert body == b"second\n" and time.monotonic() - began < 10  # the silence is of 20 s
    b.counts("hansa_globallb_hedges_total", 1)
    b.counts("hansa_globallb_hedges_won_total", 1)


def test_put_with_a_body_is_repeated_post_is_not(balancer, backend):
    first, second = backend(silent), backend(echo_sum)
    b = balancer(two(first, second), "--probes=false", "--response-timeout=1200ms")
    head, body = one(b, b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello")
    assert body.decode() == hashlib.sha256(b"hello").hexdigest()
    head, body = one(b, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello")
    assert head.startswith(b"HTTP/1.1 504")
    assert len(second.heads) == 1


def test_cut_before_the_answer(balancer, backend):
    first, second = backend(lambda s, head, rest: None), backend(ok(b"second\n"))
    b = balancer(two(first, second), "--probes=false")
    assert one(b, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")[1] == b"second\n"
    head, _ = one(b, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n\r\nx")
    assert head.startswith(b"HTTP/1.1 502")


def test_refused_goes_elsewhere_even_for_post(balancer, backend):
    gone, up = backend(ok()), backend(echo_sum)
    gone.close()
    b = balancer(two(gone, up), "--probes=false")
    head, body = one(b, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello")
    assert body.decode() == hashlib.sha256(b"hello").hexdigest()
    b.counts("hansa_globallb_retries_total", 1)


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_cut_answers_stay_cut(balancer, backend, how):
    def handle(s, head, rest):
        if how == "length":
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        else:
            s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        time.sleep(0.05)
        return None
    b = balancer(world_of(backend(handle)), "--probes=false")
    c = http.client.HTTPConnection(b.host, b.port, timeout=10)
    c.request("GET", "/", headers={"Host": "api.example.com"})
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        c.getresponse().read()
    b.counts("hansa_globallb_cut_answers_total", 1)


@pytest.mark.parametrize("junk", [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
                                  b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200000 + b"\r\n\r\n"],
                         ids=["garbage", "lengths", "huge"])
def test_malformed_answer_is_502(balancer, backend, junk):
    def handle(s, head, rest):
        s.sendall(junk)
        return None
    b = balancer(world_of(backend(handle)), "--probes=false")
    head, _ = one(b, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502")


def test_503_is_tried_elsewhere(balancer, backend):
    def sick(s, head, rest):
        s.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nsick")
        return rest
    first, second = backend(sick), backend(ok(b"second\n"))
    b = balancer(two(first, second), "--probes=false")
    assert one(b, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")[1] == b"second\n"
    head, body = one(b, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503") and body == b"sick"


def test_early_answer_to_an_upload(balancer, backend):
    def handle(s, head, rest):
        s.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbig\n")
        time.sleep(0.2)
        return None
    b = balancer(world_of(backend(handle)))
    with connect(b) as s:
        s.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 100000000\r\n\r\n" + b"z" * 100000)
        data = read_all(s)
    assert data.startswith(b"HTTP/1.1 413") and data.endswith(b"big\n") and b"Connection: close" in data


def test_kept_connection_that_the_backend_closes(balancer, backend):
    """The backend says keep-alive and closes after each answer: the next request must not suffer."""
    def handle(s, head, rest):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return None
    b = balancer(world_of(backend(handle)), "--probes=false")
    c = http.client.HTTPConnection(b.host, b.port, timeout=10)
    for _ in range(300):
        c.request("GET", "/", headers={"Host": "api.example.com"})
        r = c.getresponse()
        assert r.status == 200 and r.read() == b"ok"


def test_slow_app_is_not_doubled(balancer, backend):
    """Answers take 300 ms everywhere: second tries stay within the budget and nothing is ejected."""
    def slow(s, head, rest):
        time.sleep(0.3)
        return ok()(s, head, rest)
    first, second = backend(slow), backend(slow)
    b = balancer(two(first, second), "--probes=false", "--retry-per-second=0")
    results = []

    def client():
        c = http.client.HTTPConnection(b.host, b.port, timeout=10)
        for _ in range(5):
            c.request("GET", "/", headers={"Host": "api.example.com"})
            results.append(c.getresponse().read())
    threads = [threading.Thread(target=client) for _ in range(40)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert results == [b"ok\n"] * 200
    assert b.metric("hansa_globallb_hedges_total") <= 40
    assert b.metric("hansa_globallb_ejections_total") == 0


# ---- clients that misbehave ----

@pytest.mark.parametrize("request_text,status", [
    (b"GARBAGE\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
    (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 100000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/2.7\r\n" + HOST + b"\r\n", 505),
    (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501),
], ids=["garbage", "no-host", "two-hosts", "two-framings", "bad-chunk", "huge-head", "version", "connect"])
def test_bad_requests(balancer, backend, request_text, status):
    b = balancer(world_of(backend(echo_sum)))
    with connect(b) as s:
        s.sendall(request_text)
        data = read_all(s)
    assert data.startswith(b"HTTP/1.1 %d" % status), data


def test_request_in_single_bytes(balancer, backend):
    b = balancer(world_of(backend(echo_sum)))
    with connect(b) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n":
            s.sendall(bytes([byte]))
        head, body = read_answer(s)
    assert body.decode() == hashlib.sha256(b"hello").hexdigest()


def test_slow_clients_are_ended(balancer, backend):
    b = balancer(world_of(backend(echo_sum)), "--head-timeout=200ms", "--idle-timeout=300ms", "--stall-timeout=400ms")
    with connect(b) as s:  # a head that does not end
        s.sendall(b"GET / HT")
        assert read_all(s).startswith(b"HTTP/1.1 408")
    with connect(b) as s:  # a body that stands still
        s.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nab")
        assert read_all(s).startswith(b"HTTP/1.1 408")
    with connect(b) as s:  # nothing after an answer
        s.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert read_all(s).startswith(b"HTTP/1.1 200")
    with connect(b) as s:  # nothing at all
        assert read_all(s) == b""


def test_body_limit(balancer, backend):
    b = balancer(world_of(backend(echo_sum)), "--max-body=10")
    head, _ = one(b, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 11\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413")


def test_client_that_goes_away(balancer, backend):
    gone = threading.Event()

    def handle(s, head, rest):
        if s.recv(1) == b"":
            gone.set()
        return None
    b = balancer(world_of(backend(handle)), "--probes=false", "--response-timeout=10s")
    s = connect(b)
    s.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")
    wait_for(lambda: b.metric("hansa_globallb_in_flight") == 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    s.close()
    assert gone.wait(5)
    b.counts("hansa_globallb_in_flight", 0)


# ---- clusters ----

def test_nearest_first_and_cordoned_last(balancer, backend):
    ups = {c: backend(ok(c.encode())) for c in ("us-east1", "europe-west1", "asia-east1")}
    w = simple_world({c: [(u.host, u.port)] for c, u in ups.items()})
    for own in ups:
        b = balancer(w, cluster=own)
        assert one(b, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")[1].decode() == own
    w2 = World()
    w2.cluster("us-east1", cordoned=True)
    w2.cluster("europe-west1")
    w2.cluster("asia-east1", ready=False)
    w2.docs += w.docs[3:]
    b = balancer(w2)
    assert one(b, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")[1] == b"europe-west1"


def test_own_pods_are_preferred_to_the_own_entrance(balancer, backend):
    entrance, pod = backend(ok(b"entrance")), backend(ok(b"pod"))
    w = simple_world({"us-east1": [("127.0.0.1", entrance.port)]})
    w.slice("default", "app", "us-east1", ["127.0.0.1"], pod.port, scope="local")
    b = balancer(w)
    assert one(b, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")[1] == b"pod"


def test_cluster_ip_service_goes_through_the_other_balancer(balancer, backend):
    pod = backend(ok(b"pod in europe\n"))
    eu, us = free_port("127.0.0.21"), free_port("127.0.0.22")
    w = World()
    for c in ("us-east1", "europe-west1"):
        w.cluster(c)
    w.service("federation-edge", "globallb", "Headless")
    w.balancer("europe-west1", "127.0.0.21", eu)
    w.balancer("us-east1", "127.0.0.22", us)
    w.cluster("asia-east1")  # nearer to nobody, but without the service: its balancer is never asked
    w.balancer("asia-east1", "127.0.0.23", 9)
    w.service("default", "app", "ClusterIP", clusters=["europe-west1"])
    w.slice("default", "app", "europe-west1", ["127.0.0.1"], pod.port, scope="local")
    w.ingress("default", "app", [("api.example.com", [("/", "Prefix", ("app", 80))])])
    b_eu = balancer(w, cluster="europe-west1", listen=f"127.0.0.21:{eu}")
    b_us = balancer(w, cluster="us-east1", listen=f"127.0.0.22:{us}")
    head, body = one(b_us, b"GET / HTTP/1.1\r\n" + HOST + b"X-Forwarded-Proto: gopher\r\n\r\n")
    assert b_us.metric("hansa_globallb_retries_total") == 0
    assert body == b"pod in europe\n", (head, b_us.text(), b_eu.text())
    assert b"x-forwarded-for: 127.0.0.1, 127.0.0.22" in pod.heads[-1].lower()
    assert b"x-forwarded-proto: http\r\n" in pod.heads[-1].lower()
    # no loop when the pods are gone; and the hop is said to have done nothing
    w2 = World()
    w2.docs = [d for d in w.docs if d["metadata"]["name"] != "app-europe-west1-local"]
    b_eu.update(w2)
    wait_for(lambda: one(b_us, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")[0].startswith(b"HTTP/1.1 503"))
    # a stranger cannot bind a request to one cluster
    b3 = balancer(simple_world({"europe-west1": [("127.0.0.1", pod.port)]}))
    assert one(b3, b"GET / HTTP/1.1\r\n" + HOST + b"Hansa-Hop: 1\r\n\r\n")[1] == b"pod in europe\n"


def test_saturated_cluster_spills(balancer, backend):
    hold = threading.Event()

    def held(s, head, rest):
        hold.wait(10)
        return ok(b"near")(s, head, rest)
    near, far = backend(held), backend(ok(b"far"))
    b = balancer(simple_world({"us-east1": [("127.0.0.1", near.port)], "asia-east1": [("127.0.0.1", far.port)]}),
                 "--max-in-flight=2", "--probes=false")
    waiting = [connect(b) for _ in range(2)]
    for i, s in enumerate(waiting):
        s.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")
        wait_for(lambda: b.metric("hansa_globallb_cluster_in_flight", cluster="us-east1") == i + 1)
    assert one(b, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")[1] == b"far"
    hold.set()
    for s in waiting:
        assert read_answer(s)[1] == b"near"
        s.close()


# ---- its own life ----

def test_state_file_and_restart(tmp_path, balancer, backend):
    """SIGTERM lets a running request end."""
    def slow(s, head, rest):
        time.sleep(0.5)
        return ok(b"done")(s, head, rest)
    up = backend(slow)
    b = balancer(world_of(up), "--probes=false")
    with connect(b) as s:
        s.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")
        wait_for(lambda: up.heads)
        b.proc.terminate()
        head, body = read_answer(s)
        assert body == b"done" and b"Connection: close" in head
    b.proc.wait(5)
    assert b.proc.returncode == 0


def test_objects_are_read_again(balancer, backend):
    up = backend(ok())
    w = world_of(up)
    b = balancer(w)
    assert one(b, b"GET / HTTP/1.1\r\nHost: new.example.com\r\n\r\n")[0].startswith(b"HTTP/1.1 404")
    w.ingress("default", "more", [("new.example.com", [("/", "Prefix", ("app", "http"))])])
    b.update(w)
    wait_for(lambda: one(b, b"GET / HTTP/1.1\r\nHost: new.example.com\r\n\r\n")[0].startswith(b"HTTP/1.1 200"))
