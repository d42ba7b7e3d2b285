"""The queue: jobs wait in Redis, workers claim them, replies come back. No HTTP, no JWT."""
