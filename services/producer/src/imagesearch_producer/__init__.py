"""Photo sources (Flickr, manifests) to the collection's Kafka topic: one run per schedule, nothing published twice.

- `sources`: what yields records, takedowns and checkpoints; each source is a generator
- `run`: one run, from items to a tally
- `catalogue`: what the topic holds already, on disk
- `state`: how far a source is, kept in Kafka
- `letters`: which rows of a manifest have a dead letter
- `topics`, `publish`: how messages come from Kafka, and how they get there
- `main`: the command `imagesearch-producer`, which wires them
- `replay`: the command `imagesearch-replay`, which puts dead letters back into the topic
"""
