"""The encoder on BentoML, which batches adaptively. What it batches comes in lists, so the bytes are base64 in JSON."""

import base64

import bentoml
from same_encoder import BATCH, WORKERS, SameEncoder, open_picture


@bentoml.service(workers=WORKERS)
class Encoder:
    """Pictures in, the bytes of their vectors out."""

    def __init__(self) -> None:
        self.encoder = SameEncoder()

    @bentoml.api(batchable=True, max_batch_size=BATCH)  # type: ignore[untyped-decorator]
    def encode(self, images: list[str]) -> list[str]:
        """A vector for each picture."""
        vectors = self.encoder.encode([open_picture(base64.b64decode(image)) for image in images])
        return [base64.b64encode(vector.tobytes()).decode() for vector in vectors]
