"""How fast a JPEG becomes what a model looks at, and what is lost by it: `python bench/decode.py [FOLDER OF PHOTOGRAPHS]`.

Ours (`decode`, at as many eighths as the model's `min_side` asks for) against Pillow, decoding in full and by `draft()`,
picture by picture in turn, each with the resize that follows. Pictures a second are by the CPU time of the one thread:
per core, whatever else the machine does. The cosines compare with what Pillow's full picture gives: the starter model's
embedding, and the features of its image tower before they are turned into words, which show smaller differences.
As a yardstick comes what noise of one grey level, which nobody sees, makes of the same embeddings.

With `--eighths` every size follows at which a JPEG can be decoded and that the model could do with: what bounds ours is
then seen, the time of the coarser ones and what is lost by them.

Without a folder the pictures are Tux Paint's stamps on a ground with the spectrum of photographs and a sensor's grain.
Last comes what a process of its own costs.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import torch
from imagesearch_encoder.runtime.preprocess import Pixels, Preprocessing, to_pixels
from imagesearch_encoder.sources import starter_source
from imagesearch_encoder.starter import StarterImage
from imagesearch_fetcher.decode import decode
from imagesearch_fetcher.decoders import decoders
from imagesearch_stack.downloads import stamps_dir
from PIL import Image, ImageOps
from torch.nn.functional import cosine_similarity

SIZES = {
    "camera, 4000 x 3000": (4000, 3000),
    "Flickr 2048": (2048, 1536),
    "Flickr 1024": (1024, 768),
    "Flickr 640": (640, 480),
    "Flickr 500": (500, 375),
}
QUALITY = 90
MAX_PIXELS = 40_000_000
GRAIN = 1.0
ISOLATED = 500
"""Pictures over which the start of a process, which varies, is spread."""

Decode = Callable[[bytes], Image.Image]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="photographs, of any size and format")
    parser.add_argument("-n", type=int, default=60, help="pictures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--eighths", action="store_true", help="every size at which a JPEG can be decoded, too")
    args = parser.parse_args()
    sources = list(photographs(args.folder, args.n) if args.folder else stamps(args.n))
    with tempfile.TemporaryDirectory() as scratch:
        towers = starter_source().build(Path(scratch))
    tower = towers.image
    assert isinstance(tower, StarterImage)
    how = towers.info.preprocessing
    clip = replace(how, resize="shortest_edge", shortest_edge=min(how.height, how.width))
    for name, size in SIZES.items():
        jpegs = [jpeg(source, size) for source in sources]
        kilobytes = statistics.median(map(len, jpegs)) / 1000
        print(f"{name}: {len(jpegs)} pictures, median {kilobytes:.0f} kB")
        for label, prescribed in (("padded, as the starter model", how), ("cropped, as CLIP", clip)):
            ways = usual(prescribed) | (eighths(size, prescribed) if args.eighths else {})
            compare(label, jpegs, prescribed, tower, ways, args.rounds)
    isolation([jpeg(source, SIZES["Flickr 1024"]) for source in sources], how.min_side)


def usual(how: Preprocessing) -> dict[str, Decode]:
    """The ways to compare."""
    return {
        "Pillow, in full": pillow,
        "Pillow, draft": partial(pillow, draft=how.min_side),
        "ours": partial(decode, max_pixels=MAX_PIXELS, min_side=how.min_side),
    }


def eighths(size: tuple[int, int], how: Preprocessing) -> dict[str, Decode]:
    """Every size below the full one at which nothing has to be enlarged for the model."""
    ways: dict[str, Decode] = {}
    for eighth in range(1, 8):
        sides = [-(-side * eighth // 8) for side in size]
        looked_at = max(sides) if how.resize == "pad" else min(sides)
        if looked_at >= how.height:
            ways[f"at {eighth} eighths"] = partial(scaled, size=(sides[0], sides[1]))
    return ways


def compare(
    label: str,
    jpegs: Sequence[bytes],
    how: Preprocessing,
    tower: StarterImage,
    ways: Mapping[str, Decode],
    rounds: int,
) -> None:
    """Time every way on every picture, and print a line for each."""
    seconds = dict.fromkeys(ways, 0.0)
    for _ in range(rounds):
        for data in jpegs:
            for name, way in ways.items():
                started = time.thread_time()
                to_pixels([way(data)], how)
                seconds[name] += time.thread_time() - started
    full = pixels_by(pillow, jpegs, how)
    print(f"  {label} (min_side {how.min_side})")
    for name, way in ways.items():
        rate = rounds * len(jpegs) / seconds[name]
        ratio = seconds["Pillow, in full"] / seconds[name]
        first, second = cosines(tower, full, pixels_by(way, jpegs, how))
        print(f"    {name:<16} {rate:6.0f} pictures/s  x {ratio:.2f}   embedding {first}   features {second}")
    noise = np.random.default_rng(0).integers(-1, 2, full.shape)
    first, second = cosines(tower, full, (full + noise).clip(0, 255).astype(np.uint8))
    print(f"    {'noise of one grey level':<40} embedding {first}   features {second}")


def pixels_by(way: Decode, jpegs: Sequence[bytes], how: Preprocessing) -> Pixels:
    """What the model is given; one picture after the other, for the full ones are large."""
    return np.concatenate([to_pixels([way(data)], how) for data in jpegs])


@torch.inference_mode()
def cosines(tower: StarterImage, some: Pixels, others: Pixels) -> Iterator[str]:
    """The minimum and the mean over the pictures, of embeddings and of features."""
    classifier: Any = tower.classifier

    def features(pixels: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = classifier.extract_features(tower.normalise(pixels)).mean(dim=(2, 3))
        return found

    for vectors in (tower, features):
        cosine = torch.cat(
            [
                cosine_similarity(vectors(torch.from_numpy(one)), vectors(torch.from_numpy(other)))
                for one, other in zip(np.array_split(some, 8), np.array_split(others, 8), strict=True)
                if len(one)
            ]
        )
        yield f"min {cosine.min():.4f} mean {cosine.mean():.4f}"


def isolation(jpegs: Sequence[bytes], min_side: int) -> None:
    """Print what a picture costs in this process and in another, one after the other."""
    ours = partial(decode, max_pixels=MAX_PIXELS, min_side=min_side)

    def there(pictures: Sequence[bytes]) -> None:
        with decoders(ours, workers=1) as submit:
            for data in pictures:
                submit(data).result()

    start_cpu, start_clock = cost(lambda: there(jpegs[:1]))
    many = list(islice(cycle(jpegs), ISOLATED))
    there_cpu, there_clock = cost(lambda: there([jpegs[0], *many]))
    here_cpu, here_clock = cost(lambda: [ours(data) for data in many])
    print("decoding alone, Flickr 1024, ms of CPU time (ms by the clock)")
    for name, cpu, clock in (
        ("here", here_cpu, here_clock),
        ("in a process of its own", there_cpu - start_cpu, there_clock - start_clock),
    ):
        print(f"  {name:<24} {cpu / len(many) * 1000:6.2f} ({clock / len(many) * 1000:.2f})")
    print(f"  {'to start and stop one':<24} {start_cpu * 1000:6.0f} ({start_clock * 1000:.0f})")


def cost(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds of CPU time, of this process and those it waited for, and seconds by the clock."""
    cpu, clock = cpu_seconds(), time.perf_counter()
    action()
    return cpu_seconds() - cpu, time.perf_counter() - clock


