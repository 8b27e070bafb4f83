# SPDX-License-Identifier: Apache-2.0
"""HTTPS: certificates by name from the secrets of ingresses, HTTP/1.1 and HTTP/2 to the client."""
import hashlib
import os
import re
import socket
import ssl
import subprocess

import pytest

from glb import ok, simple_world, wait_for
from test_glb_proxy import echo_sum


def make_cert(tmp, name):
    cert, key = tmp / f"{name}.crt", tmp / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", key, "-out", cert, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"],
                   check=True, capture_output=True)
    return cert.read_bytes(), key.read_bytes()


def shown_name(b, sni):
    ctx = ssl.create_default_context()
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((b.host, b.tls_port)) as raw:
        with ctx.wrap_socket(raw, server_hostname=sni) as s:
            der = s.getpeercert(True)
    out = subprocess.run(["openssl", "x509", "-inform", "der", "-noout", "-subject"], input=der, capture_output=True)
    return re.search(r"CN ?= ?(.*)", out.stdout.decode()).group(1).strip()


@pytest.fixture
def tls(tmp_path, balancer, backend):
    def start(handle):
        up = backend(handle)
        w = simple_world({"us-east1": [("127.0.0.1", up.port)]})
        for i, name in enumerate(["api.example.com", "*.wild.example.com"]):
            w.secret("default", f"cert{i}", *make_cert(tmp_path, name))
        w.ingress("default", "tls", [("*.wild.example.com", [("/", "Prefix", ("app", 80))])],
                  tls=[(["api.example.com"], "cert0"), (["*.wild.example.com"], "cert1")])
        return balancer(w, listen="off", tls="127.0.0.1:0"), up, w
    return start


def curl(b, *args, host="api.example.com"):
    return subprocess.run(["curl", "-sSk", "--max-time", "20", "--connect-to", f"::{b.host}:{b.tls_port}", *args,
                           f"https://{host}/x"], capture_output=True, check=True).stdout


def test_certificates_by_name(tls, tmp_path):
    b, up, w = tls(ok())
    assert shown_name(b, "api.example.com") == "api.example.com"
    assert shown_name(b, "API.example.com") == "api.example.com"
    assert shown_name(b, "a.wild.example.com") == "*.wild.example.com"
    assert "default" in shown_name(b, "a.b.wild.example.com")
    assert "default" in shown_name(b, "other.example.com")
    # A new secret needs no restart.
    w.docs = [d for d in w.docs if not (d["kind"] == "Secret" and d["metadata"]["name"] == "cert0")]
    w.secret("default", "cert0", *make_cert(tmp_path, "renewed.example.com"))
    b.update(w)
    wait_for(lambda: shown_name(b, "api.example.com") == "renewed.example.com")


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_both_protocols(tls, version):
    b, up, _ = tls(echo_sum)
    assert curl(b, version, "-o", "/dev/null", "-w", "%{http_version} %{http_code}").decode() == \
        ("2 200" if version == "--http2" else "1.1 200")
    head = up.heads[-1].lower()
    assert head.startswith(b"get /x http/1.1\r\nhost: api.example.com") and b"x-forwarded-proto: https" in head
    assert curl(b, version, "-o", "/dev/null", "-w", "%{http_code}", host="a.b.wild.example.com").decode() == "404"


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("size", [0, 1000, 5 << 20])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies(tls, tmp_path, version, size, chunked):
    b, up, _ = tls(echo_sum)
    data = os.urandom(size)
    (tmp_path / "data").write_bytes(data)
    extra = ["-H", "Transfer-Encoding: chunked"] if chunked and version == "--http1.1" else []
    source = ["-T", "-"] if chunked else ["--data-binary", f"@{tmp_path}/data"]
    out = subprocess.run(["curl", "-sSk", "--max-time", "20", "--connect-to", f"::{b.host}:{b.tls_port}", version, *extra, *source,
                          "https://api.example.com/x"], stdin=open(tmp_path / "data"), capture_output=True, check=True).stdout
    assert out.decode() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_big_answer(tls, version):
    block = os.urandom(1 << 20)

    def handle(s, head, rest):
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            s.sendall(b"100000\r\n" + block + b"\r\n")
        s.sendall(b"0\r\n\r\n")
        return rest
    b, up, _ = tls(handle)
    assert hashlib.sha256(curl(b, version)).digest() == hashlib.sha256(block * 20).digest()


def test_cut_answer_over_http2_is_an_error(tls):
    def handle(s, head, rest):
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        return None
    b, up, _ = tls(handle)
    done = subprocess.run(["curl", "-sSk", "--http2", "--connect-to", f"::{b.host}:{b.tls_port}", "https://api.example.com/x"],
                          capture_output=True)
    assert done.returncode != 0 and done.stdout == b"half"


def test_many_streams(tls):
    b, up, _ = tls(ok(b"x" * 500))
    out = subprocess.run(["h2load", "-n2000", "-c4", "-m50", "--connect-to", f"{b.host}:{b.tls_port}", "https://api.example.com/x"],
                         capture_output=True, text=True)
    assert "2000 succeeded, 0 failed, 0 errored" in out.stdout, out.stdout + out.stderr
