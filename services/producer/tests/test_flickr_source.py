"""A Flickr search followed over time: against the stand-in without HTTP, with a clock and a topic that the test holds."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from confluent_kafka import Message
from flickr_standin.app import call
from flickr_standin.photos import Library, Photo
from flickr_standin.search import FlickrError
from imagesearch_contract.record import ImageRecord
from imagesearch_contract.settings import FlickrSource
from imagesearch_producer.catalogue import SOURCE_HEADER, Catalogue
from imagesearch_producer.ledger import RequestsUsedUpError
from imagesearch_producer.run import Tally, run
from imagesearch_producer.sources import BadRow, Checkpoint, Item, SourceError, State
from imagesearch_producer.sources.flickr import OVERLAP_SECONDS, SWEEP_REQUESTS, first_second, photos, query
from imagesearch_producer.sources.flickr_response import RefusedError

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = timedelta(days=1)
SOURCE = FlickrSource(text="photo", min_upload_date="2024-01-01")


def photo(number: int, uploaded_at: datetime, **fields: Any) -> Photo:
    values = {"id": str(1000 + number), "owner": "1@N01", "owner_name": "One", "title": f"photo {number}"}
    return Photo(uploaded_at=uploaded_at, taken_at=START, **(values | fields))


def every(step: timedelta, number: int, start: datetime = START, base: int = 0, **fields: Any) -> list[Photo]:
    return [photo(base + index, start + index * step, **fields) for index in range(number)]


@dataclass
class Sent:
    """A message of the topic, and when it was published."""

    at: datetime
    key: bytes
    value: bytes | None
    source: str | None


@dataclass
class World:
    """Flickr, the topic and the state of one source."""

    library: Library
    now: datetime
    topic: list[Sent] = field(default_factory=list)
    state: State = field(default_factory=dict)
    read: int = 0
    """Messages of the topic that the last run read."""
    requests: int = 0
    methods: Counter[str] = field(default_factory=Counter)
    meanwhile: Callable[[], None] = lambda: None
    """Happens before each answer of Flickr."""
    allowed: int | None = None
    """Requests until the key's are used up."""
    saved: int = 0
    """How much of the topic had arrived when the state was kept."""

    def call(
        self,
        method: str,
        read: Callable[[dict[str, Any]], Any],
        *,
        expected: Collection[int] = (),
        **arguments: Any,
    ) -> Any:
        """As `FlickrApi`."""
        if self.allowed is not None:
            if self.allowed == 0:
                raise RequestsUsedUpError("quota of Flickr requests used up")
            self.allowed -= 1
        self.requests += 1
        self.methods[method] += 1
        self.meanwhile()
        form = {"method": method, **{name: str(value) for name, value in arguments.items()}}
        try:
            answer = call(self.library, form, "https://live.example", self.now)
        except FlickrError as failure:
            refused = RefusedError(failure.code, failure.message)
            if failure.code in expected:
                raise refused from failure
            raise SourceError(str(refused)) from failure
        return read({**answer, "stat": "ok"})

    def publish(self, key: bytes, value: bytes | None, source: str | None = "mine") -> None:
        """As an `Outlet`; without a source, as a person."""
        self.topic.append(Sent(self.now, key, value, source))

    def reject(self, row: BadRow) -> None:
        raise AssertionError

    def withdraw(self, line: int) -> None:
        raise AssertionError

    def save(self, state: State) -> bool:
        self.state, self.saved = state, len(self.topic)
        return True

    def messages(self, since: datetime | None = None) -> Iterator[Message]:
        for sent in [each for each in self.topic if since is None or each.at >= since]:
            self.read += 1
            headers = [] if sent.source is None else [(SOURCE_HEADER, sent.source.encode())]
            yield Message(topic="t", partition=0, key=sent.key, value=sent.value, headers=headers)

    def items(self, catalogue: Catalogue, source: FlickrSource) -> Iterator[Item]:
        return photos(source, self, self.state, catalogue, source_name="mine", now=lambda: self.now.timestamp())

    def run(
        self, source: FlickrSource = SOURCE, *, quota: int | None = None, killed_after: int | None = None
    ) -> list[str]:
        """One run; what it sent: ids, with a `-` in front where they were taken down."""
        before, self.read, self.requests, self.methods = len(self.topic), 0, 0, Counter()
        self.tally = Tally()
        with Catalogue(self.messages) as catalogue:
            items = self.items(catalogue, source)
            taken: Iterable[Item] = items if killed_after is None else islice(items, killed_after)
            run(taken, catalogue, self, self.tally, source="mine", quota=quota)
            items.close()  # type: ignore[attr-defined]
        return [f"{'-' if sent.value is None else ''}{sent.key.decode()}" for sent in self.topic[before:]]

    @property
    def held(self) -> dict[str, ImageRecord]:
        """What the topic amounts to."""
        held: dict[str, ImageRecord] = {}
        for sent in self.topic:
            held.pop(sent.key.decode(), None)
            if sent.value is not None:
                held[sent.key.decode()] = ImageRecord.from_bytes(sent.value)
        return held

    @property
    def wanted(self) -> dict[str, str]:
        """Ids and titles of what Flickr has of the search."""
        return {
            f"flickr:{each.id}": each.title
            for each in self.library.photos
            if "photo" in each.title and each.public and each.license == "4"
        }

    def assert_topic_is_what_flickr_has(self) -> None:
        assert {id: record.title for id, record in self.held.items()} == self.wanted

    def change(self, id: str, **fields: Any) -> None:
        known = self.library.get(id)
        assert known is not None
        self.library.put(replace(known, **fields))


