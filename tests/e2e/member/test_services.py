# SPDX-License-Identifier: Apache-2.0
"""Services of each type, reached as their clients reach them."""
import http.server
import json
import os
import threading

import pytest

from member_lib import curl, deployment, service, wait_for


def who(url):
    return json.loads(curl(url))["pod"]


@pytest.fixture(scope="module")
def pods(member):
    member.apply(deployment("web", 2))
    return {p["metadata"]["name"] for p in member.ready("app=web", 2)}


def test_cluster_ip_balances(member, pods):
    member.apply(service("web"))
    ip = member.json("svc", "web")["spec"]["clusterIP"]
    wait_for(lambda: {who(f"http://{ip}:8080/") for _ in range(4)} == pods, what="both pods to answer")


def test_node_port_and_load_balancer(member, pods):
    member.kubectl("patch", "svc", "web", "-p", '{"spec":{"type":"LoadBalancer"}}')
    svc = wait_for(lambda: (s := member.json("svc", "web"))["status"]["loadBalancer"]["ingress"] and s, what="an address")
    lb = svc["status"]["loadBalancer"]["ingress"][0]["ip"]
    port = svc["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    node = [a["address"] for a in member.json("nodes")["items"][0]["status"]["addresses"] if a["type"] == "InternalIP"][0]
    wait_for(lambda: who(f"http://{lb}:8080/") in pods, what="the load balancer")
    wait_for(lambda: who(f"http://{node}:{port}/") in pods, what="the node port")
    taken = service("other", "NodePort")
    taken["spec"]["ports"][0]["nodePort"] = port
    r = member.kubectl("create", "-f", "-", stdin=json.dumps(taken), check=False)
    assert r.returncode and "already allocated" in r.stderr
    member.kubectl("patch", "svc", "web", "-p", '{"spec":{"type":"ClusterIP"}}')
    wait_for(lambda: not member.json("svc", "web")["status"].get("loadBalancer", {}).get("ingress"), what="the address to go")
    wait_for(lambda: member.kubectl("create", "-f", "-", stdin=json.dumps(taken)), what="the port to be free")


def test_headless_and_kubernetes(member, pods):
    member.apply(service("headless", clusterIP="None", selector={"app": "web"}))
    eps = wait_for(lambda: len((e := member.json("endpoints", "headless"))["subsets"][0]["addresses"]) == 2 and e, what="endpoints")
    assert eps["subsets"][0]["ports"][0]["port"] == 8080
    ip = member.json("svc", "kubernetes")["spec"]["clusterIP"]
    if os.geteuid() != 0:
        return  # port 443 is not for an ordinary user
    said = wait_for(lambda: curl(f"https://{ip}/version", "-k"), what="an answer")
    assert "major" in said or "Unauthorized" in said or "forbidden" in said


def test_a_backend_that_is_gone_is_not_asked(member, pods):
    ip = member.json("svc", "web")["spec"]["clusterIP"]
    member.kubectl("scale", "deploy/web", "--replicas=1")
    left = {p["metadata"]["name"] for p in member.ready("app=web", 1)}
    wait_for(lambda: {a["targetRef"]["name"] for a in member.json("endpoints", "web")["subsets"][0]["addresses"]} == left,
             what="one endpoint")
    for _ in range(20):
        assert who(f"http://{ip}:8080/") in left


def test_an_ordinary_user(make_member):
    """Ports below 1024: endpoints and the load balancer tell which port is really served."""
    m = make_member("ordinary", user="nobody" if os.geteuid() == 0 else None)
    assert m.dir.stat().st_uid != 0
    m.apply(deployment("web", env=[{"name": "PORT", "value": "80"}], ports=[{"name": "http", "containerPort": 80}]),
            service("web", "LoadBalancer", 80))
    pod = m.ready("app=web", 1)[0]
    assert json.loads(pod["metadata"]["annotations"]["member.hansa.io/ports"]) == {"80": 20080}
    wait_for(lambda: m.json("endpoints", "web")["subsets"][0]["ports"][0]["port"] == 20080, what="the real port in endpoints")
    svc = wait_for(lambda: "member.hansa.io/load-balancer-ports" in (s := m.json("svc", "web"))["metadata"]["annotations"] and
                   s["status"]["loadBalancer"]["ingress"] and s, what="the annotation and the address")
    real = json.loads(svc["metadata"]["annotations"]["member.hansa.io/load-balancer-ports"])["80"]
    assert real == svc["spec"]["ports"][0]["nodePort"]
    ingress = svc["status"]["loadBalancer"]["ingress"][0]
    assert ingress["ports"] == [{"port": real, "protocol": "TCP"}]
    wait_for(lambda: who(f"http://{ingress['ip']}:{real}/") == pod["metadata"]["name"], what="the balancer")
    wait_for(lambda: m.events(reason="PortMoved"), what="the event")


@pytest.fixture
def outside():
    """A server that is no pod; its port."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"outside")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def asked(member, name):
    return curl(f"http://{member.json('svc', name)['spec']['clusterIP']}:8080/")


def slices_of(member, name):
    return member.json("endpointslices", "-l", f"kubernetes.io/service-name={name}")["items"]


def test_endpoints_of_ones_own(member, outside):
    """A Service without a selector carries traffic to what its Endpoints say, whichever of the two was there first."""
    bare = service("first")
    bare = {**bare, "spec": {"ports": [{"port": 8080, "targetPort": outside}]}}
    ends = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "first", "labels": {"of": "mine"}},
            "subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": outside}]}]}
    second = {**bare, "metadata": {"name": "second"}}
    member.apply(ends, bare)
    member.apply(second)
    member.apply({**ends, "metadata": {"name": "second"}})
    for name in ("first", "second"):
        wait_for(lambda: asked(member, name) == "outside", what=name)
        mirror, = wait_for(lambda: len(s := slices_of(member, name)) == 1 and s, what="the mirror")
        assert mirror["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "endpointslicemirroring-controller.k8s.io"
        assert mirror["metadata"]["ownerReferences"][0]["kind"] == "Endpoints" and mirror["endpoints"][0]["addresses"] == ["127.0.0.1"]
        assert mirror["ports"][0]["port"] == outside
    assert slices_of(member, "first")[0]["metadata"]["labels"]["of"] == "mine"
    # What changes there changes here; a selector takes over.
    member.kubectl("patch", "endpoints", "first", "--type=merge", "-p", json.dumps({"subsets": [
        {"notReadyAddresses": [{"ip": "127.0.0.1"}], "ports": [{"port": outside}]}]}))
    wait_for(lambda: [e["conditions"] for s in slices_of(member, "first") for e in s["endpoints"]] == [{"ready": False}], what="unready")
    member.kubectl("label", "endpoints", "second", "endpointslice.kubernetes.io/skip-mirror=true")
    wait_for(lambda: not slices_of(member, "second"), what="no mirror")
    member.kubectl("delete", "svc", "first", "second")
    wait_for(lambda: not slices_of(member, "first"), what="no slices")
    wait_for(lambda: member.kubectl("get", "endpoints", "first", check=False).returncode, what="no endpoints")


def test_slices_of_ones_own(member, outside):
    member.apply({**service("third"), "spec": {"ports": [{"port": 8080, "name": "http"}]}},
                 {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                  "metadata": {"name": "third-mine", "labels": {"kubernetes.io/service-name": "third"}},
                  "ports": [{"name": "http", "port": outside, "protocol": "TCP"}], "endpoints": [{"addresses": ["127.0.0.1"]}]})
    wait_for(lambda: asked(member, "third") == "outside", what="the slice's address")
    member.kubectl("delete", "svc/third", "endpointslice/third-mine")


def test_session_affinity(member, pods):
    """With ClientIP the same client address finds the same pod."""
    member.kubectl("scale", "deploy/web", "--replicas=3")
    member.ready("app=web", 3)
    ip = member.json("svc", "web")["spec"]["clusterIP"]
    wait_for(lambda: len({who(f"http://{ip}:8080/") for _ in range(9)}) == 3, what="three in turn")
    member.kubectl("patch", "svc", "web", "-p", '{"spec":{"sessionAffinity":"ClientIP"}}')
    wait_for(lambda: len({who(f"http://{ip}:8080/") for _ in range(9)}) == 1, what="one for us")
    found = {json.loads(curl(f"http://{ip}:8080/", "--interface", f"127.0.0.{n}"))["pod"] for n in range(2, 40)}
    assert len(found) == 3
    member.kubectl("patch", "svc", "web", "-p", '{"spec":{"sessionAffinity":"None"}}')
    wait_for(lambda: len({who(f"http://{ip}:8080/") for _ in range(9)}) == 3, what="in turn again")
