"""Of all that a Kafka client says, the sentence that helps."""

from typing import NamedTuple

import pytest
from imagesearch_contract.kafka import unreachable
from imagesearch_contract.settings import KafkaConnection


class Told(NamedTuple):
    """As `confluent_kafka.KafkaError`."""

    code: str
    text: str

    def name(self) -> str:
        return self.code

    def str(self) -> str:
        return self.text


DOWN = Told("_ALL_BROKERS_DOWN", "1/1 brokers are down")
TIMED_OUT = Told("_TRANSPORT", "Failed to get metadata: Local: Broker transport failure")


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (
            [TIMED_OUT],
            "Failed to get metadata: Local: Broker transport failure; check IMAGESEARCH_KAFKA_BOOTSTRAP_SERVERS",
        ),
        (
            [
                Told(
                    "_AUTHENTICATION",
                    "sasl_ssl://k:9093/bootstrap: SASL authentication error: Authentication failed "
                    "(after 324ms in state AUTH_REQ)",
                ),
                DOWN,
                TIMED_OUT,
            ],
            "SASL authentication error: Authentication failed; "
            "check IMAGESEARCH_KAFKA_USERNAME, KAFKA_PASSWORD and IMAGESEARCH_KAFKA_SASL_MECHANISM",
        ),
        (
            [
                DOWN,
                Told(
                    "_SSL",
                    "ssl://k:9093/1: SSL handshake failed: certificate verify failed (install ca-certificates package) "
                    "(after 6ms in state SSL_HANDSHAKE), 3 identical error(s) suppressed",
                ),
            ],
            "SSL handshake failed: certificate verify failed (install ca-certificates package); "
            "check IMAGESEARCH_KAFKA_CA_PATH and IMAGESEARCH_KAFKA_SECURITY_PROTOCOL",
        ),
    ],
    ids=["nobody there", "wrong password", "unknown authority"],
)
def test_the_fault_that_explains_the_others_is_told_with_the_setting_to_look_at(faults: list[Told], said: str) -> None:
    kafka = KafkaConnection(kafka_bootstrap_servers="k:9093")

    assert unreachable(kafka, faults) == f"Kafka cannot be reached at k:9093: {said}"
