# SPDX-License-Identifier: Apache-2.0
"""Who may come in, what they may do, and what is recorded: the engine alone behind real kubectls.

    python OIDC issuer (HTTPS, RSA key made by openssl)  <--keys--  hansa-apid  <--TLS--  kubectl oldest, newest
                                                                    |--> audit.log
"""
import base64
import http.server
import json
import os
import signal
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from test_engine_kubectl import Kubectl, Server, binary, kubectls, wait_for

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: ["system:apid"]}
- {level: Metadata, resources: [{group: "", resources: [secrets, serviceaccounts/token]}]}
- {level: RequestResponse, omitManagedFields: true, resources: [{group: "", resources: [configmaps]}]}
- {level: Metadata, verbs: [impersonate, delete], resources: [{group: ""}]}
"""


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*args, stdin=b""):
    return subprocess.run(["openssl", *args], input=stdin, capture_output=True, check=True, timeout=60).stdout


class Issuer:
    """Discovery, JWKS, and tokens signed with keys that can be rotated."""

    def __init__(self, folder):
        self.dir, self.keys, self.fetches = str(folder), {}, 0
        self.path = lambda name: os.path.join(self.dir, name)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=issuer", "-addext",
                "subjectAltName=IP:127.0.0.1", "-keyout", self.path("tls.key"), "-out", self.path("tls.crt"))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("tls.crt"), self.path("tls.key"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = "https://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def handler(issuer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                docs = {"/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": issuer.url + "/keys"},
                        "/keys": {"keys": list(issuer.keys.values())}}
                issuer.fetches += self.path == "/keys"
                body = json.dumps(docs.get(self.path, {})).encode()
                self.send_response(200 if self.path in docs else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass
        return Handler

    def new_key(self, kid):
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.path(kid))
        n = openssl("rsa", "-in", self.path(kid), "-noout", "-modulus").decode().strip().split("=")[1]
        self.keys[kid] = {"kty": "RSA", "use": "sig", "kid": kid, "alg": "RS256", "n": b64(bytes.fromhex(n)), "e": "AQAB"}

    def token(self, kid, alg="RS256", **claims):
        now = int(time.time())
        all_claims = {"iss": self.url, "aud": "hansa", "sub": "ann", "exp": now + 600, "iat": now}
        all_claims.update(claims)
        text = b64(json.dumps({"alg": alg, "kid": kid}).encode()) + "." + b64(json.dumps(all_claims).encode())
        return text + "." + b64(openssl("dgst", "-sha256", "-sign", self.path(kid), stdin=text.encode()))


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    it = Issuer(tmp_path_factory.mktemp("issuer"))
    it.new_key("one")
    yield it
    it.server.shutdown()


@pytest.fixture(scope="module")
def server(issuer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("access")
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "tokens.csv").write_text('s3cret,carl,7,"ops,night shift"\n')
    (folder / "old.key").write_bytes(openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"))
    s = Server(folder, "--access-controllers", "--oidc-issuer-url", issuer.url, "--oidc-client-id", "hansa",
               "--oidc-ca-file", issuer.path("tls.crt"), "--oidc-username-prefix", "oidc:", "--oidc-groups-claim",
               "groups", "--oidc-groups-prefix", "oidc:", "--oidc-required-claim", "tier=gold",
               "--audit-policy-file", str(folder / "policy.yaml"), "--audit-log-path", str(folder / "audit.log"),
               "--token-auth-file", str(folder / "tokens.csv"), "--service-account-key-file", str(folder / "old.key"))
    s.start()
    yield s
    s.stop()


@pytest.fixture(scope="module", params=[os.path.basename(k) for k in kubectls()])
def k(request, server, tmp_path_factory):
    path = next(p for p in kubectls() if os.path.basename(p) == request.param)
    it = Kubectl(path, server, tmp_path_factory.mktemp("home"))
    it.ns = "t%d" % it.minor
    it("create", "namespace", it.ns)
    return it


def http_get(server, path, token=None, headers=None, data=None):
    """(status, body as JSON or text, headers)"""
    context = ssl.create_default_context(cafile=os.path.join(server.dir, "pki/ca.crt"))
    req = urllib.request.Request(server.url + path, headers=dict(headers or {}), data=data)
    if token:
        req.add_header("Authorization", "Bearer " + token)
    if data:
        req.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(req, context=context, timeout=30) as res:
            status, body, head = res.status, res.read().decode(), res.headers
    except urllib.error.HTTPError as e:
        status, body, head = e.code, e.read().decode(), e.headers
    try:
        return status, json.loads(body), head
    except ValueError:
        return status, body, head


def who(server, token):
    status, body, _ = http_get(server, "/apis/authentication.k8s.io/v1/selfsubjectreviews", token, data=b"{}")
    return body["status"]["userInfo"] if status == 201 else status


def test_oidc(server, issuer):
    wait_for(lambda: issuer.fetches > 0, "keys to be fetched")
    good = issuer.token("one", tier="gold", groups=["dev", "system:masters"])
    wait_for(lambda: who(server, good) != 401, "the issuer's keys")
    me = who(server, good)
    assert me == {"username": "oidc:ann", "groups": ["oidc:dev", "oidc:system:masters", "system:authenticated"]}
    now = int(time.time())
    head, body, sig = good.split(".")
    none = b64(b'{"alg":"none"}')
    for bad in (issuer.token("one"), issuer.token("one", tier="tin"), issuer.token("one", tier="gold", aud="other"),
                issuer.token("one", tier="gold", exp=now - 1), issuer.token("one", tier="gold", nbf=now + 3600),
                issuer.token("one", tier="gold", iss="https://elsewhere"), issuer.token("one", alg="ES256", tier="gold"),
                issuer.token("one", alg="HS256", tier="gold"), good[:-20], head + "." + body + ".", head + "." + body,
                none + "." + body + ".", head + "." + b64(b'{"iss":"%s"}' % issuer.url.encode()) + "." + sig, "x"):
        assert who(server, bad) == 401, bad


def test_oidc_claims_of_other_types(server, issuer):
    """As kube-apiserver takes them."""
    token = lambda **claims: issuer.token("one", tier="gold", **claims)
    later = time.time() + 600
    assert who(server, token(exp=later))["username"] == who(server, token(exp=str(int(later))))["username"] == "oidc:ann"
    assert who(server, token(groups=None))["groups"] == who(server, token(groups=[]))["groups"] == ["system:authenticated"]
    for claims in ({"exp": None}, {"exp": "soon"}, {"exp": -1}, {"exp": 1e300}, {"exp": time.time() - 0.5}, {"groups": [1]},
                   {"groups": ["a", {}]}, {"groups": {"a": 1}}, {"groups": 7}):
        assert who(server, token(**claims)) == 401, claims


def test_oidc_key_rotation(server, issuer):
    issuer.new_key("two")
    fetches = issuer.fetches
    token = issuer.token("two", tier="gold", sub="bea")
    wait_for(lambda: who(server, token) != 401, "the new key", 30)
    assert who(server, token)["username"] == "oidc:bea"
    assert issuer.fetches > fetches
    assert who(server, issuer.token("one", tier="gold"))["username"] == "oidc:ann"


def said(server, text):
    with open(os.path.join(server.dir, "log")) as f:
        return text in f.read()


def test_oidc_ca_is_read_again(issuer, tmp_path):
    """A CA that does not verify the issuer, then text that is no CA, then the right one: without a restart."""
    ca = tmp_path / "ca.crt"
    ca.write_bytes(openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=other", "-keyout", "/dev/null"))
    s = Server(tmp_path, "--oidc-issuer-url", issuer.url, "--oidc-client-id", "hansa", "--oidc-ca-file", str(ca))
    s.start()
    try:
        fetches, token = issuer.fetches, issuer.token("one")
        assert who(s, token) == 401
        ca.write_text("no certificate\n")
        s.proc.send_signal(signal.SIGHUP)
        wait_for(lambda: said(s, "OIDC CA and audit policy stay as they were"), "the refusal to be said")
        assert who(s, token) == 401 and issuer.fetches == fetches
        with open(issuer.path("tls.crt")) as f:
            ca.write_text(f.read())
        wait_for(lambda: who(s, token) != 401, "the right CA to be found", 30)
    finally:
        s.stop()


def test_the_own_key_is_read_again(tmp_path):
    """DIR/pki/sa.key: a key that is no key changes nothing, another key ends the tokens of the last."""
    s = Server(tmp_path)
    s.start()
    key = tmp_path / "pki" / "sa.key"
    make = lambda: http_get(s, "/api/v1/namespaces/default/serviceaccounts/robot/token", "admin", data=b"{}")[1]["status"]["token"]
    try:
        assert http_get(s, "/api/v1/namespaces/default/serviceaccounts", "admin",
                        data=b'{"metadata": {"name": "robot"}}')[0] == 201
        old = make()
        assert who(s, old) != 401
        key.write_text("no key\n")
        s.proc.send_signal(signal.SIGHUP)
        wait_for(lambda: said(s, "stay as they were"), "the refusal to be said")
        assert who(s, old) != 401 and who(s, make()) != 401
        key.write_bytes(openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))
        wait_for(lambda: who(s, old) == 401, "the new key", 30)
        assert who(s, make()) != 401
    finally:
        s.stop()


def test_static_tokens_and_anonymous(server):
    assert who(server, "s3cret") == {"username": "carl", "uid": "7", "groups": ["ops", "night shift", "system:authenticated"]}
    assert who(server, "s3cret2") == 401
    assert http_get(server, "/version")[0] == 200
    assert http_get(server, "/readyz")[0] == 200
    status, body, head = http_get(server, "/api/v1/pods")
    assert status == 403 and 'User "system:anonymous" cannot list resource "pods"' in body["message"]
    assert len(head["Audit-Id"]) == 36
    assert http_get(server, "/version", headers={"Audit-ID": "mine"})[2]["Audit-Id"] == "mine"


def test_impersonation(k):
    k("create", "clusterrole", "imp" + k.ns, "--verb=impersonate", "--resource=users", "--resource-name=dora")
    k("create", "clusterrolebinding", "imp" + k.ns, "--clusterrole=imp" + k.ns, "--user=bob")
    assert 'User "eve" cannot list' in k.run("get", "pods", "--as=eve", "--as-group=g")[2]
    wait = http_get(k.server, "/api/v1/pods", "bob", {"Impersonate-User": "dora"})[1]
    assert 'User "dora" cannot list resource "pods"' in wait["message"]
    for headers, words in (({"Impersonate-User": "eve"}, 'users "eve" is forbidden: User "bob" cannot impersonate resource "users"'),
                           ({"Impersonate-User": "dora", "Impersonate-Group": "g"}, 'cannot impersonate resource "groups"'),
                           ({"Impersonate-User": "dora", "Impersonate-Uid": "1"}, 'cannot impersonate resource "uids" in API group "authentication.k8s.io"'),
                           ({"Impersonate-User": "dora", "Impersonate-Extra-Scope": "x"}, 'cannot impersonate resource "userextras/scope"'),
                           ({"Impersonate-User": "system:serviceaccount:a:b"}, 'serviceaccounts "b" is forbidden')):
        status, body, _ = http_get(k.server, "/api/v1/pods", "bob", headers)
        assert status == 403 and words in body["message"], body
    assert http_get(k.server, "/api/v1/pods", "bob", {"Impersonate-Group": "g"})[0] == 400


def test_can_i_and_bootstrap_roles(k):
    k("create", "rolebinding", "v", "--clusterrole=view", "--user=vera", "-n", k.ns)
    wait_for(lambda: k.run("auth", "can-i", "list", "pods", "-n", k.ns, "--as=vera")[0] == 0, "view to be aggregated")
    assert k("auth", "can-i", "get", "deployments.apps", "-n", k.ns, "--as=vera").strip() == "yes"
    assert k.run("auth", "can-i", "get", "secrets", "-n", k.ns, "--as=vera")[1].startswith("no")
    assert "pods/log" in k("auth", "can-i", "--list", "-n", k.ns, "--as=vera")
    if k.minor >= 27:
        assert "vera" in k("auth", "whoami", "--as=vera")
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": "vera", "resourceAttributes": {"namespace": k.ns, "verb": "list", "resource": "pods"}}}
    status = json.loads(k("create", "-f", "-", "-o", "json", stdin=json.dumps(review)))["status"]
    assert status == {"allowed": True, "reason": 'RBAC: allowed by RoleBinding "v/%s" of ClusterRole "view" to User "vera"' % k.ns}
    k("create", "clusterrole", "more" + k.ns, "--verb=get", "--resource=secrets")
    k("label", "clusterrole", "more" + k.ns, "rbac.authorization.k8s.io/aggregate-to-view=true")
    wait_for(lambda: k.run("auth", "can-i", "get", "secrets", "-n", k.ns, "--as=vera")[0] == 0, "the sum")
    k("delete", "clusterrole", "more" + k.ns)
    wait_for(lambda: k.run("auth", "can-i", "get", "secrets", "-n", k.ns, "--as=vera")[0] != 0, "the sum to shrink")


def test_escalation(k):
    k("create", "rolebinding", "a", "--clusterrole=admin", "--user=adam", "-n", k.ns)
    wait_for(lambda: k.run("auth", "can-i", "create", "roles", "-n", k.ns, "--as=adam")[0] == 0, "admin to be aggregated")
    k("create", "role", "fine", "--verb=get", "--resource=pods", "-n", k.ns, "--as=adam")
    k.fails('roles.rbac.authorization.k8s.io "x" is forbidden: user "adam" (groups=["system:authenticated"]) is attempting to '
            'grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}',
            "create", "role", "x", "--verb=get,list", "--resource=nodes", "-n", k.ns, "--as=adam")
    k("create", "rolebinding", "fine", "--role=fine", "--user=x", "-n", k.ns, "--as=adam")
    k.fails("permissions not currently held", "create", "rolebinding", "y", "--clusterrole=cluster-admin", "--user=x", "-n", k.ns,
            "--as=adam")
    k.fails('"nope" not found', "create", "rolebinding", "z", "--role=nope", "--user=x", "-n", k.ns, "--as=adam")
    k("create", "role", "binder", "--verb=bind", "--resource=clusterroles.rbac.authorization.k8s.io", "-n", k.ns)
    k("create", "rolebinding", "binder", "--role=binder", "--user=adam", "-n", k.ns)
    k("create", "rolebinding", "y", "--clusterrole=cluster-admin", "--user=x", "-n", k.ns, "--as=adam")
    k.fails("cannot change roleRef", "patch", "rolebinding", "fine", "-n", k.ns, "--type=merge", "-p",
            '{"roleRef":{"kind":"ClusterRole","name":"view"}}')
    k("auth", "reconcile", "-n", k.ns, "-f", "-", stdin=json.dumps({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "fine", "namespace": k.ns},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]}))
    assert len(k.json("get", "role", "fine", "-n", k.ns)["rules"]) == 2


def request_token(k, account, spec):
    path = "/api/v1/namespaces/%s/serviceaccounts/%s/token" % (k.ns, account)
    return http_get(k.server, path, "admin", data=json.dumps({"spec": spec}).encode())


def test_account_tokens(k):
    k("create", "serviceaccount", "robot", "-n", k.ns)
    if k.minor >= 24:
        me = who(k.server, k("create", "token", "robot", "-n", k.ns).strip())
        assert me["username"] == "system:serviceaccount:%s:robot" % k.ns
        assert "system:serviceaccounts:" + k.ns in me["groups"]
        assert who(k.server, k("create", "token", "robot", "-n", k.ns, "--audience=vault").strip()) == 401
    # admin is a token of --plain servers and of this one alike
    status, body, _ = request_token(k, "robot", {"audiences": ["vault"]})
    assert status == 201, body
    vault = body["status"]["token"]
    review = {"spec": {"token": vault, "audiences": ["vault", "other"]}}
    body = http_get(k.server, "/apis/authentication.k8s.io/v1/tokenreviews", "admin", data=json.dumps(review).encode())[1]
    assert body["status"]["authenticated"] and body["status"]["audiences"] == ["vault"]
    review["spec"].pop("audiences")
    body = http_get(k.server, "/apis/authentication.k8s.io/v1/tokenreviews", "admin", data=json.dumps(review).encode())[1]
    assert not body["status"].get("authenticated") and "audience" in body["status"]["error"]
    assert request_token(k, "robot", {"expirationSeconds": 60})[0] == 422
    assert request_token(k, "robot", {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "no"}})[0] == 404
    k("create", "secret", "generic", "bound", "-n", k.ns)
    bound = request_token(k, "robot", {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "bound"}})[1]["status"]["token"]
    assert who(k.server, bound)["username"].endswith(":robot")
    k("delete", "secret", "bound", "-n", k.ns)
    assert who(k.server, bound) == 401
    plain = request_token(k, "robot", {})[1]["status"]["token"]
    assert who(k.server, plain) != 401
    k("delete", "serviceaccount", "robot", "-n", k.ns)
    assert who(k.server, plain) == 401


def test_token_in_a_secret(k):
    k("create", "serviceaccount", "old", "-n", k.ns)
    k("apply", "-n", k.ns, "-f", "-", stdin="""{"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
      "metadata": {"name": "old", "annotations": {"kubernetes.io/service-account.name": "old"}}}""")
    wait_for(lambda: k.json("get", "secret", "old", "-n", k.ns).get("data", {}).get("token"), "the token")
    data = k.json("get", "secret", "old", "-n", k.ns)["data"]
    assert base64.b64decode(data["namespace"]).decode() == k.ns and "BEGIN CERT" in base64.b64decode(data["ca.crt"]).decode()
    token = base64.b64decode(data["token"]).decode()
    assert who(k.server, token)["username"] == "system:serviceaccount:%s:old" % k.ns
    k("delete", "serviceaccount", "old", "-n", k.ns)
    wait_for(lambda: k.run("get", "secret", "old", "-n", k.ns)[0] != 0, "the Secret to go with its account")
    assert who(k.server, token) == 401


def test_key_rotation_and_jwks(server):
    keys = http_get(server, "/openid/v1/jwks", "admin")[1]["keys"]
    assert [(key["crv"], key["alg"]) for key in keys] == [("P-256", "ES256"), ("P-384", "ES384")]
    assert http_get(server, "/.well-known/openid-configuration", "admin")[0] == 404  # the issuer is no URL


def events(server):
    with open(os.path.join(server.dir, "audit.log")) as f:
        return [json.loads(line) for line in f if line.endswith("\n")]


def test_audit(k):
    k("create", "configmap", "seen", "--from-literal=a=b", "-n", k.ns)
    k("create", "secret", "generic", "hidden", "--from-literal=a=b", "-n", k.ns)
    k.run("create", "configmap", "refused", "-n", k.ns, "--as=nobody")
    mine = lambda: [e for e in events(k.server) if e.get("objectRef", {}).get("namespace") == k.ns and e["verb"] == "create"]
    def event(holds):
        found = []
        wait_for(lambda: found.extend(e for e in mine() if holds(e)) or found, "the event")
        return found[0]
    seen = event(lambda e: e["objectRef"].get("name") == "seen")
    assert seen["level"] == "RequestResponse" and seen["stage"] == "ResponseComplete" and seen["responseStatus"]["code"] == 201
    assert seen["requestObject"]["data"] == seen["responseObject"]["data"] == {"a": "b"}
    assert "managedFields" not in seen["responseObject"]["metadata"]
    assert seen["user"]["username"] == "admin" and seen["sourceIPs"] == ["127.0.0.1"] and "kubectl" in seen["userAgent"]
    assert seen["annotations"]["authorization.k8s.io/decision"] == "allow"
    hidden = event(lambda e: e["objectRef"].get("name") == "hidden")
    assert hidden["level"] == "Metadata" and "requestObject" not in hidden and "responseObject" not in hidden
    no = event(lambda e: e.get("impersonatedUser", {}).get("username") == "nobody")
    assert no["responseStatus"]["code"] == 403 and no["annotations"]["authorization.k8s.io/decision"] == "forbid"


def test_anonymous_can_be_refused(tmp_path):
    s = Server(tmp_path, "--anonymous-paths", "/readyz")
    s.start()
    assert http_get(s, "/readyz")[0] == 200
    assert http_get(s, "/version")[0] == 401
    s.stop()
    s.flags = ("--anonymous-auth=false",)
    s.start()
    assert http_get(s, "/readyz")[0] == 401
    assert http_get(s, "/readyz", "bob")[0] == 200
    s.stop()


def test_a_bad_policy_stops_the_start(tmp_path):
    (tmp_path / "p.yaml").write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Some}]\n")
    p = subprocess.run([binary(), str(tmp_path), "--audit-policy-file", str(tmp_path / "p.yaml"), "--audit-log-path",
                        str(tmp_path / "a.log")], capture_output=True, text=True, timeout=60)
    assert p.returncode == 1
    assert "level must be None, Metadata, Request or RequestResponse" in p.stdout + p.stderr
