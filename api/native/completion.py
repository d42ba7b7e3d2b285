"""Reads a request for /completion. Pure."""

from api.body import parse_object
from api.native.request import NativeRequest, Prompts, request_of
from api.prompts import checked_prompts, prompt_tokens
from api.settings import ApiSettings


def parse_native_completion(body: bytes, settings: ApiSettings) -> NativeRequest:
    """What `body` asks for, or an `ApiError` 400 that names the field and says what to do."""
    fields = parse_object(body, settings.max_json_depth)
    prompts = [prompt or "" for prompt in checked_prompts(fields.get("prompt"))]
    asked = [{"prompt": prompt} for prompt in prompts]
    about = Prompts(asked, prompt_tokens(prompts), prompts)
    return request_of(fields, about, settings)
