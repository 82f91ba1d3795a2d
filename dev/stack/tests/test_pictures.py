"""The sample pictures: which there are, what is said of them, and that they are served."""

import json
from pathlib import Path

import httpx
import pytest
from imagesearch_contract.record import ImageRecord
from imagesearch_stack import openmoji, pictures
from imagesearch_stack.pictures import STAMPS_CREDIT, Stamp
from PIL import Image

BASE_URL = "http://127.0.0.1:8090"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {
        "animals/birds/blue tit.txt": "A blue tit.\nde.utf8=Eine Blaumeise.\nen_GB.utf8=x\nde=Latin\nkm.utf8=\n",
        "animals/birds/blue tit.dat": "",
        "animals/birds/blue tit_desc.ogg": "",
        "hats/top_hat.svg": "svg",
        "hats/top_hat.txt": "",
        "hats/plain.JPG": "jpg",
        "symbols/a.png": "png",
        "symbols/a.txt": "The letter A.",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    Image.new("RGB", (30, 20)).save(tmp_path / "animals/birds/blue tit.png")
    return tmp_path


def test_every_picture_file_outside_symbols_is_a_stamp(folder: Path) -> None:
    assert [stamp.path for stamp in pictures.stamps(folder)] == [
        "animals/birds/blue tit.png",
        "hats/plain.JPG",
        "hats/top_hat.svg",
    ]


def test_the_first_line_is_english_and_the_others_say_their_language(folder: Path) -> None:
    captions = pictures.read_captions(folder / "animals/birds/blue tit.txt")
    assert captions == {"en": "A blue tit.", "de": "Eine Blaumeise."}


def test_a_stamp_without_words_is_named_after_its_file(folder: Path) -> None:
    stamp = Stamp("hats/top_hat.svg", pictures.read_captions(folder / "hats/top_hat.txt"))
    assert pictures.record(stamp, BASE_URL, STAMPS_CREDIT).title == "top hat"


def test_the_manifest_is_made_of_records_that_can_be_read_back(folder: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.jsonl"
    pictures.write_manifest(pictures.stamps(folder), manifest, base_url=BASE_URL, credit=STAMPS_CREDIT)
    first, *others = [ImageRecord.from_bytes(line) for line in manifest.read_bytes().splitlines()]
    assert first.id == "manifest:animals/birds/blue%20tit.png"
    assert first.url == first.page_url == f"{BASE_URL}/animals/birds/blue%20tit.png"
    assert first.title == "A blue tit."
    assert first.tags == ("animals", "birds")
    assert first.license == "GPL-2.0-or-later"
    assert (first.width, first.height) == (30, 20)
    assert {(other.width, other.height) for other in others} == {(None, None)}
    assert len(others) == 2


def test_the_captions_file_lists_what_has_a_caption_and_can_be_decoded(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "captions.jsonl"
    assert pictures.write_captions(pictures.stamps(folder), folder, file) == 1
    line = json.loads(file.read_text())
    assert Path(line["image"]).samefile(folder / "animals/birds/blue tit.png")
    assert line["captions"] == {"en": "A blue tit.", "de": "Eine Blaumeise."}


def test_the_address_in_the_manifest_leads_to_the_picture(folder: Path) -> None:
    with pictures.serve(folder) as base_url, httpx.Client(trust_env=False) as client:
        answer = client.get(pictures.record(pictures.stamps(folder)[0], base_url, STAMPS_CREDIT).url)
    assert (answer.status_code, answer.content) == (200, (folder / "animals/birds/blue tit.png").read_bytes())
    assert answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize("path", ["/", "/animals", "/animals/", "/nothing.png", "/../../../../etc/passwd"])
def test_the_server_hands_out_files_of_the_folder_and_nothing_else(folder: Path, path: str) -> None:
    with pictures.serve(folder) as base_url, httpx.Client(trust_env=False, follow_redirects=True) as client:
        assert client.get(base_url + path).status_code == 404


@pytest.mark.parametrize(
    ("code_points", "title"),
    [
        ("1F600", "grinning face"),
        ("1F468-200D-1F33E", "man, ear of rice"),
        ("2764-FE0F", "heavy black heart"),
        ("1F44B-1F3FD", None),
        ("E0A0", None),
    ],
)
def test_an_emoji_is_called_by_its_unicode_names(code_points: str, title: str | None) -> None:
    assert openmoji.title(code_points) == title
