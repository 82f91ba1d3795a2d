"""Kafka, Elasticsearch and MLflow as the operator asks and changes them: the real ones, and addresses where none is."""

import asyncio

import httpx
import pytest
import specs
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from elasticsearch import Elasticsearch
from imagesearch_contract import names, platform_indices
from imagesearch_contract.platform_indices import MAX_REPORTS, PROGRESS_INDEX, REPORTS_INDEX, Report
from imagesearch_operator import plan
from imagesearch_operator.facts import IndexFacts, ModelVersion, TopicFacts, Unknown
from imagesearch_operator.live import Key
from imagesearch_operator.plan import stores as planned
from imagesearch_operator.spec import Model, Registry
from imagesearch_operator.stores import connect
from imagesearch_operator.stores.elasticsearch import Indices
from imagesearch_operator.stores.kafka import Topics
from imagesearch_stack.faults.collection import broker
from imagesearch_stack.processes import free_port
from running import register, settings, until

MODEL = ModelVersion("stores-test", "1", 8)
LOOKS = 10
"""Until then the operator has to see what is there; on a cluster it looks every ten seconds."""


@pytest.fixture
async def stores(kafka_bootstrap_servers, elasticsearch_url, mlflow_tracking_uri):
    asked = settings(
        kafka_bootstrap_servers=kafka_bootstrap_servers,
        elasticsearch_url=elasticsearch_url,
        mlflow_tracking_uri=mlflow_tracking_uri,
    )
    async with connect(asked) as connected:
        yield connected


def collection(name: str):
    return specs.collection(name, "stores-test", model={"registry": {"name": MODEL.name, "version": "1"}})


@pytest.mark.integration
async def test_topics_and_their_lag_are_seen_by_one_look(stores, kafka_bootstrap_servers):
    birds = collection("kafka")
    key = Key(birds.namespace, birds.name)
    await stores.poll([birds])
    assert stores.observe(birds, None).topic == TopicFacts()
    await stores.create_topics(plan.stores.topics(birds, settings()))
    assert stores.observe(birds, None).topic == TopicFacts(exists=True)
    await rest(stores, birds)
    assert stores.observe(birds, None).topic == TopicFacts(exists=True)
    await stores.create_topics(plan.stores.topics(birds, settings()))

    topic = names.topic(*key)
    producer = Producer({"bootstrap.servers": kafka_bootstrap_servers})
    for number in range(5):
        producer.produce(topic, key=f"manifest:{number}", value="{}", partition=0)
    failed = names.dead_letter_topic(topic)
    producer.produce(failed, key="manifest:0", value="{}", headers={"reason": "dead_link"})
    producer.flush(30)
    index = names.index(*key, MODEL.name, MODEL.version)
    commit(kafka_bootstrap_servers, index, topic, 2)
    assert await stores.poll([birds]) == {key}
    assert stores.observe(birds, None).topic == TopicFacts(True, messages=5, failed={"dead_link": 1}, lag={index: 3})
    commit(kafka_bootstrap_servers, index, topic, 5)
    await stores.poll([birds])
    assert stores.observe(birds, None).topic.lag == {index: 0}
    await rest(stores, birds)
    assert stores.observe(birds, None).topic.lag == {index: 0}

    await stores.drop_topics(birds)
    await stores.drop_indices([index])
    await stores.poll([birds])
    assert stores.observe(birds, None).topic == TopicFacts()
    await stores.drop_topics(birds)


@pytest.mark.integration
async def test_a_broker_that_comes_back_is_seen_again_with_its_topics_and_their_lag(tmp_path):
    birds = collection("restarted")
    topic, index = names.topic(birds.namespace, birds.name), names.index(birds.namespace, birds.name, MODEL.name, "1")
    with broker(tmp_path, free_port()) as (kafka, address):
        topics = Topics(settings(kafka_bootstrap_servers=address))
        await topics.look()
        await topics.create(plan.stores.topics(birds, settings()))
        producer = Producer({"bootstrap.servers": address})
        for number in range(5):
            producer.produce(topic, key=f"manifest:{number}", value="{}", partition=0)
        producer.flush(30)
        commit(address, index, topic, 2)
        seen = TopicFacts(True, messages=5, failed={}, lag={index: 3})
        await topics.look()
        assert topics.of(birds.namespace, birds.name) == seen

        for _ in range(2):
            kafka.kill()
            await topics.look()
            assert isinstance(topics.of(birds.namespace, birds.name), Unknown)
            kafka.start()
            for _ in range(LOOKS):
                await topics.look()
                if topics.of(birds.namespace, birds.name) == seen:
                    break
            assert topics.of(birds.namespace, birds.name) == seen


