"""Who may read which collection: API keys from a file, which is read again when it changes. `admission` asks.

The file is YAML or JSON, usually a Secret's:

    anonymous: [stamps]                # these need no key; none where it is left out
    keys:
      - name: shop                     # for the log, and for people
        sha256: 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
        collections: [photos, team-a/dogs, "team-b/*"]     # or "*"
        requestsPerMinute: 600         # in place of the setting

Keys are long and random (`new_key`), so a single SHA-256 is enough: there is no dictionary to try, and a slow hash
would only make each request, and each wrong key, expensive for us.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import yaml
from imagesearch_contract import names
from imagesearch_contract.record import describe
from imagesearch_contract.settings import SettingsError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from imagesearch_search.problems import KEY_REQUIRED, Problem

KEY_HEADER: Final = "X-API-Key"
MAX_KEYS: Final = 1_000
"""Each is compared with every key that is given."""
LOOK_SECONDS: Final = 2.0

Compare = Callable[[bytes, bytes], bool]
Sleep = Callable[[float], Awaitable[object]]
Grant = tuple[str | None, str | None]
"""Namespace and collection; None is any."""

log = logging.getLogger(__name__)


class KeyFileError(ValueError):
    """The file of keys cannot be used; the message says why, and repeats nothing of what should be secret."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    name: Annotated[str, Field(pattern=r"^[\w.@-]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    collections: Annotated[tuple[str, ...], Field(min_length=1)]
    requests_per_minute: Annotated[int, Field(gt=0)] | None = None


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    anonymous: tuple[str, ...] = ()
    keys: Annotated[tuple[_Entry, ...], Field(max_length=MAX_KEYS)] = ()


@dataclass(frozen=True)
class Caller:
    """Who asks. `name` is their key's; None is somebody without one."""

    name: str | None
    grants: frozenset[Grant]
    requests_per_minute: int | None = None

    def may_read(self, namespace: str, collection: str) -> bool:
        """Whether this collection is there for them at all."""
        return not self.grants.isdisjoint({(None, None), (namespace, None), (namespace, collection)})


EVERYBODY: Final = Caller(name=None, grants=frozenset({(None, None)}))
"""Who asks where no keys are configured."""


def key_required() -> Problem:
    """The problem of whoever shows no key where one is needed."""
    return Problem(KEY_REQUIRED, f"Send an API key, as `Authorization: Bearer <key>` or `{KEY_HEADER}: <key>`.")


class Keys:
    """The callers there are. `anonymous` is whoever shows no key."""

    def __init__(
        self,
        callers: tuple[tuple[bytes, Caller], ...] = (),
        anonymous: Caller = EVERYBODY,
        *,
        compare: Compare = hmac.compare_digest,
    ) -> None:
        self.anonymous = anonymous
        self._callers = callers
        self._compare = compare

    @property
    def required(self) -> bool:
        """Whether there is nothing to read without a key."""
        return not self.anonymous.grants

    @property
    def configured(self) -> bool:
        """Whether keys are looked at."""
        return self.anonymous is not EVERYBODY

    def caller(self, key: str | None) -> Caller | None:
        """Whose key it is; None where nobody's. Every key is compared, in constant time, whether one fits or not."""
        if key is None or not self.configured:
            return self.anonymous
        digest = hashlib.sha256(key.encode()).digest()
        found = None
        for known, caller in self._callers:
            if self._compare(known, digest):
                found = caller
        return found

    @classmethod
    def parse(cls, text: bytes, default_namespace: str) -> "Keys":
        """The keys of a file.

        Raises:
            KeyFileError: it is none.
        """
        try:
            document = _Document.model_validate(_mapping(text))
        except ValidationError as error:
            raise KeyFileError(describe(error)) from None
        for what in ("name", "sha256"):
            if len({getattr(entry, what) for entry in document.keys}) < len(document.keys):
                raise KeyFileError(f"two keys have the same {what}")
        anonymous = Caller(None, _grants(document.anonymous, default_namespace))
        return cls(
            tuple(
                (
                    bytes.fromhex(entry.sha256),
                    Caller(entry.name, _grants(entry.collections, default_namespace), entry.requests_per_minute),
                )
                for entry in document.keys
            ),
            anonymous,
        )


def _mapping(text: bytes) -> dict[object, object]:
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError of what looks like a date
        mark = getattr(error, "problem_mark", None)
        raise KeyFileError("it is no YAML" + (f" (line {mark.line + 1})" if mark else "")) from None
    if not isinstance(found, dict):
        raise KeyFileError("it is not a mapping with `keys` (a list) and, where some need none, `anonymous`")
    return found


def _grants(collections: tuple[str, ...], default_namespace: str) -> frozenset[Grant]:
    return frozenset(_grant(pattern, default_namespace) for pattern in collections)


def _grant(pattern: str, default_namespace: str) -> Grant:
    """`*`, `namespace/*`, `namespace/name`, or `name` of the default namespace."""
    if pattern == "*":
        return None, None
    namespace, slash, name = pattern.rpartition("/")
    namespace = namespace if slash else default_namespace
    any_name = bool(slash) and name == "*"
    try:
        names.collection_key(namespace, "any" if any_name else name)
    except ValueError as error:
        raise KeyFileError(f"collections: {error}; or give '*' or 'namespace/*'") from None
    return namespace, None if any_name else name


class KeyFile:
    """A file of keys, held in memory. A change that cannot be read leaves the keys as they were.

    Raises:
        SettingsError: it cannot be read in the first place.
    """

    def __init__(self, path: Path, default_namespace: str) -> None:
        self._path = path
        self._default_namespace = default_namespace
        self._seen: bytes | str | None = None
        self.fault: str | None = None
        """Why the file as it is now is not heeded."""
        self.keys = Keys(anonymous=Caller(None, frozenset()))
        self.look()
        if self.fault is not None:
            raise SettingsError(f"IMAGESEARCH_ACCESS_KEYS_PATH: {path}: {self.fault}")

    def look(self) -> None:
        """Read the file, and take it if it is another one than the last time.

        By its content: a Secret's file is a link through a link, which is turned over to new data.
        """
        try:
            seen: bytes | str = self._path.read_bytes()
        except OSError as error:
            seen = f"it cannot be read: {error.strerror}"
        if seen == self._seen:
            return
        self._seen = seen
        try:
            if isinstance(seen, str):
                raise KeyFileError(seen)
            self.keys = Keys.parse(seen, self._default_namespace)
        except KeyFileError as error:
            self.fault = str(error)
            log.error("%s: %s; the keys from before hold", self._path, error)
        else:
            self.fault = None
            log.info("%s: API keys read", self._path)

    async def watch(self, sleep: Sleep = asyncio.sleep) -> None:
        """Look again every few seconds, for good. A change may take Kubernetes a minute to bring here."""
        while True:
            await sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.look)


def faults_of(file: KeyFile | None) -> tuple[str, ...]:
    """What the readiness of the API tells about the file, for all to see: the fault itself is in the log."""
    if file is None or file.fault is None:
        return ()
    return ("The file of API keys was changed and cannot be read (see the log): the keys from before hold.",)
