"""The servers that integration tests share: each is started by the first test that asks, and stopped with the session.

All of them are real, on free ports of the loopback interface, with data of their own that is removed afterwards.
A server that cannot be started fails the tests that need it, and says why; nothing is skipped silently.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from imagesearch_contract.settings import ElasticsearchSettings, KafkaConnection
    from imagesearch_stack.control_plane import KubernetesApi
    from imagesearch_stack.processes import Processes
    from imagesearch_stack.servers import Guard, User


class Kafka(NamedTuple):
    """The two addresses of the session's Kafka."""

    open: str
    guarded: str


class StarterModel(NamedTuple):
    """The starter model as it is registered in the session's MLflow."""

    name: str
    version: str


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the session's servers keep data and logs."""
    from imagesearch_stack.servers import elasticsearch_dir

    directory = tmp_path_factory.mktemp("stack")
    yield directory
    for each in (directory, directory / "guarded"):
        shutil.rmtree(elasticsearch_dir(each), ignore_errors=True)


@pytest.fixture(scope="session")
def processes() -> "Iterator[Processes]":
    """The session's servers; they die with it, however it ends."""
    from imagesearch_stack.processes import Processes

    with Processes() as running:
        yield running


@pytest.fixture(scope="session")
def guard(run_dir: Path) -> "Guard":
    """Whom the guarded servers let in."""
    from imagesearch_stack import certificates
    from imagesearch_stack.servers import Guard

    return Guard(certificates.make(run_dir / "tls"), username="imagesearch", password=r'so "secret" \o/')  # noqa: S106  of nothing else


@pytest.fixture(scope="session")
def kafka(processes: "Processes", run_dir: Path, guard: "Guard") -> Kafka:
    """A Kafka without topics (and that creates none by itself)."""
    from imagesearch_stack import servers
    from imagesearch_stack.processes import free_port

    port, guarded_port = free_port(), free_port()
    process = processes.add(servers.start_kafka(run_dir, port, servers.Guarded(guarded_port, guard)))
    return Kafka(servers.wait_for_kafka(process, port), f"127.0.0.1:{guarded_port}")


@pytest.fixture(scope="session")
def kafka_bootstrap_servers(kafka: Kafka) -> str:
    """Where Kafka is open."""
    return kafka.open


@pytest.fixture(scope="session")
def guarded_kafka(kafka: Kafka, guard: "Guard") -> "KafkaConnection":
    """The way into the same Kafka that asks for TLS and a password."""
    from imagesearch_contract.settings import KafkaConnection

    return KafkaConnection(
        kafka_bootstrap_servers=kafka.guarded,
        kafka_security_protocol="SASL_SSL",
        kafka_username=guard.username,
        kafka_password=guard.password,
        kafka_ca_path=guard.certificate.authority,
    )


@pytest.fixture(scope="session")
def elasticsearch_url(processes: "Processes", run_dir: Path) -> str:
    """An Elasticsearch without indices (and that creates none by itself)."""
    from imagesearch_stack import servers
    from imagesearch_stack.processes import free_port

    port = free_port()
    return servers.wait_for_elasticsearch(processes.add(servers.start_elasticsearch(run_dir, port)), port)


@pytest.fixture(scope="session")
def elasticsearch_users() -> "tuple[User, ...]":
    """Whom the guarded Elasticsearch lets in beside its superuser: `search` may do what docs/access.md says, `collections`
    has the indices of collections and no others."""
    from imagesearch_stack.servers import User

    documentation = (Path(__file__).parent / "docs" / "access.md").read_text()
    [role] = re.findall(r"```json\n(\{\n.*?)```", documentation, re.DOTALL)
    collections = {"indices": [{"names": ["*.*"], "privileges": ["all"]}], "cluster": ["monitor"]}
    return User("search", "search-search", json.loads(role)), User("collections", "of-collections", collections)


@pytest.fixture(scope="session")
def guarded_elasticsearch_as(
    guarded_elasticsearch: "ElasticsearchSettings", elasticsearch_users: "tuple[User, ...]"
) -> "Callable[[str], ElasticsearchSettings]":
    """The way in as one of them."""
    from pydantic import SecretStr

    passwords = {user.name: SecretStr(user.password) for user in elasticsearch_users}
    return lambda name: guarded_elasticsearch.model_copy(
        update={"elasticsearch_username": name, "elasticsearch_password": passwords[name]}
    )


@pytest.fixture(scope="session")
def guarded_elasticsearch(
    processes: "Processes", run_dir: Path, guard: "Guard", elasticsearch_users: "tuple[User, ...]"
) -> "ElasticsearchSettings":
    """The way into a second Elasticsearch, which asks for TLS and a password."""
    from imagesearch_contract.settings import ElasticsearchSettings
    from imagesearch_stack import servers
    from imagesearch_stack.processes import free_port

    port, guard = free_port(), guard._replace(username="elastic", others=elasticsearch_users)
    process = processes.add(servers.start_elasticsearch(run_dir / "guarded", port, guard))
    return ElasticsearchSettings(
        elasticsearch_url=servers.wait_for_elasticsearch(process, port, guard),
        elasticsearch_username=guard.username,
        elasticsearch_password=guard.password,
        elasticsearch_ca_path=guard.certificate.authority,
    )


@pytest.fixture(scope="session")
def mlflow_tracking_uri(processes: "Processes", run_dir: Path) -> str:
    """An MLflow with an empty registry."""
    from imagesearch_stack import servers
    from imagesearch_stack.processes import free_port

    port = free_port()
    return servers.wait_for_mlflow(processes.add(servers.start_mlflow(run_dir, port)), port)


@pytest.fixture(scope="session")
def starter_model(run_dir: Path, mlflow_tracking_uri: str) -> StarterModel:
    """The starter model, registered."""
    from imagesearch_stack import servers

    return StarterModel(*servers.register_model(run_dir, tracking_uri=mlflow_tracking_uri))


@pytest.fixture(scope="session")
def kubernetes_api(processes: "Processes", run_dir: Path) -> "KubernetesApi":
    """A Kubernetes API server and its controllers, without nodes: nothing is installed, and no pod ever runs."""
    from imagesearch_stack.control_plane import start_control_plane

    return start_control_plane(run_dir, processes)


@pytest.fixture(scope="session")
def stamps_dir() -> Path:
    """Tux Paint's stamps, unpacked; shared and not to be written to."""
    from imagesearch_stack import downloads

    return downloads.stamps_dir()


@pytest.fixture(scope="session")
def picture_server(stamps_dir: Path) -> Iterator[str]:
    """The base URL of a server that hands out the files of `stamps_dir`."""
    from imagesearch_stack import pictures

    with pictures.serve(stamps_dir) as base_url:
        yield base_url
