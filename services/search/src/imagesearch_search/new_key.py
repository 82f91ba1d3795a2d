"""`imagesearch-search-key NAME [COLLECTION ...]`: make an API key, and the entry that lets it in."""

import argparse
import hashlib
import json
import secrets
import sys
from typing import Final

from imagesearch_search.access import KeyFileError, Keys

PREFIX: Final = "isk_"
"""By which people, and scanners of what leaks, know what it is."""
_BYTES: Final = 32


def entry(name: str, key: str, collections: list[str]) -> str:
    """The entry of the file of keys; JSON, which is YAML, so that no name can be anything but itself."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"  - {json.dumps({'name': name, 'sha256': digest, 'collections': collections})}\n"


def main(arguments: list[str] | None = None) -> None:
    """Print both. The key is on the standard output by itself, and nowhere else ever again."""
    parser = argparse.ArgumentParser(prog="imagesearch-search-key", description=__doc__)
    parser.add_argument("name", help="whose key it is: letters, digits, '.', '_', '-' and '@'")
    parser.add_argument("collections", nargs="*", default=["*"], help="name, namespace/name, namespace/* or * (all)")
    args = parser.parse_args(arguments)
    key = PREFIX + secrets.token_urlsafe(_BYTES)
    made = entry(args.name, key, args.collections)
    try:
        Keys.parse(f"keys:\n{made}".encode(), "default")
    except KeyFileError as error:
        sys.exit(f"imagesearch-search-key: {error}")
    sys.stderr.write(f"The key of {args.name}; it is shown this once:\n")
    sys.stdout.write(f"{key}\n")
    sys.stderr.write(f"Its entry, for the file of keys (under `keys:`):\n{made}")


if __name__ == "__main__":
    main()
