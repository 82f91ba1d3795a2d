"""How a message gets to Kafka and is known to have arrived. `main` makes the `Publisher`, `run` uses it."""

import logging
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from imagesearch_contract.kafka import unreachable
from imagesearch_contract.settings import KafkaConnection

log = logging.getLogger(__name__)

DELIVERY_SECONDS: Final = 60.0
"""How long a record may wait for Kafka before it counts as failed."""


class PublishError(Exception):
    """Records did not reach Kafka; the message says why, on one line."""


class Publisher:
    """An idempotent Kafka producer; leaving the context waits for what is on its way.

    `failed` counts the messages that did not arrive, `fault` says why the last of them did not.

    Raises:
        PublishError: the client cannot be made as `kafka` says.
    """

    def __init__(self, kafka: KafkaConnection, *, delivery_seconds: float = DELIVERY_SECONDS) -> None:
        self.failed = 0
        self.fault = ""
        self._outage = False
        options: dict[str, Any] = {
            **kafka.kafka_client,
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": 20,
            "delivery.timeout.ms": int(delivery_seconds * 1000),
            "queue.buffering.max.kbytes": 64 * 1024,  # the default is a gigabyte
        }
        try:
            self._producer = Producer(options, logger=log)
        except KafkaException as error:
            raise PublishError(unreachable(kafka, [error.args[0]])) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()

    def flush(self) -> None:
        """Wait until each message has arrived or was given up, which each is within the time that it has."""
        self._producer.flush()

    def publish(self, topic: str, key: bytes, value: bytes | None, headers: dict[str, str] | None = None) -> None:
        """Hand a message over; it is counted in `failed` should it not arrive.

        Raises:
            PublishError: an earlier message was lost to an outage, so this one would be as well.
        """
        while True:
            self._producer.poll(0)
            if self._outage:
                raise PublishError(f"Kafka takes no more records: {self.fault}")
            try:
                return self._producer.produce(
                    topic, key=key, value=value, headers=dict(headers or {}), on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(1)  # the queue is full: wait until some have arrived
            except KafkaException as error:
                return self._delivered(error.args[0])

    def _delivered(self, error: KafkaError | None, _message: Message | None = None) -> None:
        if error is None:
            return
        self.failed += 1
        self.fault = error.str()
        log.error("not delivered: %s", self.fault)
        # One record being too large is that record's fault; of anything else the next record would die as well.
        if error.code() != KafkaError.MSG_SIZE_TOO_LARGE:
            self._outage = True
