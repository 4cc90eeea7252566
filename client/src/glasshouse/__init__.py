"""The command line of Glasshouse: makes the secrets, starts and stops the stack, and talks to it."""
