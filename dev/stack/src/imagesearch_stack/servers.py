"""The servers that the pipeline stands on: Kafka, Elasticsearch, MLflow. How each is configured, started, known to be ready.

All listen on the loopback interface only, without passwords unless they get a `Guard`. `pipeline` and the tests'
fixtures call it.
"""

import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from imagesearch_stack import StackError, downloads
from imagesearch_stack.certificates import Certificate
from imagesearch_stack.ivy import OnBytes, ignore_bytes
from imagesearch_stack.java import find_java
from imagesearch_stack.processes import Process, free_port

READY_SECONDS: Final = 180.0
KAFKA_CLUSTER_ID: Final = "aW1hZ2VzZWFyY2gtZGV2AA"

# Elasticsearch refuses to run as root. A number without an account is enough, as in any container.
ELASTICSEARCH_UID: Final = 64_920
ROOT_PLACE: Final = Path("/var/cache/imagesearch")
"""Where root keeps what that user must reach: root's own home is closed to it, and only root can write here."""

STARTER: Final = "starter"

QUIET_MLFLOW: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""The environment in which MLflow, server or client, calls nobody and starts nothing beside what it was asked for."""


KAFKA_JAVA: Final = 17
ELASTICSEARCH_JAVA: Final = 21


class User(NamedTuple):
    """Somebody whom Elasticsearch lets in beside its superuser."""

    name: str
    password: str
    role: Mapping[str, Any]
    """As Elasticsearch writes one: `indices`, `cluster`."""


class Guard(NamedTuple):
    """Whom a server lets in, and what it shows over TLS."""

    certificate: Certificate
    username: str
    password: str
    others: tuple[User, ...] = ()
    """Of an Elasticsearch."""


class Guarded(NamedTuple):
    """A listener that asks for TLS and a password."""

    port: int
    guard: Guard


def check_java() -> None:
    """Find out whether the servers' Java is here, before anything long begins.

    Raises:
        StackError: it is not; the message says how to install it.
    """
    find_java(ELASTICSEARCH_JAVA, "Elasticsearch")
    find_java(KAFKA_JAVA, "Kafka")


def start_kafka(run_dir: Path, port: int, guarded: Guarded | None = None) -> Process:
    """Start a one-node Kafka (KRaft) whose data is in `run_dir`; `wait_for_kafka` waits for it.

    Args:
        run_dir: where data and log go.
        port: of the open listener.
        guarded: a second listener (SASL_SSL; PLAIN and SCRAM).
    """
    java = find_java(KAFKA_JAVA, "Kafka") / "bin" / "java"
    data = run_dir / "kafka"
    data.mkdir(parents=True, exist_ok=True)
    properties = data / "server.properties"
    properties.write_text(kafka_properties(data / "log", port, free_port(), guarded))
    class_path = os.pathsep.join(map(str, downloads.kafka_jars()))
    command = [str(java), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN", "-cp", class_path]
    if not (data / "log" / "meta.properties").exists():
        users = _scram_users(guarded.guard) if guarded else []
        _run_once(
            [*command, "kafka.tools.StorageTool", "format", "-t", KAFKA_CLUSTER_ID, "-c", str(properties), *users],
            "preparing Kafka's storage",
        )
    heap = ["-Xms128m", "-Xmx512m"]
    return Process(
        "Kafka", [command[0], *heap, *command[1:], "kafka.Kafka", str(properties)], log=run_dir / "logs" / "kafka.log"
    )


def _scram_users(guard: Guard) -> list[str]:
    return [
        argument
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        for argument in ("--add-scram", f"{mechanism}=[name={guard.username},password={guard.password}]")
    ]


def kafka_properties(log_dir: Path, port: int, controller_port: int, guarded: Guarded | None = None) -> str:
    """The configuration of a single node that is broker and controller; topics are never created by accident."""
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": log_dir,
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "log.cleaner.dedupe.buffer.size": 16 * 2**20,
    }
    if guarded:
        secure_port, guard = guarded
        password = (
            guard.password.replace("\\", "\\\\").replace('"', '\\"').replace("\\", "\\\\")
        )  # for JAAS, then for the file
        for what in ("listeners", "advertised.listeners"):
            settings[what] = f"{settings[what]},SASL_SSL://127.0.0.1:{secure_port}"
        settings["listener.security.protocol.map"] = f"{settings['listener.security.protocol.map']},SASL_SSL:SASL_SSL"
        settings |= {
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": (
                f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{guard.username}="{password}";'
            ),
            **{
                f"listener.name.sasl_ssl.scram-sha-{bits}.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                )
                for bits in (256, 512)
            },
            "ssl.keystore.type": "PEM",
            "ssl.keystore.key": _one_line(guard.certificate.key),
            "ssl.keystore.certificate.chain": _one_line(guard.certificate.chain),
        }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _one_line(pem: Path) -> str:
    return pem.read_text().replace("\n", "\\n")


def wait_for_kafka(process: Process, port: int) -> str:
    """Wait until the broker answers; its bootstrap address."""
    address = f"127.0.0.1:{port}"
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})

    def answers() -> bool:
        try:
            return bool(admin.list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    process.wait_until(answers, within_seconds=READY_SECONDS)
    return address


def start_elasticsearch(run_dir: Path, port: int, guard: Guard | None = None) -> Process:
    """Start a one-node Elasticsearch; `wait_for_elasticsearch` waits for it. Its data is in `elasticsearch_dir`.

    With a `guard` it is reached over TLS only, and by its one user only, who has to be called elastic.
    """
    java_home = find_java(ELASTICSEARCH_JAVA, "Elasticsearch")
    is_root = os.geteuid() == 0
    home = elasticsearch_home()
    state = elasticsearch_dir(run_dir)
    config = state / "config"
    config.mkdir(parents=True, exist_ok=True)
    for name in ("log4j2.properties", "jvm.options"):
        shutil.copy(home / "config" / name, config / name)
    (config / "elasticsearch.yml").write_text(elasticsearch_yml(state, port, free_port(), guarded=guard is not None))
    if guard:
        _guard_elasticsearch(home, config, java_home, guard)
    (state / "tmp").mkdir(exist_ok=True)
    if is_root:
        _give_to(state, ELASTICSEARCH_UID)
    return Process(
        "Elasticsearch",
        [str(home / "bin" / "elasticsearch")],
        log=run_dir / "logs" / "elasticsearch.log",
        user=ELASTICSEARCH_UID if is_root else None,
        cwd=home,
        env={
            "ES_JAVA_HOME": str(java_home),
            "ES_PATH_CONF": str(config),
            "ES_TMPDIR": str(state / "tmp"),
            "ES_JAVA_OPTS": "-Xms512m -Xmx512m",
            # The launcher, a second Java that only waits for the first.
            "CLI_JAVA_OPTS": "-Xmx32m -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        },
    )


def elasticsearch_home(on_bytes: OnBytes = ignore_bytes) -> Path:
    """The unpacked Elasticsearch, where the user that runs it can reach it; downloaded on the first call."""
    return downloads.elasticsearch_home(ROOT_PLACE if os.geteuid() == 0 else None, on_bytes)


def elasticsearch_dir(run_dir: Path) -> Path:
    """Where the Elasticsearch of this run keeps its data and configuration."""
    if os.geteuid() != 0:
        return run_dir / "elasticsearch"
    return ROOT_PLACE / "run" / hashlib.blake2s(str(run_dir.resolve()).encode(), digest_size=8).hexdigest()


def _guard_elasticsearch(home: Path, config: Path, java_home: Path, guard: Guard) -> None:
    shutil.copy(guard.certificate.chain, config / "tls.crt")
    shutil.copy(guard.certificate.key, config / "tls.key")
    if not (config / "elasticsearch.keystore").exists():
        keystore = [str(home / "bin" / "elasticsearch-keystore"), "add", "--force", "--stdin", "bootstrap.password"]
        env = {"ES_JAVA_HOME": str(java_home), "ES_PATH_CONF": str(config)}
        _run_once(keystore, "setting Elasticsearch's password", env=env, stdin=guard.password)
        # In files: the distribution cannot make the index in which it would keep users that are added later.
        (config / "roles.yml").write_text("".join(f"{user.name}: {json.dumps(user.role)}\n" for user in guard.others))
        for name in ("users", "users_roles"):
            (config / name).touch()
        for user in guard.others:
            add = [
                str(home / "bin" / "elasticsearch-users"),
                "useradd",
                user.name,
                "-p",
                user.password,
                "-r",
                user.name,
            ]
            _run_once(add, f"adding Elasticsearch's user {user.name}", env=env)


def elasticsearch_yml(state: Path, port: int, transport_port: int, *, guarded: bool = False) -> str:
    """The configuration of a single node on the loopback interface; indices are never created by accident."""
    settings = {
        "cluster.name": "imagesearch-dev",
        "node.name": "dev",
        "network.host": "127.0.0.1",
        "http.port": port,
        "transport.port": transport_port,
        "discovery.type": "single-node",
        "path.data": state / "data",
        "path.logs": state / "logs",
        "xpack.security.enabled": str(guarded).lower(),
        "action.auto_create_index": "false",
        # A laptop's disk is often fuller than a server's may be.
        "cluster.routing.allocation.disk.threshold_enabled": "false",
    }
    if guarded:
        settings |= {
            "xpack.security.autoconfiguration.enabled": "false",
            "xpack.security.http.ssl.enabled": "true",
            "xpack.security.http.ssl.certificate": "tls.crt",
            "xpack.security.http.ssl.key": "tls.key",
        }
    return "".join(f"{name}: {value}\n" for name, value in settings.items())


def wait_for_elasticsearch(process: Process, port: int, guard: Guard | None = None) -> str:
    """Wait until the node takes requests and has recovered its indices; its URL."""
    url = f"{'https' if guard else 'http'}://127.0.0.1:{port}"
    process.wait_until(
        lambda: answers_ok(f"{url}/_cluster/health?wait_for_status=yellow&timeout=1s", guard),
        within_seconds=READY_SECONDS,
    )
    return url


def start_mlflow(run_dir: Path, port: int) -> Process:
    """Start an MLflow tracking server and model registry whose data is in `run_dir`; `wait_for_mlflow` waits for it."""
    data = run_dir / "mlflow"
    (data / "artifacts").mkdir(parents=True, exist_ok=True)
    return Process(
        "MLflow",
        [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{data / 'mlflow.db'}"),
            *("--artifacts-destination", str(data / "artifacts"), "--serve-artifacts"),
        ],
        log=run_dir / "logs" / "mlflow.log",
        env=QUIET_MLFLOW,
    )


def wait_for_mlflow(process: Process, port: int) -> str:
    """Wait until the server answers; its tracking URI."""
    url = f"http://127.0.0.1:{port}"
    process.wait_until(lambda: answers_ok(f"{url}/health"), within_seconds=READY_SECONDS)
    return url


def register_model(run_dir: Path, *, tracking_uri: str, model: str = STARTER) -> tuple[str, str]:
    """Register the starter model, or the one of this Hugging Face id, unless it is registered; its name and version.

    Raises:
        StackError: `imagesearch-model` could not; with what it said.
    """
    registration = start_registration(run_dir, tracking_uri=tracking_uri, model=model)
    try:
        registration.wait()
    finally:
        registration.stop()
    return registered(registration)


def start_registration(run_dir: Path, *, tracking_uri: str, model: str) -> Process:
    """Begin to register a model; `registered` tells the outcome."""
    return Process(
        "imagesearch-model",
        [script("imagesearch-model"), "register", model, "--tracking-uri", tracking_uri],
        log=run_dir / "logs" / "model.log",
        env=QUIET_MLFLOW,
    )


def registered(registration: Process) -> tuple[str, str]:
    """Name and version of the model that was registered: the last line that the command wrote."""
    *_, last = registration.log.read_text(errors="replace").splitlines()
    name, version = last.split()
    return name, version


def script(name: str) -> str:
    """The path of a command that is installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def answers_ok(url: str, guard: Guard | None = None) -> bool:
    """Whether `url`, on this machine, answers with 200."""
    verify = ssl.create_default_context(cafile=guard.certificate.authority if guard else None)
    auth = (guard.username, guard.password) if guard else None
    try:
        return httpx.get(url, timeout=5, trust_env=False, verify=verify, auth=auth).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _run_once(command: list[str], what: str, *, env: Mapping[str, str] | None = None, stdin: str = "") -> None:
    done = subprocess.run(  # noqa: S603
        command,
        env={**os.environ, **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=READY_SECONDS,
    )
    if done.returncode != 0:
        raise StackError(f"{what} failed (status {done.returncode}):\n{(done.stdout + done.stderr)[-2000:]}")


def _give_to(folder: Path, uid: int) -> None:
    os.chown(folder, uid, uid)
    for path in folder.rglob("*"):
        os.chown(path, uid, uid, follow_symlinks=False)
