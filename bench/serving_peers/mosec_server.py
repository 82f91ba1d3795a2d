"""The encoder on mosec, whose Rust front batches and hands from stage to stage: one decodes, the next encodes."""

from typing import Any

from mosec import Server, Worker
from PIL import Image
from same_encoder import BATCH, CORES, WAIT_MS, WORKERS, SameEncoder, open_picture


class Decode(Worker):  # type: ignore[misc]
    """Bytes of a file to a picture."""

    def deserialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: bytes) -> Image.Image:
        return open_picture(data)


class Encode(Worker):  # type: ignore[misc]
    """Pictures to the bytes of their vectors."""

    resp_mime_type = "application/octet-stream"

    def __init__(self) -> None:
        super().__init__()
        self.encoder = SameEncoder()

    def forward(self, data: list[Image.Image]) -> list[Any]:
        return list(self.encoder.encode(data))

    def serialize(self, data: Any) -> bytes:
        return bytes(data.tobytes())


if __name__ == "__main__":
    server = Server()
    server.append_worker(Decode, num=CORES)
    server.append_worker(Encode, num=WORKERS, max_batch_size=BATCH, max_wait_time=WAIT_MS)
    server.run()
