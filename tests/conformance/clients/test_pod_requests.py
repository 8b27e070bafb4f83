# SPDX-License-Identifier: Apache-2.0
"""What is told of logs, evictions, bindings and proxies that cannot be."""
import pytest

from raw import Raw

CONTAINER = {"name": "c", "image": "hansa/echo:v1"}


@pytest.fixture(scope="module")
def space(member):
    """The path of a namespace with a pod that nobody schedules, and a Service of nothing."""
    raw = Raw(member.api)
    member.api.namespace("requests", account=True)
    path = "/api/v1/namespaces/requests"
    spec = {"schedulerName": "nobody", "containers": [CONTAINER, {**CONTAINER, "name": "d"}], "initContainers": [{**CONTAINER, "name": "e"}]}
    assert raw(path + "/pods", "POST", {"metadata": {"name": "two"}, "spec": spec}).status == 201
    assert raw(path + "/services", "POST", {"metadata": {"name": "empty"}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}).status == 201
    raw.path = path
    return raw


def test_logs(space):
    log = space.path + "/pods/two/log"
    told = space(log).refused(400, "BadRequest", "a container name must be specified for pod two, choose one of: [e c d]")
    assert "details" not in told
    space(log, container="x").refused(400, "BadRequest", "container x is not valid for pod two")
    space(log, container="c", tailLines="x").refused(400, "BadRequest", 'strconv.ParseInt: parsing "x": invalid syntax')
    told = space(log, container="c", tailLines=-1, limitBytes=0).refused(
        422, "Invalid", 'PodLogOptions "two" is invalid: [tailLines: Invalid value: -1: must be greater than or equal to 0, '
        "limitBytes: Invalid value: 0: must be greater than 0]")
    assert told["details"]["kind"] == "PodLogOptions" and [c["field"] for c in told["details"]["causes"]] == ["tailLines", "limitBytes"]


def test_evictions_and_bindings_name_their_pod(space):
    for body in ({}, {"metadata": {"name": "other"}}):
        space(space.path + "/pods/two/eviction", "POST", body).refused(400, "BadRequest", "name in URL does not match name in Eviction object")
        space(space.path + "/pods/two/binding", "POST", body).refused(400, "BadRequest", "name in URL does not match name in Binding object")
    assert space(space.path + "/pods/two/eviction", "POST", {"metadata": {"name": "two"}}, dryRun="All").status == 201


def test_proxies(space):
    for name in ("empty", "http:empty:80"):
        space(f"{space.path}/services/{name}/proxy/").refused(503, "ServiceUnavailable", 'no endpoints available for service "empty"')
    assert space(space.path + "/pods/two/log", "HEAD").status == 405


def test_methods_of_what_is_only_made(space):
    for name in ("eviction", "binding"):
        space(f"{space.path}/pods/two/{name}").refused(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
