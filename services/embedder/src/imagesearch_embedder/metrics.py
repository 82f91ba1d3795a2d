"""What the embedder tells Prometheus. The driver counts, once a micro-batch has ended."""

import math
from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, get_args

from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.platform_indices import Verdict
from imagesearch_contract.settings import EmbedderSettings
from prometheus_client import Counter, Gauge, Histogram, start_http_server

from imagesearch_embedder.embed import Outcome

_PREFIX: Final = "imagesearch_embedder"

MESSAGES: Final = Counter(
    f"{_PREFIX}_messages",
    "Messages of the topic by what became of them; those that failed, by the reason of their dead letter.",
    ["outcome", "reason"],
)
LAG: Final = Gauge(f"{_PREFIX}_lag_messages", "Messages of the topic that are not done yet; NaN before it is known.")
BATCH_SECONDS: Final = Histogram(
    f"{_PREFIX}_batch_seconds",
    "How long a micro-batch took.",
    buckets=(0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000),
)
IMAGES_PER_SECOND: Final = Gauge(f"{_PREFIX}_images_per_second", "Pictures indexed per second in the last micro-batch.")
ENCODER_BUSY: Final = Gauge(
    f"{_PREFIX}_encoder_busy_ratio", "Share of the last micro-batch's time in which the encoders worked."
)

REPORTS: Final = Counter(
    f"{_PREFIX}_reports",
    "Looks at pictures that were reported as dead, by what was found; `none` is no clear answer, to be tried again.",
    ["verdict"],
)


@contextmanager
def serving(settings: EmbedderSettings) -> Iterator[None]:
    """Answer Prometheus while the block runs, where the settings give a port.

    Raises:
        OSError: the port is taken.
    """
    LAG.set(math.nan)
    # All begin at 0, so that the first failure is a rise.
    for outcome in Outcome:
        MESSAGES.labels(outcome, "")
    for reason in Reason:
        MESSAGES.labels("failed", reason)
    for verdict in (*get_args(Verdict), "none"):
        REPORTS.labels(verdict)
    if not settings.metrics_port:
        yield
        return
    is_local = settings.spark_master.startswith("local")
    address = "127.0.0.1" if is_local else "0.0.0.0"  # noqa: S104  in its own pod
    server, thread = start_http_server(settings.metrics_port, address)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def show_lag(behind: int | None) -> None:
    """Show how far behind the topic the embedder is."""
    if behind is not None:
        LAG.set(behind)


def count(tally: Tally[str], *, seconds: float, busy: float) -> None:
    """Count a micro-batch.

    Args:
        tally: how many messages had which outcome (`Outcome` or reason code).
        seconds: how long it took.
        busy: the share of that in which the encoders worked.
    """
    for name, messages in tally.items():
        outcome, reason = ("failed", name) if name in set(Reason) else (name, "")
        MESSAGES.labels(outcome, reason).inc(messages)
    BATCH_SECONDS.observe(seconds)
    IMAGES_PER_SECOND.set(tally[Outcome.INDEXED] / seconds if seconds else 0)
    ENCODER_BUSY.set(busy)
