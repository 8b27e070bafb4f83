# SPDX-License-Identifier: Apache-2.0
"""The resource engine alone (tests/tools/hansa-apid) in front of real kubectls.

    kubectl 1.27 … 1.33  --TLS, client certificate-->  hansa-apid (mem or sqlite store)

No controllers run: a namespace that is deleted stays Terminating, a Deployment makes no pods. What single commands print is in
tests/conformance/kubectl.
"""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from builds import BUILD, SLOW

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(ROOT, "docs/examples")
FOLDERS = [EXAMPLES] + [d for d in [os.environ.get("HANSA_MANIFESTS")] if d]  # HANSA_MANIFESTS: one more folder


def binary():
    for build in (str(BUILD), "build"):
        path = os.path.join(ROOT, build, "tests/hansa-apid")
        if os.path.exists(path):
            return path
    pytest.skip("hansa-apid is not built")


def kubectls():
    """Oldest and newest, or every one with --long."""
    plain = shutil.which("kubectl")
    if not plain:
        return []
    beside = glob.glob(os.path.join(os.path.dirname(os.path.realpath(plain)), "kubectl.1.*"))
    found = sorted(beside, key=lambda p: int(p.rsplit(".", 1)[1])) or [plain]
    return found if os.environ.get("HANSA_TEST_LONG") == "yes" else sorted({found[0], found[-1]})


class Server:
    def __init__(self, path, *flags):
        self.dir, self.flags, self.proc = str(path), flags, None

    def start(self):
        ready = os.path.join(self.dir, "ready")
        if os.path.exists(ready):
            os.unlink(ready)
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.proc = subprocess.Popen([binary(), self.dir, *self.flags], stdout=self.log, stderr=self.log)
        wait_for(lambda: os.path.exists(ready) and os.path.getsize(ready) > 0, "hansa-apid to be ready")
        self.url = open(ready).read().strip()

    def stop(self, sig=signal.SIGTERM):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(sig)
            assert self.proc.wait(15 * SLOW) in (0, -sig)
        self.log.close()


def wait_for(cond, what, seconds=20):
    """Until cond() is true; a field that is not there yet is none."""
    def holds():
        try:
            return cond()
        except (LookupError, TypeError):
            return False
    end = time.monotonic() + seconds * SLOW
    while not holds():
        assert time.monotonic() < end, "waited too long for " + what
        time.sleep(0.02)


class Kubectl:
    def __init__(self, path, server, home):
        self.path, self.server = path, server
        self.env = dict(os.environ, KUBECONFIG=os.path.join(server.dir, "kubeconfig"), HOME=str(home))
        self.minor = int(re.search(r'"?gitVersion"?: ?"v1\.(\d+)', self("version", "--client", "-o", "json")).group(1))

    def run(self, *args, stdin=None):
        p = subprocess.run([self.path, *args], env=self.env, input=stdin, text=True, capture_output=True, timeout=60)
        return p.returncode, p.stdout, p.stderr

    def __call__(self, *args, stdin=None):
        rc, out, err = self.run(*args, stdin=stdin)
        assert rc == 0, "kubectl %s: %s%s" % (" ".join(args), out, err)
        return out

    def fails(self, want, *args, stdin=None):
        rc, out, err = self.run(*args, stdin=stdin)
        assert rc != 0, "kubectl %s should have failed: %s" % (" ".join(args), out)
        assert want in err + out, (args, err + out)

    def json(self, *args):
        return json.loads(self(*args, "-o", "json"))


