# SPDX-License-Identifier: Apache-2.0
"""RuntimeClasses: what they say of overhead and nodes becomes the pods'; what does not fit is refused as in Kubernetes."""
import json

import pytest
from member_lib import Member

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    m = Member("runs", tmp_path_factory.mktemp("runs") / "m", extra=["--runtime", "hollow"]).start()
    m.apply({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "box"}, "handler": "kata",
             "overhead": {"podFixed": {"cpu": "250m", "memory": "64Mi"}},
             "scheduling": {"nodeSelector": {"box": "yes"}, "tolerations": [{"key": "box", "operator": "Exists"}]}},
            {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "plain"}, "handler": "runc"})
    yield m
    m.stop()


def create(m, **spec):
    return m.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-",
                     stdin=json.dumps({**POD, "spec": {**POD["spec"], **spec}}), check=False)


def test_what_a_class_says(cluster):
    spec = json.loads(create(cluster, runtimeClassName="box", nodeSelector={"disk": "ssd"}).stdout)["spec"]
    assert spec["overhead"] == {"cpu": "250m", "memory": "64Mi"}
    assert spec["nodeSelector"] == {"disk": "ssd", "box": "yes"}
    assert {"key": "box", "operator": "Exists"} in spec["tolerations"]
    assert "overhead" not in json.loads(create(cluster, runtimeClassName="plain").stdout)["spec"]
    assert cluster.kubectl("get", "runtimeclass", "box", "--no-headers").split()[:2] == ["box", "kata"]


@pytest.mark.parametrize("spec, says", [
    ({"runtimeClassName": "none"}, 'pod rejected: RuntimeClass "none" not found'),
    ({"runtimeClassName": "box", "overhead": {"cpu": "1"}},
     "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"),
    ({"overhead": {"cpu": "1"}}, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"),
    ({"runtimeClassName": "box", "nodeSelector": {"box": "no"}},
     "conflict: runtimeClass.scheduling.nodeSelector[box] = yes; pod.spec.nodeSelector[box] = no")])
def test_what_does_not_fit(cluster, spec, says):
    r = create(cluster, **spec)
    assert r.returncode == 1 and f'pods "p" is forbidden: {says}' in r.stderr, r.stderr


def test_a_class_is_checked(cluster):
    r = cluster.kubectl("patch", "runtimeclass", "plain", "--type=merge", "-p", '{"handler":"other"}', check=False)
    assert 'handler: Invalid value: "other": field is immutable' in r.stderr
    r = cluster.kubectl("create", "-f", "-", check=False, stdin=json.dumps(
        {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "bad"}, "handler": "A_"}))
    assert 'handler: Invalid value: "A_": a lowercase RFC 1123 label' in r.stderr
