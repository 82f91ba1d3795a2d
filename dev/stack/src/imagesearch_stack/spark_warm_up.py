"""A short streaming query through Python workers, as the embedder's: `spark` has it run, to see which classes that takes."""

import tempfile
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, lit


def main() -> None:
    """Run it to its end."""
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )
    with tempfile.TemporaryDirectory(prefix="imagesearch-") as checkpoint:
        numbers = session.readStream.format("rate-micro-batch").option("rowsPerBatch", 10).load()
        query = (
            numbers.select(col("value"), lit(b"bytes").alias("bytes"))
            .repartition(2, "value")
            .mapInArrow(_unchanged, "value long, bytes binary")
            .writeStream.foreachBatch(_look_at)
            .option("checkpointLocation", checkpoint)
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()
    session.stop()


def _unchanged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def _look_at(batch: DataFrame, _: int) -> None:
    batch.collect()


if __name__ == "__main__":
    main()
