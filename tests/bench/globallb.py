#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""hansa-globallb beside HAProxy and nginx, one worker each, the same backend, the same run.

    wrk (1 thread) --> proxy (1 worker) --> nginx (1 worker, 64 bytes)        keep-alive on both sides

usage: tests/bench/globallb.py [--seconds N] [--rounds N] [--connections N] [--json]
Prints requests a second, requests for each second of the proxy's processor time, and how hansa-globallb compares
(the median of the rounds). Binaries: $HANSA_BIN (build/release/bin), haproxy, nginx, wrk.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e/globallb"))
from glb import Balancer, free_port, simple_world, wait_for  # noqa: E402

NGINX = """worker_processes 1; daemon off; pid {d}/{n}.pid; error_log {d}/{n}.err;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 300s;
  client_body_temp_path {d}/{n}1; proxy_temp_path {d}/{n}2; fastcgi_temp_path {d}/{n}3; uwsgi_temp_path {d}/{n}4;
  scgi_temp_path {d}/{n}5;
  {body} }}
"""
BACKEND = """server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ default_type text/plain;
  return 200 "sixty-four bytes, as an answer that says that all is well here.\\n"; }} }}"""
PROXY = """upstream u {{ server 127.0.0.1:{to}; keepalive 512; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ proxy_pass http://u; proxy_http_version 1.1;
    proxy_set_header Connection ""; proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Request-Id $request_id; }} }}"""
HAPROXY = """global
  nbthread 1
  maxconn 4000
defaults
  mode http
  option forwardfor
  unique-id-format %[uuid()]
  unique-id-header X-Request-Id
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend f
  bind 127.0.0.1:{port}
  http-request set-header X-Forwarded-Proto http
  default_backend b
backend b
  server s1 127.0.0.1:{to}
"""


def tool(name):
    return shutil.which(name) or f"/usr/sbin/{name}"


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def worker_of(proc):
    out = subprocess.run(["pgrep", "-P", str(proc.pid)], capture_output=True, text=True).stdout.split()
    return int(out[0]) if out else proc.pid


def answers(port):
    import http.client
    try:
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        c.request("GET", "/", headers={"Host": "api.example.com"})
        return c.getresponse().status == 200
    except OSError:
        return False


def run(port, pid, opts):
    before = cpu(pid)
    out = subprocess.run(["wrk", "-t1", f"-c{opts.connections}", f"-d{opts.seconds}", "--latency", "-H", "Host: api.example.com",
                          f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True).stdout
    used = cpu(pid) - before
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    return {"req_s": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
            "req_cpu_s": int(re.search(r"(\d+) requests in", out).group(1)) / max(used, 0.01),
            "p99": re.search(r"99%\s+(\S+)", out).group(1)}


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--seconds", type=int, default=4)
    args.add_argument("--rounds", type=int, default=3)
    args.add_argument("--connections", type=int, default=64)
    args.add_argument("--json", action="store_true")
    opts = args.parse_args()
    results = {"hansa-globallb": [], "haproxy": [], "nginx": []}
    with tempfile.TemporaryDirectory() as d:
        ports = [free_port() for _ in range(3)]
        (pathlib.Path(d) / "be.conf").write_text(NGINX.format(d=d, n="be", body=BACKEND.format(port=ports[0])))
        (pathlib.Path(d) / "px.conf").write_text(NGINX.format(d=d, n="px", body=PROXY.format(port=ports[1], to=ports[0])))
        (pathlib.Path(d) / "ha.cfg").write_text(HAPROXY.format(port=ports[2], to=ports[0]))
        quiet = {"stderr": subprocess.DEVNULL}
        procs = [subprocess.Popen([tool("nginx"), "-c", f"{d}/be.conf"], **quiet),
                 subprocess.Popen([tool("nginx"), "-c", f"{d}/px.conf"], **quiet),
                 subprocess.Popen([tool("haproxy"), "-db", "-f", f"{d}/ha.cfg"], **quiet)]
        b = None
        try:
            for p in ports:
                wait_for(lambda port=p: answers(port))
            b = Balancer(pathlib.Path(d), simple_world({"us-east1": [("127.0.0.1", ports[0])]}))
            who = {"hansa-globallb": (b.port, b.proc.pid), "haproxy": (ports[2], procs[2].pid),
                   "nginx": (ports[1], worker_of(procs[1]))}
            for _ in range(opts.rounds):
                for name, (port, pid) in who.items():
                    results[name].append(run(port, pid, opts))
        finally:
            if b:
                b.stop()
            for p in procs:
                p.terminate()
                p.wait()
    middle = {n: {k: statistics.median(r[k] for r in rs) for k in ("req_s", "req_cpu_s")} for n, rs in results.items()}
    if opts.json:
        print(json.dumps({"median": middle, "rounds": results}))
        return
    ours = middle["hansa-globallb"]
    for n, m in middle.items():
        print(f"{n:15} {m['req_s']:9.0f} req/s {m['req_cpu_s']:9.0f} req/CPU-s   p99 {[r['p99'] for r in results[n]]}   "
              f"ours is {ours['req_s'] / m['req_s']:.2f} x by time, {ours['req_cpu_s'] / m['req_cpu_s']:.2f} x by CPU")


if __name__ == "__main__":
    main()
