"""Whether relevance tells what matches from what does not: `python bench/relevance.py`, a few minutes, no servers.

The starter model searches two collections, Tux Paint's stamps and OpenMoji's drawings, by text (English and German) and
by picture. A query is asked once where pictures show what it asks for, and once with those taken out of the collection
(held out); beside that there are captions, what only the other collection shows, and nonsense. A query that has an answer
counts as answered when the model ranks one among the first ten: nobody can tell a match that was not found.

First it prints how well the model finds what is right, for each kind of query and language: recall@k and nDCG@10
(`imagesearch_stack.judged`; `bench/quality.py` asks the same of the whole search). Then for each way to judge a score
  - hits: ROC AUC and average precision over the pictures of all queries, which show what was asked for or do not;
  - nothing matches: balanced accuracy of a threshold on the best hit, chosen on one half of the queries and measured on
    the other; one threshold for texts and pictures, and one for each; and one that was chosen on the other collection, or
    on all stamps and measured on parts of them that show one subject.
The last line of each table has the ratios of calibrated relevance to the flat threshold. At the end stands what the
verdicts call the best hit of each kind of query.
"""

import argparse
import math
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from imagesearch_encoder.evaluate import DEPTH
from imagesearch_encoder.runtime.encoder import ArtefactError, Encoder, read_info
from imagesearch_encoder.runtime.onnx_runtime import OnnxRuntime
from imagesearch_encoder.sources import starter_source
from imagesearch_search.calibration import GENERIC_TEXTS, Calibration, Modality, Scale, Verdict, calibrate
from imagesearch_stack import downloads, judged
from imagesearch_stack.judged import CLASSES, Samples
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]

NONSENSE = (
    *"asdfghjkl|qwertz uiop|xkcd blorf wug|zzzzzz|lorem ipsum dolor sit amet|the of and to in|42 17 9000".split("|"),
    *"flibbertigibbet frumious bandersnatch|tax return for the second quarter|minutes of the annual meeting".split("|"),
    *"the derivative of a polynomial|a lawsuit about copyright|interest rates of the central bank".split("|"),
    *"the meaning of life|insurance policy terms and conditions|inflation expectations|supply and demand".split("|"),
    *"object oriented programming|the history of grammar|how to apply for a visa|quantum chromodynamics".split("|"),
    *"a theory of justice|password reset|unsubscribe from the newsletter|HTTP 404 not found|employment contract".split(
        "|"
    ),
    *"parliamentary election results|philosophy of mind|monday to friday|nothing at all|genetic code".split("|"),
    *"öäü ßßß|wrdlbrmpfd|blabla schnurz piep egal|und oder aber weil|Steuererklärung für das zweite Quartal".split("|"),
    *"Protokoll der Jahreshauptversammlung|die Ableitung eines Polynoms|ein Streit um das Urheberrecht".split("|"),
    *"Leitzinsen der Zentralbank|der Sinn des Lebens|allgemeine Geschäftsbedingungen|Inflationserwartungen".split("|"),
    *"objektorientierte Programmierung|wie man ein Visum beantragt|Quantenchromodynamik|Angebot und Nachfrage".split(
        "|"
    ),
    *"eine Theorie der Gerechtigkeit|Passwort zurücksetzen|Rundschreiben abbestellen|Arbeitsvertrag".split("|"),
    *"Wahlergebnisse der Landtagswahl|Philosophie des Geistes|montags bis freitags|gar nichts|gestern".split("|"),
)
SUBJECTS = (r"animals/birds", r"animals/", r"food/|plants/", r"vehicles/", r"town/", r"seasonal/")
SAMPLE = 1000
GENERIC_PICTURES = 200
ANSWERED = 10
PER_KIND = 150
PICTURES_OF_A_CLASS = 6
SPLITS = 20


class Collection(NamedTuple):
    """Pictures to search."""

    name: str
    vectors: NDArray[np.float32]
    descriptions: list[str]
    """Path and English caption."""
    captions: list[dict[str, str]]


