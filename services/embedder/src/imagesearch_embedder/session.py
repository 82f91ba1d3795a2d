"""The Spark session of the embedder, and the JDK it needs. `main` opens it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from glob import glob
from pathlib import Path
from typing import Final

from imagesearch_contract.settings import EmbedderSettings, KafkaConnection
from pyspark.sql import SparkSession

OLDEST_JAVA: Final = 17
KAFKA_CONNECTOR: Final = "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0"
FRAME_MESSAGES: Final = 256
"""Messages per Arrow frame, the unit of work in a worker: several encoder batches, so that downloads overlap with them."""

_LOGIN: Final = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}

_HOW_TO = "Install one (`apt install openjdk-17-jre-headless`, `brew install openjdk@17`, or from https://adoptium.net) or set JAVA_HOME"


class JavaError(RuntimeError):
    """There is no JDK that Spark can use; the message says how to get one."""


def check_java() -> None:
    """Refuse early and in plain words what Spark would refuse late and in Java's.

    Raises:
        JavaError: none found, or one that is too old.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else "java"
    if shutil.which(java) is None:
        where = f"JAVA_HOME is {home}, but {java} is no program" if home else "there is no `java` on the PATH"
        raise JavaError(f"Spark needs Java {OLDEST_JAVA} or later, and {where}. {_HOW_TO}.")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603  the user's own JDK
    version = java_version(told)
    if version is None or version < OLDEST_JAVA:
        found = told.splitlines()[0] if told else "nothing that it would say"
        raise JavaError(f"Spark needs Java {OLDEST_JAVA} or later, and {java} is {found}. {_HOW_TO}.")


def java_version(told: str) -> int | None:
    """Return the major version in what `java -version` says; None where there is none."""
    match = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(match[1]) if match else None


def spark_conf(settings: EmbedderSettings) -> dict[str, str]:
    """Spark's configuration for these settings.

    Here is what the code relies on, and, for a Spark of this process alone, all the rest. What a cluster is asked for
    (memory, executors, addresses) comes from `spark-defaults.conf`, which whoever deploys the driver writes: what is
    set here would win over it.
    """
    conf = {
        "spark.app.name": f"imagesearch-embedder {settings.topic}",
        "spark.master": settings.spark_master,
        "spark.ui.enabled": str(settings.spark_ui_port > 0).lower(),
        "spark.ui.port": str(settings.spark_ui_port),
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "WARN",
        "spark.redaction.regex": "(?i)secret|password|token|access[.]?key|jaas",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(FRAME_MESSAGES),
        # The worker process holds the loaded encoder: it has to live on from one micro-batch to the next.
        "spark.python.worker.reuse": "true",
    }
    if settings.spark_jars:
        # Spark itself knows no patterns, only its command line does.
        conf["spark.jars"] = ",".join(jar for jars in settings.spark_jars for jar in sorted(glob(jars)) or [jars])
    else:
        conf["spark.jars.packages"] = KAFKA_CONNECTOR
    if settings.spark_master.startswith("local"):
        local = "127.0.0.1"
        return conf | {
            "spark.driver.memory": "1g",
            "spark.driver.host": local,
            "spark.driver.bindAddress": local,
        }
    # A task has the cores that its encoder's threads use, so an executor loads the model as often as it can use it.
    return conf | {"spark.task.cpus": str(settings.encoder_threads)}


def task_slots(session: SparkSession) -> int:
    """How many tasks can run at once; on a cluster, with as many executors as there may ever be."""
    conf = dict(session.sparkContext.getConf().getAll())
    is_local = conf["spark.master"].startswith("local")
    return session.sparkContext.defaultParallelism if is_local else most_tasks(conf)


def most_tasks(conf: Mapping[str, str]) -> int:
    """The same of a cluster, by its configuration.

    Spark asks for executors when tasks have waited for a second (`spark.dynamicAllocation.schedulerBacklogTimeout`), in
    streaming too, and gives back those that were idle for a minute (`executorIdleTimeout`). So it grows by backlog only
    as far as a micro-batch has tasks.
    """
    executors = conf.get("spark.dynamicAllocation.maxExecutors") or conf.get("spark.executor.instances") or "1"
    return int(executors) * max(1, int(conf.get("spark.executor.cores", "1")) // int(conf.get("spark.task.cpus", "1")))


def kafka_options(kafka: KafkaConnection) -> dict[str, str]:
    """What Spark's Kafka source is made with: address, trust and credentials, as Java's client calls them.

    The authority goes as text, so that an executor needs no file for it.
    """
    options = {"bootstrap.servers": kafka.kafka_bootstrap_servers}
    if kafka.kafka_security_protocol != "PLAINTEXT":
        options["security.protocol"] = kafka.kafka_security_protocol
    if kafka.kafka_security_protocol.startswith("SASL"):
        password = kafka.kafka_password.get_secret_value() if kafka.kafka_password else ""
        options |= {
            "sasl.mechanism": kafka.kafka_sasl_mechanism,
            "sasl.jaas.config": (
                f"{_LOGIN[kafka.kafka_sasl_mechanism]} required "
                f"username={_quoted(kafka.kafka_username or '')} password={_quoted(password)};"
            ),
        }
    if kafka.kafka_ca_path:
        options |= {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": kafka.kafka_ca_path.read_text()}
    return {f"kafka.{name}": value for name, value in options.items()}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def open_session(settings: EmbedderSettings) -> SparkSession:
    """Start the JVM. Its Python workers run under this interpreter.

    Raises:
        JavaError: there is no JDK for it.
    """
    check_java()
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    return SparkSession.builder.config(map=dict(spark_conf(settings))).getOrCreate()
