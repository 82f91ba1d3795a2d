"""The encoder's side of its HTTP interface (`imagesearch_contract.encoder`): one request in, one answer out.

`serving` runs it in every replica and gives it the batching; nothing here knows of Ray.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

import numpy as np
from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.encoder import (
    DIMS_HEADER,
    HEALTH_PATH,
    IMAGE_PATH,
    MODEL_HEADER,
    TEXT_LIMIT,
    TEXT_PATH,
    VECTORS_MEDIA_TYPE,
    EncodeProblem,
    TextRequest,
)
from imagesearch_contract.record import describe
from imagesearch_contract.settings import EncoderServiceSettings
from imagesearch_fetcher.decoders import Submit
from imagesearch_fetcher.errors import DecodeError
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

Vector = NDArray[np.float32]
EncodeText = Callable[[str], Awaitable[Vector]]
EncodeImage = Callable[[Image.Image], Awaitable[Vector]]

_TEXT_BODY_LIMIT = 256 * (6 * TEXT_LIMIT + 4) + 1024
"""Bytes of the largest `TextRequest` with every character escaped."""


class RefusalError(Exception):
    """A request that is answered with a 4xx."""

    def __init__(self, status: HTTPStatus, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.answer = EncodeProblem(reason=reason, detail=detail)
        self.status = status


class EncoderHttp:
    """Answers the requests of one replica.

    Args:
        settings: limits, and the model's label.
        decode: decodes one picture.
        text: encodes one text; it may wait to be encoded with others.
        image: the same for one picture.
    """

    def __init__(
        self, settings: EncoderServiceSettings, *, decode: Submit, text: EncodeText, image: EncodeImage
    ) -> None:
        self._settings = settings
        self._decode = decode
        self._text = text
        self._image = image

    async def answer(self, request: Request) -> Response:
        """The answer to a request, whatever it is."""
        try:
            match request.method, request.url.path:
                case "POST", path if path == TEXT_PATH:
                    return self._vectors(await self._encode_texts(await _body(request, _TEXT_BODY_LIMIT)))
                case "POST", path if path == IMAGE_PATH:
                    return self._vectors([await self._encode_picture(request)])
                case "GET", path if path == HEALTH_PATH:
                    return JSONResponse({"status": "ok", "model": self._settings.model_label})
                case method, path:
                    raise RefusalError(HTTPStatus.NOT_FOUND, "unknown_path", f"there is no {method} {path}")
        except RefusalError as refusal:
            return JSONResponse(refusal.answer.model_dump(), refusal.status)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it

    async def _encode_texts(self, body: bytes) -> Sequence[Vector]:
        try:
            texts = TextRequest.model_validate_json(body).texts
        except ValidationError as error:
            raise RefusalError(HTTPStatus.BAD_REQUEST, "bad_request", describe(error)) from error
        if any(len(text) > TEXT_LIMIT for text in texts):
            raise RefusalError(HTTPStatus.BAD_REQUEST, "bad_request", f"a text has more than {TEXT_LIMIT} characters")
        return await asyncio.gather(*map(self._text, texts))

    async def _encode_picture(self, request: Request) -> Vector:
        data = await _body(request, self._settings.max_image_bytes)
        try:
            picture = await asyncio.wrap_future(self._decode(data))
        except DecodeError as error:
            raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, error.reason, error.detail) from error
        return await self._image(picture)

    def _vectors(self, vectors: Sequence[Vector]) -> Response:
        rows = np.stack(vectors).astype("<f4", copy=False)
        headers = {DIMS_HEADER: str(rows.shape[1]), MODEL_HEADER: self._settings.model_label}
        return Response(rows.tobytes(), headers=headers, media_type=VECTORS_MEDIA_TYPE)


async def _body(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise RefusalError(
                HTTPStatus.UNPROCESSABLE_ENTITY, Reason.TOO_LARGE, f"the body has more than {limit} bytes"
            )
    return bytes(body)