@pytest.mark.integration
async def test_an_index_is_made_once_and_the_alias_moves_to_one_index_alone(stores, elasticsearch_url):
    birds = collection("elasticsearch")
    alias = names.alias(birds.namespace, birds.name)
    await stores.poll([birds])
    assert stores.observe(birds, None).index == IndexFacts()
    first, second = (planned.index(birds, MODEL._replace(version=version)) for version in ("1", "2"))
    for index in (first, second, first):
        await stores.create_index(index)
    await stores.point_alias(birds, first.name)
    assert stores.observe(birds, None).index == IndexFacts({first.name: 0, second.name: 0}, first.name)
    Elasticsearch(elasticsearch_url).index(index=second.name, id="written", document={})  # and not to be found yet
    await stores.point_alias(birds, second.name)
    assert stores.observe(birds, None).index == IndexFacts({first.name: 0, second.name: 1}, second.name)
    await stores.poll([birds])
    assert stores.observe(birds, None).index == IndexFacts({first.name: 0, second.name: 1}, second.name)
    assert set(httpx.get(f"{elasticsearch_url}/_alias/{alias}", trust_env=False).json()) == {second.name}
    await stores.drop_indices([first.name, second.name, "stores-test.elasticsearch.00000000"])
    await stores.poll([birds])
    assert stores.observe(birds, None).index == IndexFacts()


@pytest.mark.integration
async def test_an_index_takes_its_progress_and_its_reports_with_it_and_no_others(stores, elasticsearch_url):
    birds = collection("platform")
    first, second = (planned.index(birds, MODEL._replace(version=version)) for version in ("1", "2"))
    with Elasticsearch(elasticsearch_url) as client:
        client.indices.delete(index=",".join(platform_indices.bodies()), ignore_unavailable=True)
        await stores.poll([birds])
        for index in (first, second, first):
            await stores.create_index(index)
        await stores.poll([birds])
        await stores.create_index(first)  # the platform's own are seen, and not made again
        for name, body in platform_indices.bodies().items():
            found = client.indices.get_mapping(index=name)[name]["mappings"]
            assert found["properties"].keys() == body["mappings"]["properties"].keys()

        for index in (first, second):
            client.index(index=PROGRESS_INDEX, id=index.name, document={"index": index.name})
            for n in range(MAX_REPORTS if index is first else 1):
                report = Report.of(index.name, f"test:{n}")
                client.index(index=REPORTS_INDEX, id=report.id, document=report.to_source())
        client.indices.refresh(index=REPORTS_INDEX)
        await stores.drop_indices([first.name])
        client.indices.refresh(index=",".join(platform_indices.bodies()))
        for name in platform_indices.bodies():
            left = client.search(index=name)["hits"]["hits"]
            assert {hit["_source"]["index"] for hit in left} == {second.name}
        client.indices.delete(index=",".join(platform_indices.bodies()))
        await stores.drop_indices([second.name])  # where there are none, that is no fault


@pytest.mark.integration
async def test_where_the_platform_s_own_indices_are_forbidden_collections_go_on(guarded_elasticsearch_as, caplog):
    mice = collection("rights")
    index = planned.index(mice, MODEL)
    async with Indices.connect(guarded_elasticsearch_as("collections")) as indices:
        await indices.look()
        for _ in range(2):
            await indices.create(index.name, index.body)
            await indices.look()
        assert indices.of(mice.namespace, mice.name) == IndexFacts({index.name: 0}, None)
        assert len([each for each in caplog.messages if PROGRESS_INDEX in each]) == 1
        await indices.drop([index.name])
        await indices.look()
        assert indices.of(mice.namespace, mice.name) == IndexFacts()


