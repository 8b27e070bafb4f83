# SPDX-License-Identifier: Apache-2.0
"""An HTTPS server of admission webhooks for tests: what it answers is a function of the path, what it was asked is kept.

    hooks = Hooks(tmp_path); hooks.on("/deny", lambda req: deny("no")); hooks.configure(...) -> a configuration object
"""
import base64
import http.server
import json
import os
import ssl
import subprocess
import threading


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True, timeout=60)


def make_certificates(folder, names="IP:127.0.0.1,DNS:localhost"):
    """A CA and a server certificate; returns (ca, cert, key) as paths."""
    ca, ca_key, cert, key, csr, ext = (os.path.join(str(folder), n) for n in
                                       ("ca.crt", "ca.key", "tls.crt", "tls.key", "tls.csr", "ext"))
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", ca_key, "-out",
            ca, "-subj", "/CN=hooks-ca", "-days", "2")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", csr,
            "-subj", "/CN=hooks")
    with open(ext, "w") as f:
        f.write("subjectAltName=%s\n" % names)
    openssl("x509", "-req", "-in", csr, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", cert, "-days", "2",
            "-extfile", ext)
    return ca, cert, key


def allow(patch=None, **more):
    r = dict(allowed=True, **more)
    if patch is not None:
        r.update(patchType="JSONPatch", patch=base64.b64encode(json.dumps(patch).encode()).decode())
    return r


def deny(message=None, **status):
    r = {"allowed": False}
    if message is not None or status:
        r["status"] = dict(status, **({"message": message} if message else {}))
    return r


class Hooks:
    def __init__(self, folder, names="IP:127.0.0.1,DNS:localhost"):
        self.ca, cert, key = make_certificates(folder, names)
        self.answers, self.seen, self.raw = {}, [], {}
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                path = self.path.split("?")[0]
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    outer.seen.append((path, body["request"]))
                if path in outer.raw:
                    status, data = outer.raw[path](body)
                else:
                    answer = outer.answers[path](body["request"])
                    answer.setdefault("uid", body["request"]["uid"])
                    status, data = 200, json.dumps({"apiVersion": body["apiVersion"], "kind": "AdmissionReview",
                                                    "response": answer}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *args: None  # a client that gave up
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(cert, key)
        # The handshake is the connection's own thread's work: one that hangs must not stop the others.
        self.server.socket = ctx.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def on(self, path, answer):
        self.answers[path] = answer

    def asked(self, path):
        with self.lock:
            return [r for p, r in self.seen if p == path]

    def forget(self):
        with self.lock:
            self.seen.clear()

    def bundle(self):
        with open(self.ca, "rb") as f:
            return base64.b64encode(f.read()).decode()

    def client(self, path, **service):
        if service:
            return {"service": dict(service, path=path), "caBundle": self.bundle()}
        return {"url": "https://127.0.0.1:%d%s" % (self.port, path), "caBundle": self.bundle()}

    def hook(self, name, path, resources=("configmaps",), operations=("CREATE", "UPDATE"), groups=("",),
             versions=("v1",), **more):
        return dict({"name": name, "clientConfig": self.client(path), "sideEffects": "None",
                     "admissionReviewVersions": ["v1"], "timeoutSeconds": 5,
                     "rules": [{"operations": list(operations), "apiGroups": list(groups),
                                "apiVersions": list(versions), "resources": list(resources)}]}, **more)


def configuration(kind, name, *hooks):
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind + "WebhookConfiguration",
            "metadata": {"name": name}, "webhooks": list(hooks)}