def world(*library: Photo, days: float = 100) -> World:
    return World(Library(library), START + days * DAYS)


def test_a_photo_becomes_a_whole_record_oldest_first() -> None:
    here = world(*every(DAYS, 3))

    assert here.run() == ["flickr:1000", "flickr:1001", "flickr:1002"]
    assert here.held["flickr:1002"] == ImageRecord(
        id="flickr:1002",
        url="https://live.example/missing.jpg",
        thumbnail_url="https://live.example/missing.jpg",
        page_url="https://www.flickr.com/photos/1@N01/1002",
        title="photo 2",
        author="One",
        author_id="1@N01",
        author_url="https://www.flickr.com/photos/1@N01/",
        license="CC-BY-2.0",
        license_url="https://creativecommons.org/licenses/by/2.0/",
        taken_at=START,
        uploaded_at=START + 2 * DAYS,
        width=500,
        height=375,
        original_width=500,
        original_height=375,
        content_type="photo",
    )


def test_only_permitted_licences_are_asked_for() -> None:
    library = [photo(number, START, license=license) for number, license in enumerate(("0", "9", "2", "11"))]

    assert world(*library).run() == ["flickr:1001", "flickr:1003"]
    assert world(*library).run(SOURCE.model_copy(update={"licenses": ("CC-BY-NC-2.0",)})) == ["flickr:1002"]


def test_tags_users_groups_and_dates_narrow_the_search() -> None:
    library = [
        photo(1, START, tags=("dog", "sea"), group_id="7@N20"),
        photo(2, START + DAYS, tags=("dog",), owner="2@N01"),
    ]

    def found(**criteria: Any) -> list[str]:
        return [id[-1] for id in world(*library).run(FlickrSource(**criteria))]

    assert found(tags=("dog", "sea")) == ["1", "2"]
    assert found(tags=("dog", "sea"), tag_mode="all") == ["1"]
    assert found(user_id="2@N01") == ["2"]
    assert found(group_id="7@N20") == ["1"]
    assert found(text="photo", min_upload_date="2024-01-02") == ["2"]
    assert found(text="photo", min_upload_date="2024-01-02T00:00:01+00:00") == []


def test_users_and_groups_may_be_named_as_in_their_address_and_are_looked_up_once() -> None:
    here = world(
        photo(1, START, path_alias="ada", group_id="7@N20", group_alias="dogs"), photo(2, START, owner="2@N01")
    )
    source = FlickrSource(user_id="https://www.flickr.com/photos/ada/", group_id="dogs")

    assert here.run(source) == ["flickr:1001"]
    assert here.methods == {"flickr.urls.lookupUser": 1, "flickr.urls.lookupGroup": 1, "flickr.photos.search": 1}
    here.run(source)
    assert here.methods == {"flickr.photos.search": 1}


