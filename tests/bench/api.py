#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The resource engine's HTTP API beside etcd's JSON gateway: create, get, list, in one run.

usage: tests/bench/api.py [--build DIR] [--seconds N] [--rounds N]

Both serve HTTPS (HTTP/1.1, keep-alive) on loopback, keep their data in one temporary folder and answer a write after fsync. wrk
asks with the same number of connections and objects of 1 kB. What is compared is not the same work: the engine authenticates,
authorizes, validates, defaults and answers the whole object; etcd keeps bytes, and its JSON gateway packs them in base64.
The ratio tells that an API made of both parts in one process costs about so much of what the storage alone costs elsewhere.
Rounds alternate between the servers; the median is printed, and a line of JSON. CPU is the server's own, from /proc.
"""
import argparse
import base64
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
LISTED = 500
VALUE = "v" * 850  # the object as it is kept is then about 1 kB


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(url, body=None, token=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = "Bearer " + token
    request = urllib.request.Request(url, body and json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10, context=ssl._create_unverified_context()) as r:
        return json.loads(r.read())


def wait_for(cond, what):
    end = time.monotonic() + 20
    while True:
        try:
            if cond():
                return
        except OSError:
            pass
        if time.monotonic() > end:
            sys.exit("api: waited too long for " + what)
        time.sleep(0.05)


def lua(method, path, body, headers, numbered):
    """A wrk script; body is a Lua expression that may use n, the number of the request in this thread."""
    head = ", ".join(f'["{k}"] = "{v}"' for k, v in headers.items())
    return f"""
local n, tag = 0, os.getenv("TAG")
function request()
  n = n + 1
  return wrk.format("{method}", "{path}", {{{head}}}, {body if numbered or body else 'nil'})
end
local bad = 0
function done(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout,
    latency:percentile(99)))
end
"""


class Peer:
    def __init__(self, folder, name, argv):
        self.name, self.folder = name, folder
        self.log = open(folder / f"{name}.log", "wb")
        self.proc = subprocess.Popen([str(a) for a in argv], stdout=self.log, stderr=self.log)

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.proc.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.proc.terminate()
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            self.proc.kill()

    def run(self, what, seconds, tag):
        script = self.folder / f"{self.name}-{what}.lua"
        script.write_text(self.scripts[what])
        before = self.cpu()
        p = subprocess.run(["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", "-s", str(script), self.url], text=True,
                           capture_output=True, env=dict(os.environ, TAG=tag))
        used = self.cpu() - before
        m = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+)", p.stdout)
        if not m:
            sys.exit(f"api: wrk {self.name} {what}: {p.stdout}{p.stderr}")
        requests, duration_us, bad, p99 = map(int, m.groups())
        if bad:
            sys.exit(f"api: {self.name} {what}: {bad} of {requests} requests failed")
        return {"per_s": requests / (duration_us / 1e6), "per_cpu_s": requests / max(used, 0.01), "p99_ms": p99 / 1e3}


class Engine(Peer):
    def __init__(self, folder, build):
        data = folder / "apid"
        data.mkdir()
        super().__init__(folder, "hansa", [build / "tests/hansa-apid", data, "--store", "sqlite"])
        wait_for(lambda: (data / "ready").exists() and (data / "ready").stat().st_size, "hansa-apid")
        self.url = (data / "ready").read_text().strip()
        h = {"Authorization": "Bearer admin", "Content-Type": "application/json"}
        maps = "/api/v1/namespaces/default/configmaps"
        ask(self.url + "/api/v1/namespaces", {"metadata": {"name": "listed"}}, "admin")
        for i in range(LISTED):
            ask(self.url + "/api/v1/namespaces/listed/configmaps", self.config_map(f"item-{i}"), "admin")
        body = ("'{\"metadata\":{\"name\":\"c-' .. tag .. '-' .. n .. '\"},\"data\":{\"key\":\"" + VALUE + "\"}}'")
        self.scripts = {"create": lua("POST", maps, body, h, True),
                        "get": lua("GET", "/api/v1/namespaces/listed/configmaps/item-7", None, h, False),
                        "list": lua("GET", "/api/v1/namespaces/listed/configmaps", None, h, False)}

    @staticmethod
    def config_map(name):
        return {"metadata": {"name": name}, "data": {"key": VALUE}}


class Etcd(Peer):
    def __init__(self, folder):
        client, peer = f"https://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        cert, key = folder / "etcd.crt", folder / "etcd.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                       check=True, capture_output=True)
        super().__init__(folder, "etcd", [
            "etcd", "--cert-file", cert, "--key-file", key, "--data-dir", folder / "etcd", "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
            "--log-level", "error"])
        self.url = client
        wait_for(lambda: ask(client + "/v3/maintenance/status", {}), "etcd")
        # The value is what the engine would keep for the same object.
        value = json.dumps(dict(Engine.config_map("item-7"), apiVersion="v1", kind="ConfigMap"))
        coded = base64.b64encode(value.encode()).decode()

        def b64(s):
            return base64.b64encode(s.encode()).decode()

        for i in range(LISTED):
            ask(client + "/v3/kv/put", {"key": b64(f"/listed/item-{i}"), "value": coded})
        h = {"Content-Type": "application/json"}
        # A key of 12 bytes that differ, in base64: its digits are letters of the alphabet already.
        body = "'{\"key\":\"' .. tag .. string.format('%014d', n) .. '\",\"value\":\"" + coded + "\"}'"
        one = "'" + json.dumps({"key": b64("/listed/item-7")}) + "'"
        many = "'" + json.dumps({"key": b64("/listed/"), "range_end": b64("/listed0")}) + "'"
        self.scripts = {"create": lua("POST", "/v3/kv/put", body, h, True),
                        "get": lua("POST", "/v3/kv/range", one, h, False),
                        "list": lua("POST", "/v3/kv/range", many, h, False)}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    p.add_argument("--seconds", type=int, default=3)
    p.add_argument("--rounds", type=int, default=3)
    o = p.parse_args()
    for tool in ("wrk", "etcd"):
        if not shutil.which(tool):
            sys.exit(f"api: {tool} is not installed")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    peers = []
    try:
        peers += [Engine(folder, o.build.resolve())]
        peers += [Etcd(folder)]
        rows = {}
        for r in range(o.rounds):
            for what in ("create", "get", "list"):
                for peer in peers:
                    rows.setdefault((what, peer.name), []).append(peer.run(what, o.seconds, f"{r:02d}"))
        result = {}
        print(f"{'':8}{'requests/s':>24}{'per CPU-second':>24}{'p99 ms':>20}{'ratio of CPU':>14}")
        for what in ("create", "get", "list"):
            mid = {peer.name: {k: statistics.median(x[k] for x in rows[what, peer.name])
                               for k in ("per_s", "per_cpu_s", "p99_ms")} for peer in peers}
            h, e = mid["hansa"], mid["etcd"]
            ratio = h["per_cpu_s"] / e["per_cpu_s"]
            result[what] = {"hansa": h, "etcd": e, "ratio_per_s": round(h["per_s"] / e["per_s"], 2),
                            "ratio_per_cpu_s": round(ratio, 2)}
            print(f"{what:8}{h['per_s']:12.0f}{e['per_s']:12.0f}{h['per_cpu_s']:12.0f}{e['per_cpu_s']:12.0f}"
                  f"{h['p99_ms']:10.2f}{e['p99_ms']:10.2f}{ratio:14.2f}")
        print(json.dumps(result))
    finally:
        for peer in peers:
            peer.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
