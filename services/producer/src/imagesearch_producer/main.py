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
from typing import TextIO

from imagesearch_contract.settings import FlickrSource, ManifestSource, ProducerSettings, SettingsError
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from imagesearch_producer.publish import Publisher, PublishError, published
from imagesearch_producer.run import Tally, run
from imagesearch_producer.sources import Item, SourceError, flickr, manifest


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
    except (SettingsError, SourceError, PublishError) as error:
        sys.stderr.write(f"imagesearch-producer: {' '.join(str(error).split())}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("imagesearch-producer: stopped before the end of the source; run it again to go on\n")
        return 130
    return 0


def produce(settings: ProducerSettings, out: TextIO) -> None:
    """Run over the source once and write the summary line to `out`.

    Raises:
        SourceError, PublishError: the run ended early, or records did not arrive; the summary tells how far it came.
    """
    started = time.monotonic()
    items = items_of(settings)
    known = published(settings, settings.topic)
    tally = Tally()
    publisher = Publisher(settings, settings.topic)
    try:
        # The bar shows on a terminal only (`disable=None`), on stderr.
        with publisher, logging_redirect_tqdm(), tqdm(items, unit=" photos", disable=None) as shown:
            run(shown, known, publisher.publish, tally, quota=settings.quota)
    finally:
        out.write(tally.summary(failed=publisher.failed, seconds=time.monotonic() - started) + "\n")
        out.flush()
    if publisher.failed:
        raise PublishError(f"{publisher.failed} of the records did not arrive: {publisher.fault}")


def items_of(settings: ProducerSettings) -> Iterator[Item]:
    """The items of the source that the settings name; nothing is read yet.

    Raises:
        SourceError: a Flickr source without a key.
    """
    match settings.source:
        case ManifestSource() as source:
            return manifest.records(source, settings)
        case FlickrSource() as source:
            if settings.flickr_api_key is None:
                raise SourceError(
                    "a Flickr source needs an API key in FLICKR_API_KEY; "
                    "https://www.flickr.com/services/apps/create/ gives one"
                )
            return flickr.photos(source, settings.flickr_api_key.get_secret_value())
