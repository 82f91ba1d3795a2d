"""The command `imagesearch`: search from a terminal.

    imagesearch collections
    imagesearch search "playing dogs" --collection pets --filter license=CC0-1.0
    imagesearch similar photo.jpg --json | jq .page_url

The API's address is `--url` or IMAGESEARCH_URL, a key IMAGESEARCH_API_KEY, the collection `--collection`,
IMAGESEARCH_COLLECTION, or the only one that there is.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from imagesearch_client.client import Client, SearchError, UnreachableError
from imagesearch_client.results import Collection, Hit, Page
from imagesearch_client.terms import Term, like, picture, text, unlike

DEFAULT_URL: Final = "http://127.0.0.1:8080"
_NUMBERS: Final = ("min_width", "min_height")
_RANGES: Final = ("uploaded", "taken")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; what goes wrong is said in a line, with status 1."""
    arguments = parser().parse_args(argv)
    key = os.environ.get("IMAGESEARCH_API_KEY") or None
    try:
        with Client(arguments.url, api_key=key) as client:
            run(client, arguments, Console())
    except (SearchError, UnreachableError, OSError) as error:
        sys.exit(f"imagesearch: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    top = argparse.ArgumentParser(
        prog="imagesearch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--url", default=os.environ.get("IMAGESEARCH_URL", DEFAULT_URL), help=f"default {DEFAULT_URL}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("-c", "--collection", default=os.environ.get("IMAGESEARCH_COLLECTION"))
    options.add_argument("-n", "--size", type=int, default=10, help="how many pictures (default 10)")
    options.add_argument("--like", action="append", default=[], metavar="ID", help="more like this picture")
    options.add_argument("--unlike", action="append", default=[], metavar="ID", help="less like this picture")
    options.add_argument("--without", action="append", default=[], metavar="WORDS", help="less of what the words say")
    options.add_argument(
        "-f",
        "--filter",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="license=CC0-1.0, tags=dog, size=large, uploaded=2024-01-01..2024-12-31, min_width=800; several times",
    )
    options.add_argument("--sort", choices=("relevance", "newest", "oldest"), default="relevance")
    options.add_argument("--strong", action="store_true", help="leave out what is hardly like the query")
    options.add_argument("--duplicates", action="store_true", help="list near duplicates one by one")
    options.add_argument("--keyword-weight", type=float, metavar="0..1", help="of captions beside meaning")
    options.add_argument("--json", action="store_true", help="one JSON object a line, with every field")
    search = commands.add_parser("search", parents=[options], help="find pictures by words; without any, the newest")
    search.add_argument("words", nargs="?", default="")
    similar = commands.add_parser("similar", parents=[options], help="find pictures by a picture")
    similar.add_argument("picture", help="a file, an http(s) address, or the id of a picture of the collection")
    listing = commands.add_parser("collections", help="what can be searched")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    return top


def run(client: Client, arguments: argparse.Namespace, console: Console) -> None:
    """Do what was asked, and print it."""
    if arguments.command == "collections":
        found = client.collections()
        print_json(console, map(asdict, found)) if arguments.json else console.print(collections_table(found))
        return
    page = client.search(
        arguments.collection or only_collection(client),
        *terms_of(arguments),
        size=arguments.size,
        filters=filters_of(arguments.filter),
        sort=arguments.sort,
        matches="strong" if arguments.strong else "all",
        collapse=not arguments.duplicates,
        keyword_weight=arguments.keyword_weight,
    )
    if arguments.json:
        print_json(console, map(asdict, page.hits))
    else:
        console.print(hits_table(page))
        console.print(summary(page), style="dim")


def only_collection(client: Client) -> str:
    """The collection, where there is just one.

    Raises:
        SearchError: there is none, or a choice.
    """
    match client.collections():
        case [one]:
            return one.collection
        case []:
            raise SearchError(404, "about:blank", "there are no collections yet")
        case several:
            listed = ", ".join(each.collection for each in several)
            raise SearchError(400, "about:blank", f"say which collection with --collection: {listed}")


def terms_of(arguments: argparse.Namespace) -> Iterator[Term]:
    """The terms of the query.

    Raises:
        OSError: the picture is no file that can be read.
    """
    if arguments.command == "search" and arguments.words:
        yield text(arguments.words)
    if arguments.command == "similar":
        given = arguments.picture
        is_id = ":" in given and not given.startswith(("http://", "https://")) and not os.path.exists(given)
        yield like(given) if is_id else picture(given)
    yield from map(like, arguments.like)
    yield from map(unlike, arguments.unlike)
    yield from (text(words, -0.5) for words in arguments.without)


def filters_of(given: Iterable[str]) -> dict[str, Any]:
    """`["license=CC0-1.0", "uploaded=2024-01-01.."]` -> the API's filters; it judges names and values.

    Raises:
        SearchError: one is not of the form.
    """
    filters: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name or not value:
            raise SearchError(400, "about:blank", f"--filter takes FIELD=VALUE, not {each!r}")
        if name in _RANGES:
            start, dots, end = value.partition("..")
            bounds = {"from": start, "to": end if dots else start}
            filters[name] = {bound: moment for bound, moment in bounds.items() if moment}
        elif name in _NUMBERS:
            filters[name] = int(value) if value.isdecimal() else value
        else:
            filters.setdefault(name, []).append(value)
    return filters


def print_json(console: Console, objects: Iterable[dict[str, Any]]) -> None:
    """One object a line."""
    for each in objects:
        console.file.write(json.dumps(each, ensure_ascii=False, default=str) + "\n")


def hits_table(page: Page) -> Table:
    """Hits for people; titles link to where the picture is shown."""
    table = Table(box=None, pad_edge=False)
    for heading in ("score", "id", "title", "by", "license"):
        table.add_column(heading, overflow="fold")
    for hit in page.hits:
        score = "" if hit.score is None else f"{hit.score:.3f}"
        table.add_row(score, hit.id, linked(hit), hit.author or "", hit.license or "", style=style(hit))
    return table


def linked(hit: Hit) -> Text:
    """The title, as a link in terminals that know links."""
    return Text(hit.title or hit.url, style=f"link {hit.page_url or hit.url}")


def style(hit: Hit) -> str:
    """Weak matches stand back."""
    return "dim" if hit.match == "weak" else ""


def summary(page: Page) -> str:
    """What the page is a part of."""
    parts = [f"{len(page.hits)} of the best {page.total:,} of {page.available:,} pictures, {page.took_ms:.0f} ms"]
    if page.strong == 0:
        parts.append("nothing matches, these are the nearest")
    if alike := sum(hit.duplicates for hit in page.hits):
        parts.append(f"{alike:,} near duplicates behind them")
    if page.degraded:
        parts.append("the encoder does not answer: found by words alone")
    return "; ".join(parts)


def collections_table(found: list[Collection]) -> Table:
    """Collections for people."""
    table = Table(box=None, pad_edge=False)
    for heading in ("collection", "pictures", "waiting", "status", "model"):
        table.add_column(heading, justify="right" if heading in ("pictures", "waiting") else "left")
    for each in found:
        waiting = "" if each.lag is None else f"{each.lag:,}"
        table.add_row(each.collection, f"{each.images:,}", waiting, standing(each), each.model)
    return table


def standing(collection: Collection) -> str:
    """The status of a collection, in words."""
    match collection.status:
        case "indexing" if collection.images_per_second:
            return f"indexing, {collection.images_per_second:.1f}/s"
        case "silent" if collection.updated_at:
            return f"silent since {collection.updated_at:%Y-%m-%d %H:%M} UTC"
        case status:
            return (status or "unknown").replace("_", " ")


if __name__ == "__main__":
    main()
