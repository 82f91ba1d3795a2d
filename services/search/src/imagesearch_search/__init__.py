"""The search API, and the Ray Serve application that serves the encoder.

- `schema`: what the API takes and answers, as written in `openapi.json`
- `query`: request -> Elasticsearch body, hit -> answer; pure
- `engine`: one search from the query to the page of hits
- `collections`, `index_client`, `encoder_client`, `vector_cache`: what the engine asks
- `access`, `limits`, `admission`: who may ask what, and how much is done at once; `new_key`, the command
- `access_log`: a line for each request
- `problems`, `middleware`, `routes`, `app`, `main`: HTTP around it
- `serving`: the encoder service (Ray Serve), the other process
"""
