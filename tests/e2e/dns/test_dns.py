# SPDX-License-Identifier: Apache-2.0
"""hansa-dns as a process, asked by dig and by plain sockets.

    dig ──> hansa-dns (cluster us-east1) ──probes──> edge.py of each of three clusters (127.77.N.x)

The world comes from a file of API objects. Losing a cluster is a signal to its edge.py.
"""
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
HERE = pathlib.Path(__file__).resolve().parent
CLUSTERS = {"us-east1": "33.2,-80.0", "europe-west1": "50.45,3.82", "asia-east1": "24.05,120.52"}
NETWORKS = "192.0.2.0/24=us-east1,198.51.100.0/24=europe-west1,203.0.113.0/24=asia-east1"
API = "api-status.production.fed.svc.example.com"


def binary():
    for d in [os.environ.get("HANSA_BIN"), ROOT / "build/release/bin", ROOT / "build/bin"]:
        if d and (pathlib.Path(d) / "hansa-dns").exists():
            return str(pathlib.Path(d) / "hansa-dns")
    pytest.skip("hansa-dns is not built")


def free_port(addr="127.0.0.1"):
    while True:
        with socket.socket() as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            s.bind((addr, 0))
            try:
                u.bind(s.getsockname())
            except OSError:
                continue
            return s.getsockname()[1]


def wait_for(what, seconds=30, step=0.02):
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(step)


def slice_doc(ns, svc, cluster, addr, ports):
    return f"""---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {svc}-{cluster}
  namespace: {ns}
  labels:
    multicluster.kubernetes.io/service-name: {svc}
    multicluster.kubernetes.io/source-cluster: {cluster}
    endpointslice.kubernetes.io/managed-by: endpoints.federation.hansa.io
    federation.hansa.io/scope: global
addressType: IPv4
endpoints: [{{addresses: ["{addr}"]}}]
ports: [{", ".join(f"{{name: {n}, protocol: {p}, port: {q}}}" for n, p, q in ports)}]
"""


def import_doc(ns, svc, kind, ports):
    return f"""---
apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ServiceImport
metadata:
  name: {svc}
  namespace: {ns}
  annotations: {{federation.hansa.io/service-type: {kind}}}
spec:
  ports: [{", ".join(f"{{name: {n}, protocol: {p}, port: {q}}}" for n, p, q in ports)}]
"""


class Cluster:
    def __init__(self, name, net):
        self.name, self.net, self.process = name, net, None
        self.dns_port, self.lb_port, self.app_port = (free_port(f"{net}.1") for _ in range(3))
        self.app = f"{net}.2"

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "edge.py"), f"{self.net}.1:{self.dns_port}", f"{self.net}.1:{self.lb_port}",
             f"{self.app}:{self.app_port}"], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


def world(clusters):
    docs = []
    for c in clusters.values():
        docs.append(f"""---
apiVersion: federation/v1beta1
kind: Cluster
metadata: {{name: {c.name}, annotations: {{federation.hansa.io/coordinates: "{CLUSTERS[c.name]}"}}}}
status:
  region: {c.name}
  zones: [{c.name}-b]
  conditions: [{{type: Ready, status: "True"}}]
""")
        docs.append(slice_doc("federation-edge", "globallb", c.name, f"{c.net}.1", [("http", "TCP", c.lb_port)]))
        docs.append(slice_doc("federation-edge", "dns", c.name, f"{c.net}.1", [("dns", "UDP", c.dns_port)]))
        docs.append(slice_doc("production", "api-status", c.name, c.app, [("http", "TCP", c.app_port)]))
    docs.append(import_doc("federation-edge", "globallb", "Headless", [("http", "TCP", 80)]))
    docs.append(import_doc("federation-edge", "dns", "Headless", [("dns", "UDP", 53)]))
    docs.append(import_doc("production", "api-status", "LoadBalancer", [("http", "TCP", 80)]))
    docs.append("""---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: api, namespace: production}
spec: {rules: [{host: api.example.com}]}
""")
    return "".join(docs)


