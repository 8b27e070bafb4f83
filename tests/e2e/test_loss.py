# SPDX-License-Identifier: Apache-2.0
"""A cluster is lost: by kill -9, by SIGSTOP, by dropped packets; then it comes back. Also the host of the control plane.

The app runs in the cluster that is lost and in asia-east1 only; 1,000 requests/s enter at the third cluster's balancer.
Where that is possible all of it happens in a network name space of its own.
"""
import contextlib
import os
import signal
import time

import pytest

from fed import NEAR, end, poll
from loss_lib import (WAYS, DnsWatch, Load, addresses, assert_always_answered, assert_not_given, assert_unharmed, deploy,
                      is_condition, kill_and_return, netns, netns_problem, ready_replicas)

GRACE = "--apiserver-arg-overrides=--cluster-failure-grace=3s"
REPLICAS = 4
OTHER = "asia-east1"


@pytest.fixture(scope="module", params=list(WAYS))
def lossy(request, make_federation):
    """(way, federation)"""
    with contextlib.ExitStack() as stack:
        problem = netns_problem()
        if problem and request.param == "drop":
            pytest.skip(problem)
        if not problem:
            stack.enter_context(netns())
        fed = make_federation(GRACE)
        yield WAYS[request.param], fed
        for pid in fed.pids():  # after a failed test: stopped processes cannot be told to end
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        end(fed)  # here, inside its network name space


def has(fed, ns, name, *context):
    return fed.kubectl(*context, "-n", ns, "get", "configmap", name, check=False).returncode == 0


def create(fed, ns, name):
    fed.kubectl("-n", ns, "create", "configmap", name, "--from-literal=a=b")


def is_itself_again(fed, lost, entry, ns):
    """Ready, in possession of its share, and in the answers of DNS."""
    poll(lambda: is_condition(fed, lost, "Ready"), what=f"{lost} Ready again")
    poll(lambda: ready_replicas(fed, ns, "--context", lost) == REPLICAS // 2, what=f"{lost} has its share")
    poll(lambda: ready_replicas(fed, ns) == REPLICAS, what="all replicas ready")
    back = poll(lambda: addresses(fed, ns, [lost]))[lost]
    server = fed.addresses("HANSA_DNS_ALL")[entry]
    poll(lambda: fed.dig(f"web.{ns}.fed.svc.example.com", "A", server, NEAR[lost]) == [back],
         what=f"DNS gives {back} again")


def test_loss_of_a_cluster(lossy):
    way, fed = lossy
    lost, entry, ns = "europe-west1", "us-east1", "shop"
    places = deploy(fed, ns, [lost, OTHER], REPLICAS)
    create(fed, ns, "old")
    poll(lambda: has(fed, ns, "old", "--context", lost))
    asked = (fed, f"web.{ns}.fed.svc.example.com", lost, [entry, OTHER])
    with Load(fed, entry, "shop.example.com") as load:
        with DnsWatch(*asked) as watch:
            time.sleep(1)  # what was before the loss is part of the story
            way.lose(fed, lost)
            moment = time.monotonic()
            poll(lambda: is_condition(fed, lost, "Offline"), timeout=15, what=f"{lost} Offline")
            create(fed, ns, "new")
            fed.kubectl("-n", ns, "delete", "configmap", "old", "--wait=false")
            poll(lambda: ready_replicas(fed, ns, "--context", OTHER) == REPLICAS, what="replicas made up elsewhere")
            poll(lambda: ready_replicas(fed, ns) == REPLICAS, what="all replicas ready")
            seen = watch.end()
        assert_always_answered(seen)
        assert any(places[lost] in e[4] for e in seen if e[1] < moment - 0.1)
        assert_not_given(seen, places[lost], moment + 1)
        with DnsWatch(*asked) as watch:
            way.bring_back(fed, lost)
            is_itself_again(fed, lost, entry, ns)
            poll(lambda: has(fed, ns, "new", "--context", lost) and not has(fed, ns, "old", "--context", lost),
                 what="what was created and deleted meanwhile")
            assert_always_answered(watch.end())
        report = load.end()
    print(way, report)
    assert_unharmed(report)
    assert report["clusters"].get(lost) and report["clusters"].get(OTHER), report


def test_loss_of_the_host(lossy):
    """The control plane goes with it: what the other clusters have must do."""
    way, fed = lossy
    lost, entry, ns = "us-east1", "europe-west1", "town"
    places = deploy(fed, ns, [lost, OTHER], REPLICAS)
    for i in range(5):
        create(fed, ns, f"acknowledged-{i}")
    name = f"web.{ns}.fed.svc.example.com"
    with Load(fed, entry, "town.example.com") as load:
        with DnsWatch(fed, name, lost, [entry, OTHER]) as watch:
            time.sleep(1)
            way.lose(fed, lost)
            moment = time.monotonic()
            time.sleep(3)  # how long it is lost, not a wait for something
            seen = watch.end()
        assert_always_answered(seen)
        assert any(places[lost] in e[4] for e in seen if e[1] < moment - 0.1)
        assert_not_given(seen, places[lost], moment + 1)
        report = load.end()
    print(way, report)
    assert_unharmed(report)
    assert fed.kubectl("get", "clusters", "--request-timeout=2s", check=False).returncode != 0

    # A DNS server and a balancer that are restarted meanwhile know what they knew.
    kill_and_return(fed, entry, "hansa-dns")
    poll(lambda: fed.dig(name, "A", fed.addresses("HANSA_DNS_ALL")[entry], NEAR[lost]) == [places[OTHER]], what="DNS")
    kill_and_return(fed, entry, "hansa-globallb")
    url = f"http://{fed.addresses('HANSA_LB')[entry]}/"
    poll(lambda: OTHER in fed.curl(url, "-H", "Host: town.example.com"), what="the balancer")
    kill_and_return(fed, OTHER, "hansa-echo")

    with Load(fed, entry, "town.example.com") as load:
        way.bring_back(fed, lost)
        poll(lambda: fed.kubectl("get", "clusters", "--request-timeout=2s", check=False).returncode == 0, what="the API")
        for cluster in NEAR:
            poll(lambda: is_condition(fed, cluster, "Ready"), what=f"{cluster} Ready")
        for i in range(5):
            assert has(fed, ns, f"acknowledged-{i}")
        create(fed, ns, "afterwards")
        is_itself_again(fed, lost, entry, ns)
        for cluster in NEAR:
            poll(lambda: has(fed, ns, "afterwards", "--context", cluster), what=f"afterwards in {cluster}")
        report = load.end()
    print(way, report)
    assert_unharmed(report)