class Query(NamedTuple):
    """What is asked of which part of a collection."""

    kind: str
    modality: Modality
    vector: NDArray[np.float32]
    members: Mask
    """The pictures that are in the collection when it is asked."""
    relevant: Mask
    """Of the members: those that show it."""


class Asked(NamedTuple):
    """A query with what a way to judge may look at."""

    query: Query
    cosines: NDArray[np.float32]
    """Of the members."""
    of_generic: NDArray[np.float32]
    """(members, queries): what the members score for the background queries of the modality."""
    scale: Scale


Judge = Callable[[Asked], Floats]


def main() -> None:
    """Measure, and print the tables."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    console = Console(width=150, highlight=False)
    began = time.monotonic()
    encoder = load_starter()
    samples = (judged.stamps(), judged.drawings())
    stamps, drawings = (read(encoder, each) for each in samples)
    for each, collection in zip(samples, (stamps, drawings), strict=True):
        console.print(found_alone(each, collection, encoder))
    asked = {
        own.name: [*ask(own, queries_of(own, other, encoder), encoder)]
        for own, other in ((stamps, drawings), (drawings, stamps))
    }
    for name, found in asked.items():
        kinds = Counter(each.query.kind for each in found)
        console.print(f"{name}: {len(found[0].query.members)} pictures; queries: {dict(kinds)}")
    report(asked, [*ask(stamps, queries_of_subjects(stamps, encoder), encoder)], console)
    console.print(f"{time.monotonic() - began:.0f} s")


# -- what is searched, and for what


def load_starter() -> Encoder:
    """The starter model: as it was last downloaded from a registry, or exported anew."""
    source = starter_source()
    cached = downloads.cache_dir() / "models"
    for folder in sorted(cached.glob("*-cpu"), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            info = read_info(folder)
        except ArtefactError:
            continue
        if (info.model, info.revision) == (source.id, source.revision):
            return OnnxRuntime(folder, info, threads=2)
    from imagesearch_encoder.export import export  # torch

    with tempfile.TemporaryDirectory(prefix="imagesearch-relevance-") as scratch:
        folder = Path(scratch)
        return OnnxRuntime(folder, export(source.build(folder), folder), threads=2)


def read(encoder: Encoder, samples: Samples) -> Collection:
    """Encode the pictures."""
    captions = [dict(stamp.captions) for stamp in samples.found]
    return Collection(samples.name, samples.vectors(encoder), samples.descriptions, captions)


def found_alone(samples: Samples, collection: Collection, encoder: Encoder) -> Table:
    """How well the model alone finds what is right; `bench/quality.py` asks the same of the whole search."""
    asked = judged.queries(samples)
    rows = []
    for query in asked:
        terms = [] if query.text is None else [encoder.encode_text([query.text])[0]]
        terms += [] if query.picture is None else [collection.vectors[query.picture]]
        nearest = np.argsort(-(collection.vectors @ np.sum(terms, axis=0)), kind="stable")
        rows.append([int(row) in query.right for row in nearest if row != query.picture][:DEPTH])
    return judged.table(f"{samples.name}: what is found by the model alone", judged.by_kind(rows, asked))


def queries_of(own: Collection, other: Collection, encoder: Encoder) -> list[Query]:
    """All queries of one collection."""
    random = np.random.default_rng(0)
    every = np.ones(len(own.vectors), dtype=bool)
    queries: list[Query] = []

    def add_text(kind: str, text: str, members: Mask, relevant: Mask) -> None:
        queries.append(Query(kind, "text", encoder.encode_text([text])[0], members, relevant[members]))

    for english, german, pattern in CLASSES:
        shows = np.array([bool(re.search(pattern, text)) for text in own.descriptions])
        if not shows.any():
            continue
        for text in (english, german):
            add_text("class", text, every, shows)
            add_text("held out", text, ~shows, shows)
        for row in random.permutation(np.flatnonzero(shows))[:PICTURES_OF_A_CLASS]:
            others = np.arange(len(every)) != row
            for kind, members in (("class", others), ("held out", ~shows)):
                queries.append(Query(kind, "picture", own.vectors[row], members, shows[members]))
    for text in NONSENSE:
        add_text("nonsense", text, every, ~every)
    for language in ("en", "de"):
        captions = short(each.get(language, "") for each in own.captions)
        for text in random.permutation(captions)[:PER_KIND]:
            add_text("caption", text, every, np.array([each.get(language) == text for each in own.captions]))
    known = stems(own.descriptions)
    foreign = [text for text in short(each.get("en", "") for each in other.captions) if not stems([text]) & known]
    for text in random.permutation(foreign)[:PER_KIND]:
        add_text("elsewhere", text, every, ~every)
    answered = [not_lost(query, own) for query in queries]
    # What is held out is asked only where it is answered when it is there: the two come in pairs.
    return [
        query
        for place, query in enumerate(queries)
        if answered[place] and (query.kind != "held out" or answered[place - 1])
    ]


def queries_of_subjects(own: Collection, encoder: Encoder) -> list[Query]:
    """All classes asked of parts of a collection that show one subject: most have nothing for most of them."""
    queries = []
    for subject in SUBJECTS:
        members = np.array([bool(re.search(subject, text)) for text in own.descriptions])
        for english, german, pattern in CLASSES:
            relevant = np.array([bool(re.search(pattern, text)) for text in own.descriptions])[members]
            for text in (english, german):
                kind = "class" if relevant.any() else "absent"
                queries.append(Query(kind, "text", encoder.encode_text([text])[0], members, relevant))
        for text in NONSENSE:
            queries.append(Query("nonsense", "text", encoder.encode_text([text])[0], members, relevant & False))
    return [query for query in queries if not_lost(query, own)]


def short(captions: Iterable[str]) -> list[str]:
    """Those that name a thing rather than tell a story, each once."""
    return [text for text in dict.fromkeys(captions) if text and len(text.split()) <= 4]


def stems(texts: Sequence[str]) -> set[str]:
    """The first five letters of each word."""
    return {word[:5] for text in texts for word in re.findall(r"[a-z]{3,}", text.lower())}


def not_lost(query: Query, collection: Collection) -> bool:
    """Whether the query has no answer, or one of the first hits is one."""
    cosines = collection.vectors[query.members] @ query.vector
    return not query.relevant.any() or bool(query.relevant[np.argsort(-cosines)[:ANSWERED]].any())


def ask(collection: Collection, queries: list[Query], encoder: Encoder) -> Iterable[Asked]:
    """Ask every query; one calibration for each state of the collection."""
    random = np.random.default_rng(1)
    texts = encoder.encode_text(GENERIC_TEXTS)
    calibrations: dict[bytes, Calibration] = {}
    for query in queries:
        members = collection.vectors[query.members]
        # A picture that is asked with may well lie in the sample.
        state = query.members if query.modality == "text" or query.kind == "held out" else np.ones_like(query.members)
        if (calibration := calibrations.get(state.tobytes())) is None:
            sample = random.permutation(collection.vectors[state])[:SAMPLE]
            calibration = calibrate(sample, texts)
            assert calibration is not None
            calibrations[state.tobytes()] = calibration
        generic = texts if query.modality == "text" else calibration.sample[:GENERIC_PICTURES]
        scale = calibration.scale(query.vector, query.modality)
        assert scale is not None
        yield Asked(query, members @ query.vector, members @ generic.T, scale)


# -- ways to judge a score


def flat(asked: Asked) -> Floats:
    """The score itself."""
    return asked.cosines


def z_norm(asked: Asked) -> Floats:
    """Against the other pictures of the query; robust."""
    centre = float(np.median(asked.cosines))
    return (asked.cosines - centre) / float(1.4826 * np.median(np.abs(asked.cosines - centre)) + 1e-6)


def t_norm(asked: Asked) -> Floats:
    """Against the other queries of the picture (it needs the vectors of the hits)."""
    generic = asked.of_generic
    return np.asarray((asked.cosines - generic.mean(axis=1)) / (generic.std(axis=1) + 1e-6))


def s_norm(asked: Asked) -> Floats:
    """Both, as in speaker verification."""
    return (z_norm(asked) + t_norm(asked)) / 2


def csls(asked: Asked) -> Floats:
    """Cross-domain similarity local scaling: against the ten nearest, both ways."""
    nearest, generic = np.sort(asked.cosines)[-10:], np.sort(asked.of_generic, axis=1)[:, -10:]
    return np.asarray(2 * asked.cosines - nearest.mean() - generic.mean(axis=1))


def extreme_value(asked: Asked) -> Floats:
    """Over what the best of so many normal scores is expected to be."""
    return z_norm(asked) - math.sqrt(2 * math.log(len(asked.cosines)))


def gap(asked: Asked) -> Floats:
    """Over the tenth hit: what stands out from the rest."""
    return asked.cosines - float(np.sort(asked.cosines)[-10])


def calibrated(asked: Asked) -> Floats:
    """`imagesearch_search.calibration`."""
    return np.array([asked.scale.relevance((1 + float(cosine)) / 2) for cosine in asked.cosines])


JUDGES: dict[str, Judge] = {
    "flat threshold": flat,
    "z-norm": z_norm,
    "t-norm": t_norm,
    "s-norm": s_norm,
    "CSLS": csls,
    "z-norm, extreme value": extreme_value,
    "gap": gap,
    "calibrated": calibrated,
}

# -- what is measured


class Judged(NamedTuple):
    """The queries of one collection as one way judges them."""

    best: Floats
    """(queries,): of the best hit."""
    matches: Mask
    """(queries,): whether there is an answer."""
    texts: Mask
    """(queries,): asked by text."""
    hits: tuple[tuple[float, float], ...]
    """(ROC AUC, average precision) over the hits of texts, of pictures and of both."""


def judge(asked: list[Asked], how: Judge) -> Judged:
    """Judge all queries. Captions are left out of the hits: other pictures may show the same."""
    judged = [how(each) for each in asked]
    texts = np.array([each.query.modality == "text" for each in asked])
    complete = np.array([each.query.kind != "caption" for each in asked])

    def hits(which: Mask) -> tuple[float, float]:
        values = np.concatenate([judged[place] for place in np.flatnonzero(which & complete)])
        relevant = np.concatenate([asked[place].query.relevant for place in np.flatnonzero(which & complete)])
        return roc_auc(values, relevant), average_precision(values, relevant)

    return Judged(
        np.array([values.max() for values in judged]),
        np.array([each.query.relevant.any() for each in asked]),
        texts,
        tuple(hits(which) for which in (texts, ~texts, texts | ~texts) if which.any()),
    )


def roc_auc(values: Floats, relevant: Mask) -> float:
    """The chance that a relevant one lies above one that is not; ties count half."""
    ordered, ties = np.unique(values, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[np.searchsorted(ordered, values)]
    yes = int(relevant.sum())
    return float((ranks[relevant].sum() - yes * (yes + 1) / 2) / (yes * (len(values) - yes)))


def average_precision(values: Floats, relevant: Mask) -> float:
    """The mean precision at each relevant one."""
    found = relevant[np.argsort(-values, kind="stable")]
    return float((np.cumsum(found)[found] / (np.flatnonzero(found) + 1)).mean())


def accuracies(judged: Judged, thresholds: Floats, which: Mask) -> Floats:
    """Of each threshold. Balanced: queries with and without an answer, and texts and pictures, weigh the same."""
    shares = []
    for modality in (judged.texts, ~judged.texts):
        for answer in (True, False):
            best = np.sort(judged.best[which & modality & (judged.matches == answer)])
            if len(best):
                below = np.searchsorted(best, thresholds) / len(best)
                shares.append(1 - below if answer else below)
    return np.asarray(np.mean(shares, axis=0))


def choose(judged: Judged, which: Mask) -> Floats:
    """The threshold of the best accuracy: (1,)."""
    candidates = np.unique(judged.best[which])
    return candidates[[np.argmax(accuracies(judged, candidates, which))]]


def crossed(judged: Judged, which: Mask) -> float:
    """The accuracy of thresholds chosen on one half and measured on the other, both ways, over some splits."""
    random = np.random.default_rng(2)
    found = []
    for _ in range(SPLITS):
        half = random.random(len(which)) < 0.5
        for one, other in ((half, ~half), (~half, half)):
            found.append(accuracies(judged, choose(judged, which & one), which & other)[0])
    return float(np.mean(found))


def report(asked: dict[str, list[Asked]], of_one_subject: list[Asked], console: Console) -> None:
    """Print the tables; the first collection is the one that has subjects."""
    everything = {name: {way: judge(found, how) for way, how in JUDGES.items()} for name, found in asked.items()}
    of_subjects = {way: judge(of_one_subject, how) for way, how in JUDGES.items()}
    for name, ways in everything.items():
        (other,) = (each for each in everything if each != name)
        figures = {way: [each[of] for of in (0, 1) for each in judged.hits] for way, judged in ways.items()}
        console.print(table(f"{name}: hits", HITS, figures))
        found = {way: no_match(each, everything[other][way]) for way, each in ways.items()}
        console.print(table(f"{name}: nothing matches", [*NO_MATCH, f"chosen on {other}"], found))
    name = next(iter(everything))
    found = {way: [carried(everything[name][way], each)] for way, each in of_subjects.items()}
    console.print(table(f"parts of {name} of one subject: nothing matches", [f"chosen on all {name}"], found))
    for name, every in (*asked.items(), ("one subject", of_one_subject)):
        console.print(verdicts(name, every))


HITS = ["AUC: texts", "pictures", "both", "AP: texts", "pictures", "both"]
NO_MATCH = ["one threshold", "texts", "pictures"]


def no_match(judged: Judged, elsewhere: Judged) -> list[float]:
    """The accuracies of one way, as in `NO_MATCH`, and with a threshold from elsewhere."""
    every = np.ones_like(judged.texts)
    return [*(crossed(judged, which) for which in (every, judged.texts, ~judged.texts)), carried(elsewhere, judged)]


def carried(one: Judged, other: Judged) -> float:
    """The accuracy of a threshold chosen on one and measured on the other."""
    return float(accuracies(other, choose(one, np.ones_like(one.texts)), np.ones_like(other.texts))[0])


def table(title: str, columns: list[str], rows: dict[str, list[float]]) -> Table:
    """Figures by way, and at the end their ratios."""
    found = Table("", *columns, title=title, title_justify="left")
    for way, figures in rows.items():
        found.add_row(way, *(f"{figure:.3f}" for figure in figures))
    pairs = zip(rows["calibrated"], rows["flat threshold"], strict=True)
    found.add_row("calibrated : flat", *(f"{new / old:.2f}" for new, old in pairs))
    return found


def verdicts(name: str, asked: list[Asked]) -> Table:
    """What the best hit of each kind of query is called."""
    found = Table("", "queries", *Verdict, title=f"{name}: verdict on the best hit", title_justify="left")
    kinds = sorted({(each.query.modality, each.query.kind) for each in asked})
    for modality, kind in kinds:
        of_kind = [each for each in asked if (each.query.modality, each.query.kind) == (modality, kind)]
        called = Counter(each.scale.verdict((1 + float(each.cosines.max())) / 2) for each in of_kind)
        shares = (f"{called[verdict] / len(of_kind):.2f}" for verdict in Verdict)
        found.add_row(f"{modality}, {kind}", str(len(of_kind)), *shares)
    return found


if __name__ == "__main__":
    main()