# -- incremental runs


def test_a_later_run_asks_for_the_overlap_and_what_is_new_and_reads_only_the_newest_of_the_topic() -> None:
    here = world(*every(DAYS / 100, 10_000))
    assert len(here.run()) == 10_000
    assert here.requests <= 10_000 / 500 * 1.05

    here.now += timedelta(days=1)
    here.library.put(photo(20_000, here.now - timedelta(hours=1)))

    assert here.run() == ["flickr:21000"]
    assert here.requests == 1
    here.now += timedelta(days=1)
    assert here.run() == []
    assert here.read == 1  # the topic's newest, since the overlap still shows that photo
    here.now += timedelta(days=1)
    here.library.put(photo(20_001, here.now))
    assert here.run() == ["flickr:21001"]
    assert here.read == 0


def test_nothing_is_published_twice_within_the_overlap() -> None:
    here = world()

    sent = []
    for number in range(30):
        here.library.put(photo(number, here.now - timedelta(minutes=5)))
        sent += here.run()
        assert here.read <= 20
        here.now += timedelta(minutes=10)

    assert sent == [f"flickr:{1000 + number}" for number in range(30)]


def test_a_photo_that_is_indexed_late_is_found_by_the_next_run() -> None:
    here = world()
    late = here.now + timedelta(seconds=OVERLAP_SECONDS - 60)
    here.library.put(photo(1, here.now - timedelta(seconds=1), indexed_at=late))

    assert here.run() == []
    here.now = late
    assert here.run() == ["flickr:1001"]


def test_a_fresh_photo_that_is_edited_is_published_again_at_once() -> None:
    here = world(photo(1, START + 100 * DAYS))
    here.run()

    here.change("1001", title="photo with a better name")

    assert here.run() == ["flickr:1001"]
    here.assert_topic_is_what_flickr_has()


def test_another_search_starts_from_the_beginning() -> None:
    here = world(photo(1, START), photo(2, START, title="a drawing"))
    assert here.run() == ["flickr:1001"]

    assert here.run(FlickrSource(text="drawing")) == ["flickr:1002"]
    assert here.run(SOURCE) == []


@pytest.mark.parametrize("state", [{"query": 1}, {"next": "soon"}, {"line": 7}])
def test_a_state_that_makes_no_sense_starts_from_the_beginning(state: State) -> None:
    here = world(photo(1, START))
    here.state = state

    assert here.run() == ["flickr:1001"]


def test_requests_that_are_used_up_end_the_run_well_and_the_next_one_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    here = world(*every(DAYS / 100, 5000))
    here.allowed = 4

    first = here.run()

    assert len(first) == 4 * 499
    assert "quota of Flickr requests used up" in caplog.text
    here.allowed = None
    assert len(first + here.run()) == 5000
    here.assert_topic_is_what_flickr_has()


def test_a_quota_of_records_ends_the_run_and_the_next_one_goes_on() -> None:
    here = world(*every(DAYS / 100, 1200))

    sent = [here.run(quota=100) for _ in range(13)]

    assert [len(each) for each in sent] == [100] * 12 + [0]
    assert len({id for each in sent for id in each}) == 1200


def test_what_a_person_took_down_stays_down_and_comes_back_by_hand() -> None:
    here = world(photo(1, START + 100 * DAYS), photo(2, START))
    here.run()
    values = {sent.key: sent.value for sent in here.topic}
    for key in values:
        here.publish(key, None, source=None)

    assert here.run() == []
    assert here.tally.skipped == {"taken down by hand": 1}
    here.now += 8 * DAYS
    assert here.run() == []
    assert here.tally.skipped == {"taken down by hand": 2}
    here.publish(b"flickr:1002", values[b"flickr:1002"], source=None)
    here.change("1002", title="photo anew")
    here.now += 8 * DAYS
    assert here.run() == ["flickr:1002"]


