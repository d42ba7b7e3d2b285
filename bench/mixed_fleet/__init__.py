"""A benchmark: servers of unequal speed, behind llamaq and behind HAProxy."""
