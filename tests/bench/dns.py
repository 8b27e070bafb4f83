#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""hansa-dns beside gdnsd: answers per CPU-second with the same names, networks and queries, in one run.

usage: tests/bench/dns.py [--seconds N] [--rounds N] [--bin FILE]

Both serve example.com with one UDP thread on loopback and choose one of three places by the client subnet of the query
(EDNS option 8, 198.51.100.0/24) or by the resolver's address. dnsperf asks; what counts is the server's own CPU time
(user + system, from /proc). Rounds alternate between the servers; the median is printed, and a line of JSON.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
NETWORKS = {"192.0.2.0/24": "us-east1", "198.51.100.0/24": "europe-west1", "203.0.113.0/24": "asia-east1"}
PLACES = ["us-east1", "europe-west1", "asia-east1"]
COORDINATES = {"us-east1": (33.2, -80.0), "europe-west1": (50.45, 3.82), "asia-east1": (24.05, 120.52)}
SERVICES = 100


def free_port():
    """Free for UDP and TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u, socket.socket() as t:
            u.bind(("127.0.0.1", 0))
            try:
                t.bind(u.getsockname())
            except OSError:
                continue
            return u.getsockname()[1]


def name(i):
    return f"api-{i}.production.fed.svc.example.com"


def address(i, place, k):
    return f"127.{PLACES.index(place) + 1}.{i}.{k}"


def write_queries(path):
    with open(path, "w", encoding="ascii") as f:
        for i in range(SERVICES):
            f.write(f"{name(i)} A\n" * 9 + f"none-{i}.production.fed.svc.example.com A\n")


def hansa(tmp, exe, port, probes):
    docs = []
    for p in PLACES:
        docs.append({"apiVersion": "federation/v1beta1", "kind": "Cluster", "metadata": {
            "name": p, "annotations": {"federation.hansa.io/coordinates": "%s,%s" % COORDINATES[p]}},
            "status": {"region": p, "zones": [p + "-b"], "conditions": [{"type": "Ready", "status": "True"}]}})
    for i in range(SERVICES):
        docs.append({"apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ServiceImport", "metadata": {
            "name": f"api-{i}", "namespace": "production",
            "annotations": {"federation.hansa.io/service-type": "LoadBalancer"}},
            "spec": {"ports": [{"name": "http", "protocol": "TCP", "port": 80}]}})
        for p in PLACES:
            docs.append({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {
                "name": f"api-{i}-{p}", "namespace": "production", "labels": {
                    "multicluster.kubernetes.io/service-name": f"api-{i}",
                    "multicluster.kubernetes.io/source-cluster": p, "federation.hansa.io/scope": "global"}},
                "addressType": "IPv4", "ports": [{"name": "http", "protocol": "TCP", "port": 80}],
                "endpoints": [{"addresses": [address(i, p, k)]} for k in (1, 2)]})
    objects = tmp / "objects.yaml"
    objects.write_text("\n---\n".join(json.dumps(d) for d in docs))
    nets = ",".join(f"{n}={r}" for n, r in NETWORKS.items())
    return subprocess.Popen([exe, f"--listen=127.0.0.1:{port}", "--workers=1", f"--objects={objects}",
                             f"--networks={nets}", "--cluster=us-east1", f"--probes={str(probes).lower()}"],
                            stderr=open(tmp / "hansa.log", "wb"))


def gdnsd(tmp, port):
    etc, run, var = tmp / "etc", tmp / "run", tmp / "var"
    for d in (etc / "zones", run, var):
        d.mkdir(parents=True, exist_ok=True)
    order = {p: ", ".join([p] + [o for o in PLACES if o != p]) for p in PLACES}
    nets = "\n".join(f"        {n} => [ {order[r]} ]" for n, r in NETWORKS.items())
    resources = "\n".join(
        f"      r{i} => {{ map => geo, dcmap => {{ " +
        ", ".join(f"{p} => {{ {p}-1 => {address(i, p, 1)}, {p}-2 => {address(i, p, 2)} }}" for p in PLACES) +
        " } }" for i in range(SERVICES))
    (etc / "config").write_text(f"""options => {{
  listen => [ 127.0.0.1:{port} ]
  udp_threads => 1
  tcp_threads => 1
  zones_default_ttl => 10
  run_dir => {run}
  state_dir => {var}
  disable_cookies => true
}}
plugins => {{
  multifo => {{}}
  geoip => {{
    maps => {{
      geo => {{
        datacenters => [ {", ".join(PLACES)} ]
        nets => {{
{nets}
        }}
      }}
    }}
    resources => {{
{resources}
    }}
  }}
}}
""")
    zone = "@ SOA ns1 hostmaster 1 7200 1800 259200 10\n@ NS ns1\nns1 A 127.0.0.1\n"
    zone += "".join(f"api-{i}.production.fed.svc 10 DYNA geoip!r{i}\n" for i in range(SERVICES))
    (etc / "zones" / "example.com").write_text(zone)
    return subprocess.Popen(["gdnsd", "-c", str(etc), "start"], stdout=open(tmp / "gdnsd.log", "wb"),
                            stderr=subprocess.STDOUT)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_up(port, process, log):
    query = b"\0\1\0\0\0\1\0\0\0\0\0\0" + b"".join(bytes([len(x)]) + x.encode() for x in name(0).split(".")) + b"\0\0\1\0\1"
    for _ in range(200):
        if process.poll() is not None:
            sys.exit(f"the server ended:\n{log.read_text()}")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.1)
            s.sendto(query, ("127.0.0.1", port))
            try:
                if s.recv(512)[7] > 0:
                    return
            except OSError:
                time.sleep(0.05)
    sys.exit("the server does not answer")


def measure(port, pid, queries, seconds, ecs):
    option = ["-E", "8:00011800c63364"] if ecs else []
    before = cpu_seconds(pid)
    r = subprocess.run(["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(queries), "-l", str(seconds), "-c", "8",
                        "-q", "200", *option], capture_output=True, text=True, check=True)
    cpu = cpu_seconds(pid) - before
    done = int(re.search(r"Queries completed:\s+(\d+)", r.stdout).group(1))
    lost = int(re.search(r"Queries lost:\s+(\d+)", r.stdout).group(1))
    qps = float(re.search(r"Queries per second:\s+([\d.]+)", r.stdout).group(1))
    return {"per_cpu_second": done / cpu, "qps": qps, "lost": lost, "cpu": cpu}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--seconds", type=int, default=3)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--bin", default=None)
    p.add_argument("--probes", action="store_true", help="hansa-dns probes its 600 targets meanwhile")
    a = p.parse_args()
    exe = a.bin or next((str(d / "hansa-dns") for d in (ROOT / "build/release/bin", ROOT / "build/bin")
                         if (d / "hansa-dns").exists()), None)
    for tool in ("dnsperf", "gdnsd"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is not installed")
    tmp = pathlib.Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    ports = {"hansa-dns": free_port(), "gdnsd": free_port()}
    running = {}
    try:
        running["hansa-dns"] = hansa(tmp, exe, ports["hansa-dns"], a.probes)
        running["gdnsd"] = gdnsd(tmp, ports["gdnsd"])
        for n, process in running.items():
            wait_up(ports[n], process, tmp / ("hansa.log" if n == "hansa-dns" else "gdnsd.log"))
        write_queries(tmp / "queries")
        result = {}
        for ecs in (False, True):
            seen = {n: [] for n in running}
            for _ in range(a.rounds):
                for n, process in running.items():
                    seen[n].append(measure(ports[n], process.pid, tmp / "queries", a.seconds, ecs))
            kind = "client subnet" if ecs else "resolver address"
            for n, rows in seen.items():
                result[f"{n}, {kind}"] = round(statistics.median(r["per_cpu_second"] for r in rows))
                print(f"{n:10} {kind:17} {result[f'{n}, {kind}']:>10,} answers per CPU-second "
                      f"(q/s {statistics.median(r['qps'] for r in rows):,.0f}, lost {sum(r['lost'] for r in rows)})")
            ratio = result[f"hansa-dns, {kind}"] / result[f"gdnsd, {kind}"]
            result[f"ratio, {kind}"] = round(ratio, 3)
            print(f"ratio      {kind:17} {ratio:10.2f}")
        print(json.dumps(result))
    finally:
        for process in running.values():
            process.terminate()
            process.wait()
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    main()
