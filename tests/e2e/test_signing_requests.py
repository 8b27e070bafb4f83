# SPDX-License-Identifier: Apache-2.0
"""CertificateSigningRequests: who asks, who may approve and sign, and the certificate that comes of it."""
import base64
import datetime
import http.client
import json
import ssl
import subprocess

import pytest

from test_admission import Api
from test_engine_kubectl import Kubectl, Server, kubectls, wait_for

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
RBAC = "/apis/rbac.authorization.k8s.io/v1/"
CLIENT = "kubernetes.io/kube-apiserver-client"
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("apid"), "--access-controllers")
    s.start()
    api = Api(s)
    allow = {
        "asker": [{"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests"], "verbs": ["create", "get"]}],
        "approver": [{"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests", "certificatesigningrequests/approval"],
                      "verbs": ["get", "update", "patch"]},
                     {"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": ["example.com/*", CLIENT],
                      "verbs": ["approve"]}],
        "signer": [{"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests/status"], "verbs": ["update", "patch"]},
                   {"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": ["example.com/mine"],
                    "verbs": ["sign"]}],
        "tourist": [{"apiGroups": ["certificates.k8s.io"], "resources": ["*"], "verbs": ["*"]}],
    }
    for name, rules in allow.items():
        rules = [dict(r, resources=["certificatesigningrequests/approval", "certificatesigningrequests/status"])
                 for r in rules] if name == "tourist" else rules
        assert api("POST", RBAC + "clusterroles", {"metadata": {"name": name}, "rules": rules}).status == 201
        assert api("POST", RBAC + "clusterrolebindings", {
            "metadata": {"name": name}, "subjects": [{"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}],
            "roleRef": {"kind": "ClusterRole", "name": name, "apiGroup": "rbac.authorization.k8s.io"}}).status == 201
    yield s
    s.stop()


@pytest.fixture(scope="module")
def api(server):
    return Api(server)


def pem_request(tmp_path, subject="/O=team/CN=jane"):
    key = str(tmp_path / "key.pem")
    done = subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                           "-subj", subject, "-addext", "subjectAltName=DNS:jane.example"],
                          capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, key


def csr(name, pem, signer=CLIENT, **spec):
    spec = dict({"request": base64.b64encode(pem.encode()).decode(), "signerName": signer, "usages": ["client auth"]}, **spec)
    return {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name}, "spec": spec}


def condition(kind, **more):
    return {"status": {"conditions": [dict({"type": kind, "status": "True", "reason": "ByHand"}, **more)]}}


def causes(r):
    return {(c["field"], c["message"]) for c in r.data["details"]["causes"]}


def test_who_asks_is_written_by_the_server(api, tmp_path):
    pem, _ = pem_request(tmp_path)
    body = csr("who", pem, username="root", groups=["system:masters"], uid="0", extra={"a": ["b"]})
    body["status"] = condition("Approved")["status"]
    r = api("POST", CSRS, body, Impersonate_User="asker", Impersonate_Group="crew", Impersonate_Extra_Why="because")
    assert r.status == 201, r.data
    spec = r.data["spec"]
    assert (spec["username"], spec["groups"], spec["extra"]) == ("asker", ["crew", "system:authenticated"], {"why": ["because"]})
    assert "uid" not in spec and not r.data.get("status")
    # The spec stays as it is, silently, as in Kubernetes.
    r = api("PATCH", CSRS + "/who", {"spec": {"username": "root", "expirationSeconds": 7200}, "metadata": {"labels": {"a": "b"}}}, type=MERGE)
    assert r.status == 200 and r.data["spec"] == spec and r.data["metadata"]["labels"] == {"a": "b"}
    r = api("PATCH", CSRS + "/who", condition("Approved"), type=MERGE)
    assert r.status == 200 and not r.data.get("status")
    names = {x["name"]: x["verbs"] for x in api("GET", "/apis/certificates.k8s.io/v1").data["resources"]}
    assert names["certificatesigningrequests/approval"] == ["get", "patch", "update"]


def test_what_is_refused(api, tmp_path):
    pem, _ = pem_request(tmp_path)
    r = api("POST", CSRS, csr("bad", "no pem", signer="nodomain", usages=["client auth", "tea", "client auth"], expirationSeconds=60))
    assert r.status == 422
    by_field = dict(causes(r))
    assert "PEM block type must be CERTIFICATE REQUEST" in by_field["spec.request"]
    assert by_field["spec.signerName"].endswith("must be a fully qualified domain and path of the form 'example.com/signer-name'")
    assert by_field["spec.usages[1]"].startswith('Unsupported value: "tea": supported values: "any", ')
    assert by_field["spec.usages[2]"] == 'Duplicate value: "client auth"'
    assert by_field["spec.expirationSeconds"] == "Invalid value: 60: may not specify a duration less than 600 seconds (10 minutes)"
    broken = pem.replace("\n", "", 1)
    for signer, word in (("example/x", "at least two segments"), ("example.com/X", "validating label"),
                         ("kubernetes.io/legacy-unknown", "legacy signerName"), ("a.b/c/d", "fully qualified")):
        r = api("POST", CSRS, csr("bad", pem, signer=signer))
        assert r.status == 422 and word in r.data["message"], r.data
    assert api("POST", CSRS, csr("bad", broken)).status == 422
    assert api("POST", CSRS, csr("bad", pem, usages=[])).status == 422
    masters, _ = pem_request(tmp_path, "/O=system:masters/CN=jane")
    r = api("POST", CSRS, csr("bad", masters))
    assert r.status == 403 and r.data["message"].endswith("use of %s signer with system:masters group is not allowed" % CLIENT)


