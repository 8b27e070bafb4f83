# SPDX-License-Identifier: Apache-2.0
"""The proxy subresources of pods, services and nodes.

    kubectl, curl ──> hansa-member /api/v1/…/proxy/PATH ──> the pod's address /PATH
"""
import base64
import http.server
import json
import pathlib
import socket
import ssl
import subprocess
import threading

import pytest
import yaml

from member_lib import deployment, service, wait_for

PODS, SERVICES = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/services"


class Odd(http.server.BaseHTTPRequestHandler):
    """Answers that echo does not give."""
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/redirect":
            self.answer(302, Location="/there?x=1", Content_Length="0")
        elif path == "/chunks":
            self.answer(200, b"".join(b"%x\r\n%s\r\n" % (50000, b"c" * 50000) for _ in range(100)) + b"0\r\n\r\n",
                        Transfer_Encoding="chunked", Content_Type="text/plain")
        elif path == "/short":
            self.answer(200, b"half", Content_Length="1000000")
            self.close_connection = True
        elif path == "/nothing":
            self.answer(204)
        elif path == "/teapot":
            self.answer(418, b"no", Content_Length="2", X_Kind="pot")
        elif path == "/upgrade":
            self.answer(101, b"hello ", Connection="Upgrade", Upgrade="shout")
            self.wfile.write(self.rfile.readline().upper())
            self.close_connection = True
        elif path == "/garbage":
            self.wfile.write(b"nonsense\r\n\r\n")
            self.close_connection = True
        else:
            self.close_connection = True

    def do_ANY(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        said = json.dumps([self.command, self.path, len(body), dict(self.headers)]).encode()
        self.answer(200, said, Content_Length=str(len(said)))

    do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = do_ANY

    def do_HEAD(self):
        self.answer(200, Content_Length="12345", X_Head="yes")

    def log_message(self, *args):
        pass


class Api:
    """Raw requests with the member's client certificate."""

    def __init__(self, member):
        conf = yaml.safe_load(member.kubeconfig.read_text())
        cluster, user = conf["clusters"][0]["cluster"], conf["users"][0]["user"]
        def data(part, name):
            return base64.b64decode(part[name + "-data"]) if name + "-data" in part else pathlib.Path(part[name]).read_bytes()
        pair = member.dir / "proxy-client.pem"
        pair.write_bytes(data(user, "client-certificate") + b"\n" + data(user, "client-key"))
        self.head = member.dir / "proxy-head"
        self.ca = member.dir / "proxy-ca.pem"
        self.ca.write_bytes(data(cluster, "certificate-authority"))
        self.pair, self.server = pair, cluster["server"]

    def curl(self, path, *args):
        """(status, headers, body)"""
        r = subprocess.run(["curl", "-sS", "-m", "30", "--cacert", self.ca, "-E", self.pair, "-D", self.head, *args,
                            self.server + path], capture_output=True)
        assert r.returncode == 0, r.stderr
        lines = self.head.read_text().rstrip().split("\n")
        headers = {n.lower(): v.strip() for n, v in (line.split(":", 1) for line in lines[1:])}
        return int(lines[0].split()[1]), headers, b"" if "-I" in args else r.stdout

    def connect(self):
        host, port = self.server.removeprefix("https://").split(":")
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.pair)
        context.set_alpn_protocols(["http/1.1"])
        return context.wrap_socket(socket.create_connection((host, int(port)), timeout=30), server_hostname=host)


@pytest.fixture(scope="module")
def api(member):
    member.apply(deployment("web"), service("web"))
    member.ready("app=web", 1)
    wait_for(lambda: member.json("endpoints", "web")["subsets"][0]["addresses"], what="endpoints")
    return Api(member)


@pytest.fixture(scope="module")
def pod(member, api):
    return member.pods("app=web")[0]["metadata"]["name"]


@pytest.fixture(scope="module")
def odd(member, api, pod):
    """A port at the pod's address where Odd listens."""
    ip = member.json("pod", pod)["status"]["podIP"]
    server = http.server.ThreadingHTTPServer((ip, 0), Odd)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"{PODS}/{pod}:{server.server_port}/proxy"
    server.shutdown()
    server.server_close()


