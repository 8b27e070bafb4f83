# SPDX-License-Identifier: Apache-2.0
"""Bearer tokens through their life: what they are bound to, their time, audiences, keys that change, an issuer that is away.

    python OIDC issuer, may be away  <--keys--  hansa-apid --service-account-signing-key-file RSA key of this test
    kubectl create token --TLS-->
"""
import base64
import http.server
import json
import os
import signal
import ssl
import threading
import time

import pytest

from test_access import Issuer, b64, http_get, openssl, who
from test_engine_kubectl import Kubectl, Server, kubectls, wait_for

NEWEST = kubectls()[-1:]
SA = "kubernetes/serviceaccount"


def new_key(path):
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(path))


def signed(key, claims, **head):
    text = b64(json.dumps({"alg": "RS256", **head}).encode()) + "." + b64(json.dumps(claims).encode())
    return text + "." + b64(openssl("dgst", "-sha256", "-sign", str(key), stdin=text.encode()))


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def kid_of(token):
    part = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["kid"]


def said(server, words):
    with open(os.path.join(server.dir, "log")) as f:
        return f.read().count(words)


def hup(server, words="were read again"):
    before = said(server, words)
    server.proc.send_signal(signal.SIGHUP)
    wait_for(lambda: said(server, words) > before, "the files to be read again")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    for name in ("one.key", "two.key"):
        new_key(folder / name)
    (folder / "sign.key").write_bytes((folder / "one.key").read_bytes())
    (folder / "more.key").write_bytes((folder / "two.key").read_bytes())
    (folder / "tokens.csv").write_text('s3cret,carl,7,"ops"\n')
    s = Server(folder, "--access-controllers", "--token-auth-file", str(folder / "tokens.csv"),
               "--service-account-signing-key-file", str(folder / "sign.key"), "--service-account-key-file",
               str(folder / "more.key"), "--api-audiences", "hansa,https://hansa.example")
    s.start()
    yield s
    s.stop()


@pytest.fixture(scope="module", params=[os.path.basename(k) for k in NEWEST])
def k(request, server, tmp_path_factory):
    it = Kubectl(NEWEST[0], server, tmp_path_factory.mktemp("home"))
    it("create", "namespace", "t")
    it("create", "serviceaccount", "robot", "-n", "t")
    return it


def request_token(k, *flags, account="robot"):
    """(exit code, token, error) of kubectl create token; the same request written out for a kubectl before 1.24."""
    if k.minor >= 24:
        rc, out, err = k.run("create", "token", account, "-n", "t", *flags)
        return rc, out.strip(), err
    spec = {}
    for name, value in zip(flags[::2], flags[1::2]):
        if name == "--audience":
            spec.setdefault("audiences", []).append(value)
        elif name == "--duration":
            spec["expirationSeconds"] = int(value[:-1]) * 60
        else:
            ref = spec.setdefault("boundObjectRef", {"apiVersion": "v1"})
            ref[name.rsplit("-", 1)[1]] = value
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    rc, out, err = k.run("create", "--raw", f"/api/v1/namespaces/t/serviceaccounts/{account}/token", "-f", "-", stdin=json.dumps(request))
    return rc, json.loads(out)["status"]["token"] if rc == 0 else "", err


def token(k, *flags):
    rc, it, err = request_token(k, *flags)
    assert rc == 0, (flags, err)
    return it


def no_token(k, want, *flags, account="robot"):
    rc, _, err = request_token(k, *flags, account=account)
    assert rc != 0 and want in err, (flags, err)


def pod(name, account="robot"):
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "t"}, "spec": {
        "serviceAccountName": account, "containers": [{"name": "c", "image": "x:1"}]}})


def test_bound_to_a_pod(k, server):
    k("apply", "-f", "-", stdin=pod("p"))
    uid = k.json("get", "pod", "p", "-n", "t")["metadata"]["uid"]
    bound = token(k, "--bound-object-kind", "Pod", "--bound-object-name", "p", "--bound-object-uid", uid, "--duration", "20m")
    c = claims_of(bound)
    assert c["kubernetes.io"]["pod"] == {"name": "p", "uid": uid} and c["exp"] - c["iat"] == 1200
    me = who(server, bound)
    assert me["username"] == "system:serviceaccount:t:robot"
    assert me["extra"]["authentication.kubernetes.io/pod-name"] == ["p"]
    assert me["extra"]["authentication.kubernetes.io/pod-uid"] == [uid]
    assert me["extra"]["authentication.kubernetes.io/credential-id"] == ["JTI=" + c["jti"]]
    k("delete", "pod", "p", "-n", "t", "--force", "--grace-period=0")
    assert who(server, bound) == 401
    k("apply", "-f", "-", stdin=pod("p"))  # another one of the same name
    assert who(server, bound) == 401
    no_token(k, "does not match the UID in record", "--bound-object-kind", "Pod", "--bound-object-name", "p",
             "--bound-object-uid", uid)
    no_token(k, 'pods "none" not found', "--bound-object-kind", "Pod", "--bound-object-name", "none")
    k("create", "serviceaccount", "other", "-n", "t")
    no_token(k, "different serviceaccount name", "--bound-object-kind", "Pod", "--bound-object-name", "p", account="other")