def cpu_seconds() -> float:
    """Spent so far."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def pillow(data: bytes, draft: int | None = None) -> Image.Image:
    """What most programs do; with `draft`, what the better ones do."""
    with Image.open(BytesIO(data)) as image:
        if draft:
            image.draft("RGB", (draft, draft))
        return image.convert("RGB")


def scaled(data: bytes, size: tuple[int, int]) -> Image.Image:
    """At the eighths that give at least `size`."""
    return Image.fromarray(simplejpeg.decode_jpeg(data, "RGB", min_width=size[0], min_height=size[1]))


def jpeg(picture: Image.Image, size: tuple[int, int]) -> bytes:
    """As Flickr keeps it; a picture that is enlarged for it gets the grain that it would have."""
    fitted = ImageOps.fit(picture, size, Image.Resampling.BICUBIC)
    out = BytesIO()
    is_enlarged = fitted.width > picture.width or fitted.height > picture.height
    (grainy(fitted, seed=0) if is_enlarged else fitted).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def photographs(folder: Path, n: int) -> Iterator[Image.Image]:
    """The first pictures of a folder."""
    for path in [path for path in sorted(folder.rglob("*")) if path.is_file()][:n]:
        yield decode(path.read_bytes(), MAX_PIXELS)


def stamps(n: int) -> Iterator[Image.Image]:
    """The largest stamps, each in front of something."""
    paths = sorted(stamps_dir().rglob("*.png"), key=lambda path: (-path.stat().st_size, path))[:n]
    for seed, path in enumerate(paths):
        ground = grainy_ground(seed, 1024, 768)
        stamp = ImageOps.contain(Image.open(path).convert("RGBA"), ground.size, Image.Resampling.BICUBIC)
        ground.paste(stamp, ((ground.width - stamp.width) // 2, (ground.height - stamp.height) // 2), stamp)
        yield grainy(ground, seed)


def grainy(picture: Image.Image, seed: int) -> Image.Image:
    """With the noise of a sensor."""
    noise = np.random.default_rng(seed).normal(scale=GRAIN, size=(picture.height, picture.width, 1))
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def grainy_ground(seed: int, width: int, height: int) -> Image.Image:
    """Noise whose amplitude falls with the frequency, as that of photographs does; its channels mostly agree."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(width)[None, :], np.fft.fftfreq(height)[:, None])
    frequency[0, 0] = np.inf
    layers = []
    for _ in range(4):
        layer = np.fft.ifft2(np.fft.fft2(random.normal(size=(height, width))) / frequency**1.2).real
        layers.append(layer / layer.std())
    light, *tints = layers
    return Image.fromarray(
        (128 + np.stack([45 * light + 15 * tint for tint in tints], axis=-1)).clip(0, 255).astype(np.uint8)
    )


if __name__ == "__main__":
    main()
