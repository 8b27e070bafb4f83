#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long an object takes from the federation's API until it stands in every member cluster.

usage: tests/bench/propagation.py [--build DIR] [--latency N] [--burst N] [--keep]

Starts three members (hansa-member with the hollow runtime: sqlite store, controllers, pods that only claim to run) and one
hansa-fedapi in a temporary folder, registers the members with Secrets and Clusters, and runs build/bench/bench_propagation:
one ConfigMap at a time, then a burst of ConfigMaps, then a burst of Deployments. Prints a line of JSON for each.
"""
import argparse
import base64
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEMBERS = ["us-east1", "europe-west1", "asia-east1"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(cond, what, seconds=30):
    end = time.monotonic() + seconds
    while not cond():
        if time.monotonic() > end:
            sys.exit("propagation: waited too long for " + what)
        time.sleep(0.02)


class World:
    def __init__(self, build, folder):
        self.build, self.dir, self.procs = build, pathlib.Path(folder), []

    def spawn(self, name, *argv):
        log = open(self.dir / f"{name}.log", "wb")
        self.procs.append(subprocess.Popen([str(a) for a in argv], stdout=log, stderr=log))

    def stop(self):
        for p in self.procs:
            p.terminate()
        for p in self.procs:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()

    def kubectl(self, *args, stdin=None):
        p = subprocess.run(["kubectl", *args], env=dict(os.environ, KUBECONFIG=str(self.dir / "kubeconfig")), input=stdin,
                           text=True, capture_output=True)
        if p.returncode:
            sys.exit(f"propagation: kubectl {' '.join(args)}: {p.stderr}")
        return p.stdout

    def start_members(self):
        for m in MEMBERS:
            self.spawn(m, self.build / "bin/hansa-member", "--name", m, "--dir", self.dir / m, "--region", m,
                       "--runtime", "hollow", "--max-pods", "10000", "--stop-pods")
        for m in MEMBERS:
            config = self.dir / m / "kubeconfig"
            wait_for(lambda: config.exists() and subprocess.run(
                ["kubectl", "--kubeconfig", str(config), "get", "--raw", "/readyz"], capture_output=True).returncode == 0, m)

    def start_federation(self):
        self.spawn("fedapi", self.build / "bin/hansa-fedapi", "--name", "fed", "--dir", self.dir / "fed", "--listen",
                   f"127.0.0.1:{free_port()}")
        wait_for((self.dir / "fed/kubeconfig").exists, "the federation's kubeconfig")

    def write_kubeconfig(self):
        """One file with the contexts fed and one for each member."""
        merged = {"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": [],
                  "current-context": "fed"}
        for name in ["fed"] + MEMBERS:
            one = yaml.safe_load((self.dir / name / "kubeconfig").read_text())
            merged["clusters"].append({"name": name, "cluster": one["clusters"][0]["cluster"]})
            merged["users"].append({"name": name, "user": one["users"][0]["user"]})
            merged["contexts"].append({"name": name, "context": {"cluster": name, "user": name}})
        (self.dir / "kubeconfig").write_text(yaml.safe_dump(merged))

    def join(self):
        objects = []
        for m in MEMBERS:
            text = (self.dir / m / "kubeconfig").read_text()
            server = yaml.safe_load(text)["clusters"][0]["cluster"]["server"]
            objects.append({"apiVersion": "v1", "kind": "Secret",
                            "metadata": {"name": m, "namespace": "federation-system"},
                            "data": {"kubeconfig": base64.b64encode(text.encode()).decode()}})
            objects.append({"apiVersion": "federation/v1beta1", "kind": "Cluster", "metadata": {"name": m},
                            "spec": {"serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server}],
                                     "secretRef": {"name": m}}})
        wait_for(lambda: subprocess.run(["kubectl", "--kubeconfig", str(self.dir / "kubeconfig"), "get", "ns",
                                         "federation-system"], capture_output=True).returncode == 0, "the federation")
        self.kubectl("create", "-f", "-", stdin=yaml.safe_dump_all(objects))
        self.kubectl("wait", "cluster", "--all", "--for=condition=Ready", "--timeout=30s")

    def bench(self, kind, mode, n):
        p = subprocess.run([str(self.build / "bench/bench_propagation"), str(self.dir / "kubeconfig"), "fed",
                            ",".join(MEMBERS), kind, mode, str(n)], text=True, capture_output=True, timeout=180)
        if p.returncode:
            sys.exit(f"propagation: {kind} {mode}: {p.stderr}{p.stdout}")
        print(p.stdout.strip(), flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    p.add_argument("--latency", type=int, default=500)
    p.add_argument("--burst", type=int, default=1000)
    p.add_argument("--keep", action="store_true", help="keep the folder with logs")
    o = p.parse_args()
    w = World(o.build.resolve(), tempfile.mkdtemp(prefix="hansa-bench-"))
    try:
        w.start_members()
        w.start_federation()
        w.write_kubeconfig()
        w.join()
        w.bench("configmaps", "latency", o.latency)
        w.bench("configmaps", "burst", o.burst)
        w.bench("deployments", "burst", o.burst)
    finally:
        w.stop()
        if o.keep:
            print("kept", w.dir, file=sys.stderr)
        else:
            shutil.rmtree(w.dir, ignore_errors=True)


if __name__ == "__main__":
    main()
