# SPDX-License-Identifier: Apache-2.0
"""python3-kubernetes, as Debian has it: objects, patches, pages, and a watch that is cut off at random moments."""
import json
import random
import threading
import time

import kubernetes as k8s
import pytest
import urllib3
from kubernetes.client.rest import ApiException

import history

urllib3.util.retry.Retry.DEFAULT = urllib3.util.retry.Retry(0)


def client(kubeconfig):
    return k8s.config.new_client_from_config(str(kubeconfig))


@pytest.fixture
def core(engine):
    return k8s.client.CoreV1Api(client(engine.kubeconfig))


def config_map(name, **data):
    return k8s.client.V1ConfigMap(metadata=k8s.client.V1ObjectMeta(name=name, labels={"t": "x"}), data=data)


def test_objects(core, ns):
    made = core.create_namespaced_config_map(ns, config_map("a", k="v"))
    assert made.metadata.uid and made.metadata.creation_timestamp and made.metadata.resource_version
    with pytest.raises(ApiException) as e:
        core.create_namespaced_config_map(ns, config_map("a"))
    assert e.value.status == 409 and '"reason":"AlreadyExists"' in e.value.body
    made.data["l"] = "w"
    newer = core.replace_namespaced_config_map("a", ns, made)
    assert newer.data == {"k": "v", "l": "w"}
    with pytest.raises(ApiException) as e:
        core.replace_namespaced_config_map("a", ns, made)
    assert e.value.status == 409 and "the object has been modified" in e.value.body
    assert core.patch_namespaced_config_map("a", ns, {"data": {"k": None, "m": "x"}}).data == {"l": "w", "m": "x"}
    assert core.patch_namespaced_config_map("a", ns, [{"op": "remove", "path": "/data/m"}]).data == {"l": "w"}
    assert core.read_namespaced_config_map("a", ns).data == {"l": "w"}
    assert core.create_namespaced_config_map(ns, config_map("dry"), dry_run="All").metadata.name == "dry"
    gone = core.delete_namespaced_config_map("a", ns, propagation_policy="Background", grace_period_seconds=0)
    assert gone.status == "Success"
    with pytest.raises(ApiException) as e:
        core.read_namespaced_config_map("a", ns)
    assert e.value.status == 404
    core.create_namespaced_config_map(ns, config_map("b"))
    core.delete_collection_namespaced_config_map(ns, label_selector="t=x")
    assert core.list_namespaced_config_map(ns).items == []


def test_typed_kinds(engine, ns):
    apps, net = k8s.client.AppsV1Api(client(engine.kubeconfig)), k8s.client.NetworkingV1Api(client(engine.kubeconfig))
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}},
                     "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}}}
    made = apps.create_namespaced_deployment(ns, body)
    assert made.spec.template.spec.containers[0].image_pull_policy == "IfNotPresent"
    assert made.spec.strategy.rolling_update.max_surge == "25%"
    scale = apps.read_namespaced_deployment_scale("d", ns)
    scale.spec.replicas = 5
    assert apps.replace_namespaced_deployment_scale("d", ns, scale).spec.replicas == 5
    patched = apps.patch_namespaced_deployment("d", ns, {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "x:2"}]}}}})
    assert patched.spec.template.spec.containers[0].image == "x:2" and patched.metadata.generation == 3
    rule = {"host": "a.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix",
                                                        "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}
    net.create_namespaced_ingress(ns, {"metadata": {"name": "i"}, "spec": {"rules": [rule]}})
    assert net.list_ingress_for_all_namespaces(field_selector="metadata.name=i").items[0].spec.rules[0].host == "a.example.com"
    review = k8s.client.AuthorizationV1Api(client(engine.kubeconfig)).create_self_subject_access_review(
        {"spec": {"resourceAttributes": {"verb": "create", "resource": "pods", "namespace": ns}}})
    assert review.status.allowed
    assert k8s.client.VersionApi(client(engine.kubeconfig)).get_code().git_version.startswith("v1.")
    assert any(g.name == "apps" for g in k8s.client.ApisApi(client(engine.kubeconfig)).get_api_versions().groups)


def test_dynamic_client(engine, ns):
    import kubernetes.dynamic
    dyn = k8s.dynamic.DynamicClient(client(engine.kubeconfig))
    kind = dyn.resources.get(api_version="v1", kind="ConfigMap")
    kind.create(namespace=ns, body={"metadata": {"name": "a"}, "data": {"a": "b"}})
    # This version of the library sends an applied configuration only as text.
    body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"c": "d"}})
    applied = kind.server_side_apply(namespace=ns, name="a", body=body, field_manager="test")
    assert (applied.data.a, applied.data.c) == ("b", "d")
    assert [o.metadata.name for o in kind.get(namespace=ns).items] == ["a"]


def test_pages(core, ns):
    for i in range(25):
        core.create_namespaced_config_map(ns, config_map(f"c{i:02}"))
    names, token, left = [], None, []
    while token != "":
        page = core.list_namespaced_config_map(ns, limit=10, _continue=token)
        if token is None:
            core.delete_namespaced_config_map("c24", ns)  # the list goes on as it began
        names += [o.metadata.name for o in page.items]
        left.append(page.metadata.remaining_item_count)
        token = page.metadata._continue or ""
    assert names == [f"c{i:02}" for i in range(25)] and left == [15, 5, None]


