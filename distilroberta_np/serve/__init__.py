"""A server for the HTTP interfaces that clients of these models already speak (the `serve` extra).

`loaded.py` holds a model and what it can answer, `scheduler.py` batches what many clients ask, the protocols are in
`inference_api.py` (the hub's), `tei.py` (text-embeddings-inference) and `openai_api.py`, and `app.py` joins them.
"""
