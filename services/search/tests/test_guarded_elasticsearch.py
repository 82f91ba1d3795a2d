"""The search API's way into an Elasticsearch that asks for TLS and a password."""

import pytest
from imagesearch_contract.settings import ElasticsearchSettings
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
