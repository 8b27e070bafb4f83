# SPDX-License-Identifier: Apache-2.0
"""Roles and bindings at their edges, through kubectl and plain requests.

    kubectl, HTTP --TLS--> hansa-apid --access-controllers
"""
import json

import pytest

from test_admission import Api
from test_engine_kubectl import Kubectl, Server, kubectls, wait_for

RBAC = "rbac.authorization.k8s.io"
V1 = "/api/v1/namespaces/"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("rbac"), "--access-controllers")
    s.start()
    yield s
    s.stop()


@pytest.fixture(scope="module")
def k(server, tmp_path_factory):
    return Kubectl(kubectls()[-1], server, tmp_path_factory.mktemp("home"))


@pytest.fixture
def ns(k, request):
    name = request.node.name.replace("_", "-").replace("test-", "")
    k("create", "namespace", name)
    return name


def apply(k, kind, name, ns=None, as_user=None, **body):
    meta = {"name": name, **({"namespace": ns} if ns else {}), **body.pop("metadata", {})}
    doc = {"apiVersion": RBAC + "/v1", "kind": kind, "metadata": meta, **body}
    k("apply", "-f", "-", *(["--as=" + as_user] if as_user else []), stdin=json.dumps(doc))


def rule(verbs, resources=(), groups=("",), names=(), urls=()):
    r = {"verbs": verbs.split(",")}
    if urls:
        return {**r, "nonResourceURLs": list(urls)}
    r.update(apiGroups=list(groups), resources=list(resources))
    return {**r, "resourceNames": list(names)} if names else r


def may(k, user, *question):
    return k.run("auth", "can-i", *question, "--as=" + user)[1].split()[0] == "yes"


def test_resource_names(k, server, ns):
    """A list or watch of one name is about that name."""
    apply(k, "Role", "one", ns, rules=[rule("get,list,watch,delete,deletecollection", ["configmaps"], names=["a"])])
    k("create", "rolebinding", "one", "--role=one", "--user=ann", "-n", ns)
    for name in "ab":
        k("create", "configmap", name, "-n", ns)
    ann = lambda path, verb="GET": Api(server)(verb, V1 + ns + "/configmaps" + path, Impersonate_User="ann")
    assert ann("/a").status == 200 and ann("/b").status == 403
    refused = ann("")
    assert refused.status == 403 and 'User "ann" cannot list resource "configmaps"' in refused.data["message"]
    got = ann("?fieldSelector=metadata.name%3Da")
    assert got.status == 200 and [i["metadata"]["name"] for i in got.data["items"]] == ["a"]
    assert ann("?fieldSelector=metadata.name%3Da&watch=1&timeoutSeconds=1").status == 200
    refused = ann("?fieldSelector=metadata.name%3Db")
    assert refused.status == 403 and refused.data["message"].startswith('configmaps "b" is forbidden: User "ann" cannot list')
    for selector in ("metadata.name%21%3Da", "metadata.namespace%3D" + ns, "data.x%3D1"):
        assert ann("?fieldSelector=" + selector).status == 403, selector
    assert ann("?watch=1").status == 403
    assert k("get", "configmaps", "--field-selector=metadata.name=a", "-n", ns, "--as=ann", "-o", "name") == "configmap/a\n"
    assert ann("", "DELETE").status == 403
    assert ann("?fieldSelector=metadata.name%3Da", "DELETE").status == 200
    assert ann("/a").status == 404 and k("get", "configmap", "b", "-n", ns)
    # Names say nothing about a create, which has none yet.
    apply(k, "Role", "one", ns, rules=[rule("create", ["configmaps"], names=["c"])])
    assert not may(k, "ann", "create", "configmaps", "-n", ns)


def test_paths(k, server):
    apply(k, "ClusterRole", "paths", rules=[rule("get", urls=["/logs/*", "/exact"])])
    k("create", "clusterrolebinding", "paths", "--clusterrole=paths", "--user=pat")
    for path, yes in (("/logs/", True), ("/logs/a/b", True), ("/logs", False), ("/exact", True), ("/exact/x", False),
                      ("/metrics", False)):
        assert may(k, "pat", "get", path) == yes, path
        api = Api(server)
        assert (api("GET", path, Impersonate_User="pat").status != 403) == yes, path
    assert not may(k, "pat", "post", "/exact")
    apply(k, "ClusterRole", "paths", rules=[rule("*", urls=["*"])])
    assert may(k, "pat", "post", "/exact") and may(k, "pat", "get", "/metrics")
    assert not may(k, "pat", "get", "pods")
    # A path in a Role says nothing: paths are in no namespace.
    k.fails("nonResourceURLs", "apply", "-f", "-", stdin=json.dumps(
        {"apiVersion": RBAC + "/v1", "kind": "Role", "metadata": {"name": "p", "namespace": "default"},
         "rules": [rule("get", urls=["/x"])]}))


