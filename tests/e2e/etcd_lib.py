# SPDX-License-Identifier: Apache-2.0
"""etcd servers and hansa-fedapi processes on them, for tests: everything on free loopback ports, in a folder."""
import base64
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from fed import BIN, poll

ETCD = shutil.which("etcd")


def free_ports(n):
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


def certificates(folder):
    """ca.crt, etcd.crt, etcd.key in the folder: for etcd on 127.0.0.1, and for its clients."""
    folder = pathlib.Path(folder)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    for argv in (["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=etcd-ca", "-days", "2"],
                 ["req", *key, "-keyout", "etcd.key", "-out", "etcd.csr", "-subj", "/CN=etcd"],
                 ["x509", "-req", "-in", "etcd.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out",
                  "etcd.crt", "-days", "2", "-extfile", "ext"]):
        subprocess.run(["openssl", *argv], cwd=folder, check=True, capture_output=True)


class Etcd:
    """A cluster of n members; tls: with certificates(), which clients have to show too."""

    def __init__(self, folder, n=1, tls=False):
        self.folder, self.tls = pathlib.Path(folder), None
        if tls:
            certificates(folder)
            self.tls = ssl.create_default_context(cafile=self.folder / "ca.crt")
            self.tls.load_cert_chain(self.folder / "etcd.crt", self.folder / "etcd.key")
        ports = free_ports(2 * n)
        self.urls = [f"http{'s' if tls else ''}://127.0.0.1:{p}" for p in ports[:n]]
        self.peers = [f"http://127.0.0.1:{p}" for p in ports[n:]]
        self.processes = [None] * n
        try:
            for i in range(n):
                self.start(i)
            for i in range(n):
                poll(lambda i=i: self.healthy(i), timeout=60, what="etcd answers")
        except BaseException:
            self.end()
            raise

    def start(self, i):
        cluster = ",".join(f"m{k}={p}" for k, p in enumerate(self.peers))
        certs = [f"--cert-file={self.folder}/etcd.crt", f"--key-file={self.folder}/etcd.key", "--client-cert-auth",
                 f"--trusted-ca-file={self.folder}/ca.crt"] if self.tls else []
        with open(self.folder / f"etcd{i}.log", "ab") as log:
            self.processes[i] = subprocess.Popen(
                [ETCD, "--name", f"m{i}", "--data-dir", self.folder / f"etcd{i}", "--listen-client-urls", self.urls[i],
                 "--advertise-client-urls", self.urls[i], "--listen-peer-urls", self.peers[i],
                 "--initial-advertise-peer-urls", self.peers[i], "--initial-cluster", cluster, "--logger", "zap",
                 "--log-outputs", "stderr", "--heartbeat-interval", "50", "--election-timeout", "500", *certs],
                stderr=log, stdout=log)

    def healthy(self, i):
        try:
            with urllib.request.urlopen(self.urls[i] + "/health", timeout=2, context=self.tls) as r:
                return b"true" in r.read()
        except OSError:
            return False

    def kill(self, i):
        self.processes[i].kill()
        self.processes[i].wait()

    def leader(self):
        """Which member leads, counted from 1; None when none says so."""
        for i, url in enumerate(self.urls):
            try:
                with urllib.request.urlopen(url + "/v3/maintenance/status", data=b"{}", timeout=2, context=self.tls) as r:
                    status = json.load(r)
            except (OSError, ValueError):
                continue
            if status.get("leader") == status["header"]["member_id"]:
                return i + 1
        return None

    def call(self, path, body):
        """The v3 JSON gateway, as a second opinion on what is in etcd."""
        data = json.dumps({k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in body.items()})
        with urllib.request.urlopen(self.urls[0] + path, data=data.encode(), timeout=10, context=self.tls) as r:
            return json.load(r)

    def revision(self):
        return int(self.call("/v3/kv/range", {"key": b"nothing"})["header"]["revision"])

    def value(self, key):
        kvs = self.call("/v3/kv/range", {"key": key.encode()}).get("kvs")
        return base64.b64decode(kvs[0]["value"]) if kvs else None

    def history(self, first, last):
        """[(revision, key)] of all changes of keys, as etcd tells them, from one revision to another."""
        want = {"create_request": {"key": "AA==", "range_end": "AA==", "start_revision": first}}
        found, done = [], 0
        with urllib.request.urlopen(self.urls[0] + "/v3/watch", data=json.dumps(want).encode(), timeout=20, context=self.tls) as r:
            while done < last:
                for e in json.loads(r.readline())["result"].get("events", ()):
                    done = int(e["kv"]["mod_revision"])
                    if done <= last:
                        found.append((done, base64.b64decode(e["kv"]["key"]).decode()))
        return found

    def end(self):
        for p in self.processes:
            if p and p.poll() is None:
                p.kill()
                p.wait()


class Fedapi:
    """One server: .get .put .post .delete speak to its API as its administrator."""

    def __init__(self, folder, name, etcd, pki=None, *flags):
        self.dir = pathlib.Path(folder) / name
        self.dir.mkdir()
        self.log = self.dir / "log"
        self.port, = free_ports(1)
        argv = [BIN / "hansa-fedapi", f"--dir={self.dir}", f"--listen=127.0.0.1:{self.port}",
                "--store=etcd:" + ",".join(etcd.urls), *flags]
        if pki:
            argv.append(f"--pki={pki}")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        poll(self.ready, timeout=60, what=f"{name} serves")

    def _connect(self):
        import yaml
        conf = yaml.safe_load((self.dir / "kubeconfig").read_text())
        user = conf["users"][0]["user"]
        for key in ("client-certificate-data", "client-key-data"):
            (self.dir / key).write_bytes(base64.b64decode(user[key]))
        ctx = ssl.create_default_context(
            cadata=base64.b64decode(conf["clusters"][0]["cluster"]["certificate-authority-data"]).decode())
        ctx.load_cert_chain(self.dir / "client-certificate-data", self.dir / "client-key-data")
        return ctx

    def ready(self):
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        if not (self.dir / "kubeconfig").exists():
            return False
        self.tls = self._connect()
        return self.call("GET", "/readyz")[0] == 200

    def call(self, method, path, body=None, timeout=20, content_type="application/json"):
        """(status, tree or text)"""
        req = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", method=method,
                                     data=json.dumps(body).encode() if body is not None else None,
                                     headers={"Content-Type": content_type})
        try:
            with urllib.request.urlopen(req, timeout=timeout, context=self.tls) as r:
                status, data = r.status, r.read()
        except urllib.error.HTTPError as e:
            status, data = e.code, e.read()
        except OSError as e:
            return 0, str(e)
        try:
            return status, json.loads(data)
        except ValueError:
            return status, data.decode(errors="replace")

    def metric(self, name):
        for line in str(self.call("GET", "/metrics")[1]).split("\n"):
            if line.split(" ")[0] == name:
                return float(line.split(" ")[1])
        return 0.0

    def leads(self):
        """As its log says."""
        lines = [line for line in self.log.read_text().split("\n") if "the controllers" in line]
        return bool(lines) and ": leads the controllers" in lines[-1]

    def signal(self, signo):
        os.kill(self.process.pid, signo)

    def end(self):
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


def config_map(name, ns="default", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": ns}, "data": data}


def elapsed(since):
    return time.monotonic() - since
