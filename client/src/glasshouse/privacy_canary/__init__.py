"""The privacy canary: sends prompts with a random token, and looks for the token wherever no prompt may be."""
