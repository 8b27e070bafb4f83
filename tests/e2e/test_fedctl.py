# SPDX-License-Identifier: Apache-2.0
"""kubefed: each verb does what it says, again does nothing, and a mistake leaves nothing half made.

        federation   us-east1 (host) europe-west1 asia-east1      the session's: only looked at, or left as found
        small        alpha (host) beta                            its own: clusters leave and come back
"""
import json
import os
import signal
import stat
import time

import pytest

from etcd_lib import ETCD, Etcd
from fed import BIN, ROOT, Federation, poll, run


@pytest.fixture(scope="module")
def small(make_federation):
    return make_federation("--federation=fed", "--dns-zone-name=small.example.",
                           "--clusters=alpha=north/north-a@60.1,24.9,beta=south/south-a@-33.9,18.4")


def versions(fed, *argv, context="fed"):
    """{kind/namespace/name: resourceVersion} of these objects."""
    out = fed.kubectl("--context", context, "get", *argv, "-o",
                      'jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name} '
                      '{.metadata.resourceVersion}{"\\n"}{end}').stdout
    return dict(line.split() for line in out.splitlines())


def everything_of(fed, context, host, namespace):
    made = versions(fed, "configmaps,services,daemonsets,secrets,namespaces", "-A", context=context)
    made.update(versions(fed, "secrets,services,deployments", "-n", namespace, context=host))
    return made


def everything(fed, host):
    return everything_of(fed, "fed", host, "federation-system")


def quiet(fed, host):
    """Everything, when what tests before this one have begun is through."""
    def still():
        now = everything(fed, host)
        return now if now == everything(fed, host) else None
    return poll(still, timeout=60, what="quiet")


# --- up ---

def test_up_makes_its_folder(federation):
    assert stat.S_IMODE(federation.dir.stat().st_mode) == 0o700
    for name in ("kubeconfig", "env", ".hansa-federation"):
        assert stat.S_IMODE((federation.dir / name).stat().st_mode) == 0o600, name
    contexts = federation.kubectl("config", "get-contexts", "-o", "name").stdout.split()
    assert sorted(contexts) == ["asia-east1", "europe-west1", "fed", "us-east1"]
    assert federation.kubectl("config", "current-context").stdout.strip() == "fed"


def test_env_tells_where_it_listens(federation):
    for variable in ("HANSA_DNS_ALL", "HANSA_LB"):
        assert list(federation.addresses(variable)) == ["us-east1", "europe-west1", "asia-east1"]
    assert federation.env["HANSA_DNS"] in federation.addresses("HANSA_DNS_ALL").values()
    assert federation.env["KUBECONFIG"] == str(federation.dir / "kubeconfig")
    assert federation.env["PATH"].split(":")[0] == str(BIN)


def test_clusters_are_ready_with_their_places(federation):
    clusters = {c["metadata"]["name"]: c for c in federation.get("clusters")["items"]}
    assert set(clusters) == {"us-east1", "europe-west1", "asia-east1"}
    for name, cluster in clusters.items():
        ready = [c for c in cluster["status"]["conditions"] if c["type"] == "Ready"]
        assert ready and ready[0]["status"] == "True", name
        assert cluster["status"]["region"] == name
        assert cluster["status"]["zones"], name
        assert "federation.hansa.io/coordinates" in cluster["metadata"]["annotations"], name
    web = federation.get("clusters", "-l", "tier=web")["items"]
    assert sorted(c["metadata"]["name"] for c in web) == ["europe-west1", "us-east1"]


def test_up_again_is_quick_and_changes_nothing(federation):
    before, env, config = (quiet(federation, "us-east1"), (federation.dir / "env").read_text(),
                           (federation.dir / "kubeconfig").read_text())
    pids = set(federation.pids())
    start = time.monotonic()
    out = federation.up().stdout
    assert time.monotonic() - start < 10
    assert " created" not in out and " configured" not in out, out
    assert everything(federation, "us-east1") == before
    assert (federation.dir / "env").read_text() == env
    assert (federation.dir / "kubeconfig").read_text() == config
    assert pids <= set(federation.pids())


def test_up_shows_what_it_does(federation):
    out = federation.up("--dry-run").stdout
    for words in ("+ hansa-member --name us-east1", "+ kubefed init fed", "+ kubefed join europe-west1"):
        assert words in out