@pytest.mark.parametrize("kind", ["secret", "serviceaccount"])
def test_another_of_the_same_name(k, server, kind):
    if kind == "secret":
        k("create", "secret", "generic", "b", "-n", "t")
        bound = token(k, "--bound-object-kind", "Secret", "--bound-object-name", "b")
    else:
        bound = token(k)
    assert who(server, bound)["username"] == "system:serviceaccount:t:robot"
    name = "b" if kind == "secret" else "robot"
    k("delete", kind, name, "-n", "t")
    assert who(server, bound) == 401
    k("create", *(["secret", "generic"] if kind == "secret" else [kind]), name, "-n", "t")
    assert who(server, bound) == 401
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": bound}}
    status = json.loads(k("create", "-f", "-", "-o", "json", stdin=json.dumps(review)))["status"]
    assert not status.get("authenticated") and "is gone" in status["error"]


def test_durations_and_audiences(k, server):
    no_token(k, "10 minutes", "--duration", "9m")
    c = claims_of(token(k))
    assert c["exp"] - c["iat"] == 3600 and c["aud"] == ["hansa", "https://hansa.example"] and c["sub"].endswith(":t:robot")
    assert who(server, token(k, "--audience", "https://hansa.example", "--audience", "vault")) != 401
    vault = token(k, "--audience", "vault")
    assert who(server, vault) == 401
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
              "spec": {"token": vault, "audiences": ["x", "vault"]}}
    status = json.loads(k("create", "-f", "-", "-o", "json", stdin=json.dumps(review)))["status"]
    assert status["audiences"] == ["vault"] and status["user"]["username"] == "system:serviceaccount:t:robot"
    review["spec"]["audiences"] = ["x", "y"]
    status = json.loads(k("create", "-f", "-", "-o", "json", stdin=json.dumps(review)))["status"]
    assert status["error"] == 'token audiences ["vault"] is invalid for the target audiences ["x" "y"]'


def test_time(k, server):
    """Tokens of the server's own key with other times. A clock that is up to a minute ahead made no token of the future."""
    uid = k.json("get", "serviceaccount", "robot", "-n", "t")["metadata"]["uid"]
    now = int(time.time())

    def made(**more):
        claims = {"iss": SA, "aud": ["hansa"], "sub": "system:serviceaccount:t:robot", "iat": now, "nbf": now,
                  "exp": now + 600, "kubernetes.io": {"namespace": "t", "serviceaccount": {"name": "robot", "uid": uid}}}
        claims.update(more)
        return signed(os.path.join(server.dir, "one.key"), {a: b for a, b in claims.items() if b is not None})
    assert who(server, made()) != 401
    assert who(server, made(nbf=now + 30)) != 401
    for bad in (made(nbf=now + 600), made(exp=now - 1), made(exp=None), made(exp="x"), made(iss="https://other"),
                made(aud="other"), made(aud=[]), made(aud=None), made(**{"kubernetes.io": {"namespace": "t"}}),
                made(**{"kubernetes.io": {"namespace": "t", "serviceaccount": {"name": "robot", "uid": "of-another"}}})):
        assert who(server, bad) == 401, claims_of(bad)
    soon = made(exp=int(time.time()) + 3)
    assert who(server, soon) != 401
    wait_for(lambda: who(server, soon) == 401, "the token to end")


