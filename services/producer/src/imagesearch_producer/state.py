"""How far each source is, kept in Kafka beside the records: it outlives the pods, and a killed run starts from it."""

import json
import logging

from imagesearch_contract.settings import ProducerSettings

from imagesearch_producer.sources import State
from imagesearch_producer.topics import messages

log = logging.getLogger(__name__)


def load(settings: ProducerSettings) -> State:
    """What the source remembered last; empty where there is nothing, or nothing that can be read.

    Raises:
        TopicError: Kafka cannot be used.
    """
    mine = settings.source_name.encode()
    value = None
    for message in messages(settings, settings.state_topic):
        if message.key() == mine:
            value = message.value()
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
