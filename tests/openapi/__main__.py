"""Checks with schemathesis that a running API does what its OpenAPI document says.

`scripts/check-openapi` runs it. Real llama.cpp servers answer. It exits with 1 for an answer that
the document does not allow, or for one that tells of a mistake of llamaq's own.
"""

import argparse
import json
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from testing.builders import make_token
from tests.differential.stage import Stage, stage

# The document can't say which values are sensible: without these few requests reach a server.
_MESSAGE = {
    "type": "object",
    "properties": {"role": {"enum": ["user", "assistant"]}, "content": {"type": "string"}},
    "required": ["role", "content"],
}
_TEXT = {"type": "string", "maxLength": 300}
_SENSIBLE: Mapping[str, Any] = {
    "messages": {"type": "array", "items": _MESSAGE, "minItems": 1, "maxItems": 4},
    "prompt": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 3}]},
    "input": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 3}]},
    "documents": {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 4},
    "query": _TEXT,
    "input_prefix": _TEXT,
    "input_suffix": _TEXT,
    "grammar": {"enum": ["", 'root ::= "a"']},
    "json_schema": {"enum": [{}, {"type": "boolean"}]},
    "response_format": {"enum": [{"type": "text"}, {"type": "json_object"}]},
    "tools": {"enum": [[]]},
    "max_tokens": {"type": "integer", "minimum": 1, "maximum": 16},
    "n": {"enum": [1, 2]},
    "repeat_last_n": {"type": "integer", "minimum": -1, "maximum": 2048},
    "dry_penalty_last_n": {"type": "integer", "minimum": -1, "maximum": 2048},
    "samplers": {"enum": [["top_k", "temperature"], "kt"]},
    "logit_bias": {"enum": [{"97": 1}, [[98, -1]]]},
    "suffix": {"enum": ["", None]},
    "echo": {"enum": [False]},
    "best_of": {"enum": [1]},
    "background": {"enum": [False]},
    "previous_response_id": {"enum": [None]},
    "conversation": {"enum": [None]},
    "stream_options": {"enum": [{"include_usage": True}]},
    "tool_choice": {"enum": ["auto", "none"]},
    "instructions": _TEXT,
    "system": _TEXT,
    "text": {"enum": [{"format": {"type": "text"}}]},
    "reasoning": {"enum": [{"effort": "low"}]},
    "thinking": {"enum": [{"type": "disabled"}]},
    "output_config": {"enum": [{}]},
    "metadata": {"enum": [{"user_id": "me"}]},
    "user": {"enum": ["me"]},
    "service_tier": {"enum": ["auto"]},
}
_MODELS: Mapping[str, str] = {"embed": "embeds", "rerank": "ranks", "audio": "hears"}
# All but whether a request is taken: more is refused than a document can tell.
_CHECKS = ",".join(
    (
        *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
        *("response_headers_conformance", "response_schema_conformance", "unsupported_method"),
        *("allow_header_conformance", "ignored_auth"),
    )
)


def main() -> int:
    """Runs schemathesis; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.openapi", description=__doc__)
    parser.add_argument("schemathesis", type=Path, help="the program")
    parser.add_argument("--requests", type=int, default=100, help="of each phase, for each path")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with TemporaryDirectory() as name, stage(Path(name)) as there:
        document = Path(name) / "openapi.json"
        document.write_text(json.dumps(_sensible(_document(there))))
        command = [
            *(asked.schemathesis.absolute(), "run", document, "--url", there.url),
            *("--header", f"Authorization: Bearer {make_token()}", "--checks", _CHECKS),
            *("--phases", "examples,coverage,fuzzing", "--continue-on-failure"),
            *("--max-examples", str(asked.requests), "--seed", str(asked.seed)),
            *("--suppress-health-check", "all", "--request-timeout", "60"),
        ]
        return subprocess.run(command, cwd=name, check=False).returncode


def _document(there: Stage) -> dict[str, Any]:
    with urllib.request.urlopen(f"{there.url}/openapi.json") as answer:
        document: dict[str, Any] = json.load(answer)
    return document


def _sensible(document: dict[str, Any]) -> dict[str, Any]:
    """The document without its second doors, whose requests more often reach a server."""
    paths = {path: item for path, item in document["paths"].items() if "$ref" not in item}
    for path, item in paths.items():
        if "post" in item:
            (content,) = item["post"]["requestBody"]["content"].values()
            body = content["schema"]
            model = next((model for word, model in _MODELS.items() if word in path), "tiny")
            known = {name: _SENSIBLE[name] for name in _SENSIBLE.keys() & body["properties"].keys()}
            body["properties"] |= {**known, "model": {"enum": [model]}}
    return {**document, "paths": paths}


if __name__ == "__main__":
    sys.exit(main())
