"""What two processes must agree on, and nothing else.

- `names`: topics, indices, aliases, image ids
- `record`: the Kafka record, one picture as its source describes it
- `dead_letter`: the record of what could not be used, with a reason code
- `index`: the Elasticsearch index body, its `_meta`, the document
- `encoder`: the HTTP interface of the encoder service
- `settings`: one frozen model per service, to and from the environment

The test for a newcomer to this package: if only one side changed it, would production break silently?
"""
