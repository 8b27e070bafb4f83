# SPDX-License-Identifier: Apache-2.0
"""The engine that the client libraries talk to, directly and over a wire that can be cut."""
import pathlib
import re
import shutil
import sys
import tempfile

import pytest
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kubectl"))
from api_proxy import Wire  # noqa: E402
from servers import Api, Engine  # noqa: E402


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


@pytest.fixture
def wire(engine, tmp_path):
    """.kubeconfig goes over the wire."""
    made = Wire(engine.port)
    conf = yaml.safe_load(engine.kubeconfig.read_text())
    conf["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{made.port}"
    made.kubeconfig = tmp_path / "kubeconfig"
    made.kubeconfig.write_text(yaml.safe_dump(conf))
    yield made
    made.close()


@pytest.fixture
def ns(engine, request):
    name = re.sub("[^a-z0-9]+", "-", request.node.path.stem.removeprefix("test_") + "-" + request.node.name.removeprefix("test_")).strip("-")[:50]
    engine.api.namespace(name, account=False)
    return name
