"""API keys: whose they are, what they show, and the file that they come from."""

import asyncio
import hashlib
import hmac
import json
import os
from pathlib import Path

import numpy as np
import pytest
from imagesearch_contract.settings import SearchSettings, SettingsError
from imagesearch_search.access import MAX_KEYS, Caller, KeyFile, KeyFileError, Keys

SHOP, TEAM, ADMIN = "isk_of-the-shop", "isk_of-team-a", "isk_of-the-admin"


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def file_of(*anonymous: str) -> str:
    keys = [
        {"name": "shop", "sha256": sha256(SHOP), "collections": ["zoo"]},
        {"name": "team", "sha256": sha256(TEAM), "collections": ["team-a/*"]},
        {"name": "admin", "sha256": sha256(ADMIN), "collections": ["*"]},
    ]
    return json.dumps({"anonymous": anonymous, "keys": keys})


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def key_file(tmp_path) -> Path:
    path = tmp_path / "keys.yaml"
    path.write_text(file_of())
    return path


@pytest.fixture
def settings(key_file) -> SearchSettings:
    return SearchSettings(encoder_timeout_seconds=0.5, access_keys_path=key_file)


@pytest.fixture
def index(index, encoder):
    """`zoo`, and beside it `team-a/zoo` and `team-a/farm`."""
    for name in ("zoo", "farm"):
        index.put(index.add(name, encoder.url, namespace="team-a"), "test:theirs", np.array([1, 0, 0, 0], np.float32))
    return index


async def search(api, collection="zoo", **headers):
    return await api.post("/text_search", json={"collection": collection, "query": "dog"}, headers=headers)


async def listed(api, **headers):
    answer = await api.get("/collections", headers=headers)
    return [found["collection"] for found in answer.json()["collections"]]


# -- over HTTP


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {SHOP}"}, {"X-API-Key": SHOP}])
async def test_a_key_opens_its_collections_in_either_header(api, headers):
    assert (await search(api, **headers)).status_code == 200


async def test_the_scheme_is_known_in_any_case_and_the_keys_own_header_goes_first(api):
    assert (await search(api, Authorization=f"bearer  {SHOP} ")).status_code == 200
    assert (await search(api, Authorization="Bearer a-token-of-the-proxy", **{"X-API-Key": SHOP})).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic c2hvcA=="}])
async def test_without_a_key_the_answer_says_how_to_send_one(api, headers):
    for answer in (await search(api, **headers), await api.get("/collections", headers=headers)):
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:imagesearch:problem:key-required")
        assert answer.headers["www-authenticate"] == 'Bearer realm="imagesearch"'
        assert "X-API-Key" in answer.json()["detail"]


@pytest.mark.parametrize("key", ["isk_of-the-sho", "isk_of-the-shopp", "x", "ä", sha256(SHOP)])
async def test_an_unknown_key_is_told_apart_from_none_and_not_repeated(api, key):
    answer = await search(api, **{"X-API-Key": key.encode()})

    assert (answer.status_code, answer.json()["type"]) == (401, "urn:imagesearch:problem:unknown-key")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert key == "x" or key not in answer.text


async def test_a_body_is_not_read_before_the_key_is_known(api):
    async def body():
        raise AssertionError("it was read")
        yield b""

    for path in ("/text_search", "/image_search"):
        answer = await api.post(path, content=body(), headers={"Content-Type": "application/json"})
        assert answer.status_code == 401


async def test_what_a_key_may_not_see_is_as_if_it_were_not_there(api, index):
    hidden, absent = await search(api, "team-a/zoo", **bearer(SHOP)), await search(api, "team-a/no", **bearer(SHOP))

    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert hidden.text == absent.text.replace("team-a/no", "team-a/zoo")
    assert hidden.json()["detail"] == "There is no collection 'team-a/zoo'. Collections: zoo."
    assert index.searched == []


async def test_nothing_is_asked_about_a_collection_that_a_key_may_not_see(api, index):
    await search(api, "team-a/zoo", **bearer(ADMIN))  # it is remembered now
    asked = index.asked_mappings
    for collection in ("team-a/zoo", "team-a/no"):
        await search(api, collection, **bearer(SHOP))

    assert index.asked_mappings == asked + 2  # each to list what there is instead


async def test_each_key_is_listed_its_own_collections(api):
    assert await listed(api, **bearer(SHOP)) == ["zoo"]
    assert await listed(api, **bearer(TEAM)) == ["team-a/farm", "team-a/zoo"]
    assert await listed(api, **bearer(ADMIN)) == ["zoo", "team-a/farm", "team-a/zoo"]


