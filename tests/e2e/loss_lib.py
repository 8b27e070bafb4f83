# SPDX-License-Identifier: Apache-2.0
"""What tests of losses share: a steady load, a watch on DNS servers, ways to lose a cluster and to bring it back.

    Load        requests at a steady rate through a balancer (tests/tools/steady-load.c); .end() is its report
    DnsWatch    asks DNS servers the same question every 20 ms; .end() is all that came of it
    WAYS        kill, stop, drop: how a cluster is lost
"""
import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

from fed import BIN, ROOT, NEAR, poll, run

APP = """
apiVersion: v1
kind: Namespace
metadata: {{name: {ns}}}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: {ns}
  annotations:
    federation.kubernetes.io/deployment-preferences: '{preferences}'
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
      - name: web
        image: hansa/echo:v1
        ports: [{{name: http, containerPort: 8080}}]
        readinessProbe: {{httpGet: {{path: /health, port: http}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: {ns}}}
spec:
  type: LoadBalancer
  selector: {{app: web}}
  ports: [{{name: http, port: 80, targetPort: http}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: web, namespace: {ns}}}
spec:
  rules:
  - host: {ns}.example.com
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}
"""


def deploy(fed, ns, clusters, replicas=4):
    """The app in these clusters only, ready and published. Returns {cluster: address of its load balancer}."""
    preferences = json.dumps({"rebalance": True, "clusters": {c: {"weight": 1} for c in clusters}})
    fed.kubectl("apply", "-f", "-", stdin=APP.format(ns=ns, preferences=preferences, replicas=replicas))
    poll(lambda: ready_replicas(fed, ns) == replicas, what=f"{replicas} ready replicas in {ns}")
    return poll(lambda: addresses(fed, ns, clusters), what=f"load balancers of {ns}")


def ready_replicas(fed, ns, *context):
    return fed.get(*context, "-n", ns, "deployment", "web").get("status", {}).get("readyReplicas", 0)


def addresses(fed, ns, clusters):
    """{cluster: address}, or None until each of them has one, and a ready endpoint."""
    found = {}
    for cluster in clusters:
        done = fed.kubectl("get", "-n", ns, "endpointslice", f"web-{cluster}", "-o", "json", check=False)
        for e in json.loads(done.stdout)["endpoints"] if done.returncode == 0 else []:
            if e["conditions"]["ready"]:
                found[cluster] = e["addresses"][0]
    return found if len(found) == len(clusters) else None


def is_condition(fed, cluster, kind, status="True"):
    conditions = fed.get("cluster", cluster)["status"]["conditions"]
    return any(c["type"] == kind and c["status"] == status for c in conditions)


# --- load ---

def load_tool(folder):
    """The built steady-load, else one compiled here (a release build without the tests)."""
    built = BIN.parent / "tests/steady-load"
    if built.exists():
        return built
    tool = folder / "steady-load"
    if not tool.exists():
        run("cc", "-std=gnu17", "-O2", "-D_GNU_SOURCE", ROOT / "tests/tools/steady-load.c", "-o", tool)
    return tool