@pytest.mark.integration
async def test_an_index_of_an_older_release_gets_the_fields_that_it_lacks(stores, elasticsearch_url):
    birds = collection("older")
    wanted = planned.index(birds, MODEL)
    older = {name: of for name, of in wanted.body["mappings"]["properties"].items() if name != "size"}
    body = {"mappings": {**wanted.body["mappings"], "properties": older}}
    httpx.put(f"{elasticsearch_url}/{wanted.name}", json=body, trust_env=False).raise_for_status()
    await stores.poll([birds])
    for _ in range(2):
        await stores.create_index(wanted)
    mapping = httpx.get(f"{elasticsearch_url}/{wanted.name}/_mapping", trust_env=False).json()[wanted.name]["mappings"]
    assert mapping["properties"]["size"] == {"type": "keyword"}
    assert mapping["_meta"] == wanted.body["mappings"]["_meta"]
    await stores.drop_indices([wanted.name])


@pytest.mark.integration
async def test_a_model_is_found_by_name_by_version_and_by_alias(stores, mlflow_tracking_uri):
    url = f"{mlflow_tracking_uri}/api/2.0/mlflow"
    assert await stores.model(Model(name="stores/by-name")) is None
    for dims in (8, 16):
        register(mlflow_tracking_uri, "stores--by-name", dims)
    httpx.post(
        f"{url}/model-versions/create",
        json={"name": "stores--by-name", "source": "s3://nowhere/model"},
        trust_env=False,
    )
    httpx.post(
        f"{url}/registered-models/alias",
        json={"name": "stores--by-name", "alias": "live", "version": "1"},
        trust_env=False,
    )
    # The last look is what counts, until the next one.
    assert await stores.model(Model(name="stores/by-name")) is None
    await stores.poll([specs.collection("mlflow", model={"name": "stores/by-name"})])
    assert await stores.model(Model(name="stores/by-name")) == ModelVersion("stores--by-name", "2", 16)
    assert await stores.model(pinned(version="1")) == ModelVersion("stores--by-name", "1", 8)
    assert await stores.model(pinned(alias="live")) == ModelVersion("stores--by-name", "1", 8)
    for model in (pinned(version="99"), pinned(alias="nobody"), Model(registry=Registry(name="nobody", version="1"))):
        answer = await stores.model(model)
        assert isinstance(answer, Unknown)
        assert answer.reason == "ModelNotRegistered"
    untagged = await stores.model(pinned(version="3"))
    assert isinstance(untagged, Unknown)
    assert untagged.reason == "ModelNotUsable"
    assert "imagesearch-model register" in untagged.message


async def test_stores_that_are_away_are_unknown_and_say_what_to_do():
    nowhere = f"127.0.0.1:{free_port()}"
    asked = settings(
        kafka_bootstrap_servers=nowhere,
        elasticsearch_url=f"http://{nowhere}",
        mlflow_tracking_uri=f"http://{nowhere}",
    )
    birds = collection("away")
    async with connect(asked) as stores:
        await stores.poll([birds])
        seen = stores.observe(birds, await stores.model(birds.spec.model))
    facts = (seen.topic, seen.index, seen.model)
    assert [fact.reason for fact in facts] == ["KafkaUnreachable", "ElasticsearchUnreachable", "MlflowUnreachable"]
    assert all(nowhere in fact.message for fact in facts)


async def rest(stores, collection) -> None:
    """Look until nothing is new."""
    async with asyncio.timeout(120):
        while await stores.poll([collection]):
            pass


def pinned(**version: str) -> Model:
    return Model(registry=Registry(name="stores--by-name", **version))


def commit(bootstrap_servers: str, index: str, topic: str, offset: int) -> None:
    """Say how far an embedder is, as it does."""
    group = names.consumer_group(index)
    request = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, offset)])
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})

    def is_done() -> bool:
        [answer] = admin.alter_consumer_group_offsets([request]).values()
        return not any(partition.error for partition in answer.result(30).topic_partitions)

    until(is_done)  # the first group of a new Kafka has to wait for its coordinator