def test_what_up_shows_can_be_typed(tmp_path, federation):
    """The lines of a dry run, typed one after the other, make the same federation."""
    env, dir = dict(federation.env), tmp_path / "typed"
    env.pop("KUBECONFIG")
    shown = run(BIN / "kubefed", "up", "--dir", dir, "--clusters=solo", "--dry-run", env=env).stdout
    assert not dir.exists()
    wait = f"until kubectl --kubeconfig {dir}/solo/kubeconfig get --raw /readyz; do sleep 0.1; done"
    lines = [line[2:] for line in shown.splitlines() if line.startswith("+ ")]
    assert lines[0] == f"mkdir -p -m 700 {dir}" and lines[2].startswith("hansa-member ") and lines[2].endswith("2>&1 &")
    try:
        run("sh", "-ec", "\n".join(lines[:3] + [wait] + lines[3:]), env=env, timeout=120)
        env["KUBECONFIG"] = str(dir / "kubeconfig")
        assert " Ready " in run("kubectl", "--context", "fed", "get", "clusters", env=env).stdout
    finally:
        run(BIN / "hansa-member", "stop", "--dir", dir / "solo", "--stop-pods", check=False)


def test_up_refuses_a_folder_of_others(tmp_path):
    (tmp_path / "precious").write_text("x")
    done = run(BIN / "kubefed", "up", "--dir", tmp_path, check=False)
    assert done.returncode == 1 and "not empty" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["precious"]


def test_up_takes_the_name_from_the_folder(tmp_path):
    (tmp_path / ".hansa-federation").write_text(json.dumps({"federation": "two", "zone": "example.com.", "clusters": [{"name": "a"}]}))
    up = (BIN / "kubefed", "up", "--dir", tmp_path)
    assert "+ kubefed init two" in run(*up, "--dry-run").stdout
    done = run(*up, "--federation=fed", check=False)
    assert done.returncode == 1 and 'has the federation "two"' in done.stderr
    done = run(*up, "--clusters=two", check=False)
    assert done.returncode == 1 and "the federation's own name" in done.stderr


def test_down_touches_only_its_own(tmp_path):
    (tmp_path / "precious").write_text("x")
    done = run(BIN / "kubefed", "down", "--dir", tmp_path, "--purge", "--yes", check=False)
    assert done.returncode == 1 and "nothing is touched" in done.stderr
    assert (tmp_path / "precious").exists()
    done = run(BIN / "kubefed", "down", "--dir", tmp_path / "absent")
    assert "Nothing to stop" in done.stdout


def test_purge_asks(federation):
    done = federation.down("--purge", check=False)
    assert done.returncode == 2 and "--yes" in done.stderr
    assert federation.pids()


def test_status_is_one_table(federation):
    out = federation.kubefed("status").stdout
    for region, address in federation.addresses("HANSA_DNS_ALL").items():
        line = next(line for line in out.splitlines() if line.startswith(region))
        assert "True" in line and address in line and federation.addresses("HANSA_LB")[region] in line


# --- wrong use ---

NEW_AT_HOST = ("init", "other", "--host-cluster-context=us-east1", "--federation-system-namespace=none")


