"""The mock engine's rooms: it looks like vLLM from outside and generates fixed tokens, well or badly, as it is told."""
