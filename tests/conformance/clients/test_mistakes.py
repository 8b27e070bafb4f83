# SPDX-License-Identifier: Apache-2.0
"""Objects that are wrong, and what the server says of them; and what it makes of amounts."""
import json
import pathlib
import urllib.error

import pytest
import yaml

HERE = pathlib.Path(__file__).parent
ROWS = yaml.safe_load((HERE / "mistakes.yaml").read_text())
CHANGES = yaml.safe_load((HERE / "changes.yaml").read_text())


@pytest.fixture(scope="module")
def paths(engine):
    """(apiVersion, kind) to the format of a collection's path."""
    out = {}
    groups = {v["groupVersion"] for g in engine.api("GET", "/apis")["groups"] for v in g["versions"]}
    for prefix in ["/api/v1", *(f"/apis/{g}" for g in groups)]:
        found = engine.api("GET", prefix)
        for r in found["resources"]:
            if "/" not in r["name"]:
                out[found["groupVersion"], r["kind"]] = prefix + ("/namespaces/{}/" if r["namespaced"] else "/") + r["name"]
    return out


def tree(row):
    row = dict(row)
    row.pop("says", None)
    if "kind" in row:
        return row
    spec = {"containers": [{"name": "c", "image": "x", **row.get("container", {})}], **row.get("pod", {})}
    return {"apiVersion": "v1", "kind": "Pod", "spec": spec}


def refusal(call, *args, **headers):
    """What a request is refused for, cause by cause; [] when it is not."""
    try:
        call(*args, **headers)
    except urllib.error.HTTPError as e:
        status = json.load(e)
        return [f"{c['field']}: {c['message']}" for c in status.get("details", {}).get("causes", [])] or [status["message"]]
    return []


def test_what_may_change(engine, ns, paths):
    """Each object is made, then each change of it tried as a dry run."""
    wrong = []
    for i, row in enumerate(CHANGES):
        o = tree({k: v for k, v in row.items() if k != "changes"})
        o["metadata"] = {"name": f"m{i}", **o.get("metadata", {})}
        path = paths[o["apiVersion"], o["kind"]].format(o["metadata"].get("namespace", ns))
        engine.api("POST", path + "?fieldValidation=Strict", o)
        for change in row["changes"]:
            says = change.pop("says", [])
            said = refusal(engine.api, "PATCH", f"{path}/{o['metadata']['name']}?dryRun=All&fieldValidation=Strict", change,
                           **{"Content-Type": "application/merge-patch+json"})
            if said != says:
                wrong.append(f"{json.dumps(o)}\n  change: {json.dumps(change)}\n  said:   " + "\n          ".join(said) +
                             "\n  should: " + "\n          ".join(says))
        engine.api("DELETE", f"{path}/{o['metadata']['name']}")
    assert not wrong, "\n".join(wrong)


def test_what_is_said(engine, ns, paths):
    wrong = []
    for row in ROWS:
        o = tree(row)
        o["metadata"] = {"name": "m", **o.get("metadata", {})}
        path = paths[o["apiVersion"], o["kind"]].format(row.get("metadata", {}).get("namespace", ns))
        said = refusal(engine.api, "POST", path + "?dryRun=All&fieldValidation=Strict", o)
        if said != row.get("says", []):
            wrong.append(f"{json.dumps(o)}\n  said:   " + "\n          ".join(said) + "\n  should: " + "\n          ".join(row.get("says", [])))
    assert not wrong, "\n".join(wrong)


def test_amounts_have_one_form(engine, ns):
    pod = tree({"container": {"resources": {"requests": {"cpu": 0.5, "memory": "1024Mi", "ephemeral-storage": "1e9"},
                                            "limits": {"cpu": "1000m", "memory": "2048M", "ephemeral-storage": "1.5Gi"}}}})
    path = f"/api/v1/namespaces/{ns}/pods"
    made = engine.api("POST", path, {**pod, "metadata": {"name": "m"}})
    assert made["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "1e9"},
        "limits": {"cpu": "1", "memory": "2048M", "ephemeral-storage": "1536Mi"}}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"cpu": "0.1", "pods": 1000}}}
    url = f"/api/v1/namespaces/{ns}/resourcequotas/q?fieldManager="
    apply = {"Content-Type": "application/apply-patch+yaml"}
    first = engine.api("PATCH", url + "one", quota, **apply)
    assert first["spec"]["hard"] == {"cpu": "100m", "pods": "1k"}
    again = engine.api("PATCH", url + "one", quota, **apply)
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    engine.api("PATCH", url + "two", {**quota, "spec": {"hard": {"cpu": "100m"}}}, **apply)  # the same value: no conflict