@pytest.mark.parametrize("argv, words", [
    (("init",), "exactly one NAME is required, got 0"),
    (("help", "frobnicate"), "unknown verb"),
    (NEW_AT_HOST, "--dns-zone-name ZONE is required"),
    ((*NEW_AT_HOST, "--dns-zone-name=x.example", "--etcd-cert=x"), "only with --etcd-servers"),
    ((*NEW_AT_HOST, "--dns-zone-name=x.example", "--api-server-replicas=2"), "--etcd-servers"),
    ((*NEW_AT_HOST, "--dns-zone-name=x.example", "--api-server-port=30001"), "only with"),
    (("init", "--dns-zone-name=x.example"), "exactly one NAME is required, got 0"),
    (("init", "a", "b", "--dns-zone-name=x.example"), "exactly one NAME is required, got 2"),
    (("init", "other", "--dns-zone-name=x.example", "--dns-provider=coredns"), "--dns-provider=hansa"),
    (("init", "other", "--dns-zone-name=x.example", "--etcd-image=etcd:3"), "Leave the flag out"),
    (("init", "other", "--dns-zone-name=x.example", "--etcd-servers=10.0.0.1:2379"), "is no URL like https://"),
    (("init", "other", "--dns-zone-name=x.example", "--etcd-servers=https://e:2379", "--etcd-cert=x"), "go together"),
    (("init", "other", "--dns-zone-name=x.example", "--etcd-servers=http://e:2379", "--etcd-ca=x"), "that are https://"),
    (("init", "other", "--dns-zone-name=x.example", "--etcd-servers=https://e:2379", "--etcd-ca=/nowhere"), "--etcd-ca: "),
    (("init", "other", "--dns-zone-name=x.example", "--api-server-service-type=Foo"),
     "invalid api-server-service-type: Foo, should be either LoadBalancer or NodePort"),
    (("init", "other", "--dns-zone-name=x.example", "--api-server-service-type=LoadBalancer", "--api-server-port=30001"),
     "only with"),
    (("join", "Bad_Name"), "no name for a cluster"),
    (("join", "x", "--coordinates=here"), "LATITUDE,LONGITUDE"),
    (("join", "x", "-o", "wide"), "none of none|yaml|json|name"),
    (("join", "x", "-o"), "-o needs a value"),
    (("join", "x", "-q"), "unknown flag -q"),
    (("join", "x", "--save-config"), "apply set-last-applied"),
    (("unjoin", "x", "--keep", "--cleanup"), "opposite"),
    (("frobnicate",), "unknown verb"),
])
def test_wrong_use_exits_with_2(federation, argv, words):
    done = federation.kubefed(*argv, check=False)
    assert done.returncode == 2 and words in done.stderr, done.stderr


@pytest.mark.parametrize("argv, words", [
    (("init", "other", "--dns-zone-name=x.example", "--host-cluster-context=nowhere"), "nowhere"),
    (("init", "europe-west1", "--dns-zone-name=x.example", "--host-cluster-context=us-east1",
      "--federation-system-namespace=second"), "another NAME"),
    (("init", "other", "--dns-zone-name=x.example", "--host-cluster-context=us-east1"),
     "has the control plane of federation \"fed\""),
    (("init", "other", "--dns-zone-name=x.example", "--federation-system-namespace=none"), "not a cluster's"),
    (("join", "fourth"), "context \"fourth\" does not exist"),
    (("join", "us-east1", "--cluster-context=asia-east1"), "is taken"),
    (("join", "x", "--cluster-context=us-east1", "--federation-context=us-east1"), "not a federation's"),
    (("join", "x", "--cluster-context=us-east1"), "is a member already, as \"us-east1\""),
    (("join", "x", "--cluster-context=fed"), "is a federation's, not a cluster's"),
])
def test_a_mistake_leaves_nothing_half_made(federation, argv, words):
    before = quiet(federation, "us-east1")
    done = federation.kubefed(*argv, check=False)
    assert done.returncode == 1 and words in done.stderr, done.stderr
    assert everything(federation, "us-east1") == before
    assert federation.kubectl("--context", "us-east1", "get", "namespace", "second", check=False).returncode == 1


def test_an_api_that_is_away_is_named(federation, tmp_path):
    config = tmp_path / "config"
    config.write_text("""apiVersion: v1
kind: Config
current-context: gone
contexts: [{name: gone, context: {cluster: gone, user: gone}}]
clusters: [{name: gone, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: gone, user: {token: x}}]
""")
    done = federation.kubefed("init", "other", "--dns-zone-name=x.example", "--kubeconfig", config, check=False)
    assert done.returncode == 1
    assert "https://127.0.0.1:1" in done.stderr and "cannot be reached" in done.stderr


def test_every_verb_has_help_with_examples():
    for verb in ("init", "join", "unjoin", "status", "backup", "restore", "up", "down", "version"):
        out = run(BIN / "kubefed", verb, "--help").stdout
        assert "Examples:\n  kubefed " + verb in out
    assert run(BIN / "kubefed", "version").stdout.startswith("kubefed ")


# --- join and unjoin ---

def test_join_again_changes_nothing(federation):
    before = versions(federation, "secrets,clusters", "-A")
    out = federation.kubefed("join", "europe-west1", "--host-cluster-context=us-east1").stdout
    assert "is a member of" in out and " created" not in out and " configured" not in out
    after = versions(federation, "secrets", "-A")
    assert all(before[key] == version for key, version in after.items())