def echoed(text):
    return json.loads(text)["request"]


@pytest.mark.parametrize("kind", ["pod", "service"])
def test_names_and_paths(member, api, pod, kind):
    """[SCHEME:]NAME[:PORT]; the path is passed as it was written."""
    base = f"{PODS}/%s{pod}%s/proxy" if kind == "pod" else f"{SERVICES}/%sweb%s/proxy"
    ports = ("", ":8080") if kind == "pod" else (":http", ":8080")
    for scheme, port in [("", ports[0]), ("", ports[1]), ("http:", ports[1])]:
        got = echoed(member.kubectl("get", "--raw", base % (scheme, port) + "/a%20b/c/?x=1&x=2"))
        assert (got["path"], got["query"]) == ("/a%20b/c/", "x=1&x=2")
        assert got["headers"]["x-forwarded-uri"].endswith("/proxy/a%20b/c/")
    assert echoed(member.kubectl("get", "--raw", base % ("", ports[1]) + "/"))["path"] == "/"
    status, headers, _ = api.curl(base % ("", ports[1]) + "?x=1")
    assert status == 301 and headers["location"].endswith("/proxy/?x=1")


def test_a_mistake_is_a_status(member, api, pod):
    def said(path):
        return member.kubectl("get", "--raw", path, check=False).stderr.strip()
    ip = member.json("pod", pod)["status"]["podIP"]
    unavailable = "Error from server (ServiceUnavailable): "
    assert said(f"{PODS}/{pod}:81/proxy/") == unavailable + (
        f"error trying to reach service: dial tcp {ip}:81: connect: connection refused")
    assert "TLS" in said(f"{PODS}/https:{pod}:8080/proxy/")
    assert said(f"{PODS}/nobody/proxy/") == 'Error from server (NotFound): pods "nobody" not found'
    assert said(f"{PODS}/ftp:{pod}:1/proxy/") == f'Error from server (BadRequest): invalid pod request "ftp:{pod}:1"'
    assert said(f"{SERVICES}/nobody/proxy/") == 'Error from server (NotFound): services "nobody" not found'
    assert said(f"{SERVICES}/web:99/proxy/") == unavailable + 'no service port 99 found for service "web"'
    assert said(f"{SERVICES}/web:nope/proxy/") == unavailable + 'no endpoints available for service "web:nope"'
    assert said("/api/v1/nodes/nobody/proxy/") == 'Error from server (NotFound): nodes "nobody" not found'
    member.apply(service("empty"))
    wait_for(lambda: said(f"{SERVICES}/empty:http/proxy/") == unavailable + 'no endpoints available for service "empty"',
             what="the Service to be known")
    status, headers, body = api.curl(f"{PODS}/{pod}:81/proxy/")
    assert status == 503 and "retry-after" not in headers and json.loads(body)["reason"] == "ServiceUnavailable"


def test_https(member, api):
    """The API server's own Service speaks TLS."""
    assert member.kubectl("get", "--raw", f"{SERVICES}/https:kubernetes:https/proxy/healthz") == "ok"
    assert member.kubectl("get", "--raw", f"{SERVICES}/https:kubernetes:443/proxy/livez") == "ok"


