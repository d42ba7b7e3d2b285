"""All that is special to /v1/chat/completions. Only `api.endpoints` imports it."""