def test_join_prints_the_cluster(federation):
    """-o as in the original: the object alone on standard output."""
    argv = ("join", "us-east1", "--host-cluster-context=us-east1", "--context=fed", "--generator=cluster/v1beta1")
    assert federation.kubefed(*argv, "-o", "name").stdout == "cluster.federation/us-east1\n"
    cluster = json.loads(federation.kubefed(*argv, "-o", "json").stdout)
    assert cluster["kind"] == "Cluster" and "managedFields" not in cluster["metadata"] and cluster["status"]["conditions"]
    planned = federation.kubefed(*argv, "-oyaml", "--dry-run").stdout
    assert planned.startswith("apiVersion: federation/v1beta1\nkind: Cluster\n") and "status:" not in planned


def test_dry_run_writes_nothing(small):
    before = quiet(small, "alpha")
    out = small.kubefed("init", "third", "--host-cluster-context=beta", "--dns-zone-name=x.example", "--dry-run").stdout
    assert "deployment/apiserver created (dry run)" in out
    out = small.kubefed("unjoin", "beta", "--dry-run").stdout
    assert "(dry run)" in out
    assert everything(small, "alpha") == before
    assert "third" not in small.kubectl("config", "get-contexts", "-o", "name").stdout
    assert small.get("clusters", "beta")["metadata"]["name"] == "beta"


def test_unjoin_keeps_and_join_comes_back(small):
    small.kubectl("create", "namespace", "kept")
    small.kubectl("-n", "kept", "create", "configmap", "c", "--from-literal=a=b")
    poll(lambda: small.kubectl("--context", "beta", "-n", "kept", "get", "configmap", "c", check=False).returncode == 0)
    # By a context that means another cluster: that one is left alone.
    done = small.kubefed("unjoin", "beta", "--host-cluster-context=alpha", "--cluster-context=alpha")
    assert "another cluster answers" in done.stderr
    out = done.stdout
    assert 'Successfully removed cluster "beta" from federation' in out
    assert [c["metadata"]["name"] for c in small.get("clusters")["items"]] == ["alpha"]
    assert small.get("--context", "beta", "-n", "kept", "configmap", "c")["data"] == {"a": "b"}
    poll(lambda: "beta-alpha" not in small.kubectl("--context", "beta", "get", "-A", "-o", "name",
                                                   "clusterrole,clusterrolebinding,serviceaccount").stdout, what="no account")
    assert "beta" in small.kubefed("unjoin", "beta").stderr  # again: a warning, and success


def test_interrupted_unjoin_goes_on(small):
    """Killed at several moments, then repeated: nothing of the cluster is left."""
    argv = (str(BIN / "kubefed"), "unjoin", "beta", "--host-cluster-context=alpha")
    small.kubefed("join", "beta", "--host-cluster-context=alpha", "--region=south", "--zone=south-a")
    for seconds in ("0.03", "0.05", "0.07"):
        run("timeout", "-s", "KILL", seconds, *argv, env=small.env, check=False)
    if small.kubectl("get", "cluster", "beta", check=False).returncode == 0:
        small.kubectl("delete", "cluster", "beta")  # as one that is killed right after it
    small.kubefed(*argv[1:])
    left = small.kubectl("--context", "beta", "get", "clusterrole,clusterrolebinding,serviceaccount", "-A", "-o", "name").stdout
    assert "beta-alpha" not in left
    assert "beta" not in small.kubectl("-n", "federation-system", "get", "secrets", "-o", "name").stdout
    small.kubefed("join", "beta", "--host-cluster-context=alpha", "--region=south", "--zone=south-a")
    assert small.get("clusters", "beta")["status"]["region"] == "south"


def test_unjoin_cleanup_removes_what_we_made(small):
    small.kubectl("--context", "beta", "create", "namespace", "theirs")
    small.kubectl("create", "namespace", "ours")
    small.kubectl("-n", "ours", "create", "configmap", "c", "--from-literal=a=b")
    poll(lambda: small.kubectl("--context", "beta", "-n", "ours", "get", "configmap", "c", check=False).returncode == 0)
    small.kubefed("unjoin", "beta", "--cleanup", "--host-cluster-context=alpha")
    left = small.kubectl("--context", "beta", "get", "namespaces", "-o", "name").stdout.split()
    assert "namespace/theirs" in left and "namespace/ours" not in left
    poll(lambda: "federation-edge" not in small.kubectl("--context", "beta", "get", "namespaces").stdout)
    small.kubectl("delete", "namespace", "ours")
    small.kubefed("join", "beta", "--host-cluster-context=alpha", "--region=south", "--zone=south-a")


