#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the resource engine costs as objects and watchers grow: memory, lists, watchers, one request at a time, start.

usage: tests/bench/api_scale.py [--build DIR] [--most N] [--watchers N]

One hansa-apid on SQLite with TLS. ConfigMaps with 1 kB of data are created until there are 1,000, 10,000, 39,000 and 100,000; at
each step one client asks one thing at a time (get, update, create): what grows with the number of objects would show. At
39,000: the process's memory, and whole lists (wrk, 2 connections). Then one write at a time to WATCHERS watchers, each on a TLS
connection of its own, measured at the client, which shares the cores. At the end kill -9, and the time until a start serves again.
"""
import argparse
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = (1000, 10000, 39000, 100000)
LISTS = """
function done(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d\\n", summary.requests, summary.duration, summary.bytes,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
"""


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

    def kill(self):
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()


def client(build, server, *args):
    p = subprocess.run([str(build / "bench/bench_client"), str(server.kubeconfig), *map(str, args)], text=True,
                       capture_output=True, timeout=600)
    if p.returncode:
        sys.exit("api_scale: " + p.stderr)
    return json.loads(p.stdout)


def lists(server, folder):
    script = folder / "list.lua"
    script.write_text('wrk.headers["Authorization"] = "Bearer admin"\n' + LISTS)
    p = subprocess.run(["wrk", "-t1", "-c2", "-d5s", "--timeout", "20s", "-s", str(script),
                        server.url + "/api/v1/namespaces/default/configmaps"], text=True, capture_output=True)
    m = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+)", p.stdout)
    if not m or int(m[4]) or not int(m[1]):
        sys.exit(f"api_scale: wrk: {p.stdout}{p.stderr}")
    return {"lists_per_s": int(m[1]) / (int(m[2]) / 1e6), "mb_per_s": int(m[3]) / int(m[2])}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    p.add_argument("--most", type=int, default=STEPS[-1])
    p.add_argument("--watchers", type=int, default=1000)
    o = p.parse_args()
    if not shutil.which("wrk"):
        sys.exit("api_scale: wrk is not installed")
    build = o.build.resolve()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    server = Server(build, folder)
    try:
        result = {"start_empty_s": round(server.start(), 3)}
        result["idle_mb"] = round(server.rss_mb(), 1)
        have = 0
        for n in [s for s in STEPS if s <= o.most]:
            filled = client(build, server, "fill", have, n, 1000)
            have = n
            step = {"create_per_s": filled["per_s"], "rss_mb": round(server.rss_mb(), 1)}
            if n == 39000:
                step.update(lists(server, folder))
            step.update(client(build, server, "one", 300))
            result[f"{n} objects"] = step
        result["watch"] = client(build, server, "watch", o.watchers, 30)
        result["rss_after_watch_mb"] = round(server.rss_mb(), 1)
        server.kill()
        result["start_s"] = round(server.start(), 3)
        result["rss_after_start_mb"] = round(server.rss_mb(), 1)
        print(json.dumps(result))
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
