"""A mock engine: an OpenAI-compatible server that behaves like vLLM, generates fixed tokens and injects faults.

    python -m mock_engine --port 18200

It serves `/health`, `/v1/models`, `/metrics`, `/v1/chat/completions`, `/v1/completions` and `/v1/embeddings`. A
request's field `mock` says how to respond: `{"ttft_s": 0.1, "interval_s": 0.02, "tokens": 50, "fault": "break:3"}`, and
`prompt_tokens`, `cached_tokens` and `reasoning_tokens` for the usage. `POST /mock` changes the behaviour for all
requests (`Behaviour` has the fields), `GET /mock` returns exact counters (`Stats`). `fault.py` lists the faults.
"""
