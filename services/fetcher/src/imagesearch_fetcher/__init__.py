"""Pictures from outside, safely: `fetch` is the one way to get bytes from a URL somebody gave, `decode` the one way to open them.

The embedder, the producer and the search API use it; nothing else in the project connects to an address it was handed.
"""
