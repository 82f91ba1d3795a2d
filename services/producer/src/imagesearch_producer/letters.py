"""Which rows of a manifest have a dead letter. `manifest` asks at its end, to take back those of rows that are good again."""

from imagesearch_contract.dead_letter import DeadLetter
from imagesearch_contract.settings import ProducerSettings
from pydantic import ValidationError

from imagesearch_producer.topics import messages


def lines(settings: ProducerSettings) -> set[int]:
    """The lines of which the source has letters. The topic is asked, as runs that were killed have written to it too.

    Raises:
        TopicError: Kafka cannot be used.
    """
    found: dict[bytes, int] = {}
    mine = f"{settings.source_name}/".encode()
    for message in messages(settings, settings.dead_letter_topic):
        key, value = message.key() or b"", message.value()
        if not key.startswith(mine):
            continue
        line = None if value is None else _line(value, settings.source_name)
        if line is None:
            found.pop(key, None)
        else:
            found[key] = line
    return set(found.values())


def _line(value: bytes, source: str) -> int | None:
    """The line that a letter is about; None where it is about none of this source, but a record at `<partition>/<offset>`."""
    try:
        letter = DeadLetter.from_bytes(value)
    except ValidationError:
        return None
    return letter.line if letter.source == source else None
