"""All that is special to /v1/responses. Only `api.endpoints` imports it."""
