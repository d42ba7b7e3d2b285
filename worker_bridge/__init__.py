"""The process beside one llama-server: claims jobs while it is healthy and sends replies back."""
