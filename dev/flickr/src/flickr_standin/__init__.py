"""A server that answers searches and `getInfo` as Flickr documents them, for tests and clusters that cannot reach Flickr.

- `photos`: the photos it has: those of a folder of pictures, or any that a test makes up, and how they change
- `search`: which of them a search finds, and what else is asked about them (pure)
- `answer`: how Flickr writes that down, in JSON and XML (pure)
- `app`: the HTTP application: keys, throttling, faults on demand, the pictures themselves
- `main`: the command `flickr-standin`
"""
