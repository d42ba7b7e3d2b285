"""What bridges and APIs of different builds can say to each other: docs/adr/0013."""

PROTOCOL = 1
"""The version of the keys, scripts and frames. It grows with each change that older builds would
not understand. Builds before the first version count as 0."""
