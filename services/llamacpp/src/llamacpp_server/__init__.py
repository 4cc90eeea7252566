"""llama.cpp's own server under supervision: typed settings, a status port, a clean stop."""