def test_down_of_one_cluster_and_up_again(small):
    others = set(small.pids("alpha"))
    small.down("--cluster", "beta")
    assert not small.pids("beta")
    assert others <= set(small.pids("alpha"))
    small.up()
    poll(lambda: "True" in small.kubectl("get", "clusters", "beta", "-o", "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}").stdout)


@pytest.mark.parametrize("how", ["down", "killed"])
def test_up_goes_on_with_all_data(small, how):
    env = (small.dir / "env").read_text()
    small.kubectl("create", "namespace", "data-" + how)
    if how == "down":
        small.down()
    else:
        for pid in small.pids():
            os.kill(pid, signal.SIGKILL)
    poll(lambda: not small.pids())
    small.up()
    assert (small.dir / "env").read_text() == env
    small.kubectl("get", "namespace", "data-" + how)
    small.kubectl("delete", "namespace", "data-" + how)


def test_interrupted_up_and_purge_go_on(tmp_path):
    """Killed at several moments, and repeated at once: what came up meanwhile is waited for, a purge is not stopped half way."""
    fed = Federation(tmp_path / "state" / "hansa" / "fed", "--clusters=solo")
    argv = (str(BIN / "kubefed"), "up", "--dir", fed.dir, "--clusters=solo")
    fed.dir.mkdir(parents=True)
    (fed.dir / ".hansa-federation.tmp.1").write_text("{")  # killed before the marker was in its place
    for how, seconds in (("KILL", "0.02"), ("INT", "0.04"), ("KILL", "0.1")):
        run("timeout", "-s", how, seconds, *argv, env=fed.env, check=False)
    try:
        assert "runs in" in fed.up().stdout
    finally:
        run("timeout", "-s", "KILL", "0.1", BIN / "kubefed", "down", "--dir", fed.dir, "--purge", "--yes", check=False)
        fed.down("--purge", "--yes")
    assert not fed.dir.exists() and not fed.pids()


def test_interrupted_init_goes_on(small):
    """init is killed at several moments; the same command ends in the same state."""
    argv = (str(BIN / "kubefed"), "init", "again", "--host-cluster-context=beta", "--dns-zone-name=again.example",
            "--federation-system-namespace=again")
    for seconds in ("0.05", "0.2", "0.5"):
        run("timeout", "-s", "KILL", seconds, *argv, env=small.env, check=False)
    out = small.kubefed(*argv[1:]).stdout
    assert "Federation API server is running at: https://" in out
    assert small.kubectl("config", "current-context").stdout.strip() == "fed"
    assert small.kubectl("--context", "again", "get", "daemonsets", "-n", "federation-edge", "-o", "name").stdout.split() \
        == ["daemonset.apps/dns", "daemonset.apps/globallb"]
    small.kubectl("--context", "beta", "delete", "namespace", "again")
    small.kubectl("config", "delete-context", "again")


def test_init_again_keeps_what_it_does_not_say(small):
    """Overrides, images and the way in stay as they are deployed; what changes is told, and an override may go."""
    def args(*path):
        return json.loads(small.kubectl(*path, "-o", "jsonpath={.spec.template.spec.containers[0].args}").stdout)

    def plane():
        return args("--context", "beta", "-n", "again", "get", "deployment", "apiserver")

    init = ("init", "again", "--host-cluster-context=beta", "--federation-system-namespace=again")
    try:
        small.kubefed(*init, "--dns-zone-name=again.example", "--api-server-service-type=NodePort",
                      "--apiserver-arg-overrides=--cluster-failure-grace=7s", "--dns-arg-overrides=--log-level=debug")
        made = everything_of(small, "again", "beta", "again")
        out = small.kubefed(*init).stdout
        assert " created" not in out and " configured" not in out, out
        assert everything_of(small, "again", "beta", "again") == made
        out = small.kubefed(*init, "--apiserver-arg-overrides=--cluster-monitor-period=2s", "--dry-run").stdout
        assert "args: + --cluster-monitor-period 2s" in out and "- --" not in out and "daemonset/dns unchanged" in out
        small.kubefed(*init, "--apiserver-arg-overrides=--cluster-monitor-period=2s,--cluster-failure-grace=")
        assert "--cluster-monitor-period" in plane() and "--cluster-failure-grace" not in plane()
        assert "--log-level" in args("--context", "again", "-n", "federation-edge", "get", "daemonset", "dns")
        service = small.get("--context", "beta", "-n", "again", "service", "apiserver")
        assert service["spec"]["type"] == "NodePort"
        # The way in may change: the server gets a certificate for it, and the context is written anew.
        small.kubefed(*init, "--api-server-service-type=LoadBalancer")
        small.kubectl("--context", "again", "get", "namespaces")
    finally:
        small.kubectl("--context", "beta", "delete", "namespace", "again", check=False)
        small.kubectl("config", "delete-context", "again", check=False)


