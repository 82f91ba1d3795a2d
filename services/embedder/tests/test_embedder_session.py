"""How Spark is set up: what the embedder sets itself, what it leaves to whoever deploys it, and the way into Kafka."""

from pathlib import Path

import pytest
from imagesearch_contract.settings import EmbedderSettings, KafkaConnection
from imagesearch_embedder.offsets import ends
from imagesearch_embedder.session import kafka_options, most_tasks, spark_conf

SETTINGS = EmbedderSettings(topic="t", index="i", checkpoint_location="c", model_name="m", model_version="1")


def test_jars_at_hand_are_used_and_otherwise_spark_fetches_the_connector() -> None:
    assert "spark-sql-kafka" in spark_conf(SETTINGS)["spark.jars.packages"]
    conf = spark_conf(SETTINGS.model_copy(update={"spark_jars": ("a.jar", "b.jar")}))
    assert conf["spark.jars"] == "a.jar,b.jar"
    assert "spark.jars.packages" not in conf


def test_a_pattern_stands_for_the_jars_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.jar", "a.jar", "README"):
        (tmp_path / name).touch()
    conf = spark_conf(SETTINGS.model_copy(update={"spark_jars": (f"{tmp_path}/*.jar",)}))
    assert conf["spark.jars"] == f"{tmp_path}/a.jar,{tmp_path}/b.jar"


def test_a_local_spark_listens_on_the_loopback_interface_only() -> None:
    assert spark_conf(SETTINGS)["spark.driver.bindAddress"] == "127.0.0.1"


def test_on_kubernetes_nothing_is_set_that_its_deployer_sets() -> None:
    """What the code sets would win over the mounted spark-defaults.conf."""
    conf = spark_conf(SETTINGS.model_copy(update={"spark_master": "k8s://https://kubernetes.default.svc:443"}))

    deployers = ("spark.driver.", "spark.executor.", "spark.kubernetes.", "spark.dynamicAllocation.", "spark.network.")
    assert [name for name in conf if name.startswith(deployers)] == []


def test_on_a_cluster_a_task_has_as_many_cores_as_its_encoder_has_threads() -> None:
    four = SETTINGS.model_copy(update={"encoder_threads": 4})

    assert spark_conf(four.model_copy(update={"spark_master": "k8s://k"}))["spark.task.cpus"] == "4"
    assert "spark.task.cpus" not in spark_conf(four)


@pytest.mark.parametrize(
    ("conf", "tasks"),
    [
        ({}, 1),
        ({"spark.executor.instances": "3"}, 3),
        ({"spark.executor.instances": "2", "spark.executor.cores": "8", "spark.task.cpus": "4"}, 4),
        ({"spark.dynamicAllocation.maxExecutors": "6", "spark.executor.cores": "4", "spark.task.cpus": "4"}, 6),
    ],
)
def test_a_micro_batch_is_cut_for_as_many_tasks_as_there_may_ever_be(conf: dict[str, str], tasks: int) -> None:
    assert most_tasks(conf) == tasks


def test_an_open_kafka_needs_an_address_only() -> None:
    assert kafka_options(KafkaConnection(kafka_bootstrap_servers="k:9092")) == {"kafka.bootstrap.servers": "k:9092"}


def test_java_gets_the_authority_as_text_and_the_password_quoted(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("PEM\n")
    kafka = KafkaConnection(
        kafka_security_protocol="SASL_SSL",
        kafka_username="me",
        kafka_password=r'a "b" \c',  # type: ignore[arg-type]
        kafka_ca_path=tmp_path / "ca.crt",
    )

    options = kafka_options(kafka)

    assert options["kafka.security.protocol"] == "SASL_SSL"
    assert options["kafka.sasl.mechanism"] == "SCRAM-SHA-512"
    assert options["kafka.sasl.jaas.config"] == (
        "org.apache.kafka.common.security.scram.ScramLoginModule required "
        r'username="me" password="a \"b\" \\c";'
    )
    assert options["kafka.ssl.truststore.type"] == "PEM"
    assert options["kafka.ssl.truststore.certificates"] == "PEM\n"


@pytest.mark.parametrize("told", [None, "null", "{}"])
def test_before_the_first_batch_there_is_nothing_to_tell(told: str | None) -> None:
    assert ends(told) == {}


def test_where_a_batch_ended_is_read_for_every_partition() -> None:
    assert ends('{"t": {"0": 17, "1": 0}}') == {("t", 0): 17, ("t", 1): 0}
