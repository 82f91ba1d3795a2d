"""Queries of the sample pictures whose right answers are known. `bench/relevance.py`, `bench/quality.py` and a test ask them.

caption    a picture's own caption, in one language: the pictures that have it
subject    what several pictures show, in English or German: those, told by their paths and English captions
picture    one of them: the others
mixed      both together: likewise
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from imagesearch_encoder.evaluate import BATCH, DEPTH, KS, MAX_PIXELS, ndcg
from imagesearch_encoder.runtime.encoder import Encoder, EncoderInfo, Vectors
from imagesearch_fetcher.decode import decode
from numpy.typing import NDArray
from PIL import Image
from rich.table import Table

from imagesearch_stack import downloads, openmoji, pictures
from imagesearch_stack.pictures import Credit, Stamp

Kind = Literal["caption", "subject", "picture", "mixed"]

CLASSES: Final = (
    ("birds", "Vögel", r"/birds/|chick|bird|turkey|penguin|\btux\b|duck|\bowl\b|parrot|eagle|rooster|flamingo|swan|dodo"),
    ("an insect", "ein Insekt", r"/insects/|butterfly|\bbee\b|beetle|\bant\b|cricket|mosquito|\bfly\b|\bbug\b|spider|snail"),
    ("a fish", "ein Fisch", r"/fish/|fish|shark|dolphin|whale|orca|shrimp|octopus|squid|lobster|crab"),
    ("a cow, a sheep or a goat", "eine Kuh, ein Schaf oder eine Ziege", r"/bovines/|\bcow\b|sheep|goat|\bram\b|\box\b|bison|pig\b|boar|deer|caribou"),
    ("big cats", "Raubkatzen", r"/cats/|lion|tiger|leopard|\bcat\b"),
    ("a rabbit", "ein Kaninchen", r"rabbit|bunny|/rodents/|mouse|\brat\b|hamster|chipmunk|beaver|hedgehog"),
    ("a monkey", "ein Affe", r"/apes/|monkey|gorilla|orangutan|chimpanzee"),
    ("a horse", "ein Pferd", r"/equines/|horse|zebra|donkey|unicorn"),
    ("a bear", "ein Bär", r"/bears/|\bbear\b|panda|koala"),
    ("an elephant", "ein Elefant", r"elephant|mammoth"),
    ("fruit", "Obst", r"/fruit/|apple|banana|grapes|melon|lemon|cherries|berry|berries|peach|pear\b|mango|kiwi|coconut|avocado|tomato"),
    ("vegetables", "Gemüse", r"/vegetables/|carrot|broccoli|cucumber|potato|garlic|onion|lettuce|eggplant|aubergine|pepper|maize|pumpkin|lantern"),
    ("a flower", "eine Blume", r"/flowers/|blossom|\brose\b|hibiscus|tulip|lotus|daffodil|hyacinth|bouquet|lavender|flower"),
    ("mushrooms", "Pilze", r"mushroom|\bcep"),
    ("trees", "Bäume", r"/trees/|\btree\b"),
    ("musical instrument", "Musikinstrument", r"/music/|guitar|violin|trumpet|saxophone|\bdrum|banjo|accordion|flute|maracas|musical keyboard|\bharp\b|trombone"),
    ("a tool", "ein Werkzeug", r"/tools/|hammer|wrench|screwdriver|\bsaw\b|\baxe\b|\bpick\b|toolbox|carpentry|shovel"),
    ("clothes", "Kleidung", r"clothes/|shirt|jeans|dress|\bsock|glove|scarf|\bcoat\b|kimono|sari|shorts|briefs|bikini|shoe|boot|sandal"),
    ("a hat", "ein Hut", r"/hats/|\bhat\b|\bcap\b|sombrero|fedora|crown|helmet"),
    ("a car", "ein Auto", r"/auto|automobile|\bcar\b|taxi|truck|lorry|\bbus\b|sedan|police|vehicle|dumper|/race|tractor|fire engine|ambulance"),
    ("a train", "ein Zug", r"locomotive|train\b|railway|\btram|metro|monorail|carriage"),
    ("ships and boats", "Schiffe und Boote", r"/ship|\bship\b|boat|ferry|docks|canoe|anchor"),
    ("an airplane", "ein Flugzeug", r"/flight|airplane|helicopter|raptor|balloon|parachut|paratroop|rocket"),
    ("a castle", "eine Burg", r"castle|fort\b|fortress|tower|/houses/|/town/cartoon|house|church|palace|mosque|temple|/monuments"),
    ("a flag", "eine Fahne", r"flag"),
    ("a traffic sign", "ein Verkehrsschild", r"roadsign|traffic|stop sign|octagonal|no entry|train.sign|crossing"),
    ("planets", "Planeten", r"planets|space|moon|earth|saturn|globe|\bsun\b"),
    ("a gravestone", "ein Grabstein", r"grave|stone|cemetery|tomb|coffin"),
    ("a ball", "ein Ball", r"ball\b|soccer|rugby|tennis|billiards|bowling"),
    ("candles", "Kerzen", r"candle|menorah"),
    ("chocolate easter egg", "Ostereier", r"easter|\begg\b"),
    ("fireworks", "Feuerwerk", r"firework|explosion|sparkler|confetti|boom|firecracker"),
    ("christmas decoration", "Weihnachtsschmuck", r"christmas|santa|candy.cane|/winter|snowman"),
    ("a drinking glass or a cup", "ein Trinkglas oder eine Tasse", r"dishes|teapot|\bcup\b|\bmug\b|glass|beer|wine|beverage|cocktail|kettle"),
    ("a gun or a tank", "eine Kanone oder ein Panzer", r"military|pistol|bomb|\bgun\b|bradley|stryker"),
    ("scissors", "eine Schere", r"scissors"),
    ("garbage can", "Mülltonne", r"garbage|wheelie|compost|wastebasket|trash"),
)  # fmt: skip
"""What to ask for in English and in German, and which pictures show it, by path and English caption."""

NOT_SEARCHED: Final = re.compile(
    r"indicator|tag latin|symbol|square|circle|keycap|sign\b|clock face|mahjong|arrow|mark$|triangle|family| girl| boy|digit"
)
"""Drawings of letters, signs and shapes, as the stamps are taken without theirs."""
FEWEST: Final = 100
"""Captions of a language that is asked in."""
CAPTIONS: Final = 60
"""Asked of one language."""
PICTURES_OF_A_CLASS: Final = 2
SEED: Final = 0
RESAMPLES: Final = 1000
DRAWINGS: Final = 600


class Samples(NamedTuple):
    """Pictures that can be searched, and know what they show."""

    name: str
    folder: Path
    credit: Credit
    found: list[Stamp]
    descriptions: list[str]
    """Path and English caption of each."""

    def open(self, row: int, min_side: int | None = None) -> Image.Image:
        """One picture, decoded as services do."""
        return decode(self.read(row), MAX_PIXELS, min_side=min_side)

    def read(self, row: int) -> bytes:
        """The file of one picture."""
        return (self.folder / self.found[row].path).read_bytes()

    def vectors(self, encoder: Encoder) -> Vectors:
        """(pictures, dims): all of them, as the embedder encodes them."""
        min_side = encoder.info.preprocessing.min_side
        every = range(len(self.found))
        parts = [
            encoder.encode_image([self.open(row, min_side) for row in every[start : start + BATCH]])
            for start in every[::BATCH]
        ]
        return np.concatenate(parts)


class Query(NamedTuple):
    """What is asked, and what should be found."""

    kind: Kind
    language: str
    """Empty where there are no words."""
    text: str | None
    picture: int | None
    """A row of the samples; it is no answer itself."""
    right: frozenset[int]
    """Rows of the samples; at least one."""


def stamps() -> Samples:
    """Tux Paint's stamps."""
    return _samples("stamps", downloads.stamps_dir(), pictures.STAMPS_CREDIT, lambda _: True)


