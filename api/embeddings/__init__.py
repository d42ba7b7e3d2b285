"""Embeddings: their request, and their answer."""
