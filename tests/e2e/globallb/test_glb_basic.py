# SPDX-License-Identifier: Apache-2.0
import http.client

from glb import ok, simple_world


def get(b, path="/", host="api.example.com", method="GET", headers=None, body=None):
    c = http.client.HTTPConnection(b.host, b.port, timeout=10)
    c.request(method, path, body=body, headers={"Host": host, **(headers or {})})
    r = c.getresponse()
    data = r.read()
    c.close()
    return r, data


def test_get_goes_to_the_service(balancer, backend):
    up = backend(ok(b"hello\n"))
    b = balancer(simple_world({"us-east1": [("127.0.0.1", up.port)]}))
    r, data = get(b, "/status?x=1")
    assert (r.status, data) == (200, b"hello\n")
    head = up.heads[-1].decode().lower()
    assert head.startswith("get /status?x=1 http/1.1\r\nhost: api.example.com")
    assert "x-forwarded-for: 127.0.0.1" in head
    assert "x-forwarded-proto: http" in head
    assert "x-forwarded-host: api.example.com" in head
    assert "x-request-id: " in head


def test_no_rule_is_404_and_health_is_ours(balancer, backend):
    up = backend(ok())
    b = balancer(simple_world({"us-east1": [("127.0.0.1", up.port)]}))
    assert get(b, host="other.example.com")[0].status == 404
    assert get(b, "/hansa/healthz", host="anything")[0].status == 200
    b.counts("hansa_globallb_requests_total", 1, code="404", cluster="")


def test_before_it_is_connected(balancer):
    b = balancer(None)
    r, data = get(b)
    assert r.status == 503 and b"not connected" in data
    assert get(b, "/hansa/healthz")[0].status == 200
