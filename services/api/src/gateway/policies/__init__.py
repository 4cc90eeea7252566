"""What is decided about a request on plain values: who may call, what may come in. No policy knows HTTP."""
