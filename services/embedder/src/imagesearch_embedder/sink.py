"""Elasticsearch: bulk writes that are repeated until each is answered. `worker` makes the `Sink`, the driver checks the index.

Every write carries the Kafka timestamp as its external version, so replays, retries and writers that outlived their
time change nothing that is newer.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import orjson
from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch, NotFoundError
from elasticsearch.helpers import pack_dense_vector
from imagesearch_contract.index import VECTOR_FIELD, IndexMeta, IndexMetaError
from imagesearch_contract.settings import ElasticsearchSettings, EmbedderSettings

from imagesearch_embedder.embed import Outcome, Refused, Write

log = logging.getLogger(__name__)

REQUEST_TIMEOUT: Final = 60.0
"""Seconds for one bulk request."""
LONGEST_PAUSE: Final = 30.0
"""Seconds between attempts, once an outage has lasted a while."""
PACKED_VECTORS_SINCE: Final = (9, 3)
"""The Elasticsearch that reads vectors as base64."""
TRY_AGAIN: Final = frozenset({429, 502, 503, 504})
"""Item states that say "not now": the queue is full, a shard is moving."""
SPLIT: Final = frozenset({400, 413})
"""Answers to a whole request that one document may be the cause of, or that come of its size."""


class IndexMismatchError(ValueError):
    """The index holds the vectors of another model; the message says which."""


class Unavailable(Exception):  # noqa: N818  a state that passes, not an error of the program
    """Elasticsearch cannot take the request now; the message says why and what to do."""


class IndexMissing(Unavailable):
    """There is no such index."""


def connect(settings: ElasticsearchSettings) -> Elasticsearch:
    """Make a client. It does not retry by itself: retries are decided here, per item."""
    return Elasticsearch(**settings.elasticsearch_client, request_timeout=REQUEST_TIMEOUT, max_retries=0)


def check_index(client: Elasticsearch, settings: EmbedderSettings) -> str:
    """Refuse to mix vectors with those of another model; return the UUID of the index.

    Raises:
        IndexMissing: there is no such index (yet).
        Unavailable: Elasticsearch cannot be asked.
        IndexMismatchError: the index is another model's, or not ours at all.
    """
    try:
        answer = client.indices.get(index=settings.index)
    except (TransportError, ApiError) as error:
        raise _unavailable(error, settings.index) from error
    (index,) = answer.body.values()
    try:
        meta = IndexMeta.of_mapping(index["mappings"])
    except IndexMetaError as error:
        raise IndexMismatchError(f"index {settings.index} was not made for this embedder: {error}") from error
    if (meta.model_name, meta.model_version) != (settings.model_name, settings.model_version):
        raise IndexMismatchError(
            f"index {settings.index} holds the vectors of {meta.model_label}, "
            f"not of {settings.model_label}: give this model an index of its own"
        )
    return str(index["settings"]["index"]["uuid"])


def takes_packed_vectors(client: Elasticsearch) -> bool:
    """Whether every node reads a vector as base64 (big-endian float32) too, which is half as long as its digits.

    Asked of the nodes: not every distribution answers `GET /`. Where that is not allowed, the answer is no.
    """
    try:
        nodes = client.nodes.info(node_id="_all", filter_path="nodes.*.version")["nodes"]
        versions = [tuple(map(int, node["version"].partition("-")[0].split(".")[:2])) for node in nodes.values()]
    except (TransportError, ApiError, KeyError, ValueError):
        return False
    return min(versions, default=(0, 0)) >= PACKED_VECTORS_SINCE


class Sink:
    """Writes to one index."""

    def __init__(
        self, client: Elasticsearch, index: str, *, packed: bool = False, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Set up; nothing connects yet.

        Args:
            client: a client that does not retry.
            index: its name.
            packed: write vectors as base64, which Elasticsearch has to take.
            sleep: how it waits between attempts.
        """
        self._client, self._index, self._packed, self._sleep = client, index, packed, sleep

    def write(self, writes: Sequence[Write]) -> list[Outcome | Refused]:
        """Write all; return what became of each, in order.

        Waits for as long as Elasticsearch cannot take them (down, overloaded, index missing), with a warning at each
        attempt: nothing is lost, Kafka keeps what comes next.
        """
        answers: list[Outcome | Refused | None] = [None] * len(writes)
        pauses = _pauses()
        while missing := [place for place, answer in enumerate(answers) if answer is None]:
            try:
                for place, answer in zip(missing, self._attempt([writes[place] for place in missing]), strict=True):
                    answers[place] = answer
                why = "it is overloaded or a shard is not available"
            except Unavailable as error:
                why = str(error)
            if waiting := answers.count(None):
                pause = next(pauses)
                log.warning("%d writes wait for Elasticsearch, next try in %.1f s: %s", waiting, pause, why)
                self._sleep(pause)
        return [answer for answer in answers if answer is not None]

    def _attempt(self, writes: Sequence[Write]) -> list[Outcome | Refused | None]:
        """One try; None stands for "not now"."""
        try:
            # A bulk request would create a missing index, without its mapping; creating it is not ours to do.
            if not self._client.indices.exists(index=self._index):
                raise _missing(self._index)
            answer = self._client.bulk(index=self._index, operations=list(_lines(writes, packed=self._packed)))
        except ApiError as error:
            if error.status_code in SPLIT and len(writes) > 1:
                half = len(writes) // 2
                return self._attempt(writes[:half]) + self._attempt(writes[half:])
            if error.status_code in SPLIT:
                return [Refused(f"{error.status_code}: {error.message}")]
            raise _unavailable(error, self._index) from error
        except TransportError as error:
            raise _unavailable(error, self._index) from error
        return [_answer(item) for item in answer["items"]]


