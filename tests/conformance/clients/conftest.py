# SPDX-License-Identifier: Apache-2.0
"""The engine that the client libraries talk to, directly and over a wire that can be cut."""
import pathlib
import re
import shutil
import socket
import sys
import tempfile

import pytest
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kubectl"))
from api_proxy import Wire  # noqa: E402
from servers import Api, Cluster, Engine  # noqa: E402


@pytest.fixture(scope="session")
def engine():
    base = pathlib.Path(tempfile.mkdtemp(prefix="hansa-clients-"))
    server = Engine(base / "api", "--store", "sqlite").start()
    server.api = Api(server.kubeconfig, base)
    server.pair = base / "client.pem"
    server.port = int(server.api.url.rsplit(":", 1)[1])
    yield server
    server.stop()
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def member():
    """A cluster that runs pods."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="hansa-clients-"))
    base.chmod(0o755)
    cluster = Cluster(base).start()
    cluster.api = Api(cluster.kubeconfig, base)
    yield cluster
    cluster.stop()
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def mortal(tmp_path):
    """A server that may be killed and started again at its port."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    server = Engine(tmp_path / "mortal", "--store", "sqlite", "--port", str(port)).start()
    server.api, server.port = Api(server.kubeconfig, tmp_path), port
    yield server
    server.stop()


def wire_to(server, folder):
    """.kubeconfig goes over the wire."""
    made = Wire(server.port)
    conf = yaml.safe_load(server.kubeconfig.read_text())
    conf["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{made.port}"
    made.kubeconfig = folder / "kubeconfig"
    made.kubeconfig.write_text(yaml.safe_dump(conf))
    return made


@pytest.fixture
def wire(engine, tmp_path):
    made = wire_to(engine, tmp_path)
    yield made
    made.close()


@pytest.fixture
def mortal_wire(mortal, tmp_path):
    made = wire_to(mortal, tmp_path)
    yield made
    made.close()


@pytest.fixture
def ns(engine, request):
    name = re.sub("[^a-z0-9]+", "-", request.node.path.stem.removeprefix("test_") + "-" + request.node.name.removeprefix("test_")).strip("-")[:50]
    engine.api.namespace(name, account=False)
    return name
