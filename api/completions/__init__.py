"""All that is special to /v1/completions. Only `api.endpoints` imports it."""
