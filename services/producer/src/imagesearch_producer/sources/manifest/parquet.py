"""Parquet: a column for each of the record's fields that is there, read in small batches. The only user of pyarrow here."""

from collections.abc import Iterator
from typing import IO, Any, Final

from imagesearch_contract.record import ImageRecord

from imagesearch_producer.sources import BadRow, SourceError
from imagesearch_producer.sources.manifest.row import Row, of_table, shown

BATCH_ROWS: Final = 500
COLUMNS: Final = (*ImageRecord.model_fields, "lat", "lon", "location.lat", "location.lon")


def rows(file: IO[bytes], limit: int) -> Iterator[Row | BadRow]:
    """Yield the rows; `limit` is for the bytes of all columns that are read, unpacked.

    Raises:
        SourceError: pyarrow is not installed, or the file is damaged, cut off, too large or has no column `url`.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise SourceError("is Parquet, which needs pyarrow: pip install 'imagesearch-producer[parquet]'") from error
    line = 0
    try:
        # Buffered, or else each column of a row group would be in memory whole.
        table = parquet.ParquetFile(file, buffer_size=2**20, pre_buffer=False)
        columns = [name for name in COLUMNS if name in table.schema_arrow.names]
        if "url" not in columns:
            raise SourceError(f"has no column url, but {', '.join(table.schema_arrow.names[:20]) or 'none at all'}")
        if (size := _unpacked_bytes(table, columns)) > limit:
            raise SourceError(f"unpacks to {size} bytes, more than {limit}")
        for batch in table.iter_batches(BATCH_ROWS, columns=columns):
            for fields in pa.table([_moments(column) for column in batch.columns], batch.schema.names).to_pylist():
                line += 1
                yield _row(line, fields)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise SourceError(f"is not a whole Parquet file: {error}") from error


def _unpacked_bytes(table: Any, columns: list[str]) -> int:
    """What the footer says of the columns; a lie there ends in an error of the reader."""
    metadata = table.metadata
    chunks = (
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    )
    return sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns)


def _moments(column: Any) -> Any:
    """Timestamps in microseconds, and by an offset, as not every image has the zones' names; anything else as it is."""
    import pyarrow as pa

    if not pa.types.is_timestamp(column.type):
        return column
    return column.cast(pa.timestamp("us", column.type.tz and "+00:00"), safe=False)


def _row(line: int, fields: dict[str, Any]) -> Row | BadRow:
    try:
        return Row(line, of_table(fields))
    except ValueError as error:
        return BadRow(line, str(error), shown(fields))
