"""Pure functions over bytes: what a request asks, what a stream says, what an answer cost, how an error reads."""
