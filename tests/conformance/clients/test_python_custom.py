# SPDX-License-Identifier: Apache-2.0
"""python3-kubernetes and kinds of one's own: definitions, CustomObjectsApi, and a watch that is cut off and outlives new schemas."""
import json
import random
import threading
import time

import kubernetes as k8s
import pytest
import urllib3
from kubernetes.client.rest import ApiException

from test_python import client, until

PLURAL, VERSION = "gauges", "v1"


def definition(group, **props):
    spec = {"type": "object", "properties": {"n": {"type": "integer", "default": 0}, **props}}
    status = {"type": "object", "properties": {"seen": {"type": "integer"}}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{PLURAL}.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": {"plural": PLURAL, "kind": "Gauge"},
                     "versions": [{"name": VERSION, "served": True, "storage": True,
                                   "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.seen"}},
                                   "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}}}]}}


@pytest.fixture
def group(engine, ns):
    """A group of the test's own with the kind in it, established."""
    api = k8s.client.ApiextensionsV1Api(client(engine.kubeconfig))
    name = f"{ns}.example.com"
    api.create_custom_resource_definition(definition(name))

    def established():
        crd = api.read_custom_resource_definition(f"{PLURAL}.{name}")
        return any(c.type == "Established" and c.status == "True" for c in crd.status.conditions or [])
    until(established, lambda: "Established")
    yield name
    api.delete_custom_resource_definition(f"{PLURAL}.{name}")


def gauge(group, name, **spec):
    return {"apiVersion": f"{group}/{VERSION}", "kind": "Gauge", "metadata": {"name": name, "labels": {"t": "x"}}, "spec": spec}


def test_custom_objects(engine, ns, group):
    api = k8s.client.CustomObjectsApi(client(engine.kubeconfig))
    at = (group, VERSION, ns, PLURAL)
    made = api.create_namespaced_custom_object(*at, gauge(group, "a", unknown=1))
    assert made["spec"] == {"n": 0} and made["metadata"]["generation"] == 1
    with pytest.raises(ApiException) as e:
        api.create_namespaced_custom_object(*at, gauge(group, "b", n="many"))
    assert e.value.status == 422 and json.loads(e.value.body)["details"]["causes"][0]["field"] == "spec.n"
    made["spec"]["n"] = 2
    newer = api.replace_namespaced_custom_object(*at, "a", made)
    with pytest.raises(ApiException) as e:
        api.replace_namespaced_custom_object(*at, "a", made)
    assert e.value.status == 409
    assert api.patch_namespaced_custom_object(*at, "a", {"spec": {"n": 3}})["metadata"]["generation"] == 3
    newer = api.get_namespaced_custom_object(*at, "a")
    newer["status"] = {"seen": 1}
    assert api.replace_namespaced_custom_object_status(*at, "a", newer)["status"] == {"seen": 1}
    assert api.get_namespaced_custom_object_scale(*at, "a")["spec"]["replicas"] == 3
    assert api.patch_namespaced_custom_object_scale(*at, "a", {"spec": {"replicas": 4}})["spec"]["replicas"] == 4
    assert [o["spec"]["n"] for o in api.list_cluster_custom_object(group, VERSION, PLURAL, label_selector="t=x")["items"]] == [4]
    assert api.delete_namespaced_custom_object(*at, "a")["status"] == "Success"
    with pytest.raises(ApiException) as e:
        api.get_namespaced_custom_object(*at, "a")
    assert e.value.status == 404
    for i in range(3):
        api.create_namespaced_custom_object(*at, gauge(group, f"c{i}"))
    api.delete_collection_namespaced_custom_object(*at)
    assert api.list_namespaced_custom_object(*at)["items"] == []


class Informer:
    """A list, then watches, each from the last revision seen."""

    def __init__(self, kubeconfig, group, ns):
        self.api, self.at, self.ended = k8s.client.CustomObjectsApi(client(kubeconfig)), (group, VERSION, ns, PLURAL), False
        self.seen, self.version, self.lists, self.watches = [], None, 0, 0
        threading.Thread(target=self.run, daemon=True).start()

    def list(self):
        self.version = self.api.list_namespaced_custom_object(*self.at, _request_timeout=5)["metadata"]["resourceVersion"]
        self.lists += 1

    def watch(self):
        self.watches += 1
        answer = self.api.list_namespaced_custom_object(*self.at, watch=True, resource_version=self.version, timeout_seconds=30,
                                                        allow_watch_bookmarks=True, _preload_content=False, _request_timeout=(5, 35))
        for line in k8s.watch.watch.iter_resp_lines(answer):
            event = json.loads(line)
            assert event["type"] != "ERROR", event
            meta = event["object"]["metadata"]
            self.version = meta["resourceVersion"]
            if event["type"] != "BOOKMARK":
                self.seen.append((event["type"], meta["name"], int(meta["resourceVersion"])))

    def run(self):
        while not self.ended:
            try:
                if self.version is None:
                    self.list()
                self.watch()
            except (ApiException, urllib3.exceptions.HTTPError, OSError, ValueError):
                time.sleep(0.005)


def test_custom_informer_cut_off(engine, wire, ns, group):
    """Connections end in the middle of events, the schema changes: each event is seen exactly once, in order."""
    informer, rand, ended = Informer(wire.kubeconfig, group, ns), random.Random(7), threading.Event()
    until(lambda: informer.version, lambda: "the first list")

    def cutter():
        while not ended.wait(rand.random() * 0.06):
            wire.cut()
    thread = threading.Thread(target=cutter)
    thread.start()
    path, done, alive = f"/apis/{group}/{VERSION}/namespaces/{ns}/{PLURAL}", [], set()
    crd = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURAL}.{group}"
    try:
        for i in range(300):
            name = f"g{rand.randrange(10)}"
            if name not in alive:
                engine.api("POST", path, gauge(group, name, n=i))
                alive.add(name)
                done.append(("ADDED", name))
            elif rand.random() < 0.7:
                engine.api("PATCH", f"{path}/{name}", {"spec": {"n": 1000 + i}}, **{"Content-Type": "application/merge-patch+json"})
                done.append(("MODIFIED", name))
            else:
                engine.api("DELETE", f"{path}/{name}")
                alive.discard(name)
                done.append(("DELETED", name))
            if i % 60 == 30:  # watches end, and go on
                spec = definition(group, **{f"p{i}": {"type": "string", "default": "x"}})["spec"]
                engine.api("PATCH", crd, {"spec": {"versions": spec["versions"]}}, **{"Content-Type": "application/merge-patch+json"})
            time.sleep(rand.random() * 0.006)
    finally:
        ended.set()
        thread.join()
    until(lambda: len(informer.seen) >= len(done), lambda: f"{len(informer.seen)} of {len(done)} events")
    informer.ended = True
    wire.cut()
    assert [(kind, name) for kind, name, _ in informer.seen] == done
    versions = [v for _, _, v in informer.seen]
    assert versions == sorted(set(versions))
    assert wire.cuts > 10 and informer.watches > 10 and informer.lists == 1