def test_subresources(k, ns):
    """A star stands for a whole resource or for the resource of a subresource: pods/star is no pattern, as in Kubernetes."""
    for resources, yes, no in ((["pods"], ["pods"], ["pods/log"]), (["pods/log"], ["pods/log"], ["pods", "pods/exec"]),
                               (["*/log"], ["pods/log"], ["pods", "pods/exec"]), (["*"], ["pods", "pods/log"], []),
                               (["pods/*"], [], ["pods", "pods/log", "pods/exec"])):
        apply(k, "Role", "r", ns, rules=[rule("get", resources)])
        if k.run("get", "rolebinding", "r", "-n", ns)[0]:
            k("create", "rolebinding", "r", "--role=r", "--user=sub", "-n", ns)
        for q in yes + no:
            resource, _, sub = q.partition("/")
            assert may(k, "sub", "get", resource, "-n", ns, *(["--subresource=" + sub] if sub else [])) == (q in yes), (resources, q)


def test_sums_follow_their_selectors(k):
    apply(k, "ClusterRole", "part-a", metadata={"labels": {"to-sum": "yes"}}, rules=[rule("get", ["secrets"])])
    apply(k, "ClusterRole", "part-b", metadata={"labels": {"tier": "b"}}, rules=[rule("list", ["nodes"])])
    apply(k, "ClusterRole", "sum", aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"to-sum": "yes"}}]}, rules=[])
    k("create", "clusterrolebinding", "sum", "--clusterrole=sum", "--user=sue")
    wait_for(lambda: may(k, "sue", "get", "secrets"), "the first part")
    assert not may(k, "sue", "list", "nodes")
    # Another selector, of expressions; two that both match; the label goes; the rule of a part changes.
    apply(k, "ClusterRole", "sum", aggregationRule={"clusterRoleSelectors": [
        {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["b", "c"]}]}]})
    wait_for(lambda: may(k, "sue", "list", "nodes") and not may(k, "sue", "get", "secrets"), "the other selector")
    apply(k, "ClusterRole", "sum", aggregationRule={"clusterRoleSelectors": [
        {"matchLabels": {"tier": "b"}}, {"matchLabels": {"to-sum": "yes"}}]})
    wait_for(lambda: may(k, "sue", "list", "nodes") and may(k, "sue", "get", "secrets"), "both")
    k("label", "clusterrole", "part-a", "to-sum-")
    wait_for(lambda: not may(k, "sue", "get", "secrets"), "the label to be gone")
    apply(k, "ClusterRole", "part-b", metadata={"labels": {"tier": "b"}}, rules=[rule("watch", ["nodes"])])
    wait_for(lambda: may(k, "sue", "watch", "nodes") and not may(k, "sue", "list", "nodes"), "the part's new rule")
    # What somebody writes into the sum does not stay.
    k("patch", "clusterrole", "sum", "--type=json", "-p", json.dumps([{"op": "add", "path": "/rules/-", "value": rule("get", ["events"])}]))
    wait_for(lambda: not may(k, "sue", "get", "events"), "the sum to be made anew")
    assert may(k, "sue", "watch", "nodes")


