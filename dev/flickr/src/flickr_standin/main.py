"""The command `flickr-standin`: serve the stand-in over a folder of pictures until Ctrl-C."""

import argparse
import sys
from pathlib import Path

import uvicorn

from flickr_standin.app import API_PATH, REQUESTS_PER_HOUR, create_app
from flickr_standin.photos import photos_of


def main(arguments: list[str] | None = None) -> int:
    """Serve; return the exit status."""
    options = _parser().parse_args(arguments)
    if not options.pictures.is_dir():
        sys.stderr.write(f"flickr-standin: {options.pictures} is not a folder; give one that holds pictures\n")
        return 1
    photos = photos_of(options.pictures)
    if not photos:
        sys.stderr.write(f"flickr-standin: {options.pictures} holds no JPEG, PNG, GIF or WebP picture\n")
        return 1
    app = create_app(
        options.pictures,
        photos=photos,
        api_key=options.api_key,
        base_url=options.base_url,
        requests_per_hour=options.requests_per_hour,
    )
    sys.stderr.write(f"flickr-standin: {len(photos)} photos at http://{options.host}:{options.port}{API_PATH}\n")
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="flickr-standin", description="Answer flickr.photos.search over a folder.")
    parser.add_argument("--pictures", type=Path, required=True, help="folder of pictures; captions in .txt beside them")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8091)
    parser.add_argument("--api-key", default="demo", help="the one key that is valid (default: %(default)s)")
    parser.add_argument("--base-url", help="where clients reach this server, for the addresses of the pictures")
    parser.add_argument("--requests-per-hour", type=int, default=REQUESTS_PER_HOUR, help="default: %(default)s")
    return parser
