"""Counts of what a request and a token take, which the machine's noise can't move."""