async def test_what_needs_no_key_is_searched_and_listed_without_one(api, app, key_file, settings):
    key_file.write_text(file_of("team-a/farm"))
    await changed(app)

    assert (await search(api, "team-a/farm")).status_code == 200
    assert await listed(api) == ["team-a/farm"]
    # Whether it is there or not: a key might show it.
    hidden, absent = await search(api, "zoo"), await search(api, "nothing")
    assert (hidden.status_code, absent.status_code) == (401, 401)
    assert hidden.text == absent.text
    assert (await search(api, "team-a/farm", **bearer("isk_wrong"))).status_code == 401


async def test_health_the_documentation_and_its_description_need_no_key(api):
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert (await api.get(path)).status_code == 200


async def test_readiness_names_no_model_to_whoever_may_not_see_its_collection(api):
    assert (await api.get("/readyz")).json()["encoders"] == []
    assert (await api.get("/readyz", headers=bearer(SHOP))).json()["encoders"] != []


class TestLimited:
    @pytest.fixture
    def settings(self, settings, key_file):
        document = json.loads(file_of("zoo"))
        document["keys"][0]["requestsPerMinute"] = 3
        key_file.write_text(json.dumps(document))
        return settings.model_copy(update={"requests_per_minute": 1})

    async def test_a_key_has_a_limit_of_its_own_or_that_of_all(self, api):
        asked = {name: [await search(api, **bearer(name)) for _ in range(4)] for name in (SHOP, ADMIN)}

        assert [answer.status_code for answer in asked[SHOP]] == [200, 200, 200, 429]
        assert [answer.status_code for answer in asked[ADMIN]] == [200, 429, 429, 429]
        assert asked[SHOP][0].headers["ratelimit-policy"] == '"default";q=3;w=60'

    async def test_whoever_tries_keys_out_is_as_limited_as_whoever_has_none(self, api):
        tried = [await search(api, **bearer(f"isk_{number}")) for number in range(3)]

        assert [answer.status_code for answer in tried] == [401, 429, 429]
        assert (await search(api)).status_code == 429
        assert (await search(api, **bearer(SHOP))).status_code == 200


async def test_no_cache_keeps_what_a_key_was_answered(api):
    assert (await api.get("/collections", headers=bearer(SHOP))).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("settings", [SearchSettings()])
async def test_without_a_file_every_key_is_as_good_as_none(api, settings):
    assert (await search(api)).status_code == 200
    assert (await search(api, "team-a/zoo", Authorization="Bearer whatever")).status_code == 200


# -- the keys


@pytest.mark.parametrize(
    ("pattern", "readable"),
    [
        ("*", {"default/zoo", "default/farm", "team-a/zoo", "team-b/zoo"}),
        ("zoo", {"default/zoo"}),
        ("default/zoo", {"default/zoo"}),
        ("team-a/zoo", {"team-a/zoo"}),
        ("team-a/*", {"team-a/zoo"}),
        ("default/*", {"default/zoo", "default/farm"}),
        ("team/*", set()),
    ],
)
def test_a_pattern_opens_what_it_says_and_nothing_else(pattern, readable):
    text = json.dumps({"keys": [{"name": "k", "sha256": sha256("k"), "collections": [pattern]}]})
    caller = Keys.parse(text.encode(), "default").caller("k")

    every = ("default/zoo", "default/farm", "team-a/zoo", "team-b/zoo")
    assert {name for name in every if caller.may_read(*name.split("/"))} == readable


@pytest.mark.parametrize("key", ["first", "middle", "last", "wrong", ""])
def test_every_key_is_compared_in_constant_time_whichever_fits(key):
    compared = []

    def compare(known, given):
        compared.append(known)
        return hmac.compare_digest(known, given)

    names = ("first", "middle", "last")
    callers = tuple((hashlib.sha256(n.encode()).digest(), Caller(n, frozenset())) for n in names)
    caller = Keys(callers, Caller(None, frozenset()), compare=compare).caller(key)

    assert (caller.name if caller else None) == (key if key in names else None)
    assert compared == [known for known, _ in callers]