def test_escalate_and_bind(k, ns):
    k("create", "rolebinding", "adam", "--clusterrole=admin", "--user=adam", "-n", ns)
    wait_for(lambda: may(k, "adam", "create", "roles", "-n", ns), "admin to be aggregated")
    k("create", "role", "r", "--verb=get", "--resource=pods", "-n", ns, "--as=adam")
    more = json.dumps({"rules": [rule("get", ["pods"]), rule("get", ["nodes"])]})
    k.fails("attempting to grant RBAC permissions not currently held", "patch", "role", "r", "-n", ns, "--type=merge", "-p", more,
            "--as=adam")
    # What does not touch the rules is not about them; fewer rules are fine.
    k("label", "role", "r", "a=b", "-n", ns, "--as=adam")
    apply(k, "Role", "escalates", ns, rules=[rule("escalate", ["roles"], [RBAC], ["r"])])
    k("create", "rolebinding", "escalates", "--role=escalates", "--user=adam", "-n", ns)
    k("patch", "role", "r", "-n", ns, "--type=merge", "-p", more, "--as=adam")
    k("label", "role", "r", "a-", "-n", ns, "--as=adam")
    k.fails("not currently held", "create", "role", "r2", "--verb=get", "--resource=nodes", "-n", ns, "--as=adam")
    # bind: for the named role only; of a binding to a role that is not held.
    k.fails("not currently held", "create", "rolebinding", "x", "--clusterrole=cluster-admin", "--user=x", "-n", ns, "--as=adam")
    apply(k, "Role", "binds", ns, rules=[rule("bind", ["clusterroles"], [RBAC], ["system:monitoring"])])
    k("create", "rolebinding", "binds", "--role=binds", "--user=adam", "-n", ns)
    k("create", "rolebinding", "x", "--clusterrole=system:monitoring", "--user=x", "-n", ns, "--as=adam")
    k.fails("not currently held", "create", "rolebinding", "y", "--clusterrole=cluster-admin", "--user=x", "-n", ns, "--as=adam")
    # Subjects are added by the same right.
    k("patch", "rolebinding", "x", "-n", ns, "--type=merge", "--as=adam", "-p",
      json.dumps({"subjects": [{"kind": "User", "name": "z", "apiGroup": RBAC}]}))
    # An aggregated role of one's own needs the right to everything.
    apply(k, "ClusterRole", "writes-roles", rules=[rule("create", ["clusterroles"], [RBAC])])
    k("create", "clusterrolebinding", "writes-roles", "--clusterrole=writes-roles", "--user=adam")
    k.fails("must have cluster-admin privileges to use an aggregationRule", "create", "clusterrole", "mine", "--aggregation-rule=a=b",
            "--as=adam")


def test_a_role_that_goes_while_it_is_bound(k, server, ns):
    k("create", "role", "r", "--verb=get", "--resource=pods", "-n", ns)
    k("create", "rolebinding", "b", "--role=r", "--user=rob", "-n", ns)
    assert may(k, "rob", "get", "pods", "-n", ns)
    k("delete", "role", "r", "-n", ns)
    assert not may(k, "rob", "get", "pods", "-n", ns)
    refused = Api(server)("GET", V1 + ns + "/pods/x", Impersonate_User="rob")
    assert refused.data["message"] == (
        'pods "x" is forbidden: User "rob" cannot get resource "pods" in API group "" in the namespace "%s": RBAC: '
        'role.rbac.authorization.k8s.io "r" not found' % ns)
    k("create", "role", "r", "--verb=get", "--resource=pods", "-n", ns)
    assert may(k, "rob", "get", "pods", "-n", ns)
    k("delete", "rolebinding", "b", "-n", ns)
    assert not may(k, "rob", "get", "pods", "-n", ns)


def test_what_may_i(k, server, ns):
    apply(k, "ClusterRole", "wide", rules=[rule("get,list", ["deployments"], ["apps"]), rule("get", urls=["/logs/*"])])
    apply(k, "Role", "narrow", ns, rules=[rule("get", ["secrets"], names=["a", "b"]), rule("create", ["pods/exec"])])
    k("create", "clusterrolebinding", "wide", "--clusterrole=wide", "--group=crew")
    k("create", "rolebinding", "narrow", "--role=narrow", "--user=lea", "-n", ns)
    k("create", "rolebinding", "by-cluster-role", "--clusterrole=wide", "--user=lea", "-n", "default")
    lines = k("auth", "can-i", "--list", "-n", ns, "--as=lea", "--as-group=crew", "--as-group=system:authenticated").splitlines()
    table = {tuple(line.split("[")[0].split()): line for line in lines[1:]}
    assert lines[0].split() == ["Resources", "Non-Resource", "URLs", "Resource", "Names", "Verbs"]
    assert {n for n in "ab" for line in lines if line.startswith("secrets ") and "[%s]" % n in line and "[get]" in line} == {"a", "b"}
    assert "[create]" in table[("pods/exec",)] and "[get list]" in table[("deployments.apps",)]
    assert "[create]" in table[("selfsubjectaccessreviews.authorization.k8s.io",)]
    assert any("[/logs/*]" in line and "[get]" in line for line in lines) and any("[/healthz]" in line for line in lines)
    # In another namespace the role of this one does not count; a ClusterRole bound in a namespace gives no paths.
    other = k("auth", "can-i", "--list", "-n", "default", "--as=lea")
    assert "deployments.apps" in other and "secrets" not in other
    status = Api(server)("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "default"}},
                         Impersonate_User="lea").data["status"]
    assert status["incomplete"] is False
    assert {"verbs": ["get", "list"], "apiGroups": ["apps"], "resources": ["deployments"]} in status["resourceRules"]
    assert not may(k, "lea", "get", "/logs/x")
    everything = k("auth", "can-i", "--list")
    assert "*.*" in everything and "[*]" in everything


