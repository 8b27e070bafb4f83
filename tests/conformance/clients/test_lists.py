# SPDX-License-Identifier: Apache-2.0
"""Lists as the API concepts page has them: revisions and how they match, pages, tokens that expire, forms."""
import base64
import gzip
import json

import pytest

from raw import PARTIAL, PARTIALS, TABLE, Raw
from servers import Api, Engine

TOO_OLD = "The resourceVersion for the provided list is too old."
INCONSISTENT = ("The provided continue parameter is too old to display a consistent list result. You can start a new list without "
                "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
                "Continuing with the provided token results in an inconsistent list.")


@pytest.fixture
def maps(engine, ns):
    """The path of five ConfigMaps c0 … c4, and the revision at which there were three."""
    path = f"/api/v1/namespaces/{ns}/configmaps"
    made = [engine.api("POST", path, {"metadata": {"name": f"c{i}", "labels": {"odd": str(i % 2)}}, "data": {"n": str(i)}})
            for i in range(5)]
    return path, int(made[2]["metadata"]["resourceVersion"]), int(made[4]["metadata"]["resourceVersion"])


@pytest.fixture
def raw(engine):
    return Raw(engine.api)


def names(answer):
    assert answer.status == 200, answer.body
    return [o["metadata"]["name"] for o in answer.json()["items"]]


def invalid(*causes):
    text = ", ".join(causes)
    return 'ListOptions.meta.k8s.io "" is invalid: ' + (f"[{text}]" if len(causes) > 1 else text)


NEEDS_RV = "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
NO_TOKEN = "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided"
NOT_ZERO = 'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
UNKNOWN = 'resourceVersionMatch: Unsupported value: "Newest": supported values: "Exact", "NotOlderThan", ""'