@pytest.fixture(scope="module", params=[os.path.basename(k) for k in kubectls()])
def k(request, tmp_path_factory):
    path = next(p for p in kubectls() if os.path.basename(p) == request.param)
    server = Server(tmp_path_factory.mktemp("apid"))
    server.start()
    yield Kubectl(path, server, tmp_path_factory.mktemp("home"))
    server.stop()


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: %s, labels: {app: web}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "hansa/echo:v1", ports: [{name: http, containerPort: 8080}]}
"""


def test_namespaces(k):
    names = k("get", "ns", "-o", "name").split()
    assert names == ["namespace/default", "namespace/kube-public", "namespace/kube-system"]
    k("create", "namespace", "ending")
    k("delete", "namespace", "ending", "--wait=false")
    assert re.search(r"ending +Terminating", k("get", "ns"))
    k.fails("because it is being terminated", "create", "configmap", "x", "-n", "ending")
    k.fails('namespaces "nowhere" not found', "create", "configmap", "x", "-n", "nowhere")
    k.fails("this namespace may not be deleted", "delete", "namespace", "default")


def test_typed_creates(k):
    """kubectl 1.32 and later send these as protobuf."""
    k("create", "namespace", "typed")
    for args in (["deployment", "d", "--image=x:1", "--replicas=2", "--port=80"], ["secret", "generic", "s", "--from-literal=a=b"],
                 ["serviceaccount", "sa"], ["service", "clusterip", "svc", "--tcp=80:8080"],
                 ["ingress", "i", "--rule=a.example.com/x=svc:80"], ["role", "r", "--verb=get", "--resource=pods"],
                 ["rolebinding", "rb", "--role=r", "--user=bob"], ["job", "j", "--image=x:1"],
                 ["cronjob", "cj", "--image=x:1", "--schedule=* * * * *"],
                 ["poddisruptionbudget", "p", "--selector=a=b", "--min-available=1"],
                 ["quota", "q", "--hard=pods=3"]):
        k("create", *args, "-n", "typed")
    k("create", "clusterrole", "cr", "--verb=get,list", "--resource=pods")
    d = k.json("get", "deployment", "d", "-n", "typed")
    assert d["spec"]["replicas"] == 2
    assert d["spec"]["template"]["spec"]["containers"][0]["image"] == "x:1"
    assert k("get", "secret", "s", "-n", "typed", "-o", "jsonpath={.data.a}") == "Yg=="
    assert k("get", "ing", "i", "-n", "typed", "-o", "jsonpath={.spec.rules[0].http.paths[0].backend.service.port.number}") == "80"
    if k.minor >= 24:
        token = k("create", "token", "sa", "-n", "typed").strip()
        assert token.count(".") == 2
        k.fails('User "system:serviceaccount:typed:sa" cannot list', "--token=" + token, "--server=" + k.server.url,
                "--insecure-skip-tls-verify", "--kubeconfig=/dev/null", "get", "pods")
    k("autoscale", "deployment", "d", "-n", "typed", "--min=1", "--max=3", "--cpu-percent=50")
    if k.minor > 27:
        assert "admin" in k("auth", "whoami")
    assert k("auth", "can-i", "create", "pods").strip() == "yes"
    k("auth", "can-i", "--list")


def test_apply(k, tmp_path):
    f = tmp_path / "d.yaml"
    f.write_text(DEPLOYMENT % "web")
    assert "created" in k("apply", "-f", str(f))
    assert "unchanged" in k("apply", "-f", str(f))
    rev = k("get", "deploy", "web", "-o", "jsonpath={.metadata.resourceVersion}")
    f.write_text((DEPLOYMENT % "web").replace("replicas: 3", "replicas: 5").replace("echo:v1", "echo:v2"))
    assert "configured" in k("apply", "-f", str(f))
    d = k.json("get", "deploy", "web")
    assert d["spec"]["replicas"] == 5 and d["metadata"]["generation"] == 2
    assert d["metadata"]["resourceVersion"] != rev
    assert d["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] == 8080
    rc, out, _ = k.run("diff", "-f", str(f))
    assert rc == 0 and out == ""
    assert re.search(r"web +0/5 +0 +0 +\d+s +web +hansa/echo:v2 +app=web", k("get", "deploy", "web", "-o", "wide"))
    assert "Replicas:" in k("describe", "deploy", "web")


def test_change(k):
    k("create", "-f", "-", stdin=DEPLOYMENT % "change")
    k("label", "deploy", "change", "tier=web")
    k("annotate", "deploy", "change", "note=hello")
    k("patch", "deploy", "change", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"y:2"}]}}}}')
    k("patch", "deploy", "change", "--type=merge", "-p", '{"spec":{"paused":true}}')
    k("patch", "deploy", "change", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":8}]')
    assert "no change" in k("patch", "deploy", "change", "--type=merge", "-p", '{"spec":{"replicas":8}}')
    d = k.json("get", "deploy", "change")
    assert d["metadata"]["labels"]["tier"] == "web" and d["metadata"]["annotations"]["note"] == "hello"
    assert d["spec"]["template"]["spec"]["containers"][0]["image"] == "y:2" and d["spec"]["replicas"] == 8
    assert d["metadata"]["generation"] == 5  # its annotations are part of it, as in Kubernetes
    k("scale", "deploy", "change", "--replicas=2")
    k("scale", "deploy", "change", "--current-replicas=2", "--replicas=1")
    assert k("get", "deploy", "change", "-o", "jsonpath={.spec.replicas}") == "1"
    k("set", "image", "deploy/change", "web=z:3")
    k("set", "env", "deploy/change", "A=b")
    k("rollout", "resume", "deploy/change")
    k("rollout", "restart", "deploy/change")
    if k.minor >= 24:
        k("patch", "deploy", "change", "--subresource=status", "--type=merge", "-p", '{"status":{"replicas":1}}')
        assert k("get", "deploy", "change", "-o", "jsonpath={.status.replicas}") == "1"
    k("label", "deploy", "change", "tier-")
    k("expose", "deploy", "change", "--port=80", "--target-port=8080")
    out = k("get", "deploy", "change", "-o", "yaml")
    k("replace", "-f", "-", stdin=out)
    k("delete", "deploy,svc", "change")





def test_errors(k):
    bob = ["--token=bob", "--server=" + k.server.url, "--insecure-skip-tls-verify", "--kubeconfig=/dev/null"]
    k.fails('User "bob" cannot list resource "pods" in API group "" in the namespace "default"', *bob, "get", "pods")
    bad = ["--token=nobody"] + bob[1:]
    k.fails("nauthorized", *bad, "get", "--raw", "/api/v1/pods")
    k.fails("the server doesn't have a resource type", "get", "nonsense")


@pytest.mark.parametrize("folder", FOLDERS)
def test_manifests(k, folder):
    names = sorted(glob.glob(os.path.join(folder, "*.yaml")))
    assert names, "no manifests in " + folder
    for name in names:
        k("create", "-f", name)
        k("apply", "-f", name)
        k("get", "-f", name)
        k("describe", "-f", name)


def test_an_old_manifest_reads_as_new(k):
    k("apply", "-f", os.path.join(EXAMPLES, "quotes-2017.yaml"))
    web = k.json("get", "deploy.v1.apps", "quotes", "-n", "library")
    old = json.loads(k("get", "--raw", "/apis/extensions/v1beta1/namespaces/library/deployments/quotes"))
    assert web["apiVersion"] == "apps/v1" and old["apiVersion"] == "extensions/v1beta1"
    assert web["spec"]["replicas"] == old["spec"]["replicas"] == 6
    ing = k.json("get", "ingress", "quotes", "-n", "library")
    assert ing["apiVersion"] == "networking.k8s.io/v1"
    assert ing["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] == "quotes"
    assert "quotes.example.com" in k("get", "ingress", "-A")


def test_restart_keeps_all(tmp_path):
    if not kubectls():
        pytest.skip("no kubectl")
    server = Server(tmp_path, "--store", "sqlite")
    server.start()
    kk = Kubectl(kubectls()[-1], server, tmp_path)
    kk("create", "configmap", "kept", "--from-literal=a=b")
    before = kk("get", "cm", "kept", "-o", "yaml")
    server.stop(signal.SIGKILL)
    server.start()
    try:
        assert kk("get", "cm", "kept", "-o", "yaml") == before
        # History survives the restart: a watcher from before it goes on where it was.
        line = kk("get", "--raw", "/api/v1/configmaps?watch=1&timeoutSeconds=1&resourceVersion=1").splitlines()[0]
        assert json.loads(line)["type"] == "ADDED"
    finally:
        server.stop()
