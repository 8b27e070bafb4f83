# SPDX-License-Identifier: Apache-2.0
"""What the federation says in events, and what an operator's annotation on a Cluster does."""
import json

from fed import poll, run

CLUSTER_IP = """
apiVersion: v1
kind: Service
metadata: {name: inside, namespace: default}
spec: {ports: [{name: http, port: 80}], selector: {app: inside}}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: moved, namespace: default}
spec:
  replicas: 6
  selector: {matchLabels: {app: moved}}
  template:
    metadata: {labels: {app: moved}}
    spec: {containers: [{name: echo, image: "hansa/echo:v1"}]}
"""


def reasons(federation, kind, name):
    events = federation.get("events", "-A")["items"]
    return [e["reason"] for e in events if e["involvedObject"]["kind"] == kind and e["involvedObject"]["name"] == name]


def test_a_cluster_ip_service_has_no_data_and_says_why(federation):
    federation.kubectl("create", "-f", "-", stdin=CLUSTER_IP)
    try:
        poll(lambda: "NotInDNS" in reasons(federation, "Service", "inside"), what="the event")
        address, port = federation.env["HANSA_DNS"].rsplit(":", 1)

        def no_data():
            out = run("dig", f"@{address}", "-p", port, "inside.default.fed.svc.example.com", "A", "+tries=1").stdout
            return "status: NOERROR" in out and "ANSWER: 0" in out and "SOA" in out
        poll(no_data, what="an answer without data")
    finally:
        federation.kubectl("delete", "service", "inside")


def test_a_cluster_of_unknown_place_is_named(make_federation):
    federation = make_federation("--clusters=here=us-east1/us-east1-b,nowhere")
    poll(lambda: "PlaceUnknown" in reasons(federation, "Cluster", "nowhere"), what="the event")
    assert "PlaceUnknown" not in reasons(federation, "Cluster", "here")
    federation.down("--cluster", "nowhere")
    poll(lambda: "ClusterNotReachable" in reasons(federation, "Cluster", "nowhere"), what="the event of its loss")


def test_cordoning_a_cluster_moves_its_replicas(federation):
    def divided():
        said = federation.get("deployment", "moved")["metadata"]["annotations"]["federation.hansa.io/clusters"]
        return {name: c["replicas"] for name, c in json.loads(said).items()}
    federation.kubectl("create", "-f", "-", stdin=DEPLOYMENT)
    try:
        poll(lambda: sorted(divided().values()) == [2, 2, 2], what="an even division")
        federation.kubectl("annotate", "cluster", "asia-east1", "federation.hansa.io/cordoned=true")
        assert "Ready,Cordoned" in federation.kubectl("get", "cluster", "asia-east1").stdout
        assert federation.kubefed("status").stdout.count("cordoned") == 1
        poll(lambda: divided()["asia-east1"] == 0 and sum(divided().values()) == 6, what="its replicas elsewhere")
        poll(lambda: federation.get("--context", "asia-east1", "deployment", "moved")["spec"]["replicas"] == 0)
        poll(lambda: "from 2 to 0 (cordoned" in federation.kubectl("describe", "deployment", "moved").stdout, what="the event")
    finally:
        federation.kubectl("annotate", "cluster", "asia-east1", "federation.hansa.io/cordoned-", check=False)
        federation.kubectl("delete", "deployment", "moved")
