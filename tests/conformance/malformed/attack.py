# SPDX-License-Identifier: Apache-2.0
"""What an ill-meaning client has: sockets, bytes as the tables write them, an HTTP/1.1 reader and an HTTP/2 frame writer."""
import ctypes
import ctypes.util
import gzip
import json
import pathlib
import socket
import ssl
import struct
import time

TIMEOUT = 30


def octets(parts):
    """Bytes of a table's value: text, or a list of text and {repeat, times}, {hex}, {gzip}, {json}."""
    if parts is None:
        return b""
    if isinstance(parts, bytes):
        return parts
    if isinstance(parts, str):
        return parts.encode("latin-1")
    if isinstance(parts, list):
        return b"".join(octets(p) for p in parts)
    if "repeat" in parts:
        return octets(parts["repeat"]) * int(parts["times"])
    if "hex" in parts:
        return bytes.fromhex(parts["hex"])
    if "gzip" in parts:
        return gzip.compress(octets(parts["gzip"]))
    if "utf8" in parts:
        return parts["utf8"].encode()
    return json.dumps(parts["json"]).encode()


class Target:
    """Where the server is and who we are to it."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder)
        url = (self.dir / "ready").read_text().strip()
        host, port = url.split("//")[1].split(":")
        self.addr = (host, int(port))

    def plain(self, timeout=TIMEOUT):
        sock = socket.create_connection(self.addr, timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def tls(self, alpn="http/1.1", timeout=TIMEOUT, highest=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols([alpn])
        if highest:
            context.maximum_version = highest
        return context.wrap_socket(self.plain(timeout), server_hostname="localhost")


class Answer:
    def __init__(self, code, headers, body):
        self.code, self.headers, self.body = code, headers, body

    def status(self):
        """The body as a Status, or {}: what is no JSON is no Status."""
        try:
            tree = json.loads(self.body)
        except ValueError:
            return {}
        return tree if isinstance(tree, dict) else {}

    def __repr__(self):
        return f"{self.code} {self.headers} {self.body[:600]!r}"


class H1:
    """One connection of HTTP/1.1."""

    def __init__(self, sock):
        self.sock, self.rest = sock, b""

    def send(self, data):
        """What the server does not take any more (it answered and closed) is not an error of ours."""
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def more(self):
        try:
            part = self.sock.recv(65536)
        except (ConnectionError, ssl.SSLError, BrokenPipeError):
            part = b""
        self.rest += part
        return bool(part)

    def answer(self, head=False):
        """The next answer, or None when the connection ends without one. 100 Continue counts as one."""
        while b"\r\n\r\n" not in self.rest:
            if not self.more():
                return None
        top, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = top.decode("latin-1").split("\r\n")
        code = int(lines[0].split(" ")[1])
        headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            headers.setdefault(name.lower(), []).append(value.strip())
        if code == 100 or head:
            return Answer(code, headers, b"")
        if headers.get("transfer-encoding") == ["chunked"]:
            return Answer(code, headers, self.chunks())
        length = int(headers.get("content-length", ["0"])[0])
        while len(self.rest) < length and self.more():
            pass
        body, self.rest = self.rest[:length], self.rest[length:]
        return Answer(code, headers, body)

    def chunks(self):
        body = b""
        while True:
            while b"\r\n" not in self.rest and self.more():
                pass
            size, self.rest = self.rest.split(b"\r\n", 1)
            n = int(size, 16)
            while len(self.rest) < n + 2 and self.more():
                pass
            body, self.rest = body + self.rest[:n], self.rest[n + 2:]
            if n == 0:
                return body

    def ended(self, seconds=TIMEOUT):
        """The server ends the connection within the time, and says no more before that."""
        self.sock.settimeout(seconds)
        try:
            return self.rest == b"" and self.sock.recv(65536) == b""
        except (ConnectionError, ssl.SSLError):
            return True
        except TimeoutError:
            return False

    def goes_on(self):
        self.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        a = self.answer()
        return a is not None and a.code == 200


# ---- HTTP/2 ----

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
TYPES = {"data": DATA, "headers": HEADERS, "priority": PRIORITY, "rst_stream": RST_STREAM, "settings": SETTINGS,
         "push_promise": PUSH_PROMISE, "ping": PING, "goaway": GOAWAY, "window_update": WINDOW_UPDATE,
         "continuation": CONTINUATION}
END_STREAM, END_HEADERS = 1, 4
CODES = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
         "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
         "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _length(n, bits=7):
    if n < (1 << bits) - 1:
        return bytes([n])
    out, n = [(1 << bits) - 1], n - (1 << bits) + 1
    while n >= 128:
        out.append(n % 128 + 128)
        n //= 128
    return bytes(out + [n])


def field(name, value):
    """A field as HPACK writes it literally and without an index (RFC 7541 6.2.2)."""
    return b"\0" + _length(len(name)) + name + _length(len(value)) + value


def block(fields):
    return b"".join(field(octets(n), octets(v)) for n, v in fields)


class Inflater:
    """The server's header blocks need a table and Huffman's code: nghttp2 has both."""

    class NV(ctypes.Structure):
        _fields_ = [("name", ctypes.POINTER(ctypes.c_uint8)), ("value", ctypes.POINTER(ctypes.c_uint8)),
                    ("namelen", ctypes.c_size_t), ("valuelen", ctypes.c_size_t), ("flags", ctypes.c_uint8)]

    def __init__(self):
        self.lib = ctypes.CDLL(ctypes.util.find_library("nghttp2") or "libnghttp2.so.14")
        self.hd = ctypes.c_void_p()
        self.lib.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
        assert self.lib.nghttp2_hd_inflate_new(ctypes.byref(self.hd)) == 0

    def __call__(self, data):
        fields, at = [], 0
        while True:
            nv, flags = self.NV(), ctypes.c_int(0)
            n = self.lib.nghttp2_hd_inflate_hd2(self.hd, ctypes.byref(nv), ctypes.byref(flags), data[at:],
                                                ctypes.c_size_t(len(data) - at), 1)
            assert n >= 0, "the server sent a header block that is none"
            at += n
            if flags.value & 2:  # a field
                fields.append((ctypes.string_at(nv.name, nv.namelen).decode("latin-1"),
                               ctypes.string_at(nv.value, nv.valuelen).decode("latin-1")))
            if flags.value & 1:  # the end
                self.lib.nghttp2_hd_inflate_end_headers(self.hd)
                return fields
            if at == len(data) and not flags.value & 2:
                return fields


class H2:
    """One connection of HTTP/2: frames go out as they are written, what comes back is sorted by streams."""

    def __init__(self, sock, window=1 << 30, settings=()):
        self.sock, self.rest, self.inflate = sock, b"", Inflater()
        self.answers, self.resets, self.goaway, self.closed, self.next = {}, {}, None, False, 1
        self.blocked, self.pongs = b"", 0
        pairs = [(4, window), *settings]
        self.send(PREFACE + frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *p) for p in pairs)))
        if window > 65535:
            self.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", window - 65535)))

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def stream(self):
        self.next += 2
        return self.next - 2

    def take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & 1:
            self.send(frame(SETTINGS, 1, 0))
        elif kind == PING:
            self.pongs += flags & 1
            if not flags & 1:
                self.send(frame(PING, 1, 0, payload))
        elif kind in (HEADERS, CONTINUATION):
            self.blocked += payload
            if flags & END_HEADERS:
                fields = self.inflate(self.blocked)
                self.blocked = b""
                headers = {}
                for n, v in fields:
                    headers.setdefault(n, []).append(v)
                self.answers[stream] = Answer(int(headers.pop(":status")[0]), headers, b"")
                self.answers[stream].whole = bool(flags & END_STREAM)
        elif kind == DATA:
            self.answers[stream].body += payload
            self.answers[stream].whole = bool(flags & END_STREAM)
        elif kind == RST_STREAM:
            self.resets[stream] = CODES[struct.unpack(">I", payload)[0]]
        elif kind == GOAWAY:
            self.goaway = CODES[struct.unpack(">I", payload[4:8])[0]]

    def turn(self):
        """Reads once. False: the connection is over."""
        try:
            part = self.sock.recv(65536)
        except TimeoutError:
            raise
        except OSError:
            part = b""
        if not part:
            self.closed = True
            return False
        self.rest += part
        while len(self.rest) >= 9:
            n = int.from_bytes(self.rest[:3], "big")
            if len(self.rest) < 9 + n:
                break
            kind, flags, stream = struct.unpack(">BBI", self.rest[3:9])
            payload, self.rest = self.rest[9:9 + n], self.rest[9 + n:]
            self.take(kind, flags, stream & 0x7FFFFFFF, payload)
        return True

    def until(self, condition, seconds=TIMEOUT):
        end = time.monotonic() + seconds
        while not condition() and not self.closed:
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.sock.settimeout(left)
            try:
                self.turn()
            except TimeoutError:
                return condition()
        return condition()

    def answer(self, stream):
        """Answer, or None when the stream was reset or the connection ended without one."""
        self.until(lambda: (stream in self.answers and self.answers[stream].whole) or stream in self.resets)
        return self.answers.get(stream)

    def ended(self, seconds=TIMEOUT):
        return self.until(lambda: self.closed, seconds)

    def goes_on(self):
        s = self.stream()
        self.send(frame(HEADERS, END_STREAM | END_HEADERS, s, block(
            [(":method", "GET"), (":scheme", "https"), (":path", "/readyz"), (":authority", "x")])))
        a = self.answer(s)
        return a is not None and a.code == 200