class Load:
    """GET requests at a steady rate to a balancer that serves the host, from now until end()."""

    def __init__(self, fed, region, host, rate=1000, path="/"):
        address, port = fed.addresses("HANSA_LB")[region].rsplit(":", 1)
        poll(lambda: fed.curl(f"http://{address}:{port}{path}", "-H", f"Host: {host}", check=False), what=f"{host} at {region}")
        tool = load_tool(fed.dir.parents[1])
        self.process = subprocess.Popen([tool, address, port, host, path, str(rate), "300"], stdout=subprocess.PIPE,
                                        text=True)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return json.loads(self.process.communicate(timeout=30)[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def assert_unharmed(report):
    assert report["ok"] > 0 and report["failed"] == 0, report
    assert report["max_ms"] <= 1500, report


# --- DNS ---

def question(ident, name, network):
    """A query for A with a client's network (RFC 7871)."""
    address, bits = network.split("/")
    octets = socket.inet_aton(address)[:(int(bits) + 7) // 8]
    subnet = struct.pack("!HBB", 1, int(bits), 0) + octets
    option = struct.pack("!HH", 8, len(subnet)) + subnet
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.rstrip(".").split(".")) + b"\0"
    return (struct.pack("!HHHHHH", ident, 0, 1, 0, 0, 1) + labels + struct.pack("!HH", 1, 1)
            + b"\0" + struct.pack("!HHIH", 41, 1232, 0, len(option)) + option)


def skip_name(answer, at):
    while answer[at]:
        if answer[at] >= 0xc0:
            return at + 2
        at += 1 + answer[at]
    return at + 1


def values(answer):
    """(rcode, addresses) of an answer."""
    _, flags, n, count, _, _ = struct.unpack_from("!HHHHHH", answer)
    at, found = 12, []
    for _ in range(n):
        at = skip_name(answer, at) + 4
    for _ in range(count):
        at = skip_name(answer, at)
        kind, _, _, length = struct.unpack_from("!HHIH", answer, at)
        if kind == 1:
            found.append(socket.inet_ntoa(answer[at + 10:at + 14]))
        at += 10 + length
    return flags & 15, found


class DnsWatch(threading.Thread):
    """Asks each server for A of a name, as a client near a region, every 20 ms until end()."""

    def __init__(self, fed, name, near, servers):
        super().__init__(daemon=True)
        self.name_asked, self.network, self.stopping = name, NEAR[near], threading.Event()
        self.asked = {}  # (server, id): [sent, answered or None, rcode, addresses]
        self.sockets = {}
        for server in servers:
            address, port = fed.addresses("HANSA_DNS_ALL")[server].rsplit(":", 1)
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.connect((address, int(port)))
            s.setblocking(False)
            self.sockets[s] = server
        self.start()

    def run(self):
        ident = 0
        while not self.stopping.is_set():
            ident += 1
            for s, server in self.sockets.items():
                self.asked[server, ident] = [time.monotonic(), None, None, ()]
                with contextlib.suppress(OSError):
                    s.send(question(ident & 0xffff, self.name_asked, self.network))
            self.receive(time.monotonic() + 0.02, ident)
        self.receive(time.monotonic() + 0.5, ident)
        for s in self.sockets:
            s.close()

    def receive(self, until, newest):
        while (left := until - time.monotonic()) > 0:
            for s in select.select(list(self.sockets), [], [], left)[0]:
                try:
                    answer = s.recv(4096)
                except OSError:
                    continue
                ident = newest - ((newest - struct.unpack_from("!H", answer)[0]) & 0xffff)
                entry = self.asked.get((self.sockets[s], ident))
                if entry and entry[1] is None:
                    entry[1:] = [time.monotonic(), *values(answer)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping.set()

    def end(self):
        """[(server, sent, answered, rcode, addresses)] in the order of asking."""
        self.stopping.set()
        self.join()
        return [(server, *entry) for (server, _), entry in self.asked.items()]


def assert_always_answered(seen):
    """Each question, within 1 s, with addresses."""
    wrong = [e for e in seen if e[2] is None or e[2] - e[1] > 1 or e[3] != 0 or not e[4]]
    assert seen and not wrong, f"{len(wrong)} of {len(seen)}: {wrong[:5]}"


def assert_not_given(seen, address, after):
    """No question asked later than `after` was answered with the address."""
    late = [e for e in seen if e[1] > after and address in e[4]]
    last = max((e[1] for e in seen if address in e[4]), default=after)
    print(f"last given {after - last:.3f} s before it had to be gone")
    assert not late, f"{len(late)} answers with {address}, the last {late[-1][1] - after:.3f} s too late: {late[-1]}"


# --- ways to lose a cluster ---

def signal_all(fed, cluster, signo):
    """Agents first, so that nothing is started again. Repeated until no process is new."""
    done = set()
    while new := {p: line for p, line in fed.pids(cluster).items() if p not in done}:
        for pid in sorted(new, key=lambda p: "hansa-member" not in new[p]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signo)
        if signo != signal.SIGKILL:
            done |= set(new)


class Kill:
    """kill -9 of all processes of the cluster; `kubefed up` starts it again."""

    def lose(self, fed, cluster):
        signal_all(fed, cluster, signal.SIGKILL)

    def bring_back(self, fed, cluster):
        fed.up()


class Stop:
    """SIGSTOP of all processes of the cluster: silence, not refusal."""

    def lose(self, fed, cluster):
        signal_all(fed, cluster, signal.SIGSTOP)

    def bring_back(self, fed, cluster):
        signal_all(fed, cluster, signal.SIGCONT)


class Drop:
    """All packets to the cluster's addresses are dropped on their arrival. Only inside a network name space."""

    def rule(self, verb, fed, cluster):
        network = ".".join(fed.addresses("HANSA_LB")[cluster].split(".")[:2]) + ".0.0/16"
        for direction in ("-d", "-s"):
            run("iptables", "-w", verb, "INPUT", direction, network, "-j", "DROP")

    def lose(self, fed, cluster):
        self.rule("-A", fed, cluster)

    def bring_back(self, fed, cluster):
        self.rule("-D", fed, cluster)


WAYS = {"kill": Kill(), "stop": Stop(), "drop": Drop()}


# --- a network name space ---

def netns_problem():
    """Why there can be no network name space with rules here; None: there can."""
    if os.geteuid() != 0:
        return "not root"
    if not (shutil.which("ip") and shutil.which("iptables")):
        return "ip or iptables is not installed"
    with contextlib.suppress(AssertionError):
        with netns():
            run("iptables", "-w", "-A", "INPUT", "-d", "127.9.0.0/16", "-j", "DROP")
            return None
    return "network name spaces or iptables rules may not be made here"


@contextlib.contextmanager
def netns():
    """This thread, and what it starts, in a network name space of its own, of which only lo is up."""
    name = f"hansa-{os.getpid()}-{time.monotonic_ns()}"
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", name, "link", "set", "lo", "up")
        there = os.open(f"/run/netns/{name}", os.O_RDONLY)
        assert libc.setns(there, 0) == 0, os.strerror(ctypes.get_errno())
        os.close(there)
        yield
    finally:
        libc.setns(home, 0)
        os.close(home)
        run("ip", "netns", "delete", name, check=False)


# --- single processes ---

def pids_of(fed, cluster, program):
    return sorted(p for p, line in fed.pids(cluster).items() if line.split(" ")[0].split("/")[-1] == program)


def kill_and_return(fed, cluster, program):
    """kill -9 of one process of a cluster's program; returns when another one runs in its place."""
    before = pids_of(fed, cluster, program)
    os.kill(before[0], signal.SIGKILL)
    # More than before is right too: replicas of another lost cluster may be made up here meanwhile.
    return poll(lambda: len(now := pids_of(fed, cluster, program)) >= len(before) and before[0] not in now and now,
                what=f"{program} of {cluster} again")
