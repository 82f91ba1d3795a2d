"""The embedder: Kafka -> fetch -> decode -> encode -> Elasticsearch, as a Spark structured-streaming application.

Read `main` (the driver: what a trigger does), then `embed` (what happens to one task's records, without I/O).

- `plan`: what a Kafka message asks for; which of several messages about one picture counts
- `embed`: one task from messages to documents and dead letters
- `overlap`: how its stages work at once, within bounds
- `download`: the fetcher on a thread of its own
- `sink`: Elasticsearch, by bulk requests that are repeated until they are answered
- `letters`: the dead-letter topic, each letter once
- `worker`: what runs in a Spark Python worker; builds the real parts and calls `embed`
- `checkpoint`: where Spark keeps how far it is; another place for an index that was made anew
- `offsets`: tells Kafka how far it is
- `progress`, `metrics`: tell people and Prometheus
- `session`: the Spark session and the JDK it needs
"""
