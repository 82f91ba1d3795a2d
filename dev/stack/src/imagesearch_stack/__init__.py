"""The local stack: the whole pipeline with real servers on one machine, without Docker.

`imagesearch-dev` (main.py) and the test session (the root conftest.py) call it.

- `downloads`: Kafka, Elasticsearch, Spark's Kafka source and the sample pictures, fetched once into the cache
- `java`: finds a Java that is new enough
- `processes`, `guard`: child processes that never outlive the one who started them
- `servers`: how each server is configured, started and known to be ready
- `control_plane`: a Kubernetes API without nodes, for tests
- `cluster`: the platform on a real Kubernetes: `make cluster`
- `provision`: topics, index and alias
- `pictures`: the sample pictures, their manifest and captions, and a server for them
- `pipeline`: all of it together
- `demo`, `smoke`: the two commands
"""


class StackError(Exception):
    """Something is missing or went wrong around the stack; the message says what it is and what to do."""
