# SPDX-License-Identifier: Apache-2.0
"""Watches over WebSocket, as browsers make them: each event a text message; the token among the protocols, as no header can be set."""
import base64
import contextlib
import json
import os
import socket
import ssl
import struct

import pytest

from raw import Raw

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Socket:
    def __init__(self, engine, path, headers=(), version=13):
        at = engine.api.url.split("//")[1].split(":")
        context = ssl._create_unverified_context()  # without the certificate that others show
        self.sock = context.wrap_socket(socket.create_connection((at[0], int(at[1])), timeout=20))
        lines = [f"GET {path} HTTP/1.1", "Host: test", "Connection: keep-alive, Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Version: {version}",
                 "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(), *headers]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.file = self.sock.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = dict(line.decode().strip().split(": ", 1) for line in iter(self.file.readline, b"\r\n"))

    def send(self, op, payload=b""):
        mask = os.urandom(4)
        self.sock.sendall(bytes([0x80 | op, 0x80 | len(payload)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def message(self):
        """(what, bytes)."""
        head, n = self.file.read(2)
        assert head & 0x80 and not n & 0x80
        if n >= 126:
            n, = struct.unpack(">H" if n == 126 else ">Q", self.file.read(2 if n == 126 else 8))
        return head & 15, self.file.read(n)

    def event(self):
        op, text = self.message()
        assert op == TEXT, (op, text)
        event = json.loads(text)
        return event["type"], event["object"]


@pytest.fixture
def maps(ns):
    return f"/api/v1/namespaces/{ns}/configmaps"


@contextlib.contextmanager
def watching(engine, path, **more):
    s = Socket(engine, path, more.pop("headers", ["Authorization: Bearer admin"]), **more)
    yield s
    s.file.close()
    s.sock.close()


def ended(s):
    op, why = s.message()
    return op == CLOSE and struct.unpack(">H", why[:2])[0]


def test_events_are_messages(engine, maps):
    raw = Raw(engine.api)
    raw(maps, "POST", {"metadata": {"name": "a"}, "data": {"x": "y" * 70000}})
    with watching(engine, maps + "?watch=1&timeoutSeconds=60") as s:
        assert s.status == 101 and s.headers["Upgrade"] == "websocket" and "Sec-WebSocket-Protocol" not in s.headers
        kind, o = s.event()
        assert (kind, o["kind"], len(o["data"]["x"])) == ("ADDED", "ConfigMap", 70000)
        raw(maps + "/a", "PATCH", {"data": {"x": "z"}}, {"Content-Type": "application/merge-patch+json"})
        assert s.event()[1]["data"] == {"x": "z"}
        s.send(PING, b"there?")
        assert s.message() == (PONG, b"there?")
        raw(maps + "/a", "DELETE")
        assert s.event()[0] == "DELETED"
        s.send(CLOSE, struct.pack(">H", 1000))
        assert ended(s) == 1000 and s.file.read() == b""


def test_ends(engine, maps):
    with watching(engine, maps + "?watch=1&timeoutSeconds=1") as s:
        assert ended(s) == 1000
    with watching(engine, maps + "?watch=1&resourceVersion=99999999") as s:
        kind, o = s.event()
        assert (kind, o["code"], o["reason"]) == ("ERROR", 410, "Expired") and ended(s) == 1000
    with watching(engine, maps + "?watch=1") as s:
        s.sock.sendall(b"\x81\x01a")  # not masked
        assert ended(s) == 1002
    with watching(engine, maps + "?watch=1&timeoutSeconds=x") as s:
        assert s.status == 400
    with watching(engine, maps + "?watch=1", version=8) as s:
        assert s.status == 400
    with watching(engine, maps) as s:  # is no watch
        assert s.status == 200


def test_tokens_of_browsers(engine, maps):
    def offer(token, *others):
        code = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
        return ["Sec-WebSocket-Protocol: " + ", ".join([f"base64url.bearer.authorization.k8s.io.{code}", *others])]
    path = maps + "?watch=1&timeoutSeconds=1"
    with watching(engine, path, headers=offer("admin", "base64.binary.k8s.io")) as s:
        assert s.status == 101 and s.headers["Sec-WebSocket-Protocol"] == "base64.binary.k8s.io" and ended(s) == 1000
    for headers in (offer("nobody", "base64.binary.k8s.io"), offer("admin"), ["Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.!, x"]):
        with watching(engine, path, headers=headers) as s:
            assert s.status == 401
    with watching(engine, path, headers=offer("bob", "x")) as s:  # may not
        assert s.status == 403
