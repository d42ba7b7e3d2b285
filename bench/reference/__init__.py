"""Which job goes next, in Python: the rules of the Lua scripts, for the simulation and for tests.

Nothing that runs llamaq imports it. A property test holds the two against each other.
"""
