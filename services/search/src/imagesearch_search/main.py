"""`imagesearch-search`: serve the search API. Settings come from the environment (`SearchSettings`)."""

import gc
import logging
import sys

import uvicorn
from imagesearch_contract.settings import SearchSettings, SettingsError

from imagesearch_search import access_log
from imagesearch_search.app import create_app


def main() -> None:
    """Serve until SIGTERM or SIGINT; open requests are answered first."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("imagesearch_search").setLevel(logging.INFO)
    try:
        settings = SearchSettings.from_env()
        app = create_app(settings)
    except SettingsError as error:
        sys.exit(f"imagesearch-search: {error}")
    access_log.to_standard_output()
    _collect_seldom()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # `app` believes those of trusted proxies, and nobody's else
        timeout_graceful_shutdown=10,
    )


def _collect_seldom() -> None:
    """Let the garbage collector look at little, and not often, as it does while somebody waits.

    A search makes thousands of objects and hardly a cycle, and recent rankings hold a quarter of a million, which by
    Python's own thresholds would be looked through again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
