"""The command line, which wires the queue, the API and the bridge together."""
