"""Photos listed in a manifest: JSON Lines, CSV or Parquet, from a file or an http(s) URL. `main` calls `records`.

    content (the whole of it, unpacked) ─► formats (json_lines | delimited | parquet) ─► row (a record, or why not)

A manifest that is the same as at the last run costs a question to its server, or a look at its bytes. One that was not
read to its end is gone on with; of one that has changed, every row is compared with what the topic holds.
"""

from collections.abc import Callable, Iterator
from typing import Final

from imagesearch_contract.record import ImageRecord
from imagesearch_contract.settings import ManifestSource, ProducerSettings

from imagesearch_producer.catalogue import Catalogue
from imagesearch_producer.sources import BadRow, Item, Mended, Skip, SourceError, State, Takedown, Unchanged
from imagesearch_producer.sources.manifest.content import MANIFEST_LIMIT, Content, opened
from imagesearch_producer.sources.manifest.formats import format_of, rows_of
from imagesearch_producer.sources.manifest.progress import Progress
from imagesearch_producer.sources.manifest.row import Row, is_remote, record_of

CHECKPOINT_ROWS: Final = 5_000
BAD_ROWS_LIMIT: Final = 10_000
"""A manifest with more of them is of another format, and need not fill the dead letters."""
FEW_PHOTOS: Final = 100
"""Of fewer, any number may go at once: that is somebody trying things out."""


def records(
    source: ManifestSource,
    settings: ProducerSettings,
    state: State,
    catalogue: Catalogue,
    letters: Callable[[], set[int]],
) -> Iterator[Item]:
    """Yield a record for each row, or why it is none; after the last one, what is to go since it is there no more.

    Args:
        source: which manifest.
        settings: what may be fetched, and the source's name.
        state: what the last checkpoint held.
        catalogue: what the topic holds; asked only if there is something to read.
        letters: gives the lines that have a dead letter.

    Raises:
        SourceError: the manifest cannot be had whole, is none, or lacks so much that it is likely to be broken.
    """
    before = Progress.of(state, source)
    try:
        with opened(source.url, settings, before.validators) as content:
            here = before if content is None else before.at(content)
            if content is None or here.records is not None:
                yield Unchanged(here.records or 0)
                if here != before:
                    yield here.up_to(here.line)
            else:
                here = here.begun(catalogue.count(settings.source_name))
                yield from _read(source, settings.source_name, content, here, catalogue, letters)
    except SourceError as error:
        raise SourceError(f"manifest {source.url} {error}") from error


def _read(
    source: ManifestSource,
    name: str,
    content: Content,
    here: Progress,
    catalogue: Catalogue,
    letters: Callable[[], set[int]],
) -> Iterator[Item]:
    yield here.up_to(here.line)
    format = format_of(source, content.file)
    base = source.url if is_remote(source.url) else None
    found, bad, kept, first = 0, set[int](), set[str](), ""
    for number, row in enumerate(rows_of(format, content.file, MANIFEST_LIMIT), 1):
        item = record_of(row, base) if isinstance(row, Row) else row
        if isinstance(item, BadRow):
            first = first or f"line {item.line}: {item.detail}"
            bad.add(item.line)
            if len(bad) > BAD_ROWS_LIMIT:
                raise SourceError(f"has more than {BAD_ROWS_LIMIT} rows that are no records; is it one? ({first})")
            if item.id is not None:
                kept.add(item.id)
        else:
            found += 1
        yield _met(item, catalogue) if row.line <= here.line else item
        if number % CHECKPOINT_ROWS == 0 and row.line > here.line:
            yield here.up_to(row.line)
    if bad and not found:
        raise SourceError(f"holds no record; it was read as {format} ({first})")
    for id in kept:  # not before the end, as a good row may have the same id
        catalogue.see(id.encode())
    _check_removals(source, catalogue.count(name, unseen=True), here.known or 0, found)
    for key in catalogue.unseen(name):
        yield Takedown(key.decode(), "no longer in the manifest")
    for line in sorted(letters() - bad):
        yield Mended(line)
    yield here.ended(found)


def _met(item: ImageRecord | BadRow, catalogue: Catalogue) -> Item:
    """A row that a run before this one has brought to Kafka: all there is to know is that the manifest still has it."""
    if isinstance(item, BadRow):
        return item
    return Unchanged() if catalogue.see(item.id.encode()) else Skip("seen before", item.id)


def _check_removals(source: ManifestSource, gone: int, known: int, found: int) -> None:
    """Take no half of a manifest for a smaller one."""
    many = known >= FEW_PHOTOS or not found
    if gone and many and gone * 100 > max(gone, known) * source.max_takedown_percent:
        raise SourceError(
            f"lacks {gone} of the {known} photos that were published from it, more than {source.max_takedown_percent} %, "
            "and nothing was taken down; if they are to go, set the source's maxTakedownPercent to 100"
        )
