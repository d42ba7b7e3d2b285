"""What a grammar or a JSON schema may ask of a llama-server. Pure."""
