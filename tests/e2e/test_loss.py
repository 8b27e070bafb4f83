# SPDX-License-Identifier: Apache-2.0
"""A cluster is lost: by kill -9, by SIGSTOP, by dropped packets; then it comes back. Also the host of the control plane.

The app runs in the cluster that is lost and in asia-east1 only; 1,000 requests/s enter at the third cluster's balancer.
"""
import contextlib
import os
import signal
import time

import pytest

from conftest import end, poll
from loss_lib import (WAYS, DnsWatch, Load, addresses, assert_always_answered, assert_not_given, assert_unharmed, deploy,
                      is_condition, netns, netns_problem, ready_replicas)

GRACE = "--apiserver-arg-overrides=--cluster-failure-grace=3s"
REPLICAS = 4


@pytest.fixture(scope="module", params=["kill", "stop", "drop"])
def lossy(request, make_federation, tmp_path_factory):
    """(way, federation): those whose packets are dropped live in a network name space, and so does this test."""
    with contextlib.ExitStack() as stack:
        if request.param == "drop":
            problem = netns_problem()
            if problem:
                pytest.skip(problem)
            stack.enter_context(netns())
        fed = make_federation(GRACE)
        yield WAYS[request.param], fed
        for pid in fed.pids():  # after a failed test: stopped processes cannot be told to end
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        end(fed)  # here, inside its network name space


def member_has(fed, cluster, ns, name):
    return fed.kubectl("--context", cluster, "-n", ns, "get", "configmap", name, check=False).returncode == 0


def test_loss_of_a_cluster(lossy):
    way, fed = lossy
    lost, entry, other = "europe-west1", "us-east1", "asia-east1"
    places = deploy(fed, "shop", [lost, other], REPLICAS)
    fed.kubectl("-n", "shop", "create", "configmap", "old", "--from-literal=a=b")
    poll(lambda: member_has(fed, lost, "shop", "old"))
    watch = DnsWatch(fed, "web.shop.fed.svc.example.com", lost, [entry, other])
    load = Load(fed, entry, "shop.example.com")
    time.sleep(1)  # load before the loss is part of the story
    way.lose(fed, lost)
    moment = time.monotonic()

    poll(lambda: is_condition(fed, lost, "Offline"), timeout=15, what=f"{lost} Offline")
    fed.kubectl("-n", "shop", "create", "configmap", "new", "--from-literal=a=b")
    fed.kubectl("-n", "shop", "delete", "configmap", "old", "--wait=false")
    poll(lambda: ready_replicas(fed, "shop", "--context", other) == REPLICAS, what="replicas made up elsewhere")
    poll(lambda: ready_replicas(fed, "shop") == REPLICAS, what="all replicas ready")
    seen = watch.end()
    assert_always_answered(seen)
    assert any(places[lost] in e[4] for e in seen if e[1] < moment)
    assert_not_given(seen, places[lost], moment + 1)

    watch = DnsWatch(fed, "web.shop.fed.svc.example.com", lost, [entry, other])
    way.bring_back(fed, lost)
    poll(lambda: is_condition(fed, lost, "Ready"), timeout=30, what=f"{lost} Ready again")
    poll(lambda: member_has(fed, lost, "shop", "new") and not member_has(fed, lost, "shop", "old"), what="reconciled")
    poll(lambda: ready_replicas(fed, "shop", "--context", lost) == REPLICAS // 2, what=f"{lost} has its share")
    poll(lambda: ready_replicas(fed, "shop") == REPLICAS, what="all replicas ready")
    back = poll(lambda: addresses(fed, "shop", [lost]))[lost]
    poll(lambda: fed.dig("web.shop.fed.svc.example.com", "A", fed.addresses("HANSA_DNS_ALL")[entry], "198.51.100.0/24")
         == [back], what="DNS gives its address again")
    assert_always_answered(watch.end())
    report = load.end()
    print(way, report)
    assert_unharmed(report)
    assert report["clusters"].get(lost) and report["clusters"].get(other), report
