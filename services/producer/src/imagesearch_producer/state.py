"""How far each source is, kept in Kafka beside the records: it outlives the pods, and a killed run starts from it."""

import json
import logging
from typing import Final

from imagesearch_contract.settings import ProducerSettings

from imagesearch_producer.sources import State
from imagesearch_producer.topics import messages, topic_id

log = logging.getLogger(__name__)

TOPIC_HEADER: Final = "topic-id"
"""Kafka header of a state: the records topic that it is about, since of an empty one nothing is remembered."""


def load(settings: ProducerSettings) -> State:
    """What the source remembered last; empty where there is nothing, or nothing that can be read.

    Raises:
        TopicError: Kafka cannot be used.
    """
    mine = settings.source_name.encode()
    value, of = None, None
    for message in messages(settings, settings.state_topic):
        if message.key() == mine:
            value = message.value()
            of = dict(message.headers() or ()).get(TOPIC_HEADER)
    if value is not None and of is not None and of != topic_id(settings, settings.topic).encode():
        log.warning(
            "topic %s was deleted and made anew: source %s starts from the beginning", settings.topic, mine.decode()
        )
        return {}
    try:
        state = json.loads(value or b"{}")
        if not isinstance(state, dict):
            raise ValueError(f"expected a JSON object, got {type(state).__name__}")
        return state
    except ValueError as error:
        # Only time is lost by it: what is in the topic already is not published again.
        log.warning("what source %s remembered cannot be read, it starts from the beginning: %s", mine.decode(), error)
        return {}


def dump(state: State) -> bytes:
    """The state as it is kept."""
    return json.dumps(state, separators=(",", ":")).encode()