def test_nodes(member, api, pod):
    node = f"/api/v1/nodes/{member.name}-1/proxy"
    assert member.kubectl("get", "--raw", f"{node}/healthz") == "ok"
    listed = json.loads(member.kubectl("get", "--raw", f"{node}/pods"))
    assert listed["kind"] == "PodList" and pod in [p["metadata"]["name"] for p in listed["items"]]
    assert api.curl(f"{node}/nonesuch")[0] == 404
    port = api.server.rsplit(":", 1)[1]  # the member itself listens at its first node's address
    assert member.kubectl("get", "--raw", f"/api/v1/nodes/https:{member.name}-1:{port}/proxy/healthz") == "ok"


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_methods_and_answers(api, odd, version, tmp_path):
    (tmp_path / "body").write_bytes(b"x" * 200_000)
    for method in ("PUT", "POST", "DELETE", "PATCH", "OPTIONS"):
        body = [] if method in ("DELETE", "OPTIONS") else ["--data-binary", f"@{tmp_path}/body"]
        status, _, said = api.curl(f"{odd}/m?q", version, "-X", method, "-H", "Authorization: Bearer x", "-H", "X-Mine: 1", *body)
        got = json.loads(said)
        assert status == 200 and got[:3] == [method, "/m?q", 200_000 if body else 0]
        names = {n.lower(): v for n, v in got[3].items()}
        assert "authorization" not in names and names["x-mine"] == "1" and names["x-forwarded-for"]
    status, headers, body = api.curl(f"{odd}/x", version, "-I")
    assert status == 200 and headers["x-head"] == "yes" and body == b""
    status, headers, _ = api.curl(f"{odd}/redirect", version)
    assert status == 302 and headers["location"] == f"{odd}/there?x=1"
    status, headers, body = api.curl(f"{odd}/chunks", version)
    assert status == 200 and body == b"c" * 5_000_000 and headers["content-type"] == "text/plain"
    assert api.curl(f"{odd}/nothing", version)[0] == 204
    status, headers, body = api.curl(f"{odd}/teapot", version)
    assert status == 418 and headers["x-kind"] == "pot" and body == b"no"
    for path, words in (("/garbage", "malformed HTTP response"), ("/closed", "EOF")):
        status, _, body = api.curl(odd + path, version)
        assert status == 503 and json.loads(body)["message"] == f"error trying to reach service: {words}"
    r = subprocess.run(["curl", "-sS", "-m", "30", version, "--cacert", api.ca, "-E", api.pair, f"{api.server}{odd}/short"],
                       capture_output=True)
    assert r.returncode != 0, "an answer that was cut short is not passed off as whole"


def test_upgrade(api, odd):
    with api.connect() as s:
        s.sendall(f"GET {odd}/upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n".encode())
        got = b""
        while b"hello " not in got:
            got += s.recv(4096)
        assert got.startswith(b"HTTP/1.1 101") and b"Upgrade: shout" in got
        s.sendall(b"over there\n")
        got = b""
        while b"\n" not in got:
            got += s.recv(4096)
        assert got == b"OVER THERE\n"


def test_a_client_that_leaves(api, odd, pod, member):
    """In the middle of an answer, and before one: the member goes on, and its requests in flight fall to nothing."""
    for path, sign in (("/chunks", b"cccc"), ("/m", b"")):
        with api.connect() as s:
            s.sendall(f"GET {odd}{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            got = b""
            while sign not in got:
                got += s.recv(4096)
    with api.connect() as s:
        s.sendall(f"GET {PODS}/{pod}/log?follow=true HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
    assert echoed(member.kubectl("get", "--raw", f"{PODS}/{pod}/proxy/after"))["path"] == "/after"
    wait_for(lambda: 'inflight_requests{request_kind="readOnly"} 1\n' in member.kubectl("get", "--raw", "/metrics"),
             what="no request but ours")


def test_rights(member, api, pod):
    """The subresource is what is granted, by its whole name."""
    as_user = ["--as=eve", "get", "--raw", f"{PODS}/{pod}:8080/proxy/"]
    assert "pods/proxy" in member.kubectl(*as_user, check=False).stderr or "Forbidden" in member.kubectl(*as_user, check=False).stderr
    member.kubectl("create", "role", "reach", "--verb=get", "--resource=pods/proxy", f"--resource-name={pod}:8080")
    member.kubectl("create", "rolebinding", "reach", "--role=reach", "--user=eve")
    wait_for(lambda: echoed(member.kubectl(*as_user))["path"] == "/", what="the right to hold")
    assert "orbidden" in member.kubectl("--as=eve", "get", "--raw", f"{PODS}/{pod}/proxy/", check=False).stderr
