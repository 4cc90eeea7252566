"""A mock engine: an OpenAI-compatible server that speaks like vLLM, generates fixed tokens and fails when asked to.

    python -m mock_engine --port 18200

It serves `/health`, `/v1/models`, `/metrics`, `/v1/chat/completions`, `/v1/completions` and `/v1/embeddings`. A
request's field `mock` says how to answer: `{"ttft_s": 0.1, "interval_s": 0.02, "tokens": 50, "fault": "break:3"}`, and
`prompt_tokens`, `cached_tokens` and `reasoning_tokens` for the usage. `POST /mock` changes what holds for all requests
(`Behaviour` has the names), `GET /mock` tells what really happened (`Truth`). `fault.py` lists the faults.
"""
