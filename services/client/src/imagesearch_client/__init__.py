"""The search API from Python.

    from imagesearch_client import Client, like, unlike

    with Client("http://127.0.0.1:8080") as client:
        page = client.search("stamps", "a boat", like("flickr:1"), unlike("flickr:2"), filters={"license": ["CC0-1.0"]})
        for hit in page.hits:
            print(hit.title, hit.page_url)

`main` is the command `imagesearch`, which does the same in a terminal.
"""

from imagesearch_client.client import Client, SearchError, UnreachableError
from imagesearch_client.results import Collection, FacetCount, Hit, Page
from imagesearch_client.terms import Term, like, picture, text, unlike

__all__ = [
    "Client",
    "Collection",
    "FacetCount",
    "Hit",
    "Page",
    "SearchError",
    "Term",
    "UnreachableError",
    "like",
    "picture",
    "text",
    "unlike",
]