@pytest.mark.parametrize("limit", [None, 4])
def test_revisions_and_matches(raw, maps, limit):
    """The table of resourceVersion and resourceVersionMatch: the number of objects, or the refusal."""
    path, then, now = maps
    whole = limit or 5
    table = {
        (None, None): whole, (0, None): whole, (now, None): whole,
        (then, None): 3 if limit else whole,  # with a limit it is that revision exactly, without not older
        (None, "Exact"): invalid(NEEDS_RV), (None, "NotOlderThan"): invalid(NEEDS_RV), (None, "Newest"): invalid(NEEDS_RV, UNKNOWN),
        (0, "Exact"): invalid(NOT_ZERO), (0, "NotOlderThan"): whole, (0, "Newest"): invalid(UNKNOWN),
        (then, "Exact"): 3, (then, "NotOlderThan"): whole, (then, "Newest"): invalid(UNKNOWN),
    }
    for (rev, match), want in table.items():
        got = raw(path, resourceVersion=rev, resourceVersionMatch=match, limit=limit)
        if isinstance(want, int):
            assert len(names(got)) == want, (rev, match)
            listed = int(got.json()["metadata"]["resourceVersion"])
            assert listed == then if want == 3 else listed >= now
        else:
            status = got.refused(422, "Invalid", want)
            assert status["details"]["kind"] == "ListOptions" and status["details"]["group"] == "meta.k8s.io"
            assert {c["field"] for c in status["details"]["causes"]} == {"resourceVersionMatch"}
    for match in (None, "Exact", "NotOlderThan"):
        future = raw(path, resourceVersion=now + 100000, resourceVersionMatch=match, limit=limit)
        assert future.status == 504 and future.json()["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
        assert future.json()["message"].startswith(f"Timeout: Too large resource version: {now + 100000}, current: ")
        assert raw(path, resourceVersion="x", resourceVersionMatch=match, limit=limit).status == 400


def test_one_object_by_revision(raw, maps):
    path, then, now = maps
    for rev in (None, 0, then, now):
        assert raw(path + "/c4", resourceVersion=rev).json()["metadata"]["name"] == "c4"
    assert raw(path + "/c4", resourceVersion=now + 100000).status == 504


def test_numbers_and_selectors(raw, maps):
    path = maps[0]
    for name in ("limit", "timeoutSeconds"):
        raw(path, **{name: "x"}).refused(400, "BadRequest", 'strconv.ParseInt: parsing "x": invalid syntax')
    assert len(names(raw(path, limit=-1))) == 5
    assert names(raw(path, labelSelector="odd=1")) == ["c1", "c3"]
    assert names(raw(path, fieldSelector="metadata.name!=c1", labelSelector="odd=1")) == ["c3"]
    raw(path, fieldSelector="data.n=1").refused(400, "BadRequest", '"data.n" is not a known field selector: only "metadata.name", "metadata.namespace"')
    raw(path, labelSelector="a===b").refused(400, "BadRequest", "unable to parse requirement: found '=', expected: identifier")
    raw(path, sendInitialEvents="true").refused(422, "Invalid", invalid("sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"))


def test_items_do_not_say_what_they_are(engine, raw, maps, ns):
    """Those of the kinds that a server is built with: their list does. A stream of pieces, YAML and what was deleted are no different."""
    made = raw(f"/apis/apps/v1/namespaces/{ns}/deployments", "POST", {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
    assert made.status == 201 and made.json()["kind"] == "Deployment"
    deployments = f"/apis/%s/namespaces/{ns}/deployments"
    for version in ("apps/v1", "apps/v1beta1", "extensions/v1beta1"):
        got = raw(deployments % version).json()
        assert (got["kind"], got["apiVersion"]) == ("DeploymentList", version)
        assert [set(o) for o in got["items"]] == [{"metadata", "spec", "status"}]
    for query in ({}, {"limit": 2}, {"pretty": "true"}):
        assert {frozenset(o) for o in raw(maps[0], **query).json()["items"]} == {frozenset({"metadata", "data"})}
    assert b"kind: ConfigMap\n" not in raw.as_("application/yaml", maps[0]).body
    rows = raw.as_(TABLE, maps[0], includeObject="Object").json()["rows"]
    assert {r["object"]["kind"] for r in rows} == {"ConfigMap"}
    assert {e["object"]["kind"] for e in raw(maps[0], watch=1, resourceVersion=0, timeoutSeconds=1).lines()} == {"ConfigMap"}
    gone = raw(maps[0], "DELETE").json()
    assert gone["kind"] == "ConfigMapList" and "kind" not in gone["items"][0]


def test_long_lists_are_sent_without_types_too(raw, maps):
    for i in range(3):
        raw(maps[0], "POST", {"metadata": {"name": f"long{i}"}, "data": {"x": "y" * 500000}})
    items = raw(maps[0]).json()["items"]
    assert len(items) == 8 and not any("kind" in o or "apiVersion" in o for o in items)


def token_of(answer):
    return answer.json()["metadata"]["continue"]


def test_tokens(raw, maps):
    path, _, now = maps
    first = raw(path, limit=2)
    assert first.json()["metadata"]["remainingItemCount"] == 3
    token = token_of(first)
    assert names(raw(path, limit=2, **{"continue": token})) == ["c2", "c3"]
    assert "remainingItemCount" not in raw(path, limit=1, labelSelector="odd=1").json()["metadata"]
    go_on = lambda t, **q: raw(path, **{"continue": t}, **q)
    assert len(names(go_on(token, resourceVersion=0))) == 3
    go_on(token, resourceVersion=now).refused(400, "BadRequest", "specifying resource version is not allowed when using continue")
    go_on(token, resourceVersionMatch="Exact").refused(422, "Invalid", invalid(NEEDS_RV, NO_TOKEN))
    go_on(token, resourceVersion=now, resourceVersionMatch="Exact").refused(422, "Invalid", invalid(NO_TOKEN))

    def wrong(why, t):
        t = t if isinstance(t, str) else base64.urlsafe_b64encode(json.dumps(t).encode()).decode().rstrip("=")
        go_on(t).refused(400, "BadRequest", f"invalid continue token: continue key is not valid: {why}")
    wrong("illegal base64 data at input byte 2", "ab!c")
    wrong("invalid character 'i' looking for beginning of value", "abc")
    wrong("unexpected end of JSON input", base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","rv":1}'[:-1]).decode().rstrip("="))
    wrong('server does not recognize this encoded version "meta.k8s.io/v9"', {"v": "meta.k8s.io/v9", "rv": 1, "start": "a/b"})
    wrong("incorrect encoded start resourceVersion (version meta.k8s.io/v1)", {"v": "meta.k8s.io/v1", "rv": 0, "start": "a/b"})
    wrong("encoded start key empty (version meta.k8s.io/v1)", {"v": "meta.k8s.io/v1", "rv": 1, "start": ""})
    wrong("../../secrets", {"v": "meta.k8s.io/v1", "rv": now, "start": "../../secrets"})
    future = {"v": "meta.k8s.io/v1", "rv": now + 100000, "start": "a/b\0"}
    assert go_on(base64.urlsafe_b64encode(json.dumps(future).encode()).decode().rstrip("=")).status == 504


def test_forms(raw, maps):
    path = maps[0]
    partial = raw.as_(PARTIALS, path, limit=2).json()
    assert (partial["kind"], partial["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert partial["metadata"]["remainingItemCount"] == 3 and token_of(raw.as_(PARTIALS, path, limit=2))
    assert [set(o) for o in partial["items"]] == [{"kind", "apiVersion", "metadata"}] * 2
    assert partial["items"][0]["metadata"]["labels"] == {"odd": "0"}
    one = raw.as_(PARTIAL, path + "/c1").json()
    assert (one["kind"], one["metadata"]["name"], "data" in one) == ("PartialObjectMetadata", "c1", False)
    assert raw.as_(PARTIALS.replace("v=v1", "v=v1beta1"), path).json()["apiVersion"] == "meta.k8s.io/v1beta1"
    for accept, where in ((PARTIALS, path + "/c1"), (PARTIAL, path), ("text/html", path), (TABLE.replace("v=v1", "v=v3"), path)):
        assert raw.as_(accept, where).refused(406, "NotAcceptable", "only the following media types are accepted: application/json, "
                                              "application/yaml")
    table = raw.as_(TABLE, path, limit=2).json()
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert [r["cells"][:2] for r in table["rows"]] == [["c0", 1], ["c1", 1]] and table["metadata"]["remainingItemCount"] == 3
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert raw.as_(TABLE, path, includeObject="Object").json()["rows"][0]["object"]["data"] == {"n": "0"}
    assert raw.as_(TABLE, path, includeObject="None").json()["rows"][0]["object"] is None
    raw.as_(TABLE, path, includeObject="All").refused(400, "BadRequest", 'unrecognized includeObject value: "All"')
    assert raw.as_("application/yaml", path + "/c1").body.startswith(b"apiVersion: v1\n")
    for accept, kind in (("application/json;q=0.1,application/yaml;q=0.85", "yaml"), ("application/yaml;q=0.5, */*;q=0.8", "json"),
                         ("application/yaml,application/json", "yaml"), ("text/html,application/xml;q=0.9,*/*;q=0.8", "json")):
        assert raw.as_(accept, path + "/c1").headers["Content-Type"] == "application/" + kind, accept
    assert raw.as_(f"{TABLE},application/json", path + "/c1").json()["kind"] == "Table"


def test_gzip(raw, maps):
    path = maps[0]
    small = raw(path, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in small.headers
    for i in range(3):
        raw(path, "POST", {"metadata": {"name": f"large{i}"}, "data": {"x": "text " * 15000}})
    large = raw(path, headers={"Accept-Encoding": "gzip"})
    assert large.headers["Content-Encoding"] == "gzip" and len(large.body) < 50000
    assert gzip.decompress(large.body) == raw(path).body


def test_fields_that_select(raw, ns):
    """Fields whose names are not their places."""
    job = {"metadata": {"name": "j"}, "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}}}
    path = f"/apis/batch/v1/namespaces/{ns}/jobs"
    assert raw(path, "POST", job).status == 201
    assert names(raw(path, fieldSelector="status.successful=0")) == ["j"]
    assert raw(path + "/j/status", "PATCH", {"status": {"succeeded": 1}}, {"Content-Type": "application/merge-patch+json"}).status == 200
    assert names(raw(path, fieldSelector="status.successful=1")) == ["j"] and not names(raw(path, fieldSelector="status.successful=0"))
    events = f"/api/v1/namespaces/{ns}/events"
    event = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": ns}, "type": "Normal", "source": {"component": "me"}}
    assert raw(events, "POST", event).status == 201
    assert names(raw(events, fieldSelector="source=me,involvedObject.kind=Pod")) == ["e"]
    assert not names(raw(events, fieldSelector="source!=me"))


def test_a_list_over_compaction(tmp_path):
    """What has left the window of changes cannot be listed; a token goes on at the newest state if the client wants it."""
    server = Engine(tmp_path / "api", "--keep-changes", "50").start()
    try:
        api = Api(server.kubeconfig, tmp_path)
        raw = Raw(api)
        api.namespace("a", account=False)
        path = "/api/v1/namespaces/a/configmaps"
        for i in range(6):
            api("POST", path, {"metadata": {"name": f"c{i}"}})
        first = raw(path, limit=2)
        rev = first.json()["metadata"]["resourceVersion"]
        api("DELETE", f"{path}/c3")
        assert names(raw(path, limit=10, **{"continue": token_of(first)})) == ["c2", "c3", "c4", "c5"]
        o = api("GET", f"{path}/c5")
        for i in range(80):
            o["data"] = {"n": str(i)}
            o = api("PUT", f"{path}/c5", o)
        gone = raw(path, limit=1, **{"continue": token_of(first)}).refused(410, "Expired", INCONSISTENT)
        token = gone["metadata"]["continue"]
        assert json.loads(base64.urlsafe_b64decode(token + "=="))["rv"] == -1
        rest = raw(path, limit=1, **{"continue": token})
        assert names(rest) == ["c2"]
        assert int(rest.json()["metadata"]["resourceVersion"]) > int(rev)
        assert names(raw(path, **{"continue": token_of(rest)})) == ["c4", "c5"]
        raw(path, resourceVersion=rev, resourceVersionMatch="Exact").refused(410, "Expired", TOO_OLD)
        raw(path, resourceVersion=rev, limit=1).refused(410, "Expired", TOO_OLD)
        assert len(names(raw(path, resourceVersion=rev))) == 5
        event, = raw(path, watch=1, resourceVersion=rev, timeoutSeconds=5).lines()
        status = event["object"]
        assert (event["type"], status["code"], status["reason"]) == ("ERROR", 410, "Expired")
        assert status["message"].startswith(f"too old resource version: {rev} (")
    finally:
        server.stop()
