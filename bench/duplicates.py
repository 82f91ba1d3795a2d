"""Whether near duplicates are told from pictures of the same thing: `python bench/duplicates.py`, a minute or two, no servers.

Tux Paint's stamps and OpenMoji's drawings are copied as pictures get copied (recompressed, scaled, brightened, cropped,
mirrored), and three measures are asked what is a copy:
  - the fingerprint that the index has, with the search API's own bounds;
  - the cosine of embeddings, here the starter model's;
  - SimHash of the embeddings: 256 signs of random projections (Charikar 2002), as many bits as the fingerprint has.
The last two get the threshold at which they take as many pairs of different pictures for copies as the fingerprint does.
So the columns can be compared: of each kind of copy, how many are told; below, how many pairs of different pictures are
taken for copies, with the closest by name, as some of those are copies. The last lines are ratios, and what a fingerprint
and a search cost in processor time.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from imagesearch_embedder.fingerprint import fingerprint
from imagesearch_encoder.evaluate import MAX_PIXELS
from imagesearch_encoder.runtime.encoder import Encoder
from imagesearch_fetcher.decode import decode
from imagesearch_search import duplicates
from imagesearch_search.ranking import Ranked
from imagesearch_stack import downloads, judged, openmoji, pictures
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from relevance import load_starter
from rich.console import Console
from rich.table import Table

Floats = NDArray[np.floating]
SIDE = 224
COPIED = 120
DRAWINGS = 400
NAMED = 6
DEPTH = 1000


def recompressed(image: Image.Image, scale: float, file_format: str, quality: int) -> Image.Image:
    """As another site would keep it."""
    small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    file = BytesIO()
    small.save(file, file_format, quality=quality)
    return decode(file.getvalue(), MAX_PIXELS)


def cropped(image: Image.Image, share: float) -> Image.Image:
    """Without so much of each side."""
    across, down = round(image.width * share), round(image.height * share)
    return image.crop((across, down, image.width - across, image.height - down))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG of quality 40": lambda image: recompressed(image, 1, "JPEG", 40),
    "half the size, JPEG 85": lambda image: recompressed(image, 0.5, "JPEG", 85),
    "three quarters, WebP 60": lambda image: recompressed(image, 0.75, "WEBP", 60),
    "15 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "2 % cropped off each side": lambda image: cropped(image, 0.02),
    "5 % cropped off each side": lambda image: cropped(image, 0.05),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


class Measured:
    """Pictures as the three measures see them; one that has no fingerprint is like none."""

    def __init__(self, images: Sequence[Image.Image], encoder: Encoder) -> None:
        prints = [fingerprint(image) for image in images]
        self.known = np.array([each is not None for each in prints])
        raw = np.frombuffer(bytes.fromhex("".join(each or "00" * 34 for each in prints)), np.uint8).reshape(-1, 34)
        self.bits = np.unpackbits(raw[:, :32], axis=1).astype(np.float32)
        self.colours = raw[:, 32:].astype(np.float32)
        parts = [encoder.encode_image(images[start : start + 32]) for start in range(0, len(images), 32)]
        self.vectors = np.concatenate(parts)
        projections = np.random.default_rng(0).normal(size=(self.vectors.shape[1], 256))
        self.signs = (self.vectors @ projections > 0).astype(np.float32)


def by_fingerprint(one: Measured, other: Measured) -> Floats:
    """(n, m): bits that differ; without bound where colours do."""
    apart = np.abs(one.colours[:, None] - other.colours[None]).max(axis=-1) > duplicates.MAX_COLOUR
    return np.where(apart | ~one.known[:, None] | ~other.known[None], np.inf, hamming(one.bits, other.bits))


def by_cosine(one: Measured, other: Measured) -> Floats:
    """(n, m): 1 - cosine."""
    return 1 - one.vectors @ other.vectors.T


def by_simhash(one: Measured, other: Measured) -> Floats:
    """(n, m): signs that differ."""
    return hamming(one.signs, other.signs)


def hamming(one: Floats, other: Floats) -> Floats:
    """(n, bits), (m, bits) of 0 and 1 -> (n, m)."""
    return np.asarray(one.sum(axis=1)[:, None] + other.sum(axis=1)[None] - 2 * (one @ other.T))


MEASURES = {"fingerprint": by_fingerprint, "cosine": by_cosine, "SimHash": by_simhash}


def main() -> None:
    """Measure, and print the tables."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    console = Console(width=150, highlight=False)
    encoder = load_starter()
    for name, folder, limit in (
        ("stamps", downloads.stamps_dir(), None),
        ("openmoji", openmoji.folder(), DRAWINGS),
    ):
        paths, images = read(folder, limit)
        report(name, paths, images, encoder, console)
    cost(images, console)


