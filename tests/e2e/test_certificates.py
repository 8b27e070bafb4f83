# SPDX-License-Identifier: Apache-2.0
"""Client certificates, nobody in particular, and acting as others: who is taken for whom, and the words when not.

    openssl CA of the server, and a foreign one  -->  TLS  -->  hansa-apid
"""
import http.client
import json
import os
import ssl
import subprocess
import time

import pytest

from test_access import http_get, openssl
from test_engine_kubectl import Kubectl, Server, kubectls, wait_for
from test_tokens import hup

UNAUTHORIZED = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "Unauthorized",
                "reason": "Unauthorized", "code": 401}
CONFIG = """
[ca]
default_ca = it
[it]
database = %(dir)s/index
new_certs_dir = %(dir)s
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = client
[any]
commonName = optional
organizationName = optional
[client]
extendedKeyUsage = %(usage)s
"""


class Ca:
    """Client certificates of any time, by a CA's certificate and key."""

    def __init__(self, folder, crt, key):
        self.dir, self.crt, self.key, self.n = str(folder), str(crt), str(key), 0
        os.makedirs(self.dir, exist_ok=True)

    def __call__(self, subject, begin=-60, end=3600, usage="clientAuth"):
        """(certificate, key) of the subject, from and until so many seconds from now."""
        self.n += 1
        name = os.path.join(self.dir, "c%d" % self.n)
        open(os.path.join(self.dir, "index"), "w").close()
        with open(name + ".cnf", "w") as f:
            f.write(CONFIG % {"dir": self.dir, "usage": usage})
        when = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + t)) for t in (begin, end)]
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key",
                "-out", name + ".csr", "-subj", subject)
        openssl("ca", "-batch", "-config", name + ".cnf", "-in", name + ".csr", "-out", name + ".crt", "-notext",
                "-cert", self.crt, "-keyfile", self.key, "-startdate", when[0], "-enddate", when[1])
        return name + ".crt", name + ".key"


def new_ca(folder, name):
    crt, key = str(folder / (name + ".crt")), str(folder / (name + ".key"))
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=" + name, "-keyout", key, "-out", crt)
    return Ca(folder / name, crt, key)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("certificates"), "--access-controllers")
    s.start()
    yield s
    s.stop()


@pytest.fixture(scope="module")
def ca(server, tmp_path_factory):
    pki = os.path.join(server.dir, "pki")
    return Ca(tmp_path_factory.mktemp("ca"), os.path.join(pki, "ca.crt"), os.path.join(pki, "ca.key"))


@pytest.fixture(scope="module")
def k(server, tmp_path_factory):
    return Kubectl(kubectls()[-1], server, tmp_path_factory.mktemp("home"))


def connect(server, pair=None):
    context = ssl._create_unverified_context()
    if pair:
        context.load_cert_chain(*pair)
    return http.client.HTTPSConnection(server.url.split("//")[1], timeout=30, context=context)


def ask(server, pair=None, path="/apis/authentication.k8s.io/v1/selfsubjectreviews", body=b"{}", c=None, **headers):
    own = c is None
    c = c or connect(server, pair)
    headers = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    c.request("POST" if body is not None else "GET", path, body, headers)
    r = c.getresponse()
    data = r.read()
    if own:
        c.close()
    return r.status, json.loads(data) if data[:1] == b"{" else data.decode()


def user(answer):
    status, body = answer
    return body["status"]["userInfo"] if status == 201 else status


def test_who_a_certificate_is(server, ca, tmp_path):
    assert user(ask(server, ca("/O=dev/O=ops/CN=ann"))) == {"username": "ann", "groups": ["dev", "ops", "system:authenticated"]}
    # Wrong in time, of another CA, of another use: 401, never nobody in particular.
    foreign = new_ca(tmp_path, "foreign")
    for bad in (ca("/CN=ann", -7200, -3600), ca("/CN=ann", 3600, 7200), foreign("/O=system:masters/CN=admin"),
                ca("/CN=ann", usage="serverAuth")):
        assert ask(server, bad) == (401, UNAUTHORIZED)
        assert ask(server, bad, "/version", None) == (401, UNAUTHORIZED)
        # A token beside it decides.
        assert user(ask(server, bad, Authorization="Bearer bob"))["username"] == "bob"
    # Without a common name it says nothing.
    assert ask(server, ca("/O=dev"))[0] == 403 or user(ask(server, ca("/O=dev")))["username"] == "system:anonymous"


def test_groups_of_the_system(server, ca, k):
    """Whoever is of system:masters may do everything, whatever the roles say; a kubelet's group has what is bound to it."""
    admin, node = ca("/O=system:masters/CN=somebody"), ca("/O=system:nodes/CN=system:node:n1")
    nodes = "/api/v1/nodes"
    assert ask(server, admin, nodes, None)[0] == 200
    k("delete", "clusterrolebinding", "cluster-admin")
    assert ask(server, admin, nodes, None)[0] == 200
    status, body = ask(server, node, nodes, None)
    assert status == 403 and body["message"] == (
        'nodes is forbidden: User "system:node:n1" cannot list resource "nodes" in API group "" at the cluster scope')
    k("create", "clusterrole", "reads-nodes", "--verb=list", "--resource=nodes")
    k("create", "clusterrolebinding", "reads-nodes", "--clusterrole=reads-nodes", "--group=system:nodes")
    assert ask(server, node, nodes, None)[0] == 200


def test_a_connection_outlives_its_certificate(server, ca):
    c = connect(server, ca("/CN=brief", -60, 3))
    assert user(ask(server, c=c))["username"] == "brief"
    wait_for(lambda: ask(server, c=c) == (401, UNAUTHORIZED), "the certificate to end")
    c.close()


