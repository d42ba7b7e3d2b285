"""All that is special to /v1/audio/transcriptions. Only `api.endpoints` imports it.

A request becomes a chat with the sound in it, as llama-server makes one, and its answer is made of
the chat's.
"""