def drawings() -> Samples:
    """OpenMoji's drawings."""
    return _samples(
        "openmoji", openmoji.folder(), openmoji.CREDIT, lambda stamp: not NOT_SEARCHED.search(stamp.captions["en"])
    )


def _samples(name: str, folder: Path, credit: Credit, searched: Callable[[Stamp], bool]) -> Samples:
    found = [
        stamp
        for stamp in pictures.stamps(folder)
        if Path(stamp.path).suffix in pictures.RASTER_SUFFIXES and searched(stamp)
    ]
    return Samples(
        name, folder, credit, found, [f"{stamp.path} {stamp.captions.get('en', '')}".lower() for stamp in found]
    )


def some(samples: Samples, count: int) -> Samples:
    """So many of the samples, always the same."""
    rows = sorted(np.random.default_rng(SEED).permutation(len(samples.found))[:count])
    return samples._replace(
        found=[samples.found[row] for row in rows], descriptions=[samples.descriptions[row] for row in rows]
    )


def test_set() -> list[Samples]:
    """What is searched where it has to be quick: all stamps, and some drawings."""
    return [stamps(), some(drawings(), DRAWINGS)]


def shows(samples: Samples, pattern: str) -> NDArray[np.bool_]:
    """Which pictures are of a class."""
    return np.array([bool(re.search(pattern, text)) for text in samples.descriptions])


