# SPDX-License-Identifier: Apache-2.0
"""The control plane, and a member's agent, are killed at any moment: what was acknowledged is there, nothing is written that
had not changed, traffic and pods go on."""
import os
import random
import signal
import threading
import time

import pytest

from fed import REGIONS, end, poll
from loss_lib import (DnsWatch, Load, assert_always_answered, assert_unharmed, deploy, is_condition, netns, netns_problem,
                      pids_of)

HOST = "us-east1"
LONG = os.environ.get("HANSA_TEST_LONG") == "yes"
# What a restart writes by its nature: the pod that is started again, and the tokens and leases of clients.
OF_THE_RESTART = ("events", "events.events.k8s.io", "leases.coordination.k8s.io")


@pytest.fixture(scope="module")
def fed(make_federation):
    problem = netns_problem()
    if problem:
        fed = make_federation()
        yield fed
        end(fed)
        return
    with netns():
        fed = make_federation()
        yield fed
        end(fed)


def control_plane_answers(fed):
    return fed.kubectl("get", "--raw", "/readyz", "--request-timeout=2s", check=False).returncode == 0


def all_is_well(fed):
    poll(lambda: control_plane_answers(fed), timeout=60, what="the federation's API")
    for cluster in REGIONS:
        poll(lambda: is_condition(fed, cluster, "Ready"), what=f"{cluster} Ready")


def kill_control_plane(fed, replace=False):
    """kill -9; the host's agent starts it again. A pod's second end in short time would wait 10 s (CrashLoopBackOff):
    with replace its Deployment makes another pod."""
    pid, = pids_of(fed, HOST, "hansa-fedapi")
    os.kill(pid, signal.SIGKILL)
    if replace:
        fed.kubectl("--context", HOST, "-n", "federation-system", "delete", "pods", "--all", "--force",
                    "--grace-period=0")
    poll(lambda: pids_of(fed, HOST, "hansa-fedapi") not in ([], [pid]), timeout=60, what="hansa-fedapi again")


def listable(fed, context):
    kinds = fed.kubectl("--context", context, "api-resources", "--verbs=list", "-o", "name").stdout.split()
    return ",".join(k for k in kinds if k not in OF_THE_RESTART)


def versions(fed, context, kinds):
    """{kind/namespace/name: resourceVersion} of all objects, but those that a restart writes by its nature."""
    out = fed.kubectl("--context", context, "get", kinds, "-A", "-o",
                      'jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name} '
                      '{.metadata.resourceVersion}{"\\n"}{end}').stdout
    found = dict(line.rsplit(" ", 1) for line in out.splitlines())
    if context == HOST:  # where the control plane itself is a workload
        found = {k: v for k, v in found.items() if "/federation-system/" not in k}
    return found


def settled(fed):
    """The versions everywhere, when they have been the same for a second."""
    last, kinds = {}, {c: listable(fed, c) for c in ("fed", *REGIONS)}

    def still():
        nonlocal last
        now = {c: versions(fed, c, kinds[c]) for c in kinds}
        same, last = now == last, now
        return same and now
    return poll(still, interval=1, what="quiet")


def changes(before, after):
    return {c: sorted(k for k in before[c].keys() | after[c].keys() if before[c].get(k) != after[c].get(k))
            for c in before if before[c] != after[c]}


def test_a_restart_writes_nothing_that_had_not_changed(fed):
    deploy(fed, "quiet", REGIONS, 6)
    fed.kubectl("-n", "quiet", "create", "configmap", "c", "--from-literal=a=b")
    fed.kubectl("-n", "quiet", "create", "secret", "generic", "s", "--from-literal=a=b")
    all_is_well(fed)
    before = settled(fed)
    kill_control_plane(fed)
    all_is_well(fed)
    after = settled(fed)
    assert not changes(before, after)


class Creator(threading.Thread):
    """kubectl create without end; .acknowledged has the names that kubectl said are created."""

    def __init__(self, fed, name, stop):
        super().__init__(daemon=True)
        self.fed, self.prefix, self.stop, self.acknowledged = fed, name, stop, []
        self.start()

    def run(self):
        i = 0
        while not self.stop.is_set():
            i += 1
            name = f"{self.prefix}-{i}"
            if self.fed.kubectl("-n", "load", "create", "configmap", name, "--request-timeout=5s",
                                check=False).returncode == 0:
                self.acknowledged.append(name)
            else:
                time.sleep(0.05)  # refused at once while it is away


def test_kill_of_the_control_plane_under_load(fed):
    places = deploy(fed, "calm", ["europe-west1", "asia-east1"], 4)
    fed.kubectl("create", "namespace", "load")
    stop = threading.Event()
    dice = random.Random(9)
    with Load(fed, HOST, "calm.example.com", rate=200) as load, \
            DnsWatch(fed, "web.calm.fed.svc.example.com", "europe-west1", REGIONS) as watch:
        creators = [Creator(fed, f"c{i}", stop) for i in range(3)]
        for i in range(12 if LONG else 4):
            time.sleep(dice.uniform(0.3, 1.5))  # any moment
            kill_control_plane(fed, replace=i % 2 == 0)
            poll(lambda: control_plane_answers(fed), timeout=60, what="the federation's API")
        stop.set()
        for c in creators:
            c.join()
        all_is_well(fed)
        report, seen = load.end(), watch.end()
    print(report, len(seen), [len(c.acknowledged) for c in creators])
    assert_unharmed(report)
    assert_always_answered(seen)
    assert all(set(e[4]) == {places["europe-west1"]} for e in seen)
    acknowledged = {name for c in creators for name in c.acknowledged}
    assert len(acknowledged) > 20
    for context in ("fed", *REGIONS):
        def there():
            names = fed.kubectl("--context", context, "-n", "load", "get", "configmaps", "-o", "name").stdout.split()
            return acknowledged <= {n.split("/")[1] for n in names}
        poll(there, what=f"all that was acknowledged in {context}")


def test_kill_of_an_agent_kills_no_pod(fed):
    cluster = "europe-west1"
    deploy(fed, "pods", REGIONS, 6)
    mine = ("hansa-echo", "hansa-shim", "hansa-dns", "hansa-globallb")
    before = {program: pids_of(fed, cluster, program) for program in mine}

    def pods():
        items = fed.get("--context", cluster, "pods", "-A")["items"]
        return {p["metadata"]["uid"]: [(c["name"], c["restartCount"], c["ready"], c["containerID"])
                                       for c in p["status"]["containerStatuses"]] for p in items}
    told = pods()
    with Load(fed, cluster, "pods.example.com", rate=200) as load:
        agent, = pids_of(fed, cluster, "hansa-member")
        os.kill(agent, signal.SIGKILL)
        assert {program: pids_of(fed, cluster, program) for program in mine} == before
        time.sleep(0.5)  # how long it is away
        fed.up()
        poll(lambda: is_condition(fed, cluster, "Ready"), what=f"{cluster} Ready")
        fed.kubectl("-n", "pods", "scale", "deployment", "web", "--replicas=9")
        poll(lambda: fed.get("--context", cluster, "-n", "pods", "deployment", "web")["status"].get("readyReplicas") == 3,
             what="the agent works again")
        assert_unharmed(load.end())
    assert {program: set(pids_of(fed, cluster, program)) >= set(before[program]) for program in mine} == \
        {program: True for program in mine}
    now = pods()
    assert {uid: now.get(uid) for uid in told} == told
