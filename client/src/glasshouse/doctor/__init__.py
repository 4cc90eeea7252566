"""`make doctor`: what of this machine would keep the stack from starting or running well, each with its remedy."""
