"""Reported pictures: which go, which stay, and how often they are asked for. The real servers are at the end."""

import secrets
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from elasticsearch import Elasticsearch
from imagesearch_contract import names, platform_indices
from imagesearch_contract.dead_letter import DeadLetter, Reason
from imagesearch_contract.platform_indices import REPORTS_INDEX, Report
from imagesearch_contract.record import ImageRecord
from imagesearch_contract.settings import EmbedderSettings
from imagesearch_embedder.letters import read_letters
from imagesearch_embedder.plan import Message
from imagesearch_embedder.reports import AT_ONCE, HOUR, MOST_LOOKS, Caretaker, Shown, caretaking, find_record
from imagesearch_fetcher.errors import FetchError
from prometheus_client import REGISTRY

INDEX = "default.dogs.0a1b2c3d"
URL, SMALL = "https://pictures.example/1.jpg", "https://pictures.example/1_small.jpg"
GONE = FetchError(Reason.DEAD_LINK, "the server answered 404", gone=True)
FORBIDDEN = FetchError(Reason.DEAD_LINK, "the server answered 403")
SILENT = FetchError(Reason.UNREACHABLE, "no answer")
BLOCKED = FetchError(Reason.BLOCKED_URL, "private")


class World:
    """An index, its reports, its topic, its dead letters, and the web."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, tzinfo=UTC)
        self.pictures = {"test:1": Shown(700, (URL, SMALL))}
        self.records = {("test:1", 700): ImageRecord(id="test:1", url=URL)}
        self.reports: dict[str, Report] = {}
        self.web: dict[str, FetchError] = {}
        self.asked: list[str] = []
        self.letters: list[DeadLetter] = []
        self.stop = Event()
        self.caretaker = Caretaker(
            self, ask=self.ask, record=self.record, reject=self.reject, topic="t", now=lambda: self.now
        )

    def report(self, image: str = "test:1") -> None:
        """As the search API does: what is reported already is not reported again."""
        report = Report.of(INDEX, image, self.now)
        self.reports.setdefault(report.id, report)

    def look(self, *, after: timedelta = timedelta(0)) -> None:
        self.now += after
        self.caretaker.look(self.stop)

    def due(self, now: datetime) -> Iterable[Report]:
        return [report for report in list(self.reports.values()) if report.due_at <= now][:AT_ONCE]

    def write(self, report: Report) -> None:
        self.reports[report.id] = report

    def forget(self, report: Report) -> None:
        del self.reports[report.id]

    def picture(self, image: str) -> Shown | None:
        return self.pictures.get(image)

    def remove(self, image: str, version: int) -> bool:
        assert self.letters, "nothing is removed without a word"
        if self.pictures[image].version > version:
            return False
        del self.pictures[image]
        return True

    def ask(self, url: str) -> None:
        self.asked.append(url)
        if url in self.web:
            raise self.web[url]

    def record(self, image: str, version: int) -> Message | None:
        record = self.records.get((image, version))
        return record and Message(2, 17, version, image.encode(), record.to_bytes())

    def reject(self, letters: list[DeadLetter]) -> None:
        self.letters += letters

    @property
    def verdicts(self) -> list[str | None]:
        return [report.verdict for report in self.reports.values()]


@pytest.fixture
def world() -> World:
    return World()


def test_a_picture_that_is_gone_everywhere_gets_a_letter_that_can_be_replayed_and_leaves_the_index(
    world: World,
) -> None:
    world.web = {URL: GONE, SMALL: GONE}
    world.report()
    world.look()
    assert world.pictures == {}
    assert world.verdicts == ["gone"]
    [letter] = world.letters
    assert (letter.reason, letter.topic, letter.place, letter.key) == (Reason.DEAD_LINK, "t", (2, 17), "test:1")
    assert letter.original_value() == world.records["test:1", 700].to_bytes()
    assert letter.detail == "reported as dead, and asked for again: the server answered 404"


@pytest.mark.parametrize("web", [{}, {URL: GONE}, {SMALL: GONE}])
def test_a_picture_that_answers_anywhere_stays(world: World, web: dict[str, FetchError]) -> None:
    world.web = web
    world.report()
    world.look()
    assert world.verdicts == ["alive"]
    assert world.pictures
    assert world.letters == []


@pytest.mark.parametrize("fault", [FORBIDDEN, SILENT, BLOCKED])
@pytest.mark.parametrize("elsewhere", [GONE, None])
def test_an_unclear_answer_removes_nothing_and_is_asked_for_later_and_later_and_not_for_ever(
    world: World, fault: FetchError, elsewhere: FetchError | None
) -> None:
    world.web = {URL: fault} | ({SMALL: elsewhere} if elsewhere else {})
    world.report()
    looked_at = []
    for hour in range(48):
        world.look(after=HOUR)
        if len(world.asked) > len(looked_at):
            looked_at.append(hour)
        if "unclear" in world.verdicts:
            break
    assert looked_at == [0, 1, 3, 7, 15]
    assert len(looked_at) == MOST_LOOKS
    assert world.pictures
    assert world.letters == []
    world.look(after=HOUR)
    assert world.reports == {}


def test_however_often_a_picture_is_reported_it_is_asked_for_once_an_hour(world: World) -> None:
    for _ in range(180):
        world.report()
        world.look(after=timedelta(minutes=1))
    assert len(world.asked) == 3


def test_one_that_died_after_a_first_report_can_be_reported_again(world: World) -> None:
    world.report()
    world.look()
    world.web = {URL: GONE, SMALL: GONE}
    world.look(after=HOUR)  # forgets the first report
    world.report()
    world.look()
    assert world.pictures == {}


def test_a_picture_that_was_published_anew_meanwhile_stays(world: World) -> None:
    world.web = {URL: GONE, SMALL: GONE}
    world.records = {("test:1", 900): world.records["test:1", 700]}
    world.report()
    world.look()
    assert world.verdicts == ["changed"]
    assert world.letters == []
    assert world.pictures


def test_a_picture_that_is_indexed_anew_while_it_is_asked_for_stays(world: World, monkeypatch) -> None:
    world.web = {URL: GONE, SMALL: GONE}
    removed = world.remove

    def late(image: str, version: int) -> bool:
        world.pictures[image] = Shown(900, (URL,))
        return removed(image, version)

    monkeypatch.setattr(world, "remove", late)
    world.report()
    world.look()
    assert world.verdicts == ["changed"]
    assert world.pictures["test:1"].version == 900


def test_what_is_not_in_the_index_is_asked_for_nowhere_and_forgotten(world: World) -> None:
    world.report("test:nobody")
    world.look()
    assert world.asked == []
    assert world.reports == {}


def test_a_letter_that_cannot_be_written_keeps_the_picture_and_the_report(world: World, monkeypatch) -> None:
    world.web = {URL: GONE, SMALL: GONE}
    world.report()

    def away(letters: list[DeadLetter]) -> None:
        raise ConnectionError

    world.caretaker._reject = away
    with pytest.raises(ConnectionError):
        world.look()
    assert world.pictures
    assert world.verdicts == [None]


def test_a_stop_is_heeded_between_two_pictures(world: World) -> None:
    for n in range(3):
        world.pictures[f"test:{n}"] = Shown(700, (URL,))
        world.report(f"test:{n}")
    ask = world.caretaker._ask

    def ask_and_stop(url: str) -> None:
        world.stop.set()
        ask(url)

    world.caretaker._ask = ask_and_stop
    world.look()
    assert len(world.asked) == 1


def test_looks_are_counted_by_what_was_found(world: World) -> None:
    def looks(verdict: str) -> float:
        return REGISTRY.get_sample_value("imagesearch_embedder_reports_total", {"verdict": verdict}) or 0

    before = looks("alive"), looks("none")
    world.report()
    world.look()
    world.pictures["test:2"] = Shown(1, (URL,))
    world.web = {URL: SILENT}
    world.report("test:2")
    world.look()
    assert (looks("alive"), looks("none")) == (before[0] + 1, before[1] + 1)


@pytest.fixture
def server() -> Iterator[str]:
    """Answers a path with the status that it begins with."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path.split("/")[1]))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


