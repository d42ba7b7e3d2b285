"""llama.cpp's own endpoints, /completion and /infill. Only `api.endpoints` imports it."""
