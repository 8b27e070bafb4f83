# SPDX-License-Identifier: Apache-2.0
"""Watches as the API concepts page has them: how they begin, bookmarks, how they end, forms, HTTP/2."""
import base64
import json
import subprocess

import pytest
import yaml

from raw import PARTIAL, TABLE, Raw

NOT_OLDER = "NotOlderThan"
ENDS = {"k8s.io/initial-events-end": "true"}


@pytest.fixture
def raw(engine):
    return Raw(engine.api)


@pytest.fixture
def maps(engine, ns):
    path = f"/api/v1/namespaces/{ns}/configmaps"
    made = [engine.api("POST", path, {"metadata": {"name": f"c{i}"}, "data": {"n": str(i)}}) for i in range(3)]
    return path, int(made[0]["metadata"]["resourceVersion"])


def told(answer):
    """[type, name or the revision of a bookmark]"""
    assert answer.status == 200, answer.body
    return [(e["type"], e["object"]["metadata"].get("name", "-")) for e in answer.lines()]


ALL = [("ADDED", "c0"), ("ADDED", "c1"), ("ADDED", "c2")]


def settled(answer):
    """The events but for the bookmarks of each minute, one of which may fall between."""
    lines = answer.lines()
    keep = lambda e: e["type"] != "BOOKMARK" or e is lines[-1] or "annotations" in e["object"]["metadata"]
    return [e for e in lines if keep(e)]


def test_beginnings(raw, maps):
    path, first = maps
    new = {"resourceVersionMatch": NOT_OLDER}
    table = [({}, ALL), ({"resourceVersion": 0}, ALL), ({"resourceVersion": first}, ALL[1:]), ({"resourceVersion": first + 100000}, [("ERROR", "-")]),  # a store put back: 410
             ({"sendInitialEvents": "false", **new}, []), ({"sendInitialEvents": "false", "resourceVersion": first, **new}, ALL[1:]),
             ({"sendInitialEvents": "true", **new}, ALL), ({"sendInitialEvents": "true", "resourceVersion": first, **new}, ALL),
             ({"sendInitialEvents": "true", "fieldSelector": "metadata.name=c1", **new}, [ALL[1]])]
    answers = raw.each(path, *({"watch": 1, "timeoutSeconds": 1, **q} for q, _ in table))
    for (query, want), answer in zip(table, answers):
        assert told(answer) == want, query


def test_bookmarks(raw, maps):
    """The end of the initial events is told at once; another bookmark is the last word of a watch in peace."""
    path, first = maps
    query = {"watch": 1, "timeoutSeconds": 1, "allowWatchBookmarks": "true"}
    lines = settled(raw(path, **query, sendInitialEvents="true", resourceVersionMatch=NOT_OLDER))
    assert [e["type"] for e in lines] == ["ADDED"] * 3 + ["BOOKMARK"] * 2
    middle, last = lines[3]["object"], lines[4]["object"]
    assert middle["metadata"]["annotations"] == ENDS and "annotations" not in last["metadata"]
    assert (middle["kind"], middle["apiVersion"]) == ("ConfigMap", "v1") and "data" not in middle
    assert int(middle["metadata"]["resourceVersion"]) > first
    empty = settled(raw(path, **query, sendInitialEvents="true", resourceVersionMatch=NOT_OLDER, labelSelector="no=one"))
    assert [e["object"]["metadata"].get("annotations") for e in empty] == [ENDS, None]
    quiet = settled(raw(path, **query, resourceVersion=first))
    assert [e["type"] for e in quiet] == ["ADDED", "ADDED", "BOOKMARK"]
    assert raw(path, watch=1, timeoutSeconds=1, resourceVersion=last["metadata"]["resourceVersion"]).lines() == []


def invalid(*causes):
    text = ", ".join("resourceVersionMatch: " + c for c in causes)
    return 'ListOptions.meta.k8s.io "" is invalid: ' + (f"[{text}]" if len(causes) > 1 else text)


def test_refusals(raw, maps):
    path, first = maps
    requires = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    unless = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
    unknown = 'Unsupported value: "Exact": supported values: "NotOlderThan"'
    for query, want in (({"sendInitialEvents": "true"}, invalid(requires)), ({"sendInitialEvents": "false"}, invalid(requires)),
                        ({"resourceVersionMatch": NOT_OLDER}, invalid(unless)), ({"resourceVersionMatch": "Exact"}, invalid(unless, unknown)),
                        ({"sendInitialEvents": "true", "resourceVersionMatch": "Exact"}, invalid(requires, unknown)),
                        ({"sendInitialEvents": "true", "resourceVersionMatch": NOT_OLDER, "continue": "x"},
                         invalid("Forbidden: resourceVersionMatch is forbidden when continue is provided"))):
        raw(path, watch=1, timeoutSeconds=1, **query).refused(422, "Invalid", want)
    raw(path, watch=1, timeoutSeconds="x").refused(400, "BadRequest", 'strconv.ParseInt: parsing "x": invalid syntax')
    assert raw(path, watch=1, timeoutSeconds=1, resourceVersion="x").status == 400
    assert raw(path, watch=1, timeoutSeconds=1, fieldSelector="x=y").status == 400
    future = raw(path, watch=1, timeoutSeconds=1, resourceVersion=first + 100000, sendInitialEvents="true", resourceVersionMatch=NOT_OLDER)
    assert future.status == 504
    assert raw.as_("application/yaml", path, watch=1, timeoutSeconds=1).status == 406


