"""The HTTP interface of the encoder service. The search API calls it, the Ray Serve application answers.

`POST /encode_text` takes `{"texts": ["..."]}` as JSON; `POST /encode_image` takes the bytes of one picture as they
came (JPEG, PNG, WebP, GIF). Both answer 200 with the vectors as raw little-endian float32, row after row
(`application/octet-stream`), and the two headers below. `GET /healthz` answers 200 once the model is loaded and warm.
A picture that cannot be used is answered with 422 and `{"reason": <dead-letter reason>, "detail": "..."}`,
a request that is not of this form with 400, an overloaded service with 503.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

TEXT_PATH: Final = "/encode_text"
IMAGE_PATH: Final = "/encode_image"
HEALTH_PATH: Final = "/healthz"

DIMS_HEADER: Final = "X-Imagesearch-Dims"
MODEL_HEADER: Final = "X-Imagesearch-Model"
"""`<name>/<version>`. The caller compares it with the index's `_meta`: vector spaces never mix."""

VECTORS_MEDIA_TYPE: Final = "application/octet-stream"

SERVE_ENVIRONMENT: Final = {
    # Handlers only wait (the model and the decoder run in threads), so they can share the replica's own event loop:
    # a request then crosses two threads less.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""What every process of the Ray under the encoder service finds in its environment, whoever starts it."""

TEXT_LIMIT = 1_000
"""Characters of one query. Encoders keep far fewer tokens; the cap bounds the work of the tokenizer."""


class TextRequest(BaseModel):
    """The body of `POST /encode_text`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    texts: list[str] = Field(min_length=1, max_length=256)


class EncodeProblem(BaseModel):
    """The body of a 4xx answer."""

    reason: str
    detail: str
