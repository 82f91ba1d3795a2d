"""The search API's side of the encoder's HTTP interface (`imagesearch_contract.encoder`).

A vector is bytes here (little-endian float32): it is compared with nothing, only passed on and cached.
"""

import asyncio
import math
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import aiohttp
from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.encoder import (
    DIMS_HEADER,
    HEALTH_PATH,
    IMAGE_PATH,
    MODEL_HEADER,
    TEXT_PATH,
    EncodeProblem,
    TextRequest,
)
from pydantic import ValidationError

from imagesearch_search.problems import (
    ENCODER_OVERLOADED,
    ENCODER_UNAVAILABLE,
    IMAGE_TOO_LARGE,
    MODEL_MISMATCH,
    UNSUPPORTED_IMAGE,
    UNUSABLE_IMAGE,
    Kind,
    Problem,
)
from imagesearch_search.query import floats

FAILURES_TO_OPEN = 3
_LOST: Final = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientOSError,
    aiohttp.ClientConnectionResetError,
    aiohttp.ClientPayloadError,
)
"""A connection that broke; not one that was silent for too long."""
OPEN_SECONDS = 1.0

_KIND_OF_REASON: dict[str, Kind] = {
    Reason.NOT_AN_IMAGE: UNSUPPORTED_IMAGE,
    Reason.UNSUPPORTED_FORMAT: UNSUPPORTED_IMAGE,
    Reason.TOO_LARGE: IMAGE_TOO_LARGE,
}


class Circuit:
    """Stops asking what does not answer: after a few failures in a row, one try a second.

    Without it every search would wait for the whole timeout while an encoder hangs.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._retry_at = 0.0
        self._answered_at = -math.inf

    def allows(self) -> bool:
        """Whether to ask. The first to be allowed after a pause is the probe; others wait for what it finds."""
        if self._failures < FAILURES_TO_OPEN:
            return True
        if self._clock() < self._retry_at:
            return False
        self._retry_at = self._clock() + OPEN_SECONDS
        return True

    def now(self) -> float:
        """When something is asked; for `failed`."""
        return self._clock()

    def succeeded(self) -> None:
        """It answered."""
        self._failures = 0
        self._answered_at = self._clock()

    def failed(self, asked_at: float) -> None:
        """It did not. If it answered others in the meantime, it is slow rather than gone, and that does not count."""
        if self._answered_at > asked_at:
            return
        self._failures += 1
        self._retry_at = self._clock() + OPEN_SECONDS


class Encoder(NamedTuple):
    """Which encoder to ask, and what its answers have to be: from the `_meta` of the index that is searched."""

    url: str
    model: str
    dims: int


class EncoderClient:
    """Asks encoders for vectors; one session for all of them, one circuit each."""

    def __init__(self, session: aiohttp.ClientSession, timeout_seconds: float) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=min(1.0, timeout_seconds))
        self._circuits: dict[str, Circuit] = {}

    async def text(self, encoder: Encoder, text: str) -> bytes:
        """The vector of a text.

        Raises:
            Problem: the encoder is away, overloaded, or of another model.
        """
        body = TextRequest(texts=[text]).model_dump_json().encode()
        return await self._encode(encoder, TEXT_PATH, body, "application/json")

    async def image(self, encoder: Encoder, picture: bytes) -> bytes:
        """The vector of a picture.

        Raises:
            Problem: as `text`, or the picture cannot be used.
        """
        return await self._encode(encoder, IMAGE_PATH, picture, "application/octet-stream")

    async def reachable(self, encoder: Encoder) -> bool:
        """Whether the encoder says that it is ready, within a second."""
        try:
            async with self._session.get(
                encoder.url.rstrip("/") + HEALTH_PATH, timeout=aiohttp.ClientTimeout(total=1.0)
            ) as answer:
                return answer.status == HTTPStatus.OK
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _encode(self, encoder: Encoder, path: str, body: bytes, media_type: str) -> bytes:
        circuit = self._circuits.setdefault(encoder.url, Circuit())
        if not circuit.allows():
            raise _away(encoder)
        asked_at = circuit.now()
        try:
            status, headers, content = await self._post(encoder.url.rstrip("/") + path, body, media_type)
        except (aiohttp.ClientError, TimeoutError) as error:
            circuit.failed(asked_at)
            raise _away(encoder) from error
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.SERVICE_UNAVAILABLE:
            circuit.failed(asked_at)
            raise _away(encoder)
        circuit.succeeded()
        if status == HTTPStatus.OK:
            return _checked(encoder, headers, content)
        raise _refusal(status, content, encoder)

    async def _post(self, url: str, body: bytes, media_type: str) -> tuple[int, Any, bytes]:
        """One answer; asked again once when a kept connection turns out to be closed, or a replica was lost.

        For what a replica was doing when it died, Serve answers 500, and there may be others. To encode twice does no harm.
        """
        async with asyncio.timeout(self._timeout.total):
            for last in (False, True):
                try:
                    async with self._session.post(
                        url, data=body, headers={"Content-Type": media_type}, timeout=self._timeout
                    ) as answer:
                        if last or answer.status != HTTPStatus.INTERNAL_SERVER_ERROR:
                            return answer.status, answer.headers, await answer.read()
                except _LOST:
                    if last:
                        raise
        raise AssertionError("the loop returns or raises")


def _checked(encoder: Encoder, headers: Any, content: bytes) -> bytes:
    model = headers.get(MODEL_HEADER)
    if model != encoder.model:
        raise Problem(
            MODEL_MISMATCH,
            f"The collection holds vectors of {encoder.model}, its encoder serves {model}: their scores would mean nothing. "
            "Serve the collection's model, or index it again with the other.",
        )
    if headers.get(DIMS_HEADER) != str(encoder.dims) or len(content) != 4 * encoder.dims:
        raise Problem(
            MODEL_MISMATCH,
            f"The encoder answered {len(content)} bytes and {DIMS_HEADER}: {headers.get(DIMS_HEADER)}; "
            f"the collection's vectors have {encoder.dims} dims.",
        )
    if not all(map(math.isfinite, floats(content))):
        raise Problem(ENCODER_UNAVAILABLE, f"The encoder of {encoder.model} gave no usable vector for this query.")
    return content


def _refusal(status: int, content: bytes, encoder: Encoder) -> Problem:
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Problem(ENCODER_OVERLOADED, f"The encoder of {encoder.model} is busy. Try again.", retry_after=1)
    try:
        problem = EncodeProblem.model_validate_json(content)
    except ValidationError:
        return _away(encoder)
    return Problem(_KIND_OF_REASON.get(problem.reason, UNUSABLE_IMAGE), f"{problem.detail} ({problem.reason})")


def _away(encoder: Encoder) -> Problem:
    return Problem(
        ENCODER_UNAVAILABLE, f"The encoder of {encoder.model} does not answer. Try again in a moment.", retry_after=1
    )
