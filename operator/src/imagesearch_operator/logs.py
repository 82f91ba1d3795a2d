"""Logs: one JSON object a line, and in each line about a collection its namespace, name and uid."""

import json
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Final

from imagesearch_operator.live import Key

_FIELDS: Final = ("namespace", "name", "uid")
_EXTRA: Final = "imagesearch"


class Log(logging.LoggerAdapter[logging.Logger]):
    """A logger that says about which collection it speaks."""

    def process(self, msg: object, kwargs: MutableMapping[str, Any]) -> tuple[object, MutableMapping[str, Any]]:
        """Add the collection to the record."""
        return msg, {**kwargs, "extra": {_EXTRA: self.extra}}


def logger_for(key: Key, uid: str) -> Log:
    """The logger of one collection."""
    return Log(logging.getLogger("imagesearch_operator"), dict(zip(_FIELDS, (*key, uid), strict=True)))


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, _EXTRA, {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure() -> None:
    """Log to standard error, ours from INFO, the libraries' from WARNING."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("imagesearch_operator").setLevel(logging.INFO)
    # What a store does not answer is said once, by us, and not at every request.
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)
