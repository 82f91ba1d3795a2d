"""How Flickr writes an answer down: JSON or XML, numbers and strings as Flickr types them. Pure; `app` calls it."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree

from flickr_standin.photos import Photo
from flickr_standin.search import FlickrError, Results

SIZES: Final = ("sq", "t", "s", "q", "m", "n", "w", "z", "c", "l", "o")
"""Suffixes of `url_*`. The stand-in keeps one size of each picture and gives it under every name."""

_CC = "https://creativecommons.org"
LICENSES: Final = (
    ("0", "All Rights Reserved", "https://www.flickrhelp.com/hc/en-us/articles/10710266545556"),
    ("4", "Attribution License", f"{_CC}/licenses/by/2.0/"),
    ("6", "Attribution-NoDerivs License", f"{_CC}/licenses/by-nd/2.0/"),
    ("3", "Attribution-NonCommercial-NoDerivs License", f"{_CC}/licenses/by-nc-nd/2.0/"),
    ("2", "Attribution-NonCommercial License", f"{_CC}/licenses/by-nc/2.0/"),
    ("1", "Attribution-NonCommercial-ShareAlike License", f"{_CC}/licenses/by-nc-sa/2.0/"),
    ("5", "Attribution-ShareAlike License", f"{_CC}/licenses/by-sa/2.0/"),
    ("7", "No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    ("8", "United States Government Work", "http://www.usa.gov/copyright.shtml"),
    ("9", "Public Domain Dedication (CC0)", f"{_CC}/publicdomain/zero/1.0/"),
    ("10", "Public Domain Mark", f"{_CC}/publicdomain/mark/1.0/"),
    ("11", "CC BY 4.0", f"{_CC}/licenses/by/4.0/"),
    ("12", "CC BY-SA 4.0", f"{_CC}/licenses/by-sa/4.0/"),
    ("13", "CC BY-ND 4.0", f"{_CC}/licenses/by-nd/4.0/"),
    ("14", "CC BY-NC 4.0", f"{_CC}/licenses/by-nc/4.0/"),
    ("15", "CC BY-NC-SA 4.0", f"{_CC}/licenses/by-nc-sa/4.0/"),
    ("16", "CC BY-NC-ND 4.0", f"{_CC}/licenses/by-nc-nd/4.0/"),
)

_NAME = re.compile(r"[A-Za-z_][\w.-]{0,99}", re.ASCII)
_UNFIT_FOR_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Answer = Mapping[str, Any]
"""What stands beside `stat` in JSON: one object, or a few."""


def photos(results: Results, extras: Collection[str], pictures_url: str) -> Answer:
    """The answer of `flickr.photos.search`."""
    return {
        "photos": {
            "page": results.page,
            "pages": results.pages,
            "perpage": results.per_page,
            "total": str(results.total),  # Flickr's JSON has it as a string, beside numbers
            "photo": [photo(found, extras, pictures_url) for found in results.photos],
        }
    }


def photo(found: Photo, extras: Collection[str], pictures_url: str) -> dict[str, Any]:
    """One photo, with the `extras` that were asked for and nothing else of them."""
    fields: dict[str, Any] = {
        "id": found.id,
        "owner": found.owner,
        "secret": f"{int(found.id) % 16**10:010x}",
        "server": "65535",
        "farm": 66,
        "title": found.title,
        "ispublic": 1,
        "isfriend": 0,
        "isfamily": 0,
    }
    placed = found.latitude is not None and found.longitude is not None
    optional: Mapping[str, Mapping[str, Any]] = {
        "description": {"description": {"_content": found.description}},
        "license": {"license": found.license},
        "o_dims": {"o_width": str(found.width), "o_height": str(found.height)},
        "date_upload": {"dateupload": str(int(found.uploaded_at.timestamp()))},
        "date_taken": {
            "datetaken": f"{found.taken_at:%Y-%m-%d %H:%M:%S}",
            "datetakengranularity": 0,
            "datetakenunknown": "0",
        },
        "owner_name": {"ownername": found.owner_name},
        "path_alias": {"pathalias": found.path_alias},
        "tags": {"tags": " ".join(found.tags)},
        "views": {"views": "0"},
        "media": {"media": "photo", "media_status": "ready"},
        "content_type": {"content_type": str(found.content_type)},
        "geo": {
            "latitude": str(found.latitude) if placed else 0,
            "longitude": str(found.longitude) if placed else 0,
            "accuracy": "16" if placed else 0,
            "context": 0,
        },
        **{
            f"url_{size}": {
                f"url_{size}": f"{pictures_url}/{quote(found.path)}",
                f"height_{size}": found.height,
                f"width_{size}": found.width,
            }
            for size in SIZES
        },
    }
    for extra in extras:
        fields |= optional.get(extra, {})
    return fields


def info(found: Photo) -> Answer:
    """The answer of `flickr.photos.getInfo`, without what nobody here asks for."""
    return {
        "photo": {
            "id": found.id,
            "dateuploaded": str(int(found.uploaded_at.timestamp())),
            "license": found.license,
            "safety_level": str(found.safety_level - 1),  # unlike the arguments of a search
            "rotation": 0,
            "media": "photo",
            "owner": {"nsid": found.owner, "username": found.owner_name, "path_alias": found.path_alias},
            "title": {"_content": found.title},
            "description": {"_content": found.description},
            "visibility": {"ispublic": 1, "isfriend": 0, "isfamily": 0},
            "tags": {"tag": [{"_content": tag} for tag in found.tags]},
        }
    }


def user(found: Photo) -> Answer:
    """The answer of `flickr.urls.lookupUser`."""
    return {"user": {"id": found.owner, "username": {"_content": found.owner_name}}}


def group(found: Photo) -> Answer:
    """The answer of `flickr.urls.lookupGroup`."""
    return {"group": {"id": found.group_id, "groupname": {"_content": found.group_alias or ""}}}


def licenses() -> Answer:
    """The answer of `flickr.photos.licenses.getInfo`."""
    return {
        "licenses": {"license": [{"id": number, "name": name, "url": url} for number, name, url in LICENSES]},
    }


def echo(arguments: Mapping[str, str]) -> Answer:
    """The answer of `flickr.test.echo`: the arguments whose names can name an element."""
    return {name: {"_content": value} for name, value in arguments.items() if _NAME.fullmatch(name)}


def as_json(answer: Answer | FlickrError, callback: str | None) -> str:
    """Write JSON, wrapped into a call of `callback` where there is one."""
    match answer:
        case FlickrError():
            body = {"stat": "fail", "code": answer.code, "message": answer.message}
        case _:
            body = {**answer, "stat": "ok"}
    text = json.dumps(body, ensure_ascii=False)
    return f"{callback}({text})" if callback else text


def as_xml(answer: Answer | FlickrError) -> str:
    """Write XML: plain values become attributes, the others elements."""
    match answer:
        case FlickrError():
            root = ElementTree.Element("rsp", stat="fail")
            ElementTree.SubElement(root, "err", code=str(answer.code), msg=_UNFIT_FOR_XML.sub("?", answer.message))
        case _:
            root = ElementTree.Element("rsp", stat="ok")
            _fill(root, answer)
    return '<?xml version="1.0" encoding="utf-8" ?>\n' + ElementTree.tostring(root, encoding="unicode")


def _fill(element: ElementTree.Element, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        match value:
            case {"_content": text}:
                ElementTree.SubElement(element, name).text = _UNFIT_FOR_XML.sub("?", text)
            case Mapping():
                _fill(ElementTree.SubElement(element, name), value)
            case list():
                for item in value:
                    _fill(ElementTree.SubElement(element, name), item)
            case _:
                element.set(name, "" if value is None else _UNFIT_FOR_XML.sub("?", str(value)))