def test_watch_resumes(core, ns):
    start = core.list_namespaced_config_map(ns).metadata.resource_version
    core.create_namespaced_config_map(ns, config_map("a"))
    core.create_namespaced_config_map(ns, config_map("b"))
    watch = k8s.watch.Watch()
    seen = []
    for event in watch.stream(core.list_namespaced_config_map, ns, resource_version=start, timeout_seconds=5):
        seen.append((event["type"], event["object"].metadata.name))
        watch.stop()
    assert seen == [("ADDED", "a")]
    again = k8s.watch.Watch()
    for event in again.stream(core.list_namespaced_config_map, ns, resource_version=event["object"].metadata.resource_version,
                              timeout_seconds=5):
        seen.append((event["type"], event["object"].metadata.name))
        again.stop()
    assert seen == [("ADDED", "a"), ("ADDED", "b")]


class Informer:
    """A list, then watches, each from the last revision seen; a new list when that is too old. It tells what it saw once."""

    def __init__(self, kubeconfig, ns):
        self.core, self.ns, self.ended = k8s.client.CoreV1Api(client(kubeconfig)), ns, False
        self.known, self.seen, self.version, self.lists, self.watches = {}, [], None, 0, 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def tell(self, kind, o):
        self.seen.append((kind, o.metadata.name, o.metadata.resource_version))
        if kind == "DELETED":
            self.known.pop(o.metadata.name)
        else:
            self.known[o.metadata.name] = o.metadata.resource_version

    def list(self):
        page = self.core.list_namespaced_config_map(self.ns, _request_timeout=5)
        self.lists += 1
        self.version = page.metadata.resource_version
        self.known = {o.metadata.name: o.metadata.resource_version for o in page.items}

    def run(self):
        while not self.ended:
            try:
                if self.version is None:
                    self.list()
                self.watches += 1
                # Raw JSON lines: the library's own loop would resume by itself and hide what the server did.
                answer = self.core.list_namespaced_config_map(self.ns, watch=True, resource_version=self.version, timeout_seconds=30,
                                                              allow_watch_bookmarks=True, _preload_content=False,
                                                              _request_timeout=(5, 35))
                for line in k8s.watch.watch.iter_resp_lines(answer):
                    event = k8s.watch.Watch().unmarshal_event(line, "V1ConfigMap")
                    if event["type"] == "ERROR":
                        assert event["raw_object"]["code"] == 410
                        self.version = None
                        break
                    self.version = event["object"].metadata.resource_version
                    if event["type"] != "BOOKMARK":
                        self.tell(event["type"], event["object"])
            except ApiException as e:
                if e.status == 410:
                    self.version = None
            except (urllib3.exceptions.HTTPError, OSError, ValueError):
                time.sleep(0.005)  # cut off: go on from the last one seen


def until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what()}"
        time.sleep(0.02)


def test_informer_cut_off(engine, wire, ns):
    """Connections end in the middle of events; each event is seen exactly once, in order."""
    informer, rand = Informer(wire.kubeconfig, ns), random.Random(1)
    until(lambda: informer.version, lambda: "the first list")
    ended = threading.Event()

    def cutter():
        while not ended.wait(rand.random() * 0.06):
            wire.cut()
    thread = threading.Thread(target=cutter)
    thread.start()
    try:
        done, alive = history.write(engine.api, ns, 400, seed=2, pause=0.006)
    finally:
        ended.set()
        thread.join()
    until(lambda: len(informer.seen) >= len(done), lambda: f"{len(informer.seen)} of {len(done)} events")
    informer.ended = True
    wire.cut()
    history.compare(informer.seen, done)
    assert informer.known == alive
    assert wire.cuts > 10 and informer.watches > 10 and informer.lists == 1


class Cutter:
    """Cuts the wire at random while it is entered."""

    def __init__(self, wire, seed, pause):
        self.wire, self.rand, self.pause, self.ended = wire, random.Random(seed), pause, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ended.wait(self.rand.random() * self.pause):
            self.wire.cut()

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def test_informer_and_a_server_that_dies(mortal, mortal_wire):
    """kill -9 beneath writes, connections cut: the informer has every event of the history once, in order, without a new list."""
    mortal.api.namespace("a", account=False)
    storm = history.Storm(mortal, "a", seed=6)
    informer = Informer(mortal_wire.kubeconfig, "a")
    until(lambda: informer.version, lambda: "the first list")
    with Cutter(mortal_wire, 7, 0.2):
        storm.write(250, kills=6)
    told, alive = storm.truth()
    until(lambda: len(informer.seen) >= len(told), lambda: f"{len(informer.seen)} of {len(told)} events")
    informer.ended = True
    mortal_wire.cut()
    assert informer.seen == told and informer.known == alive
    assert storm.kills >= 5 and informer.lists == 1 and len(storm.acknowledged) > 200
