# SPDX-License-Identifier: Apache-2.0
"""python3-kubernetes refuses objects that lack what its types require: the least object of every kind, made and listed by them."""
import inspect
import pathlib
import re

import kubernetes as k8s
import pytest
import yaml
from kubernetes.client.rest import ApiException

ROWS = yaml.safe_load((pathlib.Path(__file__).parent / "least.yaml").read_text())
# Kubernetes' own answers do not fit these either.
FAULTS = {"AutoscalingV2beta2Api.list_horizontal_pod_autoscaler_for_all_namespaces": "conditions",
          "EventsV1Api.list_event_for_all_namespaces": "event_time"}


@pytest.fixture(scope="module")
def connection(engine):
    return k8s.config.new_client_from_config(str(engine.kubeconfig))


def api_of(connection, version):
    group, _, v = version.rpartition("/")
    words = group.removesuffix(".k8s.io").split(".") if group else ["core"]
    return getattr(k8s.client, "".join(w.capitalize() for w in words) + v.capitalize() + "Api")(connection)


def snake(kind):
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", kind.replace("CSI", "Csi")).lower()


def call(api, verb, kind, suffix, ns, *args):
    """The method for the kind, which may have a namespace: that comes after the name."""
    method, named = getattr(api, f"{verb}_namespaced_{snake(kind)}{suffix}", None), verb not in ("create", "list")
    if method:
        return method(*args[:named], ns, *args[named:])
    return getattr(api, f"{verb}_{snake(kind)}{suffix}")(*args)


def body(row, ns):
    out = {k: v for k, v in row.items() if k not in ("name", "status")}
    if row["kind"] == "Event":
        out["involvedObject"] = {"namespace": ns}
    out["metadata"] = {"name": row.get("name", f"{ns}-least")}
    return out


def replaced(api, kind, ns, made):
    """(object, what came back): written as it was read, again where a controller was quicker."""
    while True:
        try:
            return made, call(api, "replace", kind, "", ns, made.metadata.name, made)
        except ApiException as e:
            assert e.status == 409
            made = call(api, "read", kind, "", ns, made.metadata.name)


@pytest.mark.parametrize("row", ROWS, ids=[f"{i}-{r['kind'].lower()}" for i, r in enumerate(ROWS)])
def test_made_and_written_back(connection, ns, row):
    api, kind = api_of(connection, row["apiVersion"]), row["kind"]
    given = body(row, ns)
    made = call(api, "create", kind, "", ns, given)
    try:
        if "status" in row:
            made = call(api, "patch", kind, "_status", ns, made.metadata.name, {"status": row["status"]})
        made, again = replaced(api, kind, ns, made)
        assert again.metadata.resource_version == made.metadata.resource_version
        found = [o for o in call(api, "list", kind, "", ns).items if o.metadata.name == made.metadata.name]
        assert [o.metadata.uid for o in found] == [made.metadata.uid]
        for api_class, list_all in lists():
            check_list(api_class(connection), list_all, kind)
    finally:
        call(api, "delete", kind, "", ns, made.metadata.name)


def lists():
    for name, cls in inspect.getmembers(k8s.client, inspect.isclass):
        if name.endswith("Api") and name != "CustomObjectsApi":
            for method in dir(cls):
                if re.fullmatch(r"list_(?!namespaced).*(?<!_with_http_info)", method):
                    yield cls, method


def check_list(api, method, kind):
    """Those of the kind only: the others have their own turn."""
    if method not in (f"list_{snake(kind)}", f"list_{snake(kind)}_for_all_namespaces"):
        return
    try:
        getattr(api, method)()
    except ApiException as e:
        assert e.status == 404  # a version that is not served
    except ValueError as e:
        assert FAULTS.get(f"{type(api).__name__}.{method}", "no known fault") in str(e)


def test_no_kind_is_left_out(engine):
    groups = [v["groupVersion"] for g in engine.api("GET", "/apis")["groups"] for v in g["versions"]]
    kinds = {r["kind"] for prefix in ["/api/v1", *(f"/apis/{g}" for g in groups)]
             for r in engine.api("GET", prefix)["resources"] if "/" not in r["name"] and {"create", "list"} <= set(r["verbs"])}
    assert kinds - {r["kind"] for r in ROWS} <= {"ServiceImport", "CertificateSigningRequest", "CSIStorageCapacity", "Least"}
