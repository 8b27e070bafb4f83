# SPDX-License-Identifier: Apache-2.0
"""What the tests of hansa-globallb need: a balancer fed by a file of API objects, and backends.

    client --> hansa-globallb (--objects FILE) --> backends on 127.0.0.N
"""
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(os.environ.get("HANSA_BIN", ROOT / "build/release/bin")).resolve()
PLACES = {"us-east1": (33.2, -80.0), "europe-west1": (50.45, 3.82), "asia-east1": (24.05, 120.5)}


def wait_for(what, seconds=30.0, every=0.01):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(every)
    raise AssertionError(f"not within {seconds} s")


def meta(name, ns=None, labels=None, annotations=None):
    m = {"name": name, "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z",
         "uid": f"00000000-0000-0000-0000-{abs(hash((name, ns))) % 10**12:012d}"}
    if ns:
        m["namespace"] = ns
    if labels:
        m["labels"] = labels
    if annotations:
        m["annotations"] = annotations
    return m


class World:
    """The objects between the control plane and the balancers (docs/internals/traffic-objects.md)."""

    def __init__(self):
        self.docs = []

    def cluster(self, name, ready=True, cordoned=False):
        lat, lon = PLACES.get(name, (0.0, 0.0))
        notes = {"federation.hansa.io/coordinates": f"{lat},{lon}"}
        if cordoned:
            notes["federation.hansa.io/cordoned"] = "true"
        self.docs.append({
            "apiVersion": "federation/v1beta1", "kind": "Cluster", "metadata": meta(name, annotations=notes),
            "spec": {"serverAddressByClientCIDRs": []},
            "status": {"region": name, "zones": [name + "-a"],
                       "conditions": [{"type": "Ready", "status": "True" if ready else "False"},
                                      {"type": "Offline", "status": "False" if ready else "True"}]}})

    def service(self, ns, name, kind="LoadBalancer", port=80, port_name="http", clusters=()):
        self.docs.append({
            "apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ServiceImport",
            "metadata": meta(name, ns, {"multicluster.kubernetes.io/service-name": name},
                             {"federation.hansa.io/service-type": kind}),
            "spec": {"type": "ClusterSetIP", "ports": [{"name": port_name, "protocol": "TCP", "port": port}]},
            "status": {"clusters": [{"cluster": c} for c in clusters]}})

    def slice(self, ns, service, cluster, addresses, real_port, scope="global", ready=True, port=80, port_name="http",
              n=0):
        labels = {"multicluster.kubernetes.io/service-name": service,
                  "multicluster.kubernetes.io/source-cluster": cluster,
                  "endpointslice.kubernetes.io/managed-by": "endpoints.federation.hansa.io",
                  "federation.hansa.io/scope": scope}
        notes = {"federation.hansa.io/service-ports": '{"%s":%d}' % (port_name, port)}
        if scope == "global":
            notes["federation.hansa.io/ready"] = str(len(addresses))
        name = f"{service}-{cluster}" + ("-local" if scope == "local" else "") + (f"-{n}" if n else "")
        self.docs.append({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta(name, ns, labels, notes),
            "addressType": "IPv4", "ports": [{"name": port_name, "protocol": "TCP", "port": real_port}],
            "endpoints": [{"addresses": [a], "conditions": {"ready": ready}} for a in addresses]})

    def ingress(self, ns, name, rules, default=None, tls=None, class_name=None, created="2026-01-01T00:00:00Z"):
        def backend(b):
            return {"service": {"name": b[0], "port": {"number": b[1]} if isinstance(b[1], int) else {"name": b[1]}}}
        spec = {"rules": []}
        for host, paths in rules:
            rule = {"http": {"paths": [{"path": p, "pathType": t, "backend": backend(b)} for p, t, b in paths]}}
            if host:
                rule["host"] = host
            spec["rules"].append(rule)
        if default:
            spec["defaultBackend"] = backend(default)
        if tls:
            spec["tls"] = [{"hosts": hosts, "secretName": secret} for hosts, secret in tls]
        if class_name:
            spec["ingressClassName"] = class_name
        m = meta(name, ns)
        m["creationTimestamp"] = created
        self.docs.append({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": m, "spec": spec})

    def secret(self, ns, name, cert, key):
        import base64
        self.docs.append({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": meta(name, ns),
                          "data": {"tls.crt": base64.b64encode(cert).decode(),
                                   "tls.key": base64.b64encode(key).decode()}})

    def balancer(self, cluster, address, port):
        self.slice("federation-edge", "globallb", cluster, [address], port)

    def text(self):
        return yaml.safe_dump_all(self.docs)


class Balancer:
    def __init__(self, tmp, world, *args, cluster="us-east1", listen="127.0.0.1:0", tls="off", env=None, workers=1):
        self.objects = tmp / f"objects-{id(self)}.yaml"
        self.log = tmp / f"globallb-{id(self)}.log"
        self.update(world)
        argv = [str(BIN / "hansa-globallb"), f"--listen={listen}", f"--listen-tls={tls}", f"--workers={workers}",
                "--stop-timeout=2s"]
        if not any(a.startswith("--state=") for a in args):
            argv += ["--state=", f"--config-dir={tmp}/none"]
        if world is not None:
            argv.append(f"--objects={self.objects}")
        if cluster:
            argv.append(f"--cluster={cluster}")
        self.metrics_port = free_port()
        argv.append(f"--metrics=127.0.0.1:{self.metrics_port}")
        self.proc = subprocess.Popen(argv + list(args), stderr=open(self.log, "wb"), stdout=subprocess.DEVNULL,
                                     env={**os.environ, **(env or {})})
        wait_for(lambda: self.proc.poll() is not None or "serving address" in self.text())
        assert self.proc.poll() is None, self.text()
        found = re.findall(r"serving address=(\S+) tls=(\d)", self.text())
        self.address = next((a for a, t in found if t == "0"), None)
        self.tls_address = next((a for a, t in found if t == "1"), None)
        self.port = int(self.address.rsplit(":", 1)[1]) if self.address else None
        self.tls_port = int(self.tls_address.rsplit(":", 1)[1]) if self.tls_address else None
        self.host = (self.address or self.tls_address).rsplit(":", 1)[0]

    def text(self):
        return self.log.read_text(errors="replace")

    def update(self, world):
        if world is not None:
            tmp = self.objects.with_suffix(".new")
            tmp.write_text(world.text())
            tmp.rename(self.objects)

    def metric(self, name, **labels):
        import urllib.request
        total = 0.0
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as r:
            for line in r.read().decode().splitlines():
                if not line.startswith(name) or line[len(name)] not in " {":
                    continue
                if all(f'{k}="{v}"' in line for k, v in labels.items()):
                    total += float(line.rsplit(" ", 1)[1])
        return total

    def counts(self, name, value, **labels):
        """Until the metric has the value: an answer is on its way before it is counted."""
        wait_for(lambda: self.metric(name, **labels) == value)

    def stop(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(30)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
                raise AssertionError("did not stop: " + self.text())
        assert self.proc.returncode == 0, (self.proc.returncode, self.text()[-4000:])


def free_port(host="127.0.0.1"):
    import socket
    with socket.socket() as s:
        s.bind((host, 0))
        return s.getsockname()[1]


class Backend:
    """A scripted backend: `handle(sock, head)` gets each connection and each request head."""

    def __init__(self, handle, host="127.0.0.1", port=0):
        import socket
        self.handle = handle
        self.sock = socket.create_server((host, port), backlog=512)
        self.port = self.sock.getsockname()[1]
        self.host = host
        self.heads = []
        self.open = set()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                s, _ = self.sock.accept()
            except OSError:
                return
            self.open.add(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        try:
            rest = b""
            while True:
                while b"\r\n\r\n" not in rest:
                    more = s.recv(65536)
                    if not more:
                        return
                    rest += more
                head, rest = rest.split(b"\r\n\r\n", 1)
                if head.startswith(b"GET / HTTP") and b"hansa-probe" in head.lower():
                    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    continue
                self.heads.append(head)
                rest = self.handle(s, head, rest)
                if rest is None:
                    return
        except OSError:
            pass
        finally:
            self.open.discard(s)
            s.close()

    def close(self):
        import socket
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
        for s in list(self.open):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def ok(body=b"ok\n", extra=b""):
    def handle(s, head, rest):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (len(body), extra)
                  + (b"" if head.startswith(b"HEAD") else body))
        return rest
    return handle


def simple_world(backends, host="api.example.com", own="us-east1"):
    """One service `app`, served by {cluster: [(address, port)…]}."""
    w = World()
    for c in PLACES:
        w.cluster(c)
    w.service("default", "app")
    for cluster, places in backends.items():
        for n, (address, port) in enumerate(places):
            w.slice("default", "app", cluster, [address], port, n=n)
    w.ingress("default", "app", [(host, [("/", "Prefix", ("app", 80))])])
    return w