def test_keys_change_without_a_restart(k, server):
    sign, more = (os.path.join(server.dir, n) for n in ("sign.key", "more.key"))
    one, two = (os.path.join(server.dir, n) for n in ("one.key", "two.key"))

    def copy(key, to):
        openssl("pkey", "-in", key, "-out", to + ".new")
        os.rename(to + ".new", to)
    old = token(k)
    assert who(server, old) != 401
    # The new key signs, the old one verifies.
    copy(two, sign)
    copy(one, more)
    hup(server)
    new = token(k)
    assert kid_of(new) != kid_of(old)
    assert who(server, old) != 401 and who(server, new) != 401
    ids = [key["kid"] for key in http_get(server, "/openid/v1/jwks", "admin")[1]["keys"]]
    assert kid_of(new) == ids[0] and kid_of(old) in ids
    # A file that is no key changes nothing.
    with open(more, "w") as f:
        f.write("-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n")
    hup(server, "stay as they were")
    assert who(server, old) != 401 and who(server, token(k)) != 401
    # The old key is taken away: its tokens end, at once, also those that were kept as good.
    copy(two, more)
    hup(server)
    assert who(server, old) == 401 and who(server, new) != 401
    assert kid_of(old) not in [key["kid"] for key in http_get(server, "/openid/v1/jwks", "admin")[1]["keys"]]
    copy(one, sign)  # as the other tests expect it
    hup(server)


def test_static_tokens_are_read_again(server):
    path = os.path.join(server.dir, "tokens.csv")
    assert who(server, "s3cret")["username"] == "carl"
    with open(path, "w") as f:
        f.write('# of the night shift\nn1ght,dora,8,"ops,night"\n')
    hup(server)
    assert who(server, "s3cret") == 401
    assert who(server, "n1ght") == {"username": "dora", "uid": "8", "groups": ["ops", "night", "system:authenticated"]}
    with open(path, "w") as f:
        f.write("broken\n")
    hup(server, "stay as they were")
    assert said(server, "line 1: not TOKEN,USER,UID")
    assert who(server, "n1ght")["username"] == "dora"
    with open(path, "w") as f:
        f.write("l8ter,emil,9\n")
    wait_for(lambda: who(server, "l8ter") != 401, "the file to be looked at", 30)


def test_an_issuer_that_is_away(tmp_path):
    """At the start its tokens are refused and all else works; later its last keys serve, and new ones are fetched."""
    issuer = Issuer(tmp_path)
    issuer.new_key("one")
    port = issuer.server.server_address[1]
    issuer.server.shutdown()
    issuer.server.server_close()
    s = Server(tmp_path, "--oidc-issuer-url", issuer.url, "--oidc-client-id", "hansa", "--oidc-ca-file",
               issuer.path("tls.crt"), "--oidc-groups-claim", "groups", "--oidc-groups-prefix", "idp/",
               "--oidc-username-prefix", "-")
    s.start()
    try:
        good = issuer.token("one", groups=["a", "system:masters"])
        assert who(s, good) == 401 and who(s, "bob")["username"] == "bob"
        again = Issuer.__new__(Issuer)
        again.__dict__.update(issuer.__dict__)
        serve(again, port)
        wait_for(lambda: who(s, good) != 401, "the keys", 90)
        assert who(s, good) == {"username": "ann", "groups": ["idp/a", "idp/system:masters", "system:authenticated"]}
        assert who(s, issuer.token("one", aud=["x", "hansa"])) != 401  # one of several
        assert who(s, issuer.token("one", aud=["x", "y"])) == 401
        assert who(s, issuer.token("one", aud="x", azp="hansa")) == 401  # azp is no audience
        assert who(s, issuer.token("one", aud="hansa", azp="other")) != 401  # and not asked for, as in Kubernetes
        assert who(s, issuer.token("one", sub="system:admin")) == 401
        again.server.shutdown()
        again.server.server_close()
        assert who(s, issuer.token("one", sub="bea"))["username"] == "bea"  # the keys are known
        issuer.new_key("two")
        assert who(s, issuer.token("two")) == 401
        assert who(s, issuer.token("one"))["username"] == "ann"
        serve(again, port)
        wait_for(lambda: who(s, issuer.token("two")) != 401, "the new key", 90)
        del issuer.keys["one"]
        issuer.new_key("three")
        wait_for(lambda: who(s, issuer.token("three")) != 401, "the third key", 90)
        assert who(s, issuer.token("one")) == 401  # the issuer withdrew it
        again.server.shutdown()
        again.server.server_close()
    finally:
        s.stop()


def serve(issuer, port):
    """The issuer again, at the port where it was."""
    issuer.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), issuer.handler())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issuer.path("tls.crt"), issuer.path("tls.key"))
    issuer.server.socket = context.wrap_socket(issuer.server.socket, server_side=True)
    threading.Thread(target=issuer.server.serve_forever, daemon=True).start()
