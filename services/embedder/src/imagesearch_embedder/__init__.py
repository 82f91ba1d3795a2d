"""The embedder: Kafka -> fetch -> decode -> encode -> Elasticsearch, as a Spark structured-streaming application.

Read `main` (the driver: what a trigger does), then `embed` (what happens to one batch of records, without I/O).

- `plan`: what a Kafka message asks for; which of several messages about one picture counts
- `embed`: one batch from messages to documents and dead letters
- `download`: pictures as they arrive, many at a time
- `sink`: Elasticsearch, by bulk requests that are repeated until they are answered
- `letters`: the dead-letter topic, each letter once
- `worker`: what runs in a Spark Python worker; builds the real parts and calls `embed`
- `session`: the Spark session and the JDK it needs
"""
