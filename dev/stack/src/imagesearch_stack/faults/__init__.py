"""Faults on purpose: a collection is ingested while something is killed, down, slow or broken, and then counted.

Kafka, Elasticsearch, MLflow, Spark and both commands are real; only the pictures, and the proxy before Elasticsearch, are
of this package. `bench/faults.py` plays every scenario many times, the integration tests play some of them once.

- `scenarios`: what goes wrong, and when; read this first
- `collection`: the collection that it happens to: topics, index, producer, embedder
- `audit`: what is missing and what is there twice
- `proxy`, `world`: an Elasticsearch that fails, a web of good and bad pictures; both on `serving`
"""
