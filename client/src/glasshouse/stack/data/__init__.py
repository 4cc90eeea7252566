"""What a backup saves of a stack, and how it is packed."""
