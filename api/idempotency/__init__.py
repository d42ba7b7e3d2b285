"""The same answer for whoever asks again with the same `Idempotency-Key`."""