# -- the sweep


def test_a_sweep_finds_edits_deletions_and_photos_that_match_only_now() -> None:
    here = world(*every(DAYS / 20, 1500))
    here.library.put(photo(9000, START + DAYS, title="a drawing"))
    here.run()
    here.change("1007", title="photo renamed")
    here.change("1008", public=False)
    here.change("1009", license="0")
    here.change("1010", title="a painting")  # does not match any more, but is there
    here.change("10000", title="now a photo")
    here.library.remove("1011")
    here.library.remove("2400")

    here.now += 6 * DAYS
    assert here.run() == []
    here.now += 2 * DAYS
    assert sorted(here.run()) == [
        "-flickr:1008", "-flickr:1009", "-flickr:1011", "-flickr:2400", "flickr:10000", "flickr:1007",
    ]  # fmt: skip
    assert here.methods["flickr.photos.getInfo"] == 5
    assert here.held["flickr:1010"].title == "photo 10"
    here.now += DAYS
    assert here.run() == []
    assert here.requests == 1


def test_new_photos_do_not_wait_for_a_sweep_which_goes_on_over_many_runs() -> None:
    here = world(*every(DAYS / 20, 2 * SWEEP_REQUESTS + 50))
    here.run()
    for number in range(2 * SWEEP_REQUESTS + 50):
        here.library.remove(str(1000 + number))
    here.now += 8 * DAYS

    sent = []
    for number in range(3):
        here.library.put(photo(9000 + number, here.now))
        found = here.run()
        assert found[0] == f"flickr:{10_000 + number}"
        assert here.requests <= SWEEP_REQUESTS + 2
        sent += found[1:]
        here.now += timedelta(minutes=10)

    assert sorted(sent) == sorted(f"-flickr:{1000 + number}" for number in range(2 * SWEEP_REQUESTS + 50))
    assert here.run() == []
    assert here.requests == 1


def test_a_sweep_is_held_up_neither_by_photos_that_are_kept_nor_by_those_before_the_range() -> None:
    """Those of an earlier search: they are there, and stay."""
    here = world(*every(DAYS / 20, 2 * SWEEP_REQUESTS, title="a drawing of a photo"))
    here.run(FlickrSource(text="drawing"))
    for each in list(here.library.photos):
        here.change(each.id, title="changed")
    later = SOURCE.model_copy(update={"min_upload_date": "2024-03-01"})
    here.run(later)
    here.now += 8 * DAYS

    runs = 0
    while here.state.get("sweep") or runs == 0:
        assert here.run(later) == []
        runs += 1

    assert runs == 3


def test_photos_of_other_sources_are_left_alone() -> None:
    here = world(photo(1, START))
    here.run()
    here.publish(b"flickr:5", here.topic[0].value, source="other")
    here.publish(b"manifest:5", here.topic[0].value, source="mine")
    here.now += 8 * DAYS

    assert here.run() == []
    assert here.methods["flickr.photos.getInfo"] == 0


# -- everything at once


def test_over_20000_photos_with_bursts_while_photos_come_and_go_each_is_published_once_and_none_is_missing() -> None:
    chance = random.Random(1)
    hour, second = START + 300 * DAYS, START + 400 * DAYS
    here = world(
        *(photo(number, START + chance.random() * 500 * DAYS) for number in range(13_000)),
        *(photo(number, hour + chance.random() * timedelta(hours=1)) for number in range(13_000, 18_000)),
        *(photo(number, second + chance.random() * timedelta(seconds=1)) for number in range(18_000, 20_000)),
        days=500,
    )
    gone: set[str] = set()
    fresh = iter(range(20_000, 30_000))

    def meanwhile() -> None:
        for each in chance.sample(here.library.photos, 10):
            here.library.remove(each.id)
            gone.add(f"flickr:{each.id}")
        for _ in range(10):
            indexed_at = here.now + chance.random() * timedelta(hours=2)
            here.library.put(photo(next(fresh), here.now - chance.random() * timedelta(hours=1), indexed_at=indexed_at))

    here.meanwhile = meanwhile
    sent = Counter(here.run())
    assert max(sent.values()) == 1
    assert here.requests <= 20_000 / 500 * 1.3

    here.meanwhile = lambda: None
    here.now += timedelta(hours=2)
    sent += Counter(here.run())
    assert max(sent.values()) == 1
    assert here.wanted.keys() <= sent.keys()
    assert here.held.keys() - here.wanted.keys() <= gone

    here.now += 8 * DAYS
    while here.state.get("sweep") or here.now.timestamp() - here.state["swept"] > 7 * 86_400:
        here.run()
    here.assert_topic_is_what_flickr_has()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("arrives", [True, False], ids=["all had arrived", "some was lost on the way"])