GOOD = {"name": "k", "sha256": "0" * 64, "collections": ["zoo"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a mapping"),
        ("[]", "not a mapping"),
        ("keys: [", "no YAML (line 1)"),
        ("\0", "no YAML"),
        ("keys: 2026-99-99", "no YAML"),
        (json.dumps({"key": []}), "key: Extra inputs"),
        (json.dumps({"keys": [GOOD | {"sha256": "isk_the-key-itself"}]}), "keys.0.sha256: String should match"),
        (json.dumps({"keys": [GOOD | {"collections": []}]}), "keys.0.collections"),
        (json.dumps({"keys": [GOOD | {"collections": "zoo"}]}), "keys.0.collections"),
        (json.dumps({"keys": [GOOD | {"collections": ["Zoo"]}]}), "collections: collection 'Zoo' is not a name"),
        (json.dumps({"keys": [GOOD | {"collections": ["*/zoo"]}]}), "collections: namespace '*' is not a name"),
        (json.dumps({"keys": [GOOD | {"collections": ["z*"]}]}), "collections: collection 'z*' is not a name"),
        (json.dumps({"anonymous": ["/zoo"], "keys": []}), "collections: namespace '' is not a name"),
        (json.dumps({"keys": [GOOD | {"name": "a b"}]}), "keys.0.name"),
        (json.dumps({"keys": [GOOD | {"name": "a\nb"}]}), "keys.0.name"),
        (json.dumps({"keys": [GOOD | {"requestsPerMinute": 0}]}), "keys.0.requestsPerMinute"),
        (json.dumps({"keys": [GOOD, GOOD | {"sha256": "1" * 64}]}), "two keys have the same name"),
        (json.dumps({"keys": [GOOD, GOOD | {"name": "l"}]}), "two keys have the same sha256"),
        (json.dumps({"keys": [GOOD] * (MAX_KEYS + 1)}), "keys: Tuple should have at most"),
    ],
)
def test_a_faulty_file_is_told_where_and_why_without_what_may_be_secret(text, words):
    with pytest.raises(KeyFileError) as caught:
        Keys.parse(text.encode(), "default")

    assert words in str(caught.value)
    assert "isk_" not in str(caught.value)


# -- the file


async def changed(app) -> None:
    """What the watching task does every few seconds."""
    app.state.key_file.look()


async def test_the_running_api_heeds_a_change_by_itself(api, key_file):
    key_file.write_text(json.dumps({"keys": []}))

    async with asyncio.timeout(30):
        while (await search(api, **bearer(SHOP))).status_code != 401:
            await asyncio.sleep(0.05)


async def test_a_changed_file_holds_without_a_restart(api, app, key_file):
    assert (await search(api, **bearer("isk_new"))).status_code == 401

    entry = {"name": "new", "sha256": sha256("isk_new"), "collections": ["zoo"]}
    key_file.write_text(json.dumps({"keys": [entry]}))
    await changed(app)

    assert (await search(api, **bearer("isk_new"))).status_code == 200
    assert (await search(api, **bearer(SHOP))).status_code == 401


async def test_a_secret_that_kubernetes_turns_over_is_seen(tmp_path):
    """A Secret's file is a link to `..data/keys.yaml`, and `..data` a link that is replaced."""
    for version, key in (("v1", "old"), ("v2", "new")):
        (tmp_path / version).mkdir()
        entry = {"name": "k", "sha256": sha256(key), "collections": ["*"]}
        (tmp_path / version / "keys.yaml").write_text(json.dumps({"keys": [entry]}))
        os.utime(tmp_path / version / "keys.yaml", (0, 0))  # neither time nor size tells them apart
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "keys.yaml").symlink_to("..data/keys.yaml")
    file = KeyFile(tmp_path / "keys.yaml", "default")
    assert file.keys.caller("old")

    (tmp_path / "..next").symlink_to("v2")
    (tmp_path / "..next").rename(tmp_path / "..data")
    file.look()

    assert file.keys.caller("new")
    assert not file.keys.caller("old")


async def test_watching_sees_a_change_by_itself(key_file):
    file = KeyFile(key_file, "default")
    looks = 0

    async def sleep(seconds):
        nonlocal looks
        looks += 1
        key_file.write_text(json.dumps({"keys": []}))
        if looks > 1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await file.watch(sleep)

    assert file.keys.caller(SHOP) is None


@pytest.mark.parametrize("fault", ["broken", "missing", "empty"])
async def test_a_file_that_becomes_unreadable_leaves_the_keys_and_says_so(api, app, key_file, caplog, fault):
    if fault == "missing":
        key_file.unlink()
    else:
        key_file.write_text("keys: [" if fault == "broken" else "")
    for _ in range(3):
        await changed(app)

    assert (await search(api, **bearer(SHOP))).status_code == 200
    assert (await search(api, **bearer("isk_wrong"))).status_code == 401
    assert [record.levelname for record in caplog.records if "the keys from before hold" in record.message] == ["ERROR"]
    ready = await api.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ["keys from before hold" in told for told in ready.json()["faults"]] == [True]

    key_file.write_text(file_of())
    await changed(app)
    assert (await api.get("/readyz")).json()["faults"] == []


@pytest.mark.parametrize(("text", "words"), [("keys: [", "no YAML"), (None, "cannot be read: No such file")])
def test_an_unreadable_file_ends_the_start_in_words(tmp_path, text, words):
    path = tmp_path / "keys.yaml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(SettingsError, match=rf"IMAGESEARCH_ACCESS_KEYS_PATH: {path}: .*{words}"):
        KeyFile(path, "default")
