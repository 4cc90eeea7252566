"""The stack of a checkout behind one protocol: `compose` in Docker, `native` without it; `detect` finds which."""