@pytest.mark.skipif(not ETCD, reason="etcd is not installed (Debian: etcd-server)")
def test_init_with_etcd(small, tmp_path):
    """Two servers of the control plane, their state in an etcd that wants certificates; one server may go."""
    etcd = Etcd(tmp_path, tls=True)
    try:
        argv = ("init", "ha", "--host-cluster-context=beta", "--federation-system-namespace=ha", "--dns-zone-name=ha.example",
                "--etcd-servers=" + ",".join(etcd.urls), f"--etcd-ca={tmp_path}/ca.crt", f"--etcd-cert={tmp_path}/etcd.crt",
                f"--etcd-key={tmp_path}/etcd.key")
        assert "Federation API server is running at: https://" in small.kubefed(*argv).stdout

        def pods():
            """Ready ones."""
            return sorted(p["metadata"]["name"] for p in small.get("--context", "beta", "-n", "ha", "pods")["items"]
                          if p["status"].get("phase") == "Running" and "deletionTimestamp" not in p["metadata"]
                          and all(c["ready"] for c in p["status"].get("containerStatuses", [{"ready": False}])))
        first = poll(lambda: len(pods()) == 2 and pods(), timeout=60, what="two servers")
        small.kubectl("--context", "ha", "create", "configmap", "kept", "-n", "default")
        assert etcd.value("/hansa/s/registry/configmaps/default/kept")
        lease = ("get", "--context", "ha", "lease", "-n", "federation-system", "-o", "name")
        assert "lease.coordination.k8s.io/hansa-fedapi-controllers" in small.kubectl(*lease).stdout
        # Again, with all flags or with none: nothing changes. With etcd where there was a file, or the other way: refused.
        for again in (argv, argv[:4]):
            out = small.kubefed(*again).stdout
            assert " created" not in out and " configured" not in out
        moved = small.kubefed(*argv[:4], "--etcd-servers=", check=False)
        assert moved.returncode != 0 and "give --etcd-servers=" + etcd.urls[0] in moved.stderr
        moved = small.kubefed("init", "fed", "--host-cluster-context=alpha", "--dns-zone-name=small.example",
                              "--etcd-servers=http://e:2379", check=False)
        assert moved.returncode != 0 and "not moved to etcd" in moved.stderr
        for name in first:
            small.kubectl("--context", "beta", "-n", "ha", "delete", "pod", name, "--wait=false")
            poll(lambda: small.kubectl("--context", "ha", "get", "configmap", "kept", check=False).returncode == 0,
                 timeout=60, what="the API answers")
            poll(lambda name=name: len(pods()) == 2 and name not in pods(), timeout=60, what="two servers again")
    finally:
        small.kubectl("--context", "beta", "delete", "namespace", "ha", check=False)
        small.kubectl("config", "delete-context", "ha", check=False)
        etcd.end()


def test_two_federations_side_by_side(federation, small):
    assert set(federation.addresses("HANSA_DNS_ALL").values()).isdisjoint(small.addresses("HANSA_DNS_ALL").values())
    assert len(federation.get("clusters")["items"]) == 3
    assert isinstance(small, Federation) and os.path.isdir(small.dir)


def test_the_manual_page_is_true():
    assert run(BIN / "kubefed", "help", "--man").stdout == (ROOT / "docs/man/kubefed.1").read_text()


def test_what_up_was_told_stays(make_federation):
    """Labels and arguments of the first `up` are kept by a later one without flags."""
    fed = make_federation("--clusters=solo", "--apiserver-arg-overrides=--cluster-failure-grace=5s")
    fed.flags = ()
    out = fed.up().stdout
    assert " configured" not in out
    args = fed.kubectl("--context", "solo", "-n", "federation-system", "get", "deployment", "apiserver", "-o",
                       "jsonpath={.spec.template.spec.containers[0].args}").stdout
    assert "--cluster-failure-grace" in args
    assert fed.kubectl("get", "clusters", "-o", "name").stdout.split() == ["cluster.federation/solo"]
