"""The real flickrapi, and plain HTTP, against the stand-in."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import flickrapi
import httpx
import pytest
from flickr_standin.app import create_app
from flickr_standin.main import main
from flickr_standin.photos import photos_of
from flickr_standin.serving import serving


def client(base_url: str, key: str = "valid-key", **options: Any) -> flickrapi.FlickrAPI:
    api = flickrapi.FlickrAPI(key, "secret", store_token=False, **options)
    api.REST_URL = f"{base_url}/services/rest/"
    return api


@pytest.fixture
def own_standin(pictures: Path) -> Iterator[str]:
    """One that a test may put out of order."""
    with serving(create_app(pictures, api_key="valid-key", requests_per_hour=3)) as base_url:
        yield base_url


def test_flickrapi_reads_the_json(standin: str) -> None:
    answer = client(standin, format="parsed-json").photos.search(text="robin", extras="url_m,license,tags,date_upload")

    assert answer["stat"] == "ok"
    assert answer["photos"]["total"] == "1"
    (photo,) = answer["photos"]["photo"]
    assert photo["title"] == "A robin & its nest."
    assert photo["tags"] == "animals birds"
    assert (photo["width_m"], photo["height_m"]) == (64, 48)
    assert isinstance(photo["id"], str)
    assert photo["dateupload"].isdecimal()
    assert "ownername" not in photo


def test_flickrapi_reads_the_xml(standin: str) -> None:
    answer = client(standin).photos.search(tags="animals,town", per_page=2, extras="description")

    photos = answer.find("photos")
    assert {name: photos.get(name) for name in ("page", "pages", "perpage", "total")} == {
        "page": "1", "pages": "2", "perpage": "2", "total": "3",
    }  # fmt: skip
    assert [photo.find("description") is not None for photo in photos.findall("photo")] == [True, True]


def test_the_pictures_are_where_the_answer_says(standin: str) -> None:
    answer = client(standin, format="parsed-json").photos.search(text="robin", extras="url_m,url_q")
    (photo,) = answer["photos"]["photo"]

    picture = httpx.get(photo["url_m"])

    assert picture.status_code == 200
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")


def test_an_invalid_key_is_code_100_in_both_formats(standin: str) -> None:
    for format in ("parsed-json", "etree"):
        with pytest.raises(flickrapi.FlickrError) as caught:
            client(standin, key="wrong", format=format).photos.search(text="robin")
        assert caught.value.code == 100


def test_an_unknown_method_is_code_112(standin: str) -> None:
    with pytest.raises(flickrapi.FlickrError) as caught:
        client(standin, format="parsed-json").photos.getWishes()

    assert caught.value.code == 112


def test_the_licences_are_listed_and_the_echo_echoes(standin: str) -> None:
    api = client(standin, format="parsed-json")

    licenses = {entry["id"]: entry["url"] for entry in api.photos.licenses.getInfo()["licenses"]["license"]}

    assert set(licenses) == {str(number) for number in range(17)}
    assert licenses["11"] == "https://creativecommons.org/licenses/by/4.0/"
    assert api.test.echo(word="hello")["word"] == {"_content": "hello"}


def test_a_get_without_json_callback_option_is_wrapped_in_flickrs_function(standin: str) -> None:
    answer = httpx.get(
        f"{standin}/services/rest/",
        params={"method": "flickr.photos.search", "api_key": "valid-key", "text": "cat", "format": "json"},
    )

    assert answer.text.startswith("jsonFlickrApi({")
    assert json.loads(answer.text.removeprefix("jsonFlickrApi(").removesuffix(")"))["stat"] == "ok"


def test_what_no_xml_can_hold_still_gives_xml(standin: str) -> None:
    answer = httpx.post(
        f"{standin}/services/rest",
        data={"method": "flickr.test.echo", "api_key": "valid-key", "<name>": "x", "word": "\x00<&"},
    )

    assert ElementTree.fromstring(answer.text).findtext("word") == "?<&"


def test_the_fourth_call_within_an_hour_is_one_too_many(own_standin: str) -> None:
    api = client(own_standin, format="parsed-json")
    for _ in range(3):
        api.photos.search(text="cat")

    with pytest.raises(flickrapi.FlickrError, match="429"):
        api.photos.search(text="cat")


def test_an_hour_later_calls_are_let_through_again(pictures: Path) -> None:
    hours = 0.0
    app = create_app(pictures, api_key="valid-key", requests_per_hour=1, clock=lambda: hours * 3600)
    with serving(app) as base_url:
        api = client(base_url, format="parsed-json")
        api.photos.search(text="cat")
        hours = 1.0

        assert api.photos.search(text="cat")["stat"] == "ok"


@pytest.mark.parametrize(
    ("fault", "status", "beginning"),
    [
        ({"status": 503, "retry_after": "7"}, 503, "<html>"),
        ({"status": "throttle"}, 429, "<html>"),
        ({"status": "html"}, 200, "<html>"),
        ({"status": "busy"}, 200, '{"stat": "fail"'),
        ({"status": "truncated"}, 200, '{"photos"'),
        ({"status": "slow", "seconds": 0}, 200, '{"photos"'),
    ],
)
def test_a_fault_that_is_ordered_happens_once(standin: str, fault: dict[str, Any], status: int, beginning: str) -> None:
    arguments = {
        "method": "flickr.photos.search", "api_key": "valid-key", "text": "cat", "format": "json", "nojsoncallback": "1",
    }  # fmt: skip
    assert httpx.post(f"{standin}/_faults", json=fault).status_code == 200

    broken = httpx.post(f"{standin}/services/rest/", data=arguments)
    healthy = httpx.post(f"{standin}/services/rest/", data=arguments)

    assert broken.status_code == status
    assert broken.text.startswith(beginning)
    assert broken.headers.get("retry-after") == fault.get("retry_after")
    assert healthy.json()["stat"] == "ok"


def test_what_owners_do_to_their_photos_shows_at_once(pictures: Path) -> None:
    with serving(create_app(pictures, api_key="valid-key")) as base_url:
        api = client(base_url, format="parsed-json")
        (cat,) = api.photos.search(text="cat")["photos"]["photo"]

        def change(**fields: Any) -> int:
            return httpx.post(f"{base_url}/_photos", json={"id": cat["id"], **fields}).status_code

        assert change(title="A tiger", license="4") == 200
        photo = api.photos.getInfo(photo_id=cat["id"])["photo"]
        assert (photo["title"]["_content"], photo["license"]) == ("A tiger", "4")
        assert api.photos.search(text="tiger")["photos"]["total"] == "1"
        assert change(colour="red") == 422

        assert change(public=False) == 200
        with pytest.raises(flickrapi.FlickrError, match="2: Permission denied"):
            api.photos.getInfo(photo_id=cat["id"])

        assert httpx.delete(f"{base_url}/_photos/{cat['id']}").status_code == 200
        assert httpx.delete(f"{base_url}/_photos/{cat['id']}").status_code == 404
        with pytest.raises(flickrapi.FlickrError, match="1: Photo not found"):
            api.photos.getInfo(photo_id=cat["id"])


def test_a_photo_can_be_added(standin: str) -> None:
    fields = {
        "id": "7", "owner": "7@N01", "owner_name": "Seven", "path_alias": "seven", "title": "A dog",
        "uploaded_at": "2026-01-01T00:00:00Z", "taken_at": "2026-01-01T00:00:00Z", "group_id": "8@N20",
        "group_alias": "dogs",
    }  # fmt: skip
    assert httpx.post(f"{standin}/_photos", json=fields).status_code == 200

    api = client(standin, format="parsed-json")
    assert api.photos.search(text="dog")["photos"]["total"] == "1"
    assert api.urls.lookupUser(url="https://www.flickr.com/photos/seven/")["user"]["id"] == "7@N01"
    assert api.urls.lookupGroup(url="https://www.flickr.com/groups/dogs/")["group"]["id"] == "8@N20"
    assert httpx.delete(f"{standin}/_photos/7").status_code == 200


def test_a_folder_gives_the_same_photos_at_every_start(pictures: Path) -> None:
    photos = photos_of(pictures)

    assert photos == photos_of(pictures)
    assert [photo.path for photo in photos] == ["animals/birds/red robin.png", "animals/cat.jpg", "town/tram.gif"]
    assert len({photo.id for photo in photos}) == 3


def test_a_folder_that_is_none_or_empty_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--pictures", str(tmp_path / "nowhere")]) == 1
    assert "is not a folder" in capsys.readouterr().err
    assert main(["--pictures", str(tmp_path)]) == 1
    assert "holds no JPEG" in capsys.readouterr().err