def test_words_of_queries(raw, maps):
    """Booleans as Kubernetes reads them; the old paths of watches."""
    path, _ = maps
    one = {"timeoutSeconds": 1, "fieldSelector": "metadata.name=c1"}
    for answer in raw.each(path, *({"watch": true, **one} for true in ("1", "true", "True", "yes", ""))):
        assert told(answer) == [ALL[1]]
    for false in ("0", "false", "False"):
        assert raw(path, watch=false).json()["kind"] == "ConfigMapList"
    old = path.replace("/api/v1/", "/api/v1/watch/")
    assert told(raw(old, timeoutSeconds=1)) == ALL and told(raw(old + "/c1", timeoutSeconds=1)) == [ALL[1]]


def test_forms(raw, maps):
    path, first = maps
    query = {"watch": 1, "timeoutSeconds": 1, "allowWatchBookmarks": 1, "sendInitialEvents": "true", "resourceVersionMatch": NOT_OLDER}
    partial = settled(raw.as_(PARTIAL, path, **query))
    assert {(e["object"]["kind"], e["object"]["apiVersion"]) for e in partial} == {("PartialObjectMetadata", "meta.k8s.io/v1")}
    assert all(set(e["object"]) == {"kind", "apiVersion", "metadata"} for e in partial)
    assert partial[3]["object"]["metadata"]["annotations"] == ENDS
    old = settled(raw.as_(PARTIAL.replace("v=v1", "v=v1beta1"), path, **query))
    assert {e["object"]["apiVersion"] for e in old} == {"meta.k8s.io/v1beta1"}
    table = settled(raw.as_(TABLE, path, **query))
    assert [e["type"] for e in table] == ["ADDED"] * 3 + ["BOOKMARK"] * 2
    assert [c["name"] for c in table[0]["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert all(not e["object"]["columnDefinitions"] for e in table[1:])
    assert [e["object"]["rows"][0]["cells"][0] for e in table[:3]] == ["c0", "c1", "c2"]
    assert table[3]["object"]["metadata"]["annotations"] == ENDS
    whole = raw.as_(TABLE, path, watch=1, timeoutSeconds=1, resourceVersion=first, includeObject="Object").lines()
    assert whole[0]["object"]["rows"][0]["object"]["data"] == {"n": "1"}


def test_selectors_on_the_way(engine, raw, maps):
    """Entering a selector is ADDED, leaving it is DELETED; the last state of what is deleted bears the deletion's revision."""
    path, _ = maps
    o = engine.api("GET", path + "/c0")
    start = o["metadata"]["resourceVersion"]
    for labels in ({"a": "b"}, {"a": "b", "c": "d"}, {}):
        o["metadata"]["labels"] = labels
        o = engine.api("PUT", path + "/c0", o)
    engine.api("DELETE", path + "/c1")
    seen = raw(path, watch=1, timeoutSeconds=1, resourceVersion=start, labelSelector="a=b").lines()
    assert [e["type"] for e in seen] == ["ADDED", "MODIFIED", "DELETED"]
    assert seen[2]["object"]["metadata"]["resourceVersion"] == o["metadata"]["resourceVersion"]
    assert seen[2]["object"]["metadata"]["labels"] == {"a": "b", "c": "d"}  # as it was when it last met the selector
    gone = raw(path, watch=1, timeoutSeconds=1, resourceVersion=start, fieldSelector="metadata.name=c1").lines()[-1]
    assert gone["type"] == "DELETED" and int(gone["object"]["metadata"]["resourceVersion"]) > int(o["metadata"]["resourceVersion"])


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_streams(engine, maps, tmp_path, version, encoding):
    """Events come as they happen, over HTTP/2 as well; a watch is not compressed, so that none waits in a compressor."""
    path, first = maps
    cluster = yaml.safe_load(engine.kubeconfig.read_text())["clusters"][0]["cluster"]
    ca = tmp_path / "ca"
    ca.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    p = subprocess.Popen(["curl", "-sN", version, "--cacert", ca, "--cert", engine.pair, "-H", f"Accept-Encoding: {encoding}", "-w",
                          "%{http_version}", f"{engine.api.url}{path}?watch=1&resourceVersion={first}&timeoutSeconds=5"],
                         stdout=subprocess.PIPE, text=True)
    try:
        assert [json.loads(p.stdout.readline())["object"]["metadata"]["name"] for _ in "12"] == ["c1", "c2"]
        for i in range(3):  # each before the next is there
            engine.api("POST", path, {"metadata": {"name": f"new{i}"}})
            assert json.loads(p.stdout.readline())["object"]["metadata"]["name"] == f"new{i}"
        assert p.stdout.read() == {"--http1.1": "1.1", "--http2": "2"}[version]
        assert p.wait(10) == 0  # the end is in order
    finally:
        p.kill()
        p.wait()
