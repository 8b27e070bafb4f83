# SPDX-License-Identifier: Apache-2.0
"""Real kubectls against the tables beside this file: one test for each group of rows, kubectl and server.

The groups of one server and kubectl run side by side, each in its own namespace; those marked `alone` after the others. The gate
has the oldest and the newest kubectl, HANSA_TEST_LONG=yes every one, and runs `at: both` on both servers instead of the first.
"""
import concurrent.futures
import os
import pathlib
import shutil
import tempfile
import threading

import pytest
import yaml

from servers import Api, Cluster, Endpoint, Engine, Given, kubectls
from table import Runner, Table, serves

LONG = os.environ.get("HANSA_TEST_LONG") == "yes"
TABLES = [Table(p) for p in sorted(pathlib.Path(__file__).parent.glob("*.yaml"))]
FOUND = kubectls()
SERVERS = {"engine": lambda folder: Engine(folder, "--access-controllers"), "member": Cluster, "fed": Endpoint}
if os.environ.get("HANSA_KUBERNETES"):  # the kubeconfig of a real one: are the tables true?
    SERVERS = {"engine": lambda folder: Given(os.environ["HANSA_KUBERNETES"])}
MINORS = sorted(FOUND) if LONG else sorted({min(FOUND), max(FOUND)}) if FOUND else []
if os.environ.get("HANSA_KUBECTL"):  # "1.20,1.30"
    MINORS = [int(v.split(".")[1]) for v in os.environ["HANSA_KUBECTL"].split(",")]


def places(group):
    at = group.get("at", "engine")
    return ["engine"] + (["member"] if LONG else []) if at == "both" else at.split()


CASES = [(place, minor, group) for place in SERVERS for minor in MINORS for table in TABLES for group in table.groups
         if place in places(group) and serves(group.get("versions", "1.0+"), minor)]


class Bench:
    """The servers, started when needed, and what the groups brought, made when the first of a (server, kubectl) is asked for."""

    def __init__(self, base, wanted):
        self.base, self.wanted, self.servers, self.results, self.lock = base, wanted, {}, {}, threading.Lock()

    def server(self, place):
        """The server and requests to it. One that does not start fails each of its groups with the same reason."""
        if place not in self.servers:
            folder = self.base / place
            folder.mkdir()
            folder.chmod(0o755)
            try:
                server = SERVERS[place](folder).start()
                self.servers[place] = server, Api(server.kubeconfig, folder)
            except Exception as e:  # pylint: disable=broad-except
                self.servers[place] = e
        if isinstance(self.servers[place], Exception):
            raise self.servers[place]
        return self.servers[place]

    def kubectl(self, minor):
        """It says its own name in messages and to the server: each is called just kubectl."""
        path = self.base / f"1.{minor}" / "kubectl"
        with self.lock:
            if not path.exists():
                path.parent.mkdir()
                path.symlink_to(FOUND[minor])
        return str(path)

    def group(self, place, minor, group):
        server, api = self.server(place)
        ns = f"{group['group']}-1-{minor}"
        home = self.base / f"{place}-{ns}"
        home.mkdir()
        api.namespace(ns, account=place == "member" or isinstance(server, Given))
        conf = yaml.safe_load(pathlib.Path(server.kubeconfig).read_text())
        for context in conf["contexts"]:
            context["context"]["namespace"] = ns
        (home / "kubeconfig").write_text(yaml.safe_dump(conf))
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(home / "kubeconfig"), "LANG": "C.UTF-8", "TZ": "UTC",
               "KUBECACHEDIR": str(self.base / f"cache-{place}-1-{minor}")}
        (home / ".kube").mkdir()
        (home / ".kube/cache").symlink_to(env["KUBECACHEDIR"])
        pathlib.Path(env["KUBECACHEDIR"]).mkdir(exist_ok=True)
        runner = Runner(self.kubectl(minor), minor, env, ns, group.get("files"))
        return runner.run(group["rows"], place)

    def result(self, place, minor, group):
        key = (place, minor, group["group"])
        if key not in self.results:
            todo = [c for c in self.wanted if c[:2] == key[:2]]
            self.server(place)
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                for g in sorted((g for _, _, g in todo), key=lambda g: bool(g.get("alone"))):
                    if g.get("alone"):
                        concurrent.futures.wait([f for k, f in self.results.items() if k[:2] == key[:2]])
                    self.results[place, minor, g["group"]] = pool.submit(self.group, place, minor, g)
        return self.results[key].result()


@pytest.fixture(scope="session")
def bench(request):
    base = pathlib.Path(tempfile.mkdtemp(prefix="hansa-conform-"))
    base.chmod(0o755)
    wanted = [i.callspec.params["case"] for i in request.session.items if "case" in getattr(getattr(i, "callspec", None), "params", {})]
    made = Bench(base, wanted)
    yield made
    for server in made.servers.values():
        if not isinstance(server, Exception):
            server[0].stop()
    if not os.environ.get("HANSA_KEEP"):
        shutil.rmtree(base, ignore_errors=True)


def test_there_is_a_kubectl():
    assert FOUND, "no kubectl: install one, or fedctl/quickstart --build-only --tests"


@pytest.mark.parametrize("case", CASES, ids=[f"{place}-1.{minor}-{group['group']}" for place, minor, group in CASES])
def test_group(bench, case):
    failed = bench.result(*case)
    if failed:
        log = pathlib.Path(bench.server(case[0])[0].log.name).read_text(errors="replace")[-3000:]
        pytest.fail(f"{len(failed)} of {len(case[2]['rows'])} rows\n\n" + "\n\n".join(failed) + f"\n--- the server's log\n{log}",
                    pytrace=False)
