"""All that is special to /v1/messages, Anthropic's Messages API. Only `api.endpoints` imports it.

A request becomes a chat, and its answer is made of the chat's.
"""
