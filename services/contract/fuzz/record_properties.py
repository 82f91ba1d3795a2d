"""What holds of any Kafka message. `fuzz_record` and the tests look for one of which it does not."""

from imagesearch_contract.dead_letter import DeadLetter
from imagesearch_contract.record import ImageRecord, RecordError
from imagesearch_embedder.plan import LETTER_LIMIT, Message, Takedown, Unusable, Upsert, dead_letter, plan


def check_record(value: bytes) -> bool:
    """Whether a value is a record; raises whatever nobody expects."""
    try:
        record = ImageRecord.from_bytes(value)
    except RecordError as refusal:
        assert str(refusal), "refused without a reason"
        return False
    written = record.to_bytes()
    assert ImageRecord.from_bytes(written) == record, "another record after it was written"
    assert ImageRecord.from_bytes(written).to_bytes() == written, "the same record in other bytes"
    return True


def check_message(key: bytes | None, value: bytes | None) -> None:
    """What a message asks for is one of three things, and what cannot be used fits into a dead letter whole or cut."""
    message = Message(partition=0, offset=1, timestamp=-1, key=key, value=value)
    match plan(message):
        case Upsert(_, record):
            assert key == record.id.encode()
        case Takedown(_, image_id):
            assert (key, value) == (image_id.encode(), None)
        case Unusable() as failed:
            letter = dead_letter(failed, topic="t")
            written = letter.to_bytes()
            assert len(written) <= LETTER_LIMIT, "a letter that Kafka may refuse"
            assert DeadLetter.from_bytes(written) == letter, "another letter after it was written"
            assert (value or b"").startswith(letter.original_value()), "the letter holds other bytes than came"
