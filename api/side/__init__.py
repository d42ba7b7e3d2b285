"""Requests that need no slot of a llama-server: its HTTP thread answers them."""
