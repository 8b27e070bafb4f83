# SPDX-License-Identifier: Apache-2.0
"""What kubectl's conformance runs against: the engine alone (tests/tools/hansa-apid), an included cluster (hansa-member), and the
federation's endpoint without clusters (hansa-fedapi)."""
import base64
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/e2e/member"))
sys.path.append(str(ROOT / "tests/e2e"))  # builds, which member_lib asks
from member_lib import BIN, Member, wait_for  # noqa: E402


def kubectls():
    """{minor version: path} of those at hand: on PATH, its sisters kubectl.1.NN, unpacked in build/tools."""
    found, paths = {}, []
    plain = shutil.which("kubectl")
    if plain:
        real = pathlib.Path(plain).resolve()
        paths = [real, *real.parent.glob("kubectl.1.*")]
    for path in [*paths, *ROOT.glob("build/tools/*/usr/bin/kubectl")]:
        done = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, text=True)
        m = re.search(r'"gitVersion": "v1\.(\d+)', done.stdout)
        if m:
            found[int(m.group(1))] = str(path)
    return found


def apid_binary():
    for path in (os.environ.get("HANSA_BUILD"), "build/release", "build"):
        binary = path and ROOT / path / "tests/hansa-apid"
        if binary and binary.exists():
            return binary
    raise FileNotFoundError("hansa-apid is not built: fedctl/quickstart --build-only --tests")


class Engine:
    """The resource engine with all core kinds and no controllers."""

    def __init__(self, folder, *flags):
        self.dir, self.flags = pathlib.Path(folder), flags
        self.dir.mkdir(parents=True, exist_ok=True)
        self.kubeconfig = self.dir / "kubeconfig"

    def start(self):
        ready = self.dir / "ready"
        ready.unlink(missing_ok=True)
        self.log = open(self.dir / "log", "ab")
        self.proc = subprocess.Popen([apid_binary(), str(self.dir), *self.flags], stdout=self.log, stderr=self.log)
        wait_for(lambda: ready.exists() and ready.read_text().strip(), 20, "hansa-apid to serve")
        return self

    def stop(self, sig=signal.SIGTERM):
        self.proc.send_signal(sig)
        code = self.proc.wait(15)
        assert code in (0, -sig), f"hansa-apid ended with {code}: {(self.dir / 'log').read_text()[-4000:]}"


class Cluster(Member):
    """An included cluster: the same engine with controllers and pods."""

    def __init__(self, folder):
        folder = pathlib.Path(folder) / "state"
        folder.mkdir(parents=True)
        super().__init__("conform", folder)


class Given:
    """A real Kubernetes, to see whether a table says what it says: the cluster of a kubeconfig. Nothing there is taken away."""

    def __init__(self, kubeconfig):
        self.kubeconfig, self.log = pathlib.Path(kubeconfig), open(os.devnull, "rb")

    def start(self):
        return self

    def stop(self):
        pass


class Endpoint:
    """The federation's endpoint, with no cluster joined."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder) / "state"
        self.kubeconfig = self.dir / "kubeconfig"

    def start(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        self.log = open(self.dir.parent / "log", "ab")
        self.proc = subprocess.Popen([BIN / "hansa-fedapi", "--name", "fed", "--dir", self.dir, "--listen", f"127.0.0.1:{port}"],
                                     stdout=self.log, stderr=self.log)
        wait_for(lambda: self.kubeconfig.exists() and Api(self.kubeconfig, self.dir.parent).is_ready(), 20, "hansa-fedapi to serve")
        return self

    def stop(self):
        self.proc.terminate()
        assert self.proc.wait(15) == 0


class Api:
    """Plain requests with a kubeconfig's credentials: what is prepared costs no kubectl."""

    def __init__(self, kubeconfig, folder):
        conf = yaml.safe_load(pathlib.Path(kubeconfig).read_text())
        cluster, user = conf["clusters"][0]["cluster"], conf["users"][0]["user"]
        self.url = cluster["server"]
        self.context = ssl.create_default_context(cadata=self.data(cluster, "certificate-authority").decode())
        self.headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        if not self.headers:
            pair = pathlib.Path(folder) / "client.pem"
            pair.write_bytes(self.data(user, "client-certificate") + b"\n" + self.data(user, "client-key"))
            self.context.load_cert_chain(pair)

    @staticmethod
    def data(part, name):
        return base64.b64decode(part[name + "-data"]) if name + "-data" in part else pathlib.Path(part[name]).read_bytes()

    def is_ready(self):
        with urllib.request.urlopen(urllib.request.Request(self.url + "/readyz", headers=self.headers), context=self.context, timeout=20) as answer:
            return answer.read() == b"ok"

    def __call__(self, method, path, body=None, **headers):
        request = urllib.request.Request(self.url + path, method=method, data=json.dumps(body).encode() if body else None,
                                         headers={"Content-Type": "application/json", **self.headers, **headers})
        with urllib.request.urlopen(request, context=self.context, timeout=20) as answer:
            return json.load(answer)

    def namespace(self, name, account):
        self("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        end = time.monotonic() + 10
        while account and time.monotonic() < end:  # that pods run as
            try:
                self("GET", f"/api/v1/namespaces/{name}/serviceaccounts/default")
                return
            except urllib.error.HTTPError:
                time.sleep(0.02)