def read(folder: Path, limit: int | None) -> tuple[list[str], list[Image.Image]]:
    """Pictures of a folder of stamps, decoded as for a model."""
    found = [
        stamp.path
        for stamp in pictures.stamps(folder)
        if Path(stamp.path).suffix in pictures.RASTER_SUFFIXES
        and not judged.NOT_SEARCHED.search(stamp.captions.get("en", ""))
    ]
    chosen = [found[place] for place in np.random.default_rng(0).permutation(len(found))[:limit]]
    return chosen, [decode((folder / path).read_bytes(), MAX_PIXELS, min_side=SIDE) for path in chosen]


def report(name: str, paths: list[str], images: list[Image.Image], encoder: Encoder, console: Console) -> None:
    """One collection's tables."""
    every = Measured(images, encoder)
    upper = np.triu_indices(len(images), 1)
    pairs = {way: measure(every, every)[upper] for way, measure in MEASURES.items()}
    taken = int((pairs["fingerprint"] <= duplicates.MAX_BITS).sum())
    bounds = {way: np.sort(apart)[max(taken, 1) - 1] for way, apart in pairs.items()}
    bounds["fingerprint"] = np.float64(duplicates.MAX_BITS)
    told = {kind: told_of(kind, images, every, encoder, bounds) for kind in COPIES}

    console.print(f"{name}: {len(images)} pictures, {taken} of {len(upper[0]):,} pairs are taken for copies")
    table = Table("share of copies told", *MEASURES)
    table.add_row("(bound)", *(f"{bounds[way]:.4g}" for way in MEASURES))
    for kind, shares in told.items():
        table.add_row(kind, *(f"{shares[way]:.2f}" for way in MEASURES))
    means = {way: float(np.mean([shares[way] for shares in told.values()])) for way in MEASURES}
    table.add_row("fingerprint : this, all kinds", *(f"{means['fingerprint'] / means[way]:.2f}" for way in MEASURES))
    console.print(table)
    for way, apart in pairs.items():
        closest = np.argsort(apart)[:NAMED]
        named = "; ".join(
            f"{paths[upper[0][pair]]} and {paths[upper[1][pair]]} ({apart[pair]:.3g})" for pair in closest
        )
        console.print(f"closest by {way}: {named}")


def told_of(
    kind: str, images: list[Image.Image], every: Measured, encoder: Encoder, bounds: dict[str, np.floating]
) -> dict[str, float]:
    """The share of one kind of copies that each measure tells."""
    copies = Measured([COPIES[kind](image) for image in images[:COPIED]], encoder)
    return {
        way: float((np.diagonal(measure(copies, every)) <= bounds[way]).mean()) for way, measure in MEASURES.items()
    }


def cost(images: list[Image.Image], console: Console) -> None:
    """What it takes to make a fingerprint, and to compare those of a search."""
    began = time.process_time()
    known = [each for each in map(fingerprint, images) if each]
    console.print(f"a fingerprint: {(time.process_time() - began) / len(images) * 1000:.2f} ms")
    random = np.random.default_rng(0)
    prints = {str(place): random.bytes(34).hex() for place in range(DEPTH - len(known))}
    prints |= {str(len(prints) + place): each for place, each in enumerate(known[:DEPTH])}
    ranked = [Ranked(key, 0.5) for key in prints]
    times = []
    for _ in range(20):
        began = time.process_time()
        duplicates.collapse(ranked, prints)
        times.append(time.process_time() - began)
    console.print(f"a search of {len(ranked)} pictures: {np.median(times) * 1000:.1f} ms to find the copies")


if __name__ == "__main__":
    main()