class Dns:
    def __init__(self, tmp, *args, **env):
        self.port, self.metrics = free_port(), free_port()
        self.log = open(tmp / f"dns-{self.port}.log", "wb")
        self.process = subprocess.Popen(
            [binary(), f"--listen=127.0.0.1:{self.port}", f"--metrics=127.0.0.1:{self.metrics}", *args],
            stdout=self.log, stderr=self.log, env={**os.environ, **env})
        wait_for(lambda: self.ask("example.com", 6) or self.process.poll() is not None)
        assert self.process.poll() is None, pathlib.Path(self.log.name).read_text()

    def ask(self, name, qtype=1, ecs=None, timeout=5):
        """Addresses (A), or the rcode as text when there is none; None when nothing came."""
        rid = random.randrange(65536)
        wire = b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"
        opt = b""
        if ecs:
            opt = struct.pack(">HHHBB", 8, 7, 1, 24, 0) + socket.inet_aton(ecs)[:3]
        msg = struct.pack(">HHHHHH", rid, 0, 1, 0, 0, 1) + wire + struct.pack(">HH", qtype, 1)
        msg += b"\0" + struct.pack(">HHIH", 41, 1232, 0, len(opt)) + opt
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            try:
                s.connect(("127.0.0.1", self.port))
                s.send(msg)
                reply = s.recv(4096)
            except OSError:
                return None
        assert struct.unpack(">H", reply[:2])[0] == rid
        rcode, count, at, found = reply[3] & 15, struct.unpack(">H", reply[6:8])[0], len(wire) + 16, []
        if rcode:
            return str(rcode)
        for _ in range(count):
            rtype, _, _, n = struct.unpack(">HHIH", reply[at + 2:at + 12])
            if rtype == 1:
                found.append(socket.inet_ntoa(reply[at + 12:at + 16]))
            at += 12 + n
        return found or "0"

    def dig(self, *args):
        r = subprocess.run(["dig", "@127.0.0.1", "-p", str(self.port), "+norec", "+tries=1", "+time=10", *args],
                           capture_output=True, text=True, check=False)
        return r.stdout

    def metric(self, name):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5).read().decode()
        return float(next(line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(name)))

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self.log.close()
        return self.process.returncode


@pytest.fixture
def clusters():
    net = random.randrange(64, 250)
    made = {name: Cluster(name, f"127.{net}.{i}") for i, name in enumerate(CLUSTERS, 1)}
    try:
        for c in made.values():
            c.start()
        yield made
    finally:
        for c in made.values():
            c.stop()


@pytest.fixture
def server(tmp_path, clusters):
    objects = tmp_path / "objects.yaml"
    objects.write_text(world(clusters))
    d = Dns(tmp_path, f"--objects={objects}", f"--networks={NETWORKS}", "--cluster=us-east1")
    d.objects = objects
    try:
        wait_for(lambda: d.metric("hansa_traffic_targets ") == 9 and d.metric('hansa_traffic_probes_total{result="answered"}') > 9)
        yield d
    finally:
        assert d.stop() == 0


# --- what ednscomp and genreport ask, with dig (docs/internals/dns.md has the list) ---