def _pauses() -> Iterator[float]:
    longest = 0.5
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311  jitter, so that workers do not come back together
        longest = min(longest * 2, LONGEST_PAUSE)


def _lines(writes: Sequence[Write], *, packed: bool) -> Iterator[Any]:
    # Bytes, which the client passes through: orjson reads float32 arrays as they are and is several times faster.
    for write in writes:
        # gte, not gt: the same message again is written again, which repairs a document and harms none.
        action = {"_id": write.id, "version": write.version, "version_type": "external_gte"}
        if write.document is None:
            yield orjson.dumps({"delete": action})
        else:
            yield orjson.dumps({"index": action})
            document = write.document
            if packed:
                document = document | {VECTOR_FIELD: pack_dense_vector(document[VECTOR_FIELD])}
            yield orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def _answer(item: dict[str, Any]) -> Outcome | Refused | None:
    ((action, result),) = item.items()
    status = result["status"]
    error = result.get("error", {})
    if status in TRY_AGAIN or error.get("type") == "index_not_found_exception":
        return None
    if status == 409:
        return Outcome.STALE
    if action == "delete" and (status == 404 or status < 300):  # 404: there was no such document; a tombstone is set
        return Outcome.DELETED
    if status < 300:
        return Outcome.INDEXED
    cause = error.get("caused_by", {}).get("reason")
    return Refused(f"{status} {error.get('type')}: {error.get('reason')}" + (f" ({cause})" if cause else ""))


def _unavailable(error: TransportError | ApiError, index: str) -> Unavailable:
    if isinstance(error, NotFoundError):
        return _missing(index)
    if isinstance(error, ApiError):
        hint = "; check user name, password and rights" if error.status_code in (401, 403) else ""
        return Unavailable(f"Elasticsearch answered {error.status_code} {error.message}{hint}")
    return Unavailable(f"cannot reach Elasticsearch: {type(error).__name__}: {error.message}")


def _missing(index: str) -> IndexMissing:
    return IndexMissing(
        f"index {index} does not exist; whoever owns the collection (operator, local stack) has to create it"
    )
