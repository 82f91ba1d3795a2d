"""The random sample as a real Elasticsearch draws it."""

from datetime import UTC, datetime

import numpy as np
import pytest
from elasticsearch import AsyncElasticsearch, Elasticsearch, helpers
from imagesearch_contract.index import IndexMeta, document, index_body
from imagesearch_contract.record import ImageRecord
from imagesearch_contract.settings import ElasticsearchSettings
from imagesearch_search import index_client
from imagesearch_search.background import SAMPLE_SIZE, fetch_sample
from imagesearch_search.index_client import ElasticsearchIndex, IndexMissingError

pytestmark = pytest.mark.integration

DIMS = 32
INDEX = "default.sampled.0"
PICTURES = 1300


@pytest.fixture(scope="module")
def vectors(elasticsearch_url):
    """The vectors in the index, by row."""
    random = np.random.default_rng(0).normal(size=(PICTURES, DIMS))
    found = (random / np.linalg.norm(random, axis=1, keepdims=True)).astype(np.float32)
    meta = IndexMeta(
        namespace="default", collection="sampled", model_name="m", model_version="1", dims=DIMS, encoder_url="http://x"
    )
    now = datetime.now(UTC)
    with Elasticsearch(elasticsearch_url) as client:
        client.indices.create(index=INDEX, body=index_body(meta, shards=2))
        actions = (
            {
                "_index": INDEX,
                "_id": f"test:{row}",
                "_source": document(
                    ImageRecord(id=f"test:{row}", url="http://x.example/"), vector.tolist(), model="m/1", indexed_at=now
                ),
            }
            for row, vector in enumerate(found)
        )
        helpers.bulk(client, actions, refresh=True)
        yield found
        client.indices.delete(index=INDEX)


@pytest.fixture
async def elasticsearch(elasticsearch_url):
    client: AsyncElasticsearch = index_client.connect(ElasticsearchSettings(elasticsearch_url=elasticsearch_url))
    async with client:
        yield ElasticsearchIndex(client)


async def test_a_sample_is_random_pictures_each_once_and_the_same_for_whoever_asks(elasticsearch, vectors):
    sample, population = await fetch_sample(elasticsearch, INDEX)
    again, _ = await fetch_sample(elasticsearch, INDEX)
    nearest = sample @ vectors.T
    rows = nearest.argmax(axis=1)

    assert population == PICTURES
    assert sample.shape == (SAMPLE_SIZE, DIMS)
    assert np.allclose(nearest.max(axis=1), 1, atol=1e-5)
    assert len(set(rows.tolist())) == SAMPLE_SIZE
    assert np.array_equal(sample, again)
    # About as many of the first half as of the second: it is no slice of the order of writing.
    assert 420 < (rows < PICTURES / 2).sum() < 580


async def test_an_index_that_is_gone_is_said_so(elasticsearch):
    with pytest.raises(IndexMissingError):
        await fetch_sample(elasticsearch, "default.sampled.none")
