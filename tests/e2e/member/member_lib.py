# SPDX-License-Identifier: Apache-2.0
"""Hands to start and reach one included cluster."""
import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import time

from builds import SLOW

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(os.environ.get("HANSA_BIN", ROOT / "build/release/bin"))


def wait_for(check, timeout=15.0, what="condition", every=0.02):
    """Polls until check() is true-ish and returns it; errors of kubectl and JSON, and what is not there, count as not yet."""
    end = time.monotonic() + timeout * SLOW
    last = None
    while time.monotonic() < end:
        try:
            last = check()
            if last:
                return last
        except (subprocess.CalledProcessError, ValueError, LookupError, TypeError, OSError) as e:
            last = e
        time.sleep(every)
    raise AssertionError(f"timed out waiting for {what}; last: {last!r}")


class Member:
    def __init__(self, name, directory, user=None, extra=()):
        self.name, self.dir, self.user, self.extra = name, pathlib.Path(directory), user, list(extra)
        self.kubeconfig = self.dir / "kubeconfig"
        self.proc = None

    def start(self):
        self.log = open(self.dir.parent / f"{self.name}.log", "ab")
        command = [self.programs() / "hansa-member", "--name", self.name, "--dir", self.dir, "--region", "europe-west1",
                   "--zone", "europe-west1-b", *self.extra]
        self.proc = subprocess.Popen(command, stdout=self.log, stderr=self.log, user=self.user,
                                     group=pwd.getpwnam(self.user).pw_gid if self.user else None,
                                     extra_groups=[] if self.user else None, cwd="/",
                                     env={**os.environ, "HOME": str(self.dir.parent), "XDG_STATE_HOME": ""})
        wait_for(lambda: self.kubectl("get", "--raw", "/readyz") == "ok" and self.json("nodes")["items"], 15,
                 f"{self.name} to serve")
        return self

    def programs(self):
        """The folder of the programs; a copy where the member's user may not enter the checkout (one below /root)."""
        if not self.user:
            return BIN
        copy = self.dir.parent / "bin"
        if not copy.exists():
            shutil.copytree(BIN, copy)
        return copy

    def kill(self):
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()

    def stop(self, pods=True):
        subprocess.run([BIN / "hansa-member", "stop", "--dir", self.dir] + (["--stop-pods"] if pods else []), check=True,
                       timeout=60)
        self.proc.wait(10 * SLOW)

    def kubectl(self, *args, stdin=None, check=True):
        r = subprocess.run(["kubectl", "--kubeconfig", str(self.kubeconfig), "--cache-dir", str(self.dir / "kubecache"),
                            *map(str, args)], input=stdin, capture_output=True, text=True, timeout=60)
        if check and r.returncode:
            raise subprocess.CalledProcessError(r.returncode, args, r.stdout, r.stderr)
        return r.stdout if check else r

    def json(self, *args):
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def apply(self, *objects):
        return self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def pods(self, label):
        return [p for p in self.json("pods", "-l", label)["items"] if "deletionTimestamp" not in p["metadata"]]

    def ready(self, label, n, timeout=60):
        def check():
            pods = self.pods(label)
            return len(pods) == n and all(is_ready(p) for p in pods) and pods
        try:
            return wait_for(check, timeout, f"{n} ready pods {label}")
        except AssertionError as e:
            seen = [(p["metadata"]["name"], p["metadata"].get("deletionTimestamp"), p["status"]) for p in self.pods(label)]
            log = (self.dir.parent / f"{self.name}.log").read_text()[-4000:]
            raise AssertionError(f"{e}\nseen: {json.dumps(seen)}\n{log}") from e

    def events(self, **want):
        return [e for e in self.json("events")["items"] if all(e.get(k) == v for k, v in want.items())]


def is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def curl(url, *args, timeout=2):
    r = subprocess.run(["curl", "-sS", "-m", str(timeout), *args, url], capture_output=True, text=True)
    if r.returncode:
        raise OSError(r.stderr)
    return r.stdout


def deployment(name, replicas=1, env=(), **container):
    spec = {"name": "echo", "image": "hansa/echo:v1", "ports": [{"name": "http", "containerPort": 8080}],
            "env": list(env), "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1}}
    pod = container.pop("pod", {})
    spec.update(container)
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}},
                                  "spec": {"containers": [spec], "terminationGracePeriodSeconds": 5, **pod}}}}


def service(name, kind="ClusterIP", port=8080, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"type": kind, "selector": {"app": name},
                     "ports": [{"name": "http", "port": port, "targetPort": "http"}], **spec}}
