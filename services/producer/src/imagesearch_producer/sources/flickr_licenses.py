"""Flickr's licence ids and their SPDX identifiers, as `flickr.photos.licenses.getInfo` lists them.

A table and not a call: the ids have only ever been added to, and a call would cost a request of every run.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from imagesearch_producer.sources import SourceError


class License(NamedTuple):
    """A licence under which photos on Flickr can be used."""

    spdx: str
    """SPDX identifier; `LicenseRef-...` where SPDX has none, as its specification asks."""
    url: str


_CC = "https://creativecommons.org"

LICENSES: Final[Mapping[str, License]] = {
    # 0 is "All Rights Reserved": no licence at all, so such photos are never taken.
    "1": License("CC-BY-NC-SA-2.0", f"{_CC}/licenses/by-nc-sa/2.0/"),
    "2": License("CC-BY-NC-2.0", f"{_CC}/licenses/by-nc/2.0/"),
    "3": License("CC-BY-NC-ND-2.0", f"{_CC}/licenses/by-nc-nd/2.0/"),
    "4": License("CC-BY-2.0", f"{_CC}/licenses/by/2.0/"),
    "5": License("CC-BY-SA-2.0", f"{_CC}/licenses/by-sa/2.0/"),
    "6": License("CC-BY-ND-2.0", f"{_CC}/licenses/by-nd/2.0/"),
    "7": License("LicenseRef-No-Known-Copyright-Restrictions", "https://www.flickr.com/commons/usage/"),
    "8": License("LicenseRef-US-Government-Work", "https://www.usa.gov/government-copyright"),
    "9": License("CC0-1.0", f"{_CC}/publicdomain/zero/1.0/"),
    "10": License("CC-PDM-1.0", f"{_CC}/publicdomain/mark/1.0/"),
    "11": License("CC-BY-4.0", f"{_CC}/licenses/by/4.0/"),
    "12": License("CC-BY-SA-4.0", f"{_CC}/licenses/by-sa/4.0/"),
    "13": License("CC-BY-ND-4.0", f"{_CC}/licenses/by-nd/4.0/"),
    "14": License("CC-BY-NC-4.0", f"{_CC}/licenses/by-nc/4.0/"),
    "15": License("CC-BY-NC-SA-4.0", f"{_CC}/licenses/by-nc-sa/4.0/"),
    "16": License("CC-BY-NC-ND-4.0", f"{_CC}/licenses/by-nc-nd/4.0/"),
}


def ids_of(spdx: Iterable[str]) -> tuple[str, ...]:
    """Flickr's ids of the licences named, in Flickr's order.

    Raises:
        SourceError: one of them is no licence that Flickr offers.
    """
    wanted = set(spdx)
    if unknown := wanted - {license.spdx for license in LICENSES.values()}:
        raise SourceError(
            f"Flickr has no licence {', '.join(sorted(unknown))}; it has "
            + ", ".join(license.spdx for license in LICENSES.values())
        )
    return tuple(number for number, license in LICENSES.items() if license.spdx in wanted)