@pytest.mark.integration
def test_on_kafka_and_elasticsearch_only_what_is_gone_goes_and_its_letter_has_the_record_s_place(
    kafka_bootstrap_servers: str, elasticsearch_url: str, server: str
) -> None:
    collection = f"reports-{secrets.token_hex(4)}"
    settings = EmbedderSettings(
        kafka_bootstrap_servers=kafka_bootstrap_servers,
        elasticsearch_url=elasticsearch_url,
        topic=names.topic("tests", collection),
        index=names.index("tests", collection, "m", "1"),
        model_name="m",
        model_version="1",
        checkpoint_location="c",
        allowed_networks=("127.0.0.0/8",),
    )
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap_servers})
    topics = [NewTopic(topic, 3, 1) for topic in (settings.topic, settings.dead_letter_topic)]
    for created in admin.create_topics(topics).values():
        created.result(60)
    now = round(datetime.now(UTC).timestamp() * 1000)
    producer = Producer({"bootstrap.servers": kafka_bootstrap_servers})

    def publish(name: str, path: str, timestamp: int) -> ImageRecord:
        record = ImageRecord(id=f"test:{name}", url=f"{server}{path}")
        producer.produce(
            settings.topic, key=record.id, value=record.to_bytes(), partition=len(name) % 3, timestamp=timestamp
        )
        return record

    with Elasticsearch(elasticsearch_url, request_timeout=60) as client:
        for name, body in platform_indices.bodies().items():
            if not client.indices.exists(index=name):
                client.indices.create(index=name, **body)
        client.indices.create(index=settings.index)
        # Its neighbours in time are before and after it, one with its own timestamp in its own partition.
        shown = {}
        for name, path, timestamp in (
            ("older", "/200/a", now - 60_000),
            ("alive", "/200/b", now),
            ("gone!", "/410/c", now),
            ("later", "/403/d", now + 7),
        ):
            shown[name] = publish(name, path, timestamp)
            client.index(
                index=settings.index,
                id=shown[name].id,
                version=timestamp,
                version_type="external_gte",
                document={"id": shown[name].id, "url": shown[name].url},
            )
            report = Report.of(settings.index, shown[name].id)
            client.create(index=REPORTS_INDEX, id=report.id, document=report.to_source())
        assert producer.flush(60) == 0
        client.indices.refresh(index=REPORTS_INDEX)

        with caretaking(settings) as caretaker:
            caretaker.look(Event())
        client.indices.refresh(index=f"{REPORTS_INDEX},{settings.index}")

        found = client.search(index=REPORTS_INDEX, query={"term": {"index": settings.index}})["hits"]["hits"]
        verdicts = {hit["_source"]["image"]: hit["_source"]["verdict"] for hit in found}
        assert verdicts == {"test:older": "alive", "test:alive": "alive", "test:gone!": "gone", "test:later": None}
        left = {hit["_id"] for hit in client.search(index=settings.index)["hits"]["hits"]}
        assert left == {"test:older", "test:alive", "test:later"}
        [letter] = read_letters(settings)
        message = find_record(settings, "test:gone!", now)
        assert message is not None
        assert (letter.place, letter.original_value()) == ((message.partition, message.offset), message.value)
        assert ImageRecord.from_bytes(letter.original_value()) == shown["gone!"]

        # What has its version again (a replay) is taken by the index, what is older is not.
        again = {"index": settings.index, "id": "test:gone!", "version_type": "external_gte", "document": {}}
        assert client.options(ignore_status=409).index(version=now - 1, **again)["status"] == 409
        assert client.index(version=now, **again)["result"] == "created"
        assert find_record(settings, "test:gone!", now + 1) is None
        assert find_record(settings, "test:nobody", now) is None
