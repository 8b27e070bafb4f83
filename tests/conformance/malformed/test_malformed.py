# SPDX-License-Identifier: Apache-2.0
"""Requests that nobody well sends, against the engine alone behind TLS: each is answered as the tables say, or cut off; after each the
server still answers, and when all is over it has not grown.

    wire.yaml      HTTP/1.1 as bytes
    requests.yaml  well-formed HTTP with wrong contents, over HTTP/1.1 and HTTP/2
    frames.yaml    HTTP/2 as frames

HANSA_BUILD=build/asan runs it against another build; with a sanitizer memory is not measured.
"""
import json
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
import yaml

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "kubectl"))
import attack  # noqa: E402
from attack import H1, H2, Target, block, frame, octets  # noqa: E402
from servers import Engine, apid_binary  # noqa: E402

GROWTH = 48 << 20  # of the server's memory over all rows: a few bodies of 3 MiB that its heap keeps
CMS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENT = {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
    "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}


def rows(name):
    table = yaml.safe_load((HERE / name).read_text())
    names = [r["name"] for r in table]
    assert len(names) == len(set(names)), f"{name}: a name twice"
    return [pytest.param(r, id=re.sub(r"[^\w.]+", "-", r["name"])) for r in table]


class Server(Engine):
    """A server and one connection to it that stays well all the time."""

    def start(self):
        super().start()
        self.target = Target(self.dir)
        self.control = H1(self.target.tls())
        for path, body in ((CMS, {"metadata": {"name": "there"}, "data": {"a": "b"}}),
                           ("/apis/apps/v1/namespaces/default/deployments", DEPLOYMENT)):
            a = self.request(self.control, {"path": path, "body": [{"json": body}]})
            assert a.code == 201, a
        return self

    def request(self, h1, row):
        h1.send(h1_request(row))
        return h1.answer(row.get("method") == "HEAD")

    def well(self):
        """Answers on the connection that was there all the time, or on a new one (idle ones are closed)."""
        assert self.proc.poll() is None, "the server is gone: " + (self.dir / "log").read_text()[-3000:]
        if not self.control.goes_on():
            self.control = H1(self.target.tls())
            assert self.control.goes_on()

    def memory(self):
        text = pathlib.Path(f"/proc/{self.proc.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) << 10


def run(folder, *flags):
    """A server for many tests. All over, it has not grown."""
    s = Server(folder, *flags).start()
    sanitized = b"__asan_init" in apid_binary().read_bytes()
    before = s.memory()
    yield s
    s.well()
    grown = s.memory() - before
    s.stop()
    assert sanitized or grown < GROWTH, f"grown by {grown >> 20} MiB"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    yield from run(tmp_path_factory.mktemp("malformed"))


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """With short time-outs, for those who are slow on purpose. Others use the server above, which a busy machine does not trouble."""
    yield from run(tmp_path_factory.mktemp("hasty"), "--http-header-timeout", "500ms", "--http-body-timeout", "500ms",
                   "--http-idle-timeout", "900ms")


def h1_request(row):
    body, path = octets(row.get("body")), octets(row.get("path", CMS))
    lines = [octets(row.get("method", "POST")) + b" " + path + b" HTTP/1.1", b"Host: localhost"]
    for name, value in fields_of(row, body):
        lines.append(name.encode() + b": " + value)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def fields_of(row, body):
    if row.get("token", "admin"):
        yield "authorization", b"Bearer " + row.get("token", "admin").encode()
    if row.get("body") is not None:
        yield "content-type", row.get("type", "application/json").encode()
        yield "content-length", str(len(body)).encode()
    for name, value in row.get("headers", {}).items():
        yield name.lower(), octets(value)


def h2_request(h2, row):
    body, s = octets(row.get("body")), h2.stream()
    head = block([(":method", row.get("method", "POST")), (":scheme", "https"), (":path", row.get("path", CMS)),
                  (":authority", "localhost"), *fields_of(row, body)])
    end = 0 if body else attack.END_STREAM
    parts = [head[i:i + 16384] for i in range(0, len(head), 16384)]
    for i, part in enumerate(parts):
        last = attack.END_HEADERS if i == len(parts) - 1 else 0
        h2.send(frame(attack.CONTINUATION if i else attack.HEADERS, last | (0 if i else end), s, part))
    at = 0
    credit, stream_credit = 65535, 65535  # the server's windows are wider, but it says so only in its settings
    while at < len(body):
        piece = body[at:at + 16384]
        if at + len(piece) > min(credit, stream_credit):
            break
        at += len(piece)
        h2.send(frame(attack.DATA, attack.END_STREAM if at == len(body) else 0, s, piece))
    if at < len(body):
        stream_body(h2, s, body[at:])
    return h2.answer(s)


def stream_body(h2, s, body):
    """The rest of a body, paced by what the server has read: a PING's answer says that it has come so far."""
    for at in range(0, len(body), 49152):
        part = body[at:at + 49152]
        for i in range(0, len(part), 16384):
            last = at + i + 16384 >= len(body)
            h2.send(frame(attack.DATA, attack.END_STREAM if last else 0, s, part[i:i + 16384]))
        pongs = h2.pongs
        h2.send(frame(attack.PING, 0, 0, b"12345678"))
        h2.until(lambda: h2.pongs > pongs or s in h2.answers or s in h2.resets)
        if s in h2.answers or s in h2.resets or h2.closed:
            return


def check(row, a):
    assert a is not None, "no answer"
    codes = row["code"] if isinstance(row["code"], list) else [row["code"]]
    assert a.code in codes, a
    said = a.status()
    if a.code >= 400 and not row.get("text"):
        assert said.get("kind") == "Status" and said.get("code") == a.code and said.get("status") == "Failure", a
    if "reason" in row:
        assert said.get("reason") == row["reason"], a
    if "message" in row:
        assert row["message"] in said.get("message", ""), a
    causes = said.get("details", {}).get("causes", [])
    for want in row.get("causes", []):
        assert any(all(str(v) in str(c.get(k, "")) for k, v in want.items()) for c in causes), (want, causes)
    if "warning" in row:
        given = " ".join(a.headers.get("warning", []))
        assert (json.dumps(row["warning"])[1:-1] in given) if row["warning"] else not given, a.headers


def after(row, conn):
    then = row.get("after", "kept")
    if then == "closed":
        assert conn.ended(), "the connection is still open"
    elif then == "kept":
        assert conn.goes_on(), "the connection was closed"


@pytest.mark.parametrize("row", rows("wire.yaml"))
def test_wire(request, row):
    server = request.getfixturevalue("hasty" if row.get("hasty") else "server")
    conn = H1(server.target.tls())
    conn.send(octets(row["send"]))
    if "drip" in row:
        threading.Thread(target=drip, args=(conn, octets(row["drip"])), daemon=True).start()
    if row.get("shut"):
        conn.sock = conn.sock.unwrap()  # sends close_notify; what comes is no TLS any more
    if row.get("none"):
        assert conn.answer() is None if not row.get("shut") else True
    else:
        check(row, conn.answer())
        conn.send(octets(row.get("later")))
        for code in row.get("then", []):
            a = conn.answer()
            assert a is not None and a.code == code, a
    if not row.get("shut"):
        after(row, conn)
    conn.sock.close()
    server.well()


def drip(conn, piece):
    """A piece each fifth of a second, for as long as they are taken."""
    for _ in range(100):
        time.sleep(0.2)
        try:
            conn.sock.sendall(piece)
        except OSError:
            return


@pytest.mark.parametrize("row", rows("requests.yaml"))
def test_request(server, row):
    one = H1(server.target.tls())
    check(row, server.request(one, row))
    after(row, one)
    one.sock.close()
    if not row.get("once"):
        two = H2(server.target.tls("h2"))
        check(row, h2_request(two, row))
        after(row, two)
        two.sock.close()
    server.well()


# ---- frames ----

class Steps:
    """Sends a table's steps over a connection; much at once, as a flood would."""

    def __init__(self, h2):
        self.h2, self.last, self.out = h2, 0, bytearray()

    def put(self, data):
        self.out += data
        if len(self.out) > 1 << 17:
            self.flush()

    def flush(self):
        self.h2.send(bytes(self.out))
        self.out.clear()

    def stream(self, step, opens):
        if "stream" in step:
            self.last = step["stream"] or self.last
            return step["stream"]
        if opens and not step.get("same"):
            self.last = self.h2.stream()
        return self.last

    def headers(self, step):
        fields = []
        for f in step["headers"]:
            fields += [f["field"]] * f["times"] if isinstance(f, dict) else [f]
        names = [f[0] for f in fields]
        if ":path" in names and ":authority" not in names and not step.get("same"):
            fields.insert(0, [":authority", "x"])  # what nghttp2 asks for first of all
        flags = (attack.END_STREAM if step.get("end") else 0)
        data, s = block(fields), self.stream(step, True)
        parts = [data[i:i + 16384] for i in range(0, len(data), 16384)]
        for i, part in enumerate(parts):
            last = attack.END_HEADERS if i == len(parts) - 1 and not step.get("more") else 0
            self.put(frame(attack.CONTINUATION if i else attack.HEADERS, last | (0 if i else flags), s, part))

    def __call__(self, steps):
        for step in steps:
            if "repeat" in step:
                for _ in range(step["times"]):
                    self(step["repeat"])
            elif "get" in step:
                who = [["authorization", "Bearer " + step["token"]]] if "token" in step else []
                self.headers({"headers": [[":method", "GET"], [":scheme", "https"], [":path", step["get"]], *who], "end": True})
            elif "headers" in step:
                self.headers(step)
            elif "octets" in step:
                self.put(octets(step["octets"]))
            else:
                kind = attack.TYPES.get(step["type"], step["type"])
                self.put(frame(kind, step.get("flags", 0), self.stream(step, step.get("open")), octets(step["payload"])))


def came(h2, want, stream):
    """Has it happened already?"""
    a = h2.answers.get(stream)
    some = lambda v: v if isinstance(v, list) else [v]  # noqa: E731
    return ("code" in want and a is not None and a.whole and a.code == want["code"] or
            "goaway" in want and h2.goaway in some(want["goaway"]) or
            "reset" in want and set(some(want["reset"])) & set(h2.resets.values()) or
            bool(want.get("ended") and h2.closed))


@pytest.mark.parametrize("row", rows("frames.yaml"))
def test_frames(request, row):
    server = request.getfixturevalue("hasty" if row.get("hasty") else "server")
    h2 = H2(server.target.tls("h2"), window=row.get("window", 1 << 30))
    steps = Steps(h2)
    steps(row["send"])
    steps.flush()
    if row.get("pings"):
        threading.Thread(target=drip, args=(h2, frame(attack.PING, 0, 0, b"12345678")), daemon=True).start()
    done = lambda: came(h2, row, steps.last) or came(h2, row.get("or", {}), steps.last)  # noqa: E731
    h2.until(done, 20)
    assert done(), (h2.answers, h2.resets, h2.goaway, h2.closed)
    assert row.get("without") not in h2.answers
    then = row.get("after", "kept")
    if then == "closed":
        assert h2.ended(), "the connection is still open"
    elif then == "kept":
        assert h2.goes_on(), "the connection was closed"
    h2.sock.close()
    server.well()


# ---- TLS ----

def ends(sock, seconds=15):
    """What the server says until it ends the connection."""
    said = b""
    sock.settimeout(seconds)
    while True:
        try:
            part = sock.recv(65536)
        except (ConnectionError, ssl.SSLError):
            return said
        if not part:
            return said
        said += part


@pytest.mark.parametrize("hello", [
    b"\0" * 100, b"\xff" * 100000, b"SSH-2.0-x\r\n", b"\x16\x03\x01\xff\xff" + b"a" * 70000, b"\x16\x03\x01\0\x05hello",
    b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03" + b"r" * 32 + b"\0\0\x02\0\xff\x01\0", b"\x15\x03\x01\0\x02\x02\x28",
    b"\x17\x03\x03\x40\x00" + b"x" * 16384, b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"z" * 35],
    ids=["zeros", "ones", "ssh", "long-record", "no-handshake", "no-ciphers", "alert", "data", "ssl2"])
def test_no_client_hello(hasty, hello):
    with hasty.target.plain() as s:
        try:
            s.sendall(hello)
        except OSError:
            pass
        assert b"HTTP" not in ends(s)
    hasty.well()


def test_half_a_client_hello_is_cut_off(hasty):
    with hasty.target.plain() as s:
        s.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        ends(s, 30)
    hasty.well()


@pytest.mark.parametrize("request_", [b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /api HTTP/1.0\r\n\r\n", b"OPTIONS * HTTP/1.1\r\n\r\n"])
def test_plain_http_to_the_tls_port_is_told(server, request_):
    with server.target.plain() as s:
        s.sendall(request_)
        said = ends(s)
    assert said.startswith(b"HTTP/1.0 400 Bad Request\r\n") and b"Client sent an HTTP request to an HTTPS server." in said, said
    server.well()


def test_old_tls_is_refused(server):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.target.tls(highest=ssl.TLSVersion.TLSv1_1)
    server.well()


def test_renegotiation_is_refused(server):
    """openssl s_client asks for it with a line "R"."""
    host, port = server.target.addr
    p = subprocess.run(["openssl", "s_client", "-connect", f"{host}:{port}", "-tls1_2"], input=b"R\n", capture_output=True, timeout=30)
    assert b"no renegotiation" in p.stderr or p.returncode != 0, p.stderr[-500:]
    server.well()


# ---- many of them ----

def test_pipelining_without_reading_holds_no_memory(server):
    """A client that asks for ever and reads nothing: the server stops to read it, and then cuts it off."""
    conn = H1(server.target.tls())
    before, one = server.memory(), b"GET /openapi/v3/api/v1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n\r\n"
    conn.sock.settimeout(2)
    try:
        for _ in range(400):
            conn.sock.sendall(one * 50)
    except OSError:
        pass  # it does not take more
    assert server.memory() - before < 32 << 20 or b"__asan_init" in apid_binary().read_bytes()
    conn.sock.close()
    server.well()


@pytest.mark.parametrize("limits", [("--http-max-connections", "8"), ("--http-max-connections-per-client", "8")])
def test_connections_are_bounded(tmp_path, limits):
    """The ninth is told so; when one goes, there is room again. Another client has its own."""
    s = Server(tmp_path, *limits).start()
    try:
        held = [H1(s.target.tls()) for _ in range(7)]  # and the one for control
        for alpn, make in (("http/1.1", H1), ("h2", H2)):
            ninth = make(s.target.tls(alpn))
            a = (s.request(ninth, {"method": "GET", "path": "/readyz", "token": None}) if make is H1 else
                 h2_request(ninth, {"method": "GET", "path": "/readyz", "token": None}))
            assert a.code == 429 and a.status()["reason"] == "TooManyRequests" and a.headers["retry-after"] == ["1"], a
            assert ninth.ended()
        a = s.request(s.control, {"method": "GET", "path": "/metrics"})
        kind = "client" if "client" in limits[0] else "total"
        assert f'hansa_http_connections_refused_total{{limit="{kind}"}} 2' in a.body.decode()
        if kind == "client":
            other = socket.create_connection(s.target.addr, source_address=("127.0.0.2", 0))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            assert H1(context.wrap_socket(other)).goes_on()
        held.pop().sock.close()
        end = time.monotonic() + 20
        while not H1(s.target.tls()).goes_on():
            assert time.monotonic() < end
    finally:
        s.stop()


def test_many_connections_that_say_nothing(hasty):
    """They are cut off after their time, and others are served meanwhile."""
    many = [hasty.target.tls() for _ in range(100)]
    hasty.well()
    for sock in many:
        assert ends(sock) == b""
    hasty.well()