def test_another_authority(server, ca, tmp_path):
    """A second CA is trusted when the bundle has it, without a restart; and no more when it is taken out."""
    path = os.path.join(server.dir, "pki", "ca.crt")
    own = open(path).read()
    second = new_ca(tmp_path, "second")
    pair = second("/CN=zoe")

    def write(text):
        with open(path + ".new", "w") as f:
            f.write(text)
        os.rename(path + ".new", path)
        hup(server)
    assert ask(server, pair)[0] == 401
    write(own + open(second.crt).read())
    assert user(ask(server, pair))["username"] == "zoe" and user(ask(server, ca("/CN=ann")))["username"] == "ann"
    write(own)
    assert ask(server, pair)[0] == 401 and user(ask(server, ca("/CN=ann")))["username"] == "ann"


def test_kubectl_with_a_bad_certificate(server, ca, k):
    for pair, rc in ((ca("/CN=ann"), 0), (ca("/CN=ann", -7200, -3600), 1)):
        p = subprocess.run([k.path, "--kubeconfig", "/dev/null", "--server", server.url, "--insecure-skip-tls-verify",
                            "--client-certificate", pair[0], "--client-key", pair[1], "version"], env=k.env,
                           capture_output=True, text=True, timeout=60)
        assert p.returncode == rc, p.stderr
    assert "You must be logged in to the server" in p.stderr or "Unauthorized" in p.stderr


def test_nobody_in_particular(server):
    """403 where nobody may, with the name of nobody; 401 only for credentials that do not hold."""
    status, body, _ = http_get(server, "/api/v1/namespaces/default/pods")
    assert status == 403 and body == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": 'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace '
                   '"default"', "details": {"kind": "pods"}}
    status, body, _ = http_get(server, "/apis/apps/v1/namespaces/default/deployments/web")
    assert body["message"] == ('deployments.apps "web" is forbidden: User "system:anonymous" cannot get resource "deployments" '
                               'in API group "apps" in the namespace "default"')
    assert body["details"] == {"name": "web", "group": "apps", "kind": "deployments"}
    status, body, _ = http_get(server, "/logs/x")
    assert status == 403 and body["message"] == 'forbidden: User "system:anonymous" cannot get path "/logs/x"'
    assert body["details"] == {}
    for path in ("/healthz", "/livez", "/readyz", "/livez/ping", "/version"):
        assert http_get(server, path)[0] == 200, path
    for path in ("/api", "/apis", "/openapi/v2", "/openapi/v3", "/metrics", "/"):
        assert http_get(server, path)[0] == 403, path
    assert http_get(server, "/version", headers={"Authorization": "Bearer no"})[:2] == (401, UNAUTHORIZED)
    # What is no bearer token is no credential, as in Kubernetes.
    for value in ("Basic eDp5", "Bearer ", "nonsense", "Bearer  no"):
        assert http_get(server, "/version", headers={"Authorization": value})[0] == 200, value
        status, body, _ = http_get(server, "/api/v1/pods", headers={"Authorization": value})
        assert status == 403 and 'User "system:anonymous"' in body["message"], value


def test_acting_as_others(server, k):
    k("create", "namespace", "as")
    k("create", "clusterrole", "acts", "--verb=impersonate", "--resource=groups,users")
    more = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "acts-more"}, "rules": [
        {"apiGroups": ["authentication.k8s.io"], "resources": [resource], "resourceNames": [name], "verbs": ["impersonate"]}
        for resource, name in (("userextras/scope", "dev"), ("uids", "7"))]}
    k("apply", "-f", "-", stdin=json.dumps(more))
    for role in ("acts", "acts-more"):
        k("create", "clusterrolebinding", role, "--clusterrole=" + role, "--user=bob")
    me = user(ask(server, Authorization="Bearer bob", Impersonate_User="eve", Impersonate_Group="g", Impersonate_Uid="7",
                  Impersonate_Extra_Scope="dev"))
    assert me == {"username": "eve", "uid": "7", "groups": ["g", "system:authenticated"], "extra": {"scope": ["dev"]}}
    for headers, words in (
            ({"Impersonate_Uid": "8"}, 'uids.authentication.k8s.io "8" is forbidden: User "bob" cannot impersonate resource "uids" '
                                       'in API group "authentication.k8s.io" at the cluster scope'),
            ({"Impersonate_Extra_Scope": "prod"}, 'userextras.authentication.k8s.io "prod" is forbidden: User "bob" cannot '
             'impersonate resource "userextras/scope" in API group "authentication.k8s.io" at the cluster scope'),
            ({"Impersonate_User": "system:serviceaccount:as:robot"}, 'serviceaccounts "robot" is forbidden: User "bob" cannot '
             'impersonate resource "serviceaccounts" in API group "" in the namespace "as"')):
        status, body = ask(server, **{"Authorization": "Bearer bob", "Impersonate_User": "eve", **headers})
        assert status == 403 and body["message"] == words, body
    # To act as nobody, or as an account, brings their groups.
    assert user(ask(server, Authorization="Bearer admin", Impersonate_User="system:serviceaccount:as:robot"))["groups"] == [
        "system:serviceaccounts", "system:serviceaccounts:as", "system:authenticated"]
    status, body = ask(server, None, "/api/v1/pods", None, Authorization="Bearer admin", Impersonate_User="system:anonymous",
                       Impersonate_Group="system:unauthenticated")
    assert status == 403 and '"system:anonymous" cannot list' in body["message"]
    assert k.run("get", "pods", "-n", "as", "--as=eve", "--as-group=system:masters")[0] == 0
    if k.minor >= 24:
        assert "uid-1" in k("auth", "whoami", "--as=eve", "--as-uid=uid-1", "-o", "json")
