#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the resource engine costs as objects and watchers grow: memory, lists, watchers, one request at a time, start.

usage: tests/bench/api_scale.py [--build DIR] [--most N] [--watchers N]

One hansa-apid on SQLite with TLS. ConfigMaps of 1 kB (as they are sent) are created until there are 1,000, 10,000, 39,000 and
100,000; at each step one client asks one thing at a time (get, update, create): what grows with the number of objects would show. At
39,000: the process's memory once it is quiet, and whole lists (2 connections). Then one write at a time to WATCHERS watchers, each on
a TLS connection of its own, measured at the client, which shares the cores. At the end kill -9, and the time until a start serves
again; the best of three, as others use the machine.
"""
import argparse
import json
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = (1000, 10000, 39000, 100000)
BYTES = 890  # of data: the object as it is sent is then 1 kB


class Server:
    def __init__(self, build, folder):
        self.argv = [build / "tests/hansa-apid", folder, "--store", "sqlite"]
        self.folder, self.kubeconfig = folder, folder / "kubeconfig"
        self.log = open(folder / "log", "ab")

    def start(self):
        """Seconds until it serves."""
        (self.folder / "ready").unlink(missing_ok=True)
        begin = time.monotonic()
        self.proc = subprocess.Popen([str(a) for a in self.argv], stdout=self.log, stderr=self.log)
        while not (self.folder / "ready").exists():
            if self.proc.poll() is not None or time.monotonic() - begin > 120:
                sys.exit("api_scale: hansa-apid did not start, see " + str(self.folder / "log"))
            time.sleep(0.002)
        took = time.monotonic() - begin
        self.url = (self.folder / "ready").read_text().strip()
        return took

    def rss_mb(self):
        status = pathlib.Path(f"/proc/{self.proc.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def settled_mb(self):
        """Once what the last requests used has been given back, which the server does when it has been quiet for some seconds."""
        time.sleep(8)
        return self.rss_mb()

    def kill(self):
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()


def client(build, server, *args):
    p = subprocess.run([str(build / "bench/bench_client"), str(server.kubeconfig), *map(str, args)], text=True,
                       capture_output=True, timeout=600)
    if p.returncode:
        sys.exit("api_scale: " + p.stderr)
    return json.loads(p.stdout)


def load(build, server, folder, *args, **requests):
    """bench_load with the files that its arguments name."""
    for name, text in requests.items():
        (folder / name).write_text(text.replace("\n", "\r\n"))
    argv = [folder / a if a in requests else a for a in args]
    p = subprocess.run([str(build / "bench/bench_load"), server.url.split("//")[1], *map(str, argv)], text=True,
                       capture_output=True, timeout=600)
    if p.returncode:
        sys.exit("api_scale: " + p.stderr)
    return json.loads(p.stdout)


HEAD = "HTTP/1.1\nHost: bench\nAuthorization: Bearer admin\n"
MAPS = "/api/v1/namespaces/default/configmaps"


def lists(build, server, folder):
    most = max((load(build, server, folder, "load", 2, 4, 0, "list", list=f"GET {MAPS} {HEAD}\n") for _ in range(3)),
               key=lambda r: r["mb_per_s"])
    return {"lists_per_s": most["per_s"], "mb_per_s": most["mb_per_s"], "lists_client_cpu_s": most["client_cpu_s"]}


def watch(build, server, folder, watchers, writes):
    data = json.dumps({"metadata": {"name": "watched"}, "data": {"key": "v" * BYTES, "change": "0"}})
    load(build, server, folder, "load", 1, 0, 0, "make",
         make=f"POST {MAPS} {HEAD}Content-Type: application/json\nContent-Length: {len(data)}\n\n{data}")
    ask = urllib.request.Request(f"{server.url}{MAPS}/watched", headers={"Authorization": "Bearer admin"})
    with urllib.request.urlopen(ask, timeout=20, context=ssl._create_unverified_context()) as r:
        rev = json.load(r)["metadata"]["resourceVersion"]
    change = json.dumps({"data": {"change": "##########"}})
    return load(build, server, folder, "watch", watchers, writes, "stream", "write",
                stream=f"GET {MAPS}?watch=1&fieldSelector=metadata.name%3Dwatched&resourceVersion={rev} {HEAD}\n",
                write=f"PATCH {MAPS}/watched {HEAD}Content-Type: application/merge-patch+json\n"
                      f"Content-Length: {len(change)}\n\n{change}")


def measure(build, most=STEPS[-1], watchers=1000):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    server = Server(build, folder)
    try:
        result = {"start_empty_s": round(server.start(), 3)}
        result["idle_mb"] = round(server.rss_mb(), 1)
        have = 0
        for n in [s for s in STEPS if s <= most]:
            filled = client(build, server, "fill", have, n, BYTES)
            have = n
            step = {"create_per_s": filled["per_s"], "rss_mb": round(server.settled_mb(), 1)}
            if n == 39000:
                step.update(lists(build, server, folder))
            step.update(client(build, server, "one", 300))
            result[f"{n} objects"] = step
        result["watch"] = watch(build, server, folder, watchers, 50)
        result["rss_after_watch_mb"] = round(server.rss_mb(), 1)
        starts = []
        for _ in range(3):
            server.kill()
            starts.append(round(server.start(), 3))
        result["start_s"] = min(starts)
        result["rss_after_start_mb"] = round(server.rss_mb(), 1)
        return result
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    p.add_argument("--most", type=int, default=STEPS[-1])
    p.add_argument("--watchers", type=int, default=1000)
    o = p.parse_args()
    print(json.dumps(measure(o.build.resolve(), o.most, o.watchers)))


if __name__ == "__main__":
    main()
