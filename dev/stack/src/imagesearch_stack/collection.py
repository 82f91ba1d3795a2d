"""One collection of a cluster, as a person with kubectl and a search box sees it. The end-to-end tests look through it."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from imagesearch_stack import StackError
from imagesearch_stack.cluster import Platform, condition

LOG_LINES: Final = 15

Json = dict[str, Any]


class Collection:
    """A collection that is there, is to be made, or was there."""

    def __init__(self, platform: Platform, name: str, namespace: str) -> None:
        """Name it; nothing is asked or made."""
        self.platform, self.name, self.namespace = platform, name, namespace
        self._search_url = platform.search_url

    def apply(self, spec: Mapping[str, Any]) -> None:
        """Make it, or change it to this.

        Raises:
            StackError: it is refused; with what the API server says.
        """
        manifest = {
            "apiVersion": "imagesearch.dev/v1alpha1",
            "kind": "ImageCollection",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": spec,
        }
        self.kubectl("apply", "--server-side", "--filename", "-", stdin=json.dumps(manifest))

    def delete(self) -> None:
        """Delete it, and wait until it is gone with all that it owns alone."""
        self.kubectl("delete", "imagecollection", self.name, "--ignore-not-found", "--timeout", "240s")

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in its namespace."""
        return self.platform.kubernetes.kubectl("--namespace", self.namespace, *arguments, stdin=stdin)

    def found(self, kind: str, selector: str = "") -> list[Json]:
        """The objects of a kind in its namespace."""
        asked = self.platform.kubernetes.json("--namespace", self.namespace, "get", kind, "--selector", selector)
        return list(asked["items"])

    def own(self, kind: str) -> list[Json]:
        """The objects of a kind that carry its label."""
        return self.found(kind, f"imagesearch.dev/collection={self.name}")

    def owned(self, kind: str) -> list[Json]:
        """The objects of a kind that it owns, alone or together with others."""
        return [each for each in self.found(kind) if self.name in owners(each)]

    @property
    def status(self) -> Json:
        """What it says of itself."""
        live: Json = self.platform.kubernetes.json("--namespace", self.namespace, "get", "imagecollection", self.name)
        status: Json = live.get("status", {})
        return status

    def is_true(self, kind: str) -> bool:
        """Whether a condition is met."""
        return condition(self.status, kind).get("status") == "True"

    def ready_with_nothing_left(self) -> bool:
        """Whether it is Ready and every picture that was published is indexed or refused."""
        status = self.status
        return condition(status, "Ready").get("status") == "True" and status.get("images", {}).get("lag") == 0

    def describe(self) -> str:
        """`kubectl describe` of it."""
        return self.kubectl("describe", "imagecollection", self.name)

    def text_search(self, query: str, size: int = 10) -> list[Json]:
        """The hits of a search by words."""
        body = {"collection": f"{self.namespace}/{self.name}", "query": query, "size": size}
        answer = httpx.post(f"{self._search_url}/text_search", json=body, timeout=30, trust_env=False)
        return _hits(answer)

    def image_search(self, picture: bytes) -> list[Json]:
        """The hits of a search by a picture."""
        answer = httpx.post(
            f"{self._search_url}/image_search",
            data={"collection": f"{self.namespace}/{self.name}"},
            files={"image": picture},
            timeout=30,
            trust_env=False,
        )
        return _hits(answer)

    def wait_until(self, what: str, true: Callable[[], object], within_seconds: float = 240) -> None:
        """Wait for something.

        Raises:
            StackError: it did not come to pass; with all that a person would look at next.
        """
        deadline = time.monotonic() + within_seconds
        while not true():
            if time.monotonic() > deadline:
                raise StackError(f"not within {within_seconds:.0f} s: {what}\n{self._all_there_is_to_see()}")
            time.sleep(1)

    def _all_there_is_to_see(self) -> str:
        seen = [self._try("describe", "imagecollection", self.name), self._try("get", "pods", "--output", "wide")]
        seen.append(self._try("get", "events", "--sort-by", ".lastTimestamp", "--field-selector", "type=Warning"))
        for pod in self.found("pods"):
            if not all(each.get("ready") for each in pod["status"].get("containerStatuses", [{}])):
                log = ("logs", pod["metadata"]["name"], "--all-containers", "--tail", str(LOG_LINES))
                seen.append(f"log of {pod['metadata']['name']}:\n{self._try(*log)}")
        return "\n".join(seen)

    def _try(self, *arguments: str) -> str:
        try:
            return self.kubectl(*arguments)
        except StackError as error:
            return str(error)


def owners(manifest: Json) -> set[str]:
    """The names of an object's owners."""
    return {owner["name"] for owner in manifest["metadata"].get("ownerReferences", [])}


def _hits(answer: httpx.Response) -> list[Json]:
    if answer.status_code != httpx.codes.OK:
        raise StackError(f"the search API answered {answer.status_code}: {answer.text}")
    hits: list[Json] = answer.json()["hits"]
    return hits
