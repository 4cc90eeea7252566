"""OpenAI's API: chat completions, completions, embeddings."""

from gateway.dialects.openai.dialect import OPENAI
from gateway.dialects.openai.endpoints import OPENAI_ENDPOINTS

__all__ = ["OPENAI", "OPENAI_ENDPOINTS"]
