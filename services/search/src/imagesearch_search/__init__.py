"""The search API, and the Ray Serve application that serves the encoder.

- `schema`: what the API takes and answers, as written in `openapi.json`
- `query`, `bodies`, `ranking`: what was asked, what Elasticsearch is asked, and one order out of its answers; pure
- `engine`: one search from the query to the page of hits
- `query_vectors`, `rankings`, `calibration`, `background`: the vector of a query, the order of its answers, which of them match
- `collections`, `index_client`, `encoder_client`, `recent`: what these ask
- `access`, `limits`, `admission`: who may ask what, and how much is done at once; `new_key`, the command
- `access_log`: a line for each request
- `problems`, `middleware`, `routes`, `app`, `main`: HTTP around it
- `serving`: the encoder service (Ray Serve), the other process
"""
