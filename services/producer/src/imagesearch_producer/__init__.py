"""Photo sources (Flickr, manifests) to the collection's Kafka topic: one run per schedule, nothing published twice.

- `sources`: what yields records; each source is a generator of records and skips
- `publish`: the topic: what it holds already, and how a record gets there
- `run`: one run, from items to a tally
- `main`: the command `imagesearch-producer`, which wires the three
- `replay`: the command `imagesearch-replay`, which puts dead letters back into the topic
"""
