"""The search API's way into an Elasticsearch that asks for TLS and a password."""

from collections.abc import Callable

import pytest
from elasticsearch import AuthorizationException, Elasticsearch
from imagesearch_contract.index import IndexMeta, index_body
from imagesearch_contract.platform_indices import PROGRESS_INDEX, REPORTS_INDEX, Report, bodies
from imagesearch_contract.settings import ElasticsearchSettings
from imagesearch_search.bodies import existence
from imagesearch_search.index_client import ElasticsearchIndex, connect
from imagesearch_search.problems import Problem

pytestmark = pytest.mark.integration


async def test_with_authority_and_password_it_is_let_in(guarded_elasticsearch: ElasticsearchSettings) -> None:
    async with connect(guarded_elasticsearch) as client:
        assert await ElasticsearchIndex(client).mappings("nobody.nothing") == {}


@pytest.mark.parametrize("without", ["elasticsearch_password", "elasticsearch_ca_path"])
async def test_without_one_of_them_the_index_is_unavailable_and_nothing_is_told(
    guarded_elasticsearch: ElasticsearchSettings, without: str
) -> None:
    async with connect(guarded_elasticsearch.model_copy(update={without: None})) as client:
        with pytest.raises(Problem) as refused:
            await ElasticsearchIndex(client).mappings("nobody.nothing")

    assert refused.value.status_code == 503
    assert guarded_elasticsearch.elasticsearch_url not in str(refused.value.detail)


INDEX, ALIAS = "guarded.dogs.0a1b2c3d", "guarded.dogs"


async def test_the_rights_of_the_documentation_are_enough_and_no_more(
    guarded_elasticsearch: ElasticsearchSettings, guarded_elasticsearch_as: Callable[[str], ElasticsearchSettings]
) -> None:
    meta = IndexMeta(
        namespace="guarded", collection="dogs", model_name="m", model_version="1", dims=4, encoder_url="http://x"
    )
    with Elasticsearch(**guarded_elasticsearch.elasticsearch_client) as admin:
        admin.indices.create(index=INDEX, **index_body(meta))
        admin.indices.put_alias(index=INDEX, name=ALIAS)
        admin.indices.create(index="strange", mappings={})
    report = Report.of(INDEX, "test:1")
    async with connect(guarded_elasticsearch_as("search")) as client:
        index = ElasticsearchIndex(client)
        assert await index.progress([INDEX]) == {}
        with pytest.raises(Problem):
            await index.report(report)  # which creates no index
        with Elasticsearch(**guarded_elasticsearch.elasticsearch_client) as admin:
            assert not admin.indices.exists(index=REPORTS_INDEX)
            for name, body in bodies().items():
                admin.indices.create(index=name, **body)

        assert await index.aliases() == {INDEX: {ALIAS}}
        assert list(await index.mappings(ALIAS)) == [INDEX]
        assert await index.counts([INDEX]) == {}
        [found] = await index.search(INDEX, [existence("test:1")], preference="_local")
        assert found["hits"]["hits"] == []
        assert await index.progress([INDEX]) == {}
        assert [await index.reports(INDEX), await index.report(report), await index.report(report)] == [0, True, False]

        for forbidden in (
            client.index(index=REPORTS_INDEX, id=report.id, document={}),
            client.delete(index=REPORTS_INDEX, id=report.id),
            client.index(index=PROGRESS_INDEX, document={}),
            client.index(index=INDEX, document={}),
            client.delete(index=INDEX, id="test:1"),
            client.indices.delete(index=INDEX),
            client.search(index="strange"),
        ):
            with pytest.raises(AuthorizationException):
                await forbidden