def test_reconcile(k, ns):
    role = {"apiVersion": RBAC + "/v1", "kind": "Role", "metadata": {"name": "r", "namespace": ns}, "rules": [rule("get", ["pods"])]}
    binding = {"apiVersion": RBAC + "/v1", "kind": "RoleBinding", "metadata": {"name": "b", "namespace": ns},
               "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "r"},
               "subjects": [{"kind": "User", "name": "u", "apiGroup": RBAC}]}
    reconcile = lambda *docs, flags=(): k("auth", "reconcile", *flags, "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": docs}))
    assert "reconciled" in reconcile(role, binding)
    assert may(k, "u", "get", "pods", "-n", ns)
    # Rules and subjects are added; more with --remove-extra-…; another roleRef makes the binding anew.
    reconcile({**role, "rules": [rule("list", ["pods"])]}, {**binding, "subjects": [{"kind": "User", "name": "v", "apiGroup": RBAC}]})
    assert may(k, "u", "get", "pods", "-n", ns) and may(k, "v", "list", "pods", "-n", ns)
    reconcile({**role, "rules": [rule("list", ["pods"])]}, flags=("--remove-extra-permissions",))
    assert not may(k, "u", "get", "pods", "-n", ns) and may(k, "u", "list", "pods", "-n", ns)
    before = k.json("get", "rolebinding", "b", "-n", ns)["metadata"]["uid"]
    wait_for(lambda: k.json("get", "clusterrole", "view")["rules"], "view")
    reconcile({**binding, "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}})
    after = k.json("get", "rolebinding", "b", "-n", ns)
    assert after["metadata"]["uid"] != before and after["roleRef"]["name"] == "view"
    assert may(k, "u", "get", "configmaps", "-n", ns)


def test_roles_of_every_server(tmp_path):
    """What a start makes, what the next one puts back, and what it leaves alone."""
    server = Server(tmp_path / "server", "--access-controllers", "--store=sqlite")
    (tmp_path / "server").mkdir()
    server.start()
    try:
        k = Kubectl(kubectls()[-1], server, tmp_path)
        names = lambda kind, *ns: {n.split("/", 1)[1] for n in k("get", kind, *ns, "-o", "name").split()}
        roles, bound = names("clusterroles"), names("clusterrolebindings")
        assert {"system:node", "system:node-proxier", "system:kube-scheduler", "system:persistent-volume-provisioner",
                "system:kubelet-api-admin", "system:certificates.k8s.io:kubelet-serving-approver"} <= roles
        controllers = {n for n in roles if n.startswith("system:controller:")}
        assert len(controllers) > 30 and controllers <= bound
        assert "system::extension-apiserver-authentication-reader" in names("rolebindings", "-n", "kube-system")
        can = lambda user, *what: k.run("auth", "can-i", *what, "--as=" + user)[1].split()[0]
        assert can("system:kube-scheduler", "create", "pods", "--subresource=binding") == "yes"
        assert can("system:kube-scheduler", "get", "secrets", "-n", "kube-system") == "no"
        assert can("system:kube-controller-manager", "get",
                   "configmaps/extension-apiserver-authentication", "-n", "kube-system") == "yes"
        assert can("system:serviceaccount:kube-system:job-controller", "create", "pods", "-n", "default") == "yes"
        assert can("system:node:n", "get", "nodes") == "no"  # bound to nobody, as there
        k("patch", "clusterrole", "system:node-proxier", "--type=merge", "-p", json.dumps({"rules": [rule("get", ["secrets"])]}))
        k("patch", "clusterrolebinding", "system:kube-dns", "--type=merge", "-p", json.dumps({
            "subjects": [{"kind": "User", "apiGroup": RBAC, "name": "own"}]}))
        k("delete", "clusterrolebinding", "system:controller:job-controller")
        k("patch", "role", "-n", "kube-system", "system:controller:cloud-provider", "--type=merge", "-p", json.dumps({
            "rules": [], "metadata": {"annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}}}))
        server.stop()
        server.start()
        k("get", "clusterrolebinding", "system:controller:job-controller")
        verbs = [(r.get("resources"), r["verbs"]) for r in k.json("get", "clusterrole", "system:node-proxier")["rules"]]
        assert (["secrets"], ["get"]) in verbs and (["nodes"], ["get", "list", "watch"]) in verbs
        subjects = k.json("get", "clusterrolebinding", "system:kube-dns")["subjects"]
        assert [s["name"] for s in subjects] == ["own", "kube-dns"]
        assert k.json("get", "role", "-n", "kube-system", "system:controller:cloud-provider").get("rules") is None
        # What is as it should be is not written again.
        rv = lambda: k.json("get", "clusterroles,clusterrolebindings")["items"]
        before = rv()
        server.stop()
        server.start()
        assert rv() == before
    finally:
        server.stop()
