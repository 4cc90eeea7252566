"""llama.cpp's own server, supervised: typed settings, a status port, a clean stop."""
