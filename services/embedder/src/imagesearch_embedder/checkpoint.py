"""Where Spark keeps how far it is with an index: a folder of its own for each index that ever had the name.

An index that somebody deletes and makes anew has another UUID. Its checkpoint is empty, and so it is filled from the
topic's start: that is how a lost index comes back, and how one is rebuilt on purpose. `main` calls it.
"""

from typing import Final, NamedTuple

from pyspark.sql import SparkSession

PREFIX: Final = "index-"
"""Of the folders. Whatever else lies beside them is nobody's to remove."""


class Checkpoint(NamedTuple):
    """The checkpoint of one index."""

    path: str
    is_new: bool
    """Nothing of the topic is in the index yet, as far as Spark knows."""


def checkpoint(session: SparkSession, location: str, index_uuid: str) -> Checkpoint:
    """Find the checkpoint of this index, and remove those of its predecessors.

    Args:
        session: knows Hadoop, and with it every file system that a checkpoint may be on.
        location: a directory or Hadoop URL.
        index_uuid: as Elasticsearch gave it when the index was made.
    """
    hadoop = session._jvm.org.apache.hadoop.fs  # type: ignore[union-attr]
    root = hadoop.Path(location)
    own = hadoop.Path(root, PREFIX + index_uuid)
    files = root.getFileSystem(session._jsc.hadoopConfiguration())
    found = [each.getPath() for each in files.listStatus(root)] if files.exists(root) else []
    for path in found:
        if path.getName().startswith(PREFIX) and path.getName() != own.getName():
            files.delete(path, True)
    return Checkpoint(own.toString(), own.getName() not in [path.getName() for path in found])
