#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The resource engine's HTTP API beside etcd's JSON gateway, and every figure that the API is held to.

usage: tests/bench/api.py [--build DIR] [--seconds N] [--rounds N] [--all]

Both serve HTTPS (HTTP/1.1, keep-alive) on loopback, keep their data in one temporary folder and answer a write after fsync;
bench_load asks both, over 32 connections. Objects are 1 kB as the client sends them. What is compared is not the same work: the
engine authenticates, authorizes, validates, defaults and answers the whole object; etcd keeps bytes, and its JSON gateway packs
them in base64. Rounds alternate between the servers; the median is printed, for the targets the best round of each as well, because
others use the machine. CPU is the server's own, from /proc; bench_load says what it took itself.
Beside each round of creates the disk itself is measured: a write of 32 kB (a batch's part of the log) and fdatasync, alone, at the
end of a file that grows and in room that a file has already. No acknowledged write can be faster.
With --all also what api_scale.py measures (watchers, whole lists, memory, start), and one table: target, achieved.
"""
import argparse
import base64
import json
import os
import pathlib
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import api_scale

ROOT = pathlib.Path(__file__).resolve().parents[2]
LISTED = 500
VALUE = "v" * 940  # the object as it is sent is then 1 kB


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


def request_text(method, path, headers, body=""):
    """The bytes of one request; ten # in the body become its number."""
    head = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{head}{length}\r\n{body}"


class Peer:
    def __init__(self, folder, build, name, argv):
        self.name, self.folder, self.build = name, folder, build
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

    def run(self, what, seconds, first):
        request = self.folder / f"{self.name}-{what}.request"
        request.write_text(self.requests[what])
        before = self.cpu()
        p = subprocess.run([str(self.build / "bench/bench_load"), self.url.split("//")[1], "load", "32", str(seconds), str(first),
                            str(request)], text=True, capture_output=True, timeout=seconds + 60)
        used = self.cpu() - before
        if p.returncode:
            sys.exit(f"api: {self.name} {what}: {p.stderr}")
        r = json.loads(p.stdout)
        return {"per_s": r["per_s"], "per_cpu_s": r["requests"] / max(used, 0.01), "p99_ms": r["p99_ms"],
                "client_cpu_us": r["client_cpu_s"] * 1e6 / max(r["requests"], 1)}


class Engine(Peer):
    def __init__(self, folder, build):
        data = folder / "apid"
        data.mkdir()
        super().__init__(folder, build, "hansa", [build / "tests/hansa-apid", data, "--store", "sqlite"])
        wait_for(lambda: (data / "ready").exists() and (data / "ready").stat().st_size, "hansa-apid")
        self.url = (data / "ready").read_text().strip()
        h = {"Authorization": "Bearer admin", "Content-Type": "application/json"}
        maps = "/api/v1/namespaces/default/configmaps"
        ask(self.url + "/api/v1/namespaces", {"metadata": {"name": "listed"}}, "admin")
        for i in range(LISTED):
            ask(self.url + "/api/v1/namespaces/listed/configmaps", self.config_map(f"item-{i}"), "admin")
        body = json.dumps(self.config_map("c-##########"), separators=(",", ":"))
        self.requests = {"create": request_text("POST", maps, h, body),
                         "get": request_text("GET", "/api/v1/namespaces/listed/configmaps/item-7", h),
                         "list": request_text("GET", "/api/v1/namespaces/listed/configmaps", h)}

    @staticmethod
    def config_map(name):
        return {"metadata": {"name": name}, "data": {"key": VALUE}}


class Etcd(Peer):
    def __init__(self, folder, build):
        client, peer = f"https://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        cert, key = folder / "etcd.crt", folder / "etcd.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                       check=True, capture_output=True)
        super().__init__(folder, build, "etcd", [
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
        # A key of 9 bytes that differ, in base64: its digits are letters of the alphabet already.
        self.requests = {"create": request_text("POST", "/v3/kv/put", h, json.dumps({"key": "ab##########", "value": coded})),
                         "get": request_text("POST", "/v3/kv/range", h, json.dumps({"key": b64("/listed/item-7")})),
                         "list": request_text("POST", "/v3/kv/range", h,
                                              json.dumps({"key": b64("/listed/"), "range_end": b64("/listed0")}))}


def disk(folder, n=300, size=32768):
    """Milliseconds of a write and fdatasync: {"grow": [p50, p99], "room": [...]}."""
    result, path = {}, folder / "disk"
    for how in ("grow", "room"):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | (os.O_TRUNC if how == "grow" else 0), 0o600)
        took = []
        for _ in range(n):
            begin = time.monotonic()
            os.write(fd, b"x" * size)
            os.fdatasync(fd)
            took.append((time.monotonic() - begin) * 1e3)
        os.close(fd)
        took.sort()
        result[how] = [round(took[n // 2], 3), round(took[n * 99 // 100], 3)]
    path.unlink()
    return result


def verdict(name, target, value, unit, low):
    """One row of the table; low: the target is a most."""
    ok = value <= target if low else value >= target
    print(f"| {name} | {'≤' if low else '≥'} {target:,g} {unit} | {value:,.4g} {unit} | {'yes' if ok else 'no'} |")


def table(rows, disks, scale):
    """Of several rounds the best counts: the others tell what else the machine did."""
    best = {k: max(v, key=lambda x: x["per_s"]) for k, v in rows.items()}
    quickest = min(x["p99_ms"] for x in rows["create", "hansa"])
    print("\n| what | target | achieved | reached |\n|---|---|---|---|")
    verdict("creates, times etcd's puts", 2, best["create", "hansa"]["per_s"] / best["create", "etcd"]["per_s"], "", False)
    verdict("create p99, 32 connections", 6, quickest, "ms", True)
    for name, of in (("create p99 of etcd", [x["p99_ms"] for x in rows["create", "etcd"]]),
                     ("fdatasync p99, file grows", [x["grow"][1] for x in disks]),
                     ("fdatasync p99, room is there", [x["room"][1] for x in disks])):
        print(f"| {name} (rounds: {', '.join(f'{x:.2f}' for x in of)}) | | {min(of):.2f} ms | |")
    verdict("gets of one object", 80000, best["get", "hansa"]["per_s"], "/s", False)
    if not scale:
        return
    at = scale["39000 objects"]
    verdict("list of 39,000 objects", 1000, at["mb_per_s"], "MB/s", False)
    verdict("one write to 1,000 watchers, p99", 50, scale["watch"]["p99_ms"], "ms", True)
    verdict("memory, idle", 20, scale["idle_mb"], "MB", True)
    verdict("memory, 39,000 objects of 1 kB", 80, at["rss_mb"], "MB", True)
    verdict("start with 100,000 objects", 1, scale["start_s"], "s", True)
    steps = [v for k, v in scale.items() if k.endswith(" objects")]
    for what in ("get", "update", "create"):
        verdict(f"{what} p50, most objects to 1,000", 1.5, steps[-1][what + "_p50_ms"] / steps[0][what + "_p50_ms"], "times", True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    p.add_argument("--seconds", type=int, default=3)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--all", action="store_true", help="every target, with what api_scale.py measures")
    o = p.parse_args()
    if not shutil.which("etcd"):
        sys.exit("api: etcd is not installed")
    build = o.build.resolve()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    peers = []
    try:
        peers += [Engine(folder, build)]
        peers += [Etcd(folder, build)]
        rows, disks = {}, []
        for r in range(o.rounds):
            disks.append(disk(folder))
            for what in ("create", "get", "list"):
                for peer in peers:
                    rows.setdefault((what, peer.name), []).append(peer.run(what, o.seconds, r * 10 ** 8))
        result = {"disk_ms": disks}
        print(f"{'':8}{'requests/s':>24}{'per CPU-second':>24}{'p99 ms':>20}{'ratio of CPU':>14}")
        for what in ("create", "get", "list"):
            mid = {peer.name: {k: statistics.median(x[k] for x in rows[what, peer.name])
                               for k in ("per_s", "per_cpu_s", "p99_ms", "client_cpu_us")} for peer in peers}
            h, e = mid["hansa"], mid["etcd"]
            ratio = h["per_cpu_s"] / e["per_cpu_s"]
            result[what] = {"hansa": h, "etcd": e, "ratio_per_s": round(h["per_s"] / e["per_s"], 2),
                            "ratio_per_cpu_s": round(ratio, 2)}
            print(f"{what:8}{h['per_s']:12.0f}{e['per_s']:12.0f}{h['per_cpu_s']:12.0f}{e['per_cpu_s']:12.0f}"
                  f"{h['p99_ms']:10.2f}{e['p99_ms']:10.2f}{ratio:14.2f}")
    finally:
        for peer in peers:
            peer.stop()
        shutil.rmtree(folder, ignore_errors=True)
    scale = api_scale.measure(build) if o.all else None
    table(rows, disks, scale)
    print(json.dumps(dict(result, scale=scale) if scale else result))


if __name__ == "__main__":
    main()
