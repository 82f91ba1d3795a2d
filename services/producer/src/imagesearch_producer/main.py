"""The command `imagesearch-producer`: one run over one source, started by a CronJob, by the local stack, or by hand.

It exits with 0 when the source was read to its end, with 1 and one line on stderr when it was not, and with 130
when it was told to stop (what it had handed over is delivered first).
"""

import argparse
import logging
import signal
import sys
import time
from collections.abc import Iterator
from functools import cached_property, partial
from typing import TextIO

from imagesearch_contract.dead_letter import REASON_HEADER, DeadLetter, Reason, row_key
from imagesearch_contract.settings import FlickrSource, ManifestSource, ProducerSettings, SettingsError
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from imagesearch_producer import letters, state
from imagesearch_producer.catalogue import SOURCE_HEADER, Catalogue
from imagesearch_producer.ledger import KafkaLog, Turns
from imagesearch_producer.publish import Publisher, PublishError
from imagesearch_producer.run import Tally, run
from imagesearch_producer.sources import BadRow, Item, SourceError, State, flickr, manifest
from imagesearch_producer.sources.flickr_api import FlickrApi
from imagesearch_producer.topics import TopicError, messages, topic_id


def main() -> int:
    """Run once, with the settings of the environment; return the exit status."""
    argparse.ArgumentParser(
        prog="imagesearch-producer",
        description="Publish the photos of one source to a collection's Kafka topic, those that are new or changed.",
        epilog="It is set up by the environment: " + ", ".join(ProducerSettings.env_names().values()),
    ).parse_args()
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("flickrapi").setLevel(logging.ERROR)  # it logs each call, and at DEBUG the key
    # A pod is stopped with SIGTERM; taken as Ctrl-C it interrupts any wait, and the records on their way are flushed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        produce(ProducerSettings.from_env(), sys.stdout)
    except (SettingsError, SourceError, TopicError, PublishError) as error:
        sys.stderr.write(f"imagesearch-producer: {' '.join(str(error).split())}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("imagesearch-producer: stopped before the end of the source; run it again to go on\n")
        return 130
    return 0


def produce(settings: ProducerSettings, out: TextIO) -> None:
    """Run over the source once and write the summary line to `out`.

    Raises:
        SourceError, TopicError, PublishError: the run ended early, or records did not arrive; the summary tells how
            far it came.
    """
    started = time.monotonic()
    tally = Tally()
    publisher = Publisher(settings)
    with Catalogue(partial(messages, settings, settings.topic)) as catalogue:
        items = items_of(settings, catalogue)
        try:
            # The bar shows on a terminal only (`disable=None`), on stderr.
            with publisher, logging_redirect_tqdm(), tqdm(items, unit=" photos", disable=None) as shown:
                run(
                    shown,
                    catalogue,
                    KafkaOutlet(settings, publisher),
                    tally,
                    source=settings.source_name,
                    quota=settings.quota,
                )
        finally:
            out.write(tally.summary(failed=publisher.failed, seconds=time.monotonic() - started) + "\n")
            out.flush()
    if publisher.failed:
        raise PublishError(f"{publisher.failed} of the records did not arrive: {publisher.fault}")


def items_of(settings: ProducerSettings, catalogue: Catalogue) -> Iterator[Item]:
    """The items of the source that the settings name; nothing is read yet but how far it is.

    Raises:
        SourceError: a Flickr source without a key.
        TopicError: Kafka cannot be used.
    """
    match settings.source:
        case ManifestSource() as source:
            return manifest.records(source, settings, state.load(settings), catalogue, partial(letters.lines, settings))
        case FlickrSource() as source:
            if settings.flickr_api_key is None:
                raise SourceError(
                    "a Flickr source needs an API key in FLICKR_API_KEY; "
                    "https://www.flickr.com/services/apps/create/ gives one"
                )
            return _flickr(
                source, settings, settings.flickr_api_key.get_secret_value(), state.load(settings), catalogue
            )


def _flickr(
    source: FlickrSource, settings: ProducerSettings, api_key: str, state: State, catalogue: Catalogue
) -> Iterator[Item]:
    with KafkaLog(settings, api_key, run=f"{settings.topic} {settings.source_name}") as ledger:
        api = FlickrApi(source.endpoint, api_key, turn=Turns(ledger))
        yield from flickr.photos(source, api, state, catalogue, source_name=settings.source_name)


class KafkaOutlet:
    """A run's `Outlet`: the collection's topics, through one publisher."""

    def __init__(self, settings: ProducerSettings, publisher: Publisher) -> None:
        self._settings, self._publisher = settings, publisher

    def publish(self, key: bytes, value: bytes | None) -> None:
        """See `Outlet`."""
        self._publisher.publish(self._settings.topic, key, value, {SOURCE_HEADER: self._settings.source_name})

    @cached_property
    def _topic_id(self) -> str:
        return topic_id(self._settings, self._settings.topic)

    def reject(self, row: BadRow) -> None:
        """See `Outlet`."""
        letter = DeadLetter.of(
            reason=Reason.BAD_RECORD,
            detail=row.detail,
            topic=self._settings.topic,
            source=self._settings.source_name,
            line=row.line,
            key=None,
            value=row.value,
        )
        headers = {REASON_HEADER: str(letter.reason)}
        self._publisher.publish(self._settings.dead_letter_topic, letter.message_key, letter.to_bytes(), headers)

    def withdraw(self, line: int) -> None:
        """See `Outlet`."""
        key = row_key(self._settings.source_name, line)
        self._publisher.publish(self._settings.dead_letter_topic, key, None, {REASON_HEADER: str(Reason.BAD_RECORD)})

    def save(self, state_: State) -> bool:
        """See `Outlet`."""
        self._publisher.flush()
        if self._publisher.failed:
            return False
        mine = self._settings.source_name.encode()
        self._publisher.publish(
            self._settings.state_topic, mine, state.dump(state_), {state.TOPIC_HEADER: self._topic_id}
        )
        return True
