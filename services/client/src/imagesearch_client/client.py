"""The API's operations as methods, its problems as exceptions."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Self

import httpx

from imagesearch_client.results import Collection, Hit, Page
from imagesearch_client.terms import Term, text

ATTEMPTS: Final = 3
LONGEST_PAUSE_SECONDS: Final = 30.0
_TRY_AGAIN: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class SearchError(Exception):
    """The API answered with a problem (RFC 9457); as a string it is what is wrong and what to do, for people."""

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        """The problem's `type`, for programs."""


class UnreachableError(Exception):
    """Nobody answered at the API's address."""


class Client:
    """A connection to one search API, to be closed or used as a context.

    What the API asks to be tried again (429, 503 with `Retry-After`) is, a few times.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        api_key: str | None = None,
        timeout_seconds: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Set up; nothing connects yet.

        Args:
            url: of the API.
            api_key: where the API asks for one.
            timeout_seconds: for one answer.
            transport: how requests are sent, if not over the network.
            sleep: waits before something is tried again.
        """
        self._url = url
        self._sleep = sleep
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_seconds, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def search(
        self,
        collection: str,
        *terms: str | Term,
        size: int = 20,
        start: int = 0,
        filters: Mapping[str, Any] | None = None,
        facets: Sequence[str] = (),
        sort: str = "relevance",
        matches: str = "all",
        collapse: bool = True,
        keyword_weight: float | None = None,
    ) -> Page:
        """One page of the pictures that are most like all terms together; of everything, the newest first, without terms.

        Args:
            collection: `name`, or `namespace/name`.
            terms: words as they are, or what `text`, `picture`, `like` and `unlike` make.
            size: hits of the page.
            start: hits before it.
            filters: fields of the API's schema `Filters`.
            facets: fields whose values are counted.
            sort: `relevance`, `newest` or `oldest`.
            matches: `strong` leaves out what is hardly like the query.
            collapse: near duplicates stand behind the best of them; False lists every one.
            keyword_weight: of captions beside meaning, 0 to 1; None leaves it to the API.

        Raises:
            SearchError: the API refuses, or cannot answer.
            UnreachableError: there is no API.
        """
        asked: dict[str, Any] = {
            "collection": collection,
            "terms": [text(term) if isinstance(term, str) else term for term in terms],
            "size": size,
            "from": start,
            "filters": dict(filters or {}),
            "facets": list(facets),
            "sort": sort,
            "matches": matches,
            "collapse": collapse,
        }
        if keyword_weight is not None:
            asked["keyword_weight"] = keyword_weight
        return Page.of(self._ask("POST", "/search", json=asked))

    def hits(self, collection: str, *terms: str | Term, limit: int | None = None, **options: Any) -> Iterator[Hit]:
        """The hits of a search page after page, at most `limit`; options and errors are those of `search`."""
        start: int | None = 0
        left = limit
        while start is not None and left != 0:
            page = self.search(collection, *terms, start=start, **options)
            yield from page.hits[:left]
            start = page.next_from
            left = None if left is None else max(0, left - len(page.hits))

    def collections(self) -> list[Collection]:
        """What can be searched.

        Raises:
            SearchError: the API cannot answer.
            UnreachableError: there is no API.
        """
        return [Collection.of(found) for found in self._ask("GET", "/collections")["collections"]]

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._http.request(method, path, **request)
            except httpx.TransportError as error:
                raise UnreachableError(f"no search API answers at {self._url} ({error})") from error
            if answer.status_code not in _TRY_AGAIN or attempt == ATTEMPTS:
                break
            self._sleep(min(LONGEST_PAUSE_SECONDS, _retry_after(answer)))
        if answer.status_code != HTTPStatus.OK:
            raise _error(answer)
        try:
            found: dict[str, Any] = answer.json()
        except ValueError as error:
            raise UnreachableError(f"what answers at {self._url} is no search API") from error
        return found


def _retry_after(answer: httpx.Response) -> float:
    try:
        return max(0.0, float(answer.headers.get("Retry-After", 1)))
    except ValueError:
        return 1.0


def _error(answer: httpx.Response) -> SearchError:
    try:
        problem = answer.json()
        return SearchError(answer.status_code, str(problem["type"]), str(problem["detail"]))
    except (ValueError, KeyError, TypeError):
        return SearchError(answer.status_code, "about:blank", f"the search API answered {answer.status_code}")