def test_approval_and_signing_need_their_verbs(api, tmp_path):
    pem, _ = pem_request(tmp_path)
    assert api("POST", CSRS, csr("mine", pem, signer="example.com/mine")).status == 201
    assert api("POST", CSRS, csr("other", pem, signer="else.where/x")).status == 201
    approve = lambda name, user, kind="Approved": api("PATCH", CSRS + "/" + name + "/approval", condition(kind), type=MERGE,
                                                      Impersonate_User=user)
    r = approve("mine", "tourist")
    assert r.status == 403 and r.data["message"].endswith('user not permitted to approve requests with signerName "example.com/mine"')
    assert approve("other", "approver").status == 403
    r = approve("mine", "approver")
    assert r.status == 200, r.data
    done = r.data["status"]["conditions"][0]
    assert done["lastUpdateTime"] and done["lastTransitionTime"]
    # What was decided stays, and both at once is nothing.
    r = api("PATCH", CSRS + "/mine/approval", {"status": {"conditions": []}}, type=MERGE)
    assert causes(r) == {("status.conditions", 'Forbidden: updates may not remove a condition of type "Approved"')}
    r = api("PATCH", CSRS + "/mine/approval", {"status": {"conditions": [done, dict(done, type="Denied")]}}, type=MERGE)
    assert r.status == 422 and "mutually exclusive" in r.data["message"]
    r = api("PATCH", CSRS + "/other/approval", condition("Approved", status="False"), type=MERGE)
    assert causes(r) == {("status.conditions[0].status", 'Unsupported value: "False": supported values: "True"')}
    # Status is the signer's: not the approval's conditions, and a certificate once.
    status = lambda body, user, name="mine": api("PATCH", CSRS + "/%s/status" % name, body, type=MERGE, Impersonate_User=user)
    ca = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=x"],
                        capture_output=True, timeout=60, check=True).stdout
    cert = {"status": {"certificate": base64.b64encode(ca).decode()}}
    r = status(cert, "tourist")
    assert r.status == 403 and r.data["message"].endswith('user not permitted to sign requests with signerName "example.com/mine"')
    r = status({"status": {"certificate": base64.b64encode(b"junk").decode()}}, "signer")
    assert r.status == 422 and causes(r).pop()[0] == "status.certificate"
    r = status(condition("Approved"), "admin", "other")
    assert r.status == 403
    r = api("PATCH", CSRS + "/other/status", condition("Approved"), type=MERGE)
    assert causes(r) == {("status.conditions", 'Forbidden: updates may not add a condition of type "Approved"')}
    r = status(cert, "signer")
    assert r.status == 200 and r.data["status"]["certificate"] and r.data["status"]["conditions"] == [done]
    again = {"status": {"certificate": base64.b64encode(ca + ca).decode()}}
    r = status(again, "signer")
    assert causes(r) == {("status.certificate", "Forbidden: updates may not modify existing certificate content")}


@pytest.mark.parametrize("path", kubectls(), ids=lambda p: p.rsplit("/", 1)[-1])
def test_kubectl_approves_and_the_certificate_works(server, api, tmp_path, path):
    k = Kubectl(path, server, tmp_path)
    name = "jane-%d" % k.minor
    pem, key = pem_request(tmp_path)
    k("apply", "-f", "-", stdin=json.dumps(csr(name, pem, expirationSeconds=3600, usages=["client auth", "digital signature"])))
    assert "Pending" in k("get", "csr", name)
    k("certificate", "approve", name)
    found = lambda: api("GET", CSRS + "/" + name).data["status"].get("certificate")
    wait_for(found, "the certificate")
    assert "Approved,Issued" in k("get", "csr", name)
    crt = tmp_path / "crt.pem"
    crt.write_bytes(base64.b64decode(found()))
    text = subprocess.run(["openssl", "x509", "-in", str(crt), "-noout", "-text"], capture_output=True, text=True, check=True).stdout
    assert "O = team, CN = jane" in text and "DNS:jane.example" in text and "CA:FALSE" in text
    assert "TLS Web Client Authentication" in text and "TLS Web Server Authentication" not in text and "Key Encipherment" not in text
    dates = subprocess.run(["openssl", "x509", "-in", str(crt), "-noout", "-dates"], capture_output=True, text=True, check=True).stdout
    begin, end = [datetime.datetime.strptime(line.split("=")[1].replace(" GMT", ""), "%b %d %H:%M:%S %Y") for line in dates.split("\n")[:2]]
    assert (end - begin).total_seconds() == 3600
    context = ssl._create_unverified_context()
    context.load_cert_chain(str(crt), key)
    c = http.client.HTTPSConnection(server.url.split("//")[1], timeout=40, context=context)
    c.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", json.dumps(
        {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}), {"Content-Type": "application/json"})
    who = json.loads(c.getresponse().read())["status"]["userInfo"]
    assert who["username"] == "jane" and "team" in who["groups"]
    c.close()


def test_denied_and_failed(server, api, tmp_path):
    k = Kubectl(kubectls()[-1], server, tmp_path)
    pem, _ = pem_request(tmp_path)
    assert api("POST", CSRS, csr("no", pem)).status == 201
    k("certificate", "deny", "no")
    assert api("GET", CSRS + "/no").data["status"]["conditions"][0]["type"] == "Denied"
    k.fails("", "certificate", "approve", "no")
    # A server's certificate is not what this signer signs.
    assert api("POST", CSRS, csr("server", pem, usages=["server auth"])).status == 201
    k("certificate", "approve", "server")
    types = lambda: [c["type"] for c in api("GET", CSRS + "/server").data["status"]["conditions"]]
    wait_for(lambda: "Failed" in types(), "the signer to say no")
    assert "certificate" not in api("GET", CSRS + "/server").data["status"]
    assert "certificate" not in api("GET", CSRS + "/no").data["status"]