def test_a_run_that_is_killed_anywhere_loses_nothing_and_doubles_nothing(seed: int, arrives: bool) -> None:
    chance = random.Random(seed)
    here = world(*(photo(number, START + chance.random() * 100 * DAYS) for number in range(2500)))
    numbers = iter(range(5000, 10_000))
    lost = 0

    for round_ in range(14):
        here.run(killed_after=chance.randrange(1500))
        if not arrives and (unsure := len(here.topic) - here.saved) > 0:
            cut = chance.randint(0, unsure)
            lost += cut
            del here.topic[len(here.topic) - cut :]
        here.now += timedelta(minutes=10) if round_ % 5 else 8 * DAYS
        for _ in range(5):
            here.library.put(photo(next(numbers), here.now - chance.random() * timedelta(hours=1)))
        for each in chance.sample(here.library.photos, 5):
            here.change(each.id, title=f"photo {next(numbers)}")
        for each in chance.sample(here.library.photos, 3):
            here.library.remove(each.id)
    for _ in range(3):
        here.run()
        here.now += 8 * DAYS

    here.assert_topic_is_what_flickr_has()
    versions = Counter((sent.key, sent.value) for sent in here.topic)
    assert max(versions.values()) == 1, versions.most_common(3)


# -- what makes no sense


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ({"text": None}, "at least one of text, tags, userId, groupId"),
        ({"min_upload_date": "last week"}, "minUploadDate 'last week' is not an ISO 8601 date"),
        ({"licenses": ("MIT",)}, "no licence MIT"),
    ],
)
def test_a_search_that_makes_no_sense_is_told_before_flickr_is_asked(criteria: dict[str, Any], message: str) -> None:
    here = world()

    with pytest.raises(SourceError, match=message):
        here.run(FlickrSource(**({"text": "photo"} | criteria)))
    assert here.requests == 0


def test_the_query_holds_what_the_source_describes() -> None:
    source = FlickrSource(text="dogs", safe_search="moderate", min_upload_date="2024-05-31")

    assert query(source) == {"text": "dogs", "license": "4,5,9,10,11,12", "safe_search": 2, "media": "photos"}
    assert first_second(source) == 1717113600


def test_one_request_asks_for_all_metadata_and_never_for_the_original_nor_for_what_changes_by_itself() -> None:
    asked: list[dict[str, Any]] = []

    class Listening(World):
        def call(self, method: str, read: Any, **arguments: Any) -> Any:
            asked.append(arguments)
            return super().call(method, read, **arguments)

    Listening(Library([photo(1, START)]), START).run()

    (arguments,) = asked
    extras = set(arguments["extras"].split(","))
    assert {"description", "license", "owner_name", "tags", "geo", "o_dims", "content_type", "url_m"} <= extras
    assert not {"url_o", "views", "last_update"} & extras
    assert arguments["sort"] == "date-posted-asc"
    assert (arguments["min_upload_date"], arguments["max_upload_date"]) == (int(START.timestamp()),) * 2


def test_every_checkpoint_is_of_its_own_moment() -> None:
    here = world(*every(DAYS / 20, 1200))

    with Catalogue(here.messages) as catalogue:
        states = [item.state["next"] for item in here.items(catalogue, SOURCE) if isinstance(item, Checkpoint)]

    assert states == sorted(set(states))
    assert states[-1] == int(here.now.timestamp()) + 1
