"""Rerank: its request, and its answer."""