COMPLIANCE = [
    # name, dig arguments, must be in the output, must not be in it
    ("dns", ["+noedns", "SOA"], ["status: NOERROR", " aa;", "SOA\t"], ["OPT PSEUDOSECTION"]),
    ("edns", ["+edns=0", "+bufsize=4096", "+nocookie", "SOA"], ["status: NOERROR", "SOA\t", "version: 0"], []),
    ("edns1", ["+edns=1", "+noednsneg", "+nocookie", "SOA"], ["status: BADVERS", "version: 0"], ["IN\tSOA\t"]),
    ("edns100", ["+edns=100", "+noednsneg", "SOA"], ["status: BADVERS", "version: 0"], ["IN\tSOA\t"]),
    ("edns@512", ["+dnssec", "+bufsize=512", "+ignore", "DNSKEY"], ["status: NOERROR", "version: 0"], []),
    ("ednsopt", ["+ednsopt=100", "+nocookie", "SOA"], ["status: NOERROR", "SOA\t", "version: 0"], ["OPT=100"]),
    ("edns1opt", ["+edns=1", "+noednsneg", "+ednsopt=100", "SOA"], ["status: BADVERS"], ["IN\tSOA\t", "OPT=100"]),
    ("do", ["+dnssec", "SOA"], ["status: NOERROR", "SOA\t", "version: 0"], []),
    ("ednsflags", ["+ednsflags=0x80", "SOA"], ["status: NOERROR", "SOA\t"], ["MBZ"]),
    ("optlist", ["+nsid", "+subnet=0.0.0.0/0", "+expire", "+cookie=0102030405060708", "SOA"],
     ["status: NOERROR", "SOA\t", "CLIENT-SUBNET: 0.0.0.0/0/0", "(good)"], ["EXPIRE"]),
    ("ednstcp", ["+dnssec", "+bufsize=512", "+tcp", "DNSKEY"], ["status: NOERROR", "version: 0"], []),
    ("aa", ["+aaflag", "SOA"], ["status: NOERROR", "SOA\t"], []),
    ("ra", ["+raflag", "SOA"], ["status: NOERROR", "SOA\t"], [" ra"]),
    ("tc", ["+tcflag", "SOA"], ["status: NOERROR", "SOA\t"], [" tc"]),
    ("ad", ["+adflag", "SOA"], ["status: NOERROR", "SOA\t"], [" ad"]),
    ("cd", ["+cdflag", "SOA"], ["status: NOERROR", "SOA\t"], []),
    ("rd", ["+rec", "SOA"], ["status: NOERROR", " rd", "SOA\t"], [" ra"]),
    ("zflag", ["+zflag", "SOA"], ["status: NOERROR", "SOA\t"], ["MBZ"]),
    ("opcode", ["+opcode=15", "+header-only"], ["status: NOTIMP"], []),
    ("opcodeflg", ["+opcode=15", "+header-only", "+tcflag", "+rec", "+raflag", "+cdflag", "+adflag", "+aaflag", "+zflag"],
     ["status: NOTIMP"], [" tc", " ra", " ad", "MBZ"]),
    ("type666", ["TYPE666"], ["status: NOERROR", "ANSWER: 0, AUTHORITY: 1"], []),
    ("tcp", ["+tcp", "+noedns", "SOA"], ["status: NOERROR", " aa;", "SOA\t"], []),
    ("docd", ["+dnssec", "+cdflag", "SOA"], ["status: NOERROR", "SOA\t"], []),
    ("edns1do", ["+edns=1", "+noednsneg", "+dnssec", "SOA"], ["status: BADVERS"], ["IN\tSOA\t"]),
    ("ednsnsid", ["+nsid", "SOA"], ["status: NOERROR", "SOA\t", "us-east1"], []),
    ("ednscookie", ["+cookie", "SOA"], ["status: NOERROR", "SOA\t", "(good)"], []),
    ("ednsexpire", ["+expire", "SOA"], ["status: NOERROR", "SOA\t"], ["EXPIRE"]),
    ("ednssubnet", ["+subnet=198.51.100.0/24", "SOA"], ["status: NOERROR", "SOA\t", "198.51.100.0/24/0"], []),
    ("edns1nsid", ["+edns=1", "+noednsneg", "+nsid", "SOA"], ["status: BADVERS"], ["NSID", "IN\tSOA\t"]),
    ("edns1cookie", ["+edns=1", "+noednsneg", "+cookie", "SOA"], ["status: BADVERS"], ["COOKIE", "IN\tSOA\t"]),
    ("edns1expire", ["+edns=1", "+noednsneg", "+expire", "SOA"], ["status: BADVERS"], ["EXPIRE", "IN\tSOA\t"]),
    ("edns1subnet", ["+edns=1", "+noednsneg", "+subnet=192.0.2.0/24", "SOA"], ["status: BADVERS"],
     ["CLIENT-SUBNET", "IN\tSOA\t"]),
    ("bind11", ["+cookie", "+dnssec", "SOA"], ["status: NOERROR", "SOA\t"], []),
    ("dig11", ["+cookie", "+adflag", "+rec", "SOA"], ["status: NOERROR", "SOA\t"], []),
    ("dnswkk", ["-y", "hmac-sha256:.:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "SOA"], ["status: NOTAUTH"], []),
    ("any", ["ANY", "+notcp"], ["status: NOERROR", "HINFO\t"], []),
    ("ecs source 0", ["+subnet=0", "SOA"], ["status: NOERROR", "SOA\t"], []),
]


@pytest.mark.skipif(not shutil.which("dig"), reason="dig is not installed")
def test_compliance(server):
    wrong = []
    for name, args, there, absent in COMPLIANCE:
        out = server.dig("example.com", *args) if "+header-only" not in args else server.dig(*args)
        bad = [f"misses {t!r}" for t in there if t not in out] + [f"has {t!r}" for t in absent if t in out]
        if bad:
            wrong.append(f"{name}: {', '.join(bad)}\n{out}")
    assert not wrong, "\n".join(wrong)


TYPES = ("A NS MD MF CNAME SOA MB MG MR NULL WKS PTR HINFO MINFO MX TXT RP AFSDB X25 ISDN RT NSAP NSAP-PTR SIG KEY PX GPOS "
         "AAAA LOC NXT SRV NAPTR KX CERT A6 DNAME SINK APL DS SSHFP IPSECKEY RRSIG NSEC DNSKEY DHCID NSEC3 NSEC3PARAM TLSA "
         "SMIMEA HIP CDS CDNSKEY OPENPGPKEY CSYNC ZONEMD SVCB HTTPS SPF NID L32 L64 LP EUI48 EUI64 URI CAA AVC DOA DLV "
         "TYPE1000").split()


@pytest.mark.skipif(not shutil.which("dig"), reason="dig is not installed")
def test_every_type_is_answered(server):
    for t in TYPES:
        out = server.dig("example.com", "-t", t)
        assert "status: NOERROR" in out, f"{t}: {out}"


def test_nearest_by_client_subnet(server, clusters):
    for ecs, name in (("192.0.2.0", "us-east1"), ("198.51.100.0", "europe-west1"), ("203.0.113.0", "asia-east1")):
        assert server.ask(API, ecs=ecs) == [clusters[name].app]
        assert server.ask("api.example.com", ecs=ecs) == [f"{clusters[name].net}.1"]


def test_tcp_pipelining_and_idle_connections(server):
    wire = b"\7example\3com\0\0\6\0\1"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as s:
        msgs = b"".join(struct.pack(">HHHHHHH", 12 + len(wire), i, 0, 1, 0, 0, 0) + wire for i in range(50))
        for i in range(0, len(msgs), 700):
            s.sendall(msgs[i:i + 700])
        data, seen = b"", []
        while len(seen) < 50:
            data += s.recv(65536)
            while len(data) >= 2 and len(data) >= 2 + struct.unpack(">H", data[:2])[0]:
                n = struct.unpack(">H", data[:2])[0]
                seen.append(struct.unpack(">H", data[2:4])[0])
                data = data[2 + n:]
        assert seen == list(range(50))


def lose(server, cluster, how):
    """Seconds from the loss to the first answer without the lost address; none may follow that has it."""
    began = time.monotonic()
    if how == "drop":
        subprocess.run(["nft", "-f", "-"], check=True, text=True, input=(
            "table ip hansa_test { chain in { type filter hook input priority 0; "
            f"ip daddr {cluster.net}.0/24 drop; ip saddr {cluster.net}.0/24 drop; }}\n}}\n"))
    else:
        cluster.process.send_signal(how)
    moved = None
    while time.monotonic() < began + 2.5:
        got = server.ask(API, ecs="198.51.100.0")
        assert isinstance(got, list), got
        if cluster.app not in got:
            if moved is None:
                moved = time.monotonic() - began
                print(f"{how}: moved after {moved * 1000:.0f} ms")
        else:
            assert moved is None, f"{got} again after {moved}"
        time.sleep(0.005)
    return moved


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_cluster_leaves_the_answers_within_a_second(server, clusters, how):
    europe = clusters["europe-west1"]
    assert server.ask(API, ecs="198.51.100.0") == [europe.app]
    moved = lose(server, europe, how)
    assert moved is not None and moved < 1.0, moved
    assert server.ask("api.example.com", ecs="198.51.100.0") == [f"{clusters['us-east1'].net}.1"]
    wait_for(lambda: server.metric("hansa_traffic_clusters_down") == 1)
    if how == signal.SIGSTOP:
        europe.process.send_signal(signal.SIGCONT)
    else:
        europe.stop()
        europe.start()
    wait_for(lambda: server.ask(API, ecs="198.51.100.0") == [europe.app])


@pytest.mark.skipif(os.environ.get("HANSA_TEST_NETNS") != "yes", reason="runs inside the next test")
def test_inside_a_network_namespace(server, clusters):
    moved = lose(server, clusters["europe-west1"], "drop")
    assert moved is not None and moved < 1.0, moved
    subprocess.run(["nft", "delete", "table", "ip", "hansa_test"], check=True)
    wait_for(lambda: server.ask(API, ecs="198.51.100.0") == [clusters["europe-west1"].app])


def test_dropped_packets_in_a_network_namespace():
    """The same loss by silence of the network: everything runs again in a namespace whose packets we may drop."""
    enter = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && nft list tables && exec "$@"', "sh"]
    if not shutil.which("nft") or subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespace with nft may be made here")
    r = subprocess.run([*enter, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__,
                        "-k", "inside_a_network_namespace"], env={**os.environ, "HANSA_TEST_NETNS": "yes"},
                       capture_output=True, text=True, timeout=60, check=False)
    assert r.returncode == 0 and "1 passed" in r.stdout, r.stdout + r.stderr


def test_silence_of_everybody_else_is_suspected_to_be_ours(server, clusters):
    def silence_both():
        """Both at once, as far as one can: the one that still answers a probe after the other's end is its witness."""
        for name in ("europe-west1", "asia-east1"):
            clusters[name].process.send_signal(signal.SIGSTOP)
        wait_for(lambda: server.metric("hansa_traffic_prober_suspects_itself") == 1 or
                 server.ask(API, ecs="198.51.100.0") != [clusters["europe-west1"].app])
        return server.metric("hansa_traffic_prober_suspects_itself") == 1

    for _ in range(10):
        if silence_both():
            break
        for name in ("europe-west1", "asia-east1"):
            clusters[name].process.send_signal(signal.SIGCONT)
        wait_for(lambda: server.ask(API, ecs="198.51.100.0") == [clusters["europe-west1"].app])
        wait_for(lambda: server.ask(API, ecs="203.0.113.0") == [clusters["asia-east1"].app])
    else:
        pytest.fail("the silence of all others was never taken for our own")
    for _ in range(100):
        assert server.ask(API, ecs="198.51.100.0") == [clusters["europe-west1"].app]
        time.sleep(0.01)
    # one of them is heard again: the other's silence is its own
    clusters["asia-east1"].process.send_signal(signal.SIGCONT)
    wait_for(lambda: server.ask(API, ecs="198.51.100.0") == [clusters["us-east1"].app])
    wait_for(lambda: server.ask(API, ecs="203.0.113.0") == [clusters["asia-east1"].app])


def test_a_changed_objects_file_is_served(server, clusters):
    text = server.objects.read_text()
    server.objects.write_text(text.replace("api-status", "renamed"))
    wait_for(lambda: server.ask(API) == "3")
    assert server.ask("renamed.production.fed.svc.example.com") == [clusters["us-east1"].app]


def test_host_names_of_load_balancers_are_resolved(tmp_path):
    objects = tmp_path / "objects.yaml"
    docs = slice_doc("production", "cloud", "us-east1", "localhost", [("http", "TCP", 80)])
    docs = docs.replace("addressType: IPv4", "addressType: FQDN")
    docs += import_doc("production", "cloud", "LoadBalancer", [("http", "TCP", 80)])
    docs += "---\napiVersion: federation/v1beta1\nkind: Cluster\nmetadata: {name: us-east1}\n"
    objects.write_text(docs)
    d = Dns(tmp_path, f"--objects={objects}", "--probes=false")
    try:
        wait_for(lambda: d.ask("cloud.production.fed.svc.example.com") == ["127.0.0.1"])
        out = d.dig("_http._tcp.cloud.production.fed.svc.example.com", "SRV")
        assert "127-0-0-1.cloud.production.fed.svc.example.com." in out, out
    finally:
        assert d.stop() == 0


def test_settings_follow_the_mounted_folder(tmp_path):
    conf = tmp_path / "edge"
    conf.mkdir()
    (conf / "zoneName").write_text("one.test.\n")
    (conf / "unrelated").write_text("x")
    d = Dns.__new__(Dns)
    d.port, d.metrics = free_port(), free_port()
    d.log = open(tmp_path / "dns.log", "wb")
    d.process = subprocess.Popen([binary(), f"--config-dir={conf}", f"--metrics=127.0.0.1:{d.metrics}"], stdout=d.log,
                                 stderr=d.log, env={**os.environ, "POD_IP": "127.0.0.1", "HANSA_PORT_53": str(d.port)})
    try:
        wait_for(lambda: d.ask("one.test", 6) == "0")
        assert d.ask("x.one.test") == "2"  # nothing is known yet: SERVFAIL
        assert d.ask("example.com", 6) == "5"
        (conf / "zoneName").write_text("two.test.\n")
        (conf / "cluster").write_text("europe-west1\n")
        wait_for(lambda: d.ask("two.test", 6) == "0")
        assert "ns-europe-west1.two.test." in d.dig("two.test", "NS")
        (conf / "zoneName").write_text("not..a.name\n")
        wait_for(lambda: d.metric("hansa_dns_reload_failures_total") >= 1)
        assert d.ask("two.test", 6) == "0"
    finally:
        assert d.stop() == 0


def test_help_check_and_refusals(tmp_path):
    exe = binary()

    def run(*args):
        return subprocess.run([exe, *args], capture_output=True, text=True, timeout=10, check=False)

    assert "--networks" in run("--help").stdout
    assert run("--help=man").stdout == (ROOT / "docs/man/hansa-dns.8").read_text()
    assert run("--version").stdout.startswith("hansa-dns ")
    good = run("--check", "--zone=a.test", "--listen=127.0.0.1:5300", "--ttl=30s")
    assert good.returncode == 0 and "zone: a.test" in good.stdout and "30000ms" in good.stdout
    for args, words in ((["--zone=a..b"], "not a domain name"), (["--nope"], "unknown flag --nope"),
                        (["--ttl=soon"], "not a duration"), (["--networks=1.2.3.4/8=x"], "not like"),
                        (["--listen=here"], "not like"), (["--geoip=/nonexistent"], "/nonexistent")):
        r = run("--check", *args)
        assert r.returncode == 2 and words in r.stderr, (args, r.stderr)
    bad = tmp_path / "bad.yaml"
    bad.write_text("zone: a.test\nzoen: b.test\n")
    r = run("--check", f"--config={bad}")
    assert r.returncode == 2 and 'unknown setting "zoen"' in r.stderr
