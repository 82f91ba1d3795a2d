"""The encoder on LitServe. It decodes where it encodes."""

from typing import Annotated, Any

import litserve
from fastapi import Body, Response
from PIL import Image
from same_encoder import BATCH, PORT, WAIT_MS, WORKERS, SameEncoder, open_picture


class EncoderApi(litserve.LitAPI):  # type: ignore[misc]
    """A picture's bytes in, its vector's out."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        self.encoder = SameEncoder()

    def decode_request(self, request: Annotated[bytes, Body(media_type="application/octet-stream")]) -> Image.Image:
        return open_picture(request)

    def batch(self, inputs: list[Image.Image]) -> list[Image.Image]:
        return inputs

    def predict(self, pictures: list[Image.Image]) -> Any:
        return self.encoder.encode(pictures)

    def unbatch(self, output: Any) -> list[Any]:
        return list(output)

    def encode_response(self, output: Any) -> Response:
        return Response(output.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    api = EncoderApi(max_batch_size=BATCH, batch_timeout=WAIT_MS / 1000)
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=WORKERS)
    server.run(host="127.0.0.1", port=PORT, num_api_servers=1, generate_client_file=False, log_level="warning")