def queries(samples: Samples) -> list[Query]:
    """All queries of the samples, always the same."""
    random = np.random.default_rng(SEED)
    return [*_captions(samples, random), *_classes(samples, random)]


class Figures(NamedTuple):
    """How well the right answers are found. All are means over queries, from 0 to 1."""

    n: int
    recall: dict[int, float]
    """k -> the share of queries with a right answer among the first k."""
    ndcg: float
    """nDCG@10."""
    noise: dict[str, float]
    """`recall@10` and `ndcg@10` -> their standard error, by bootstrap over the queries."""


def figures(found: list[list[bool]], asked: list[Query]) -> Figures:
    """The figures of some queries.

    Args:
        found: for each query whether the answer at each of the first ranks is right, the best first.
        asked: the queries.
    """
    first = np.zeros((len(asked), DEPTH), dtype=bool)
    for place, row in enumerate(found):
        first[place, : len(row)] = row[:DEPTH]
    gains = ndcg(first, np.array([len(query.right) for query in asked]))
    hit = first.any(axis=1)
    again = np.random.default_rng(SEED).integers(len(asked), size=(RESAMPLES, len(asked)))
    return Figures(
        len(asked),
        {k: float(first[:, :k].any(axis=1).mean()) for k in KS},
        float(gains.mean()),
        {
            f"{name}@{DEPTH}": float(values[again].mean(axis=1).std())
            for name, values in (("recall", hit.astype(float)), ("ndcg", gains))
        },
    )


def by_kind(found: list[list[bool]], asked: list[Query]) -> dict[str, Figures]:
    """The figures of each kind of query and language, and of `all`; arguments as of `figures`."""
    labels = [f"{query.kind} {query.language}".strip() for query in asked]
    rows = {}
    for label in [*dict.fromkeys(labels), "all"]:
        places = [place for place, each in enumerate(labels) if label in (each, "all")]
        rows[label] = figures([found[place] for place in places], [asked[place] for place in places])
    return rows


def table(title: str, rows: Mapping[str, Figures]) -> Table:
    """The figures for people."""
    shown = Table("", "queries", *(f"recall@{k}" for k in KS), f"nDCG@{DEPTH}", title=title, title_justify="left")
    for label, row in rows.items():
        shares = [f"{row.recall[k]:.3f}" for k in KS]
        shown.add_row(label, str(row.n), *shares, f"{row.ndcg:.3f} ± {row.noise[f'ndcg@{DEPTH}']:.3f}")
    return shown


def kept(info: EncoderInfo, measured: Mapping[str, Mapping[str, Figures]]) -> dict[str, Any]:
    """The figures as JSON, with what they are figures of."""
    return {
        "model": info.model,
        "revision": info.revision,
        "seed": SEED,
        "figures": {
            name: {
                label: {
                    f"recall@{DEPTH}": round(row.recall[DEPTH], 4),
                    f"ndcg@{DEPTH}": round(row.ndcg, 4),
                    "noise": {of: round(value, 4) for of, value in row.noise.items()},
                }
                for label, row in rows.items()
            }
            for name, rows in measured.items()
        },
    }


def _captions(samples: Samples, random: np.random.Generator) -> Iterator[Query]:
    for language in pictures.CAPTION_LANGUAGES:
        own = [stamp.captions.get(language) for stamp in samples.found]
        captions = list(dict.fromkeys(caption for caption in own if caption))
        if len(captions) < FEWEST:
            continue
        for place in random.permutation(len(captions))[:CAPTIONS]:
            right = frozenset(row for row, caption in enumerate(own) if caption == captions[place])
            yield Query("caption", language, captions[place], None, right)


def _classes(samples: Samples, random: np.random.Generator) -> Iterator[Query]:
    for english, german, pattern in CLASSES:
        rows = frozenset(map(int, np.flatnonzero(shows(samples, pattern))))
        if len(rows) < 2:
            continue
        words = (("en", english), ("de", german))
        for language, text in words:
            yield Query("subject", language, text, None, rows)
        for row in map(int, random.permutation(sorted(rows))[:PICTURES_OF_A_CLASS]):
            yield Query("picture", "", None, row, rows - {row})
            for language, text in words:
                yield Query("mixed", language, text, row, rows - {row})
