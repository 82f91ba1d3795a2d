"""Why Kafka cannot be used, in words: what librdkafka tells bit by bit, and which setting to look at. Pure."""

import re
from collections.abc import Iterable
from typing import Final, Protocol

from imagesearch_contract.settings import KafkaConnection

_ADVICE: Final = {
    "_AUTHENTICATION": "check IMAGESEARCH_KAFKA_USERNAME, KAFKA_PASSWORD and IMAGESEARCH_KAFKA_SASL_MECHANISM",
    "_SSL": "check IMAGESEARCH_KAFKA_CA_PATH and IMAGESEARCH_KAFKA_SECURITY_PROTOCOL",
    "_INVALID_ARG": "check the variables that begin with IMAGESEARCH_KAFKA_, and KAFKA_PASSWORD",
}
_WHERE: Final = re.compile(
    r"^\w+://\S+: |(?: \(after [^()]* in state \w+\))?(?:, \d+ identical error\(s\) suppressed)?$"
)


class Fault(Protocol):
    """An error of librdkafka, such as `confluent_kafka.KafkaError`."""

    def name(self) -> str:
        """`_AUTHENTICATION` and the like."""
        ...

    def str(self) -> str:
        """For people."""
        ...


def unreachable(kafka: KafkaConnection, faults: Iterable[Fault]) -> str:
    """Say why Kafka cannot be used.

    Args:
        kafka: how it was tried.
        faults: what the client told on the way, and at last what the request failed of; at least one.
    """
    told = list(faults)
    telling = next((fault for fault in told if fault.name() in _ADVICE), told[-1])
    advice = _ADVICE.get(telling.name(), "check IMAGESEARCH_KAFKA_BOOTSTRAP_SERVERS")
    return f"Kafka cannot be reached at {kafka.kafka_bootstrap_servers}: {_WHERE.sub('', telling.str())}; {advice}"
