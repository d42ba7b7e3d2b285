"""The paths that are relayed to llama-servers, one row each: the one table of them."""

from collections.abc import Sequence
from typing import Any

from api.audio.answer import assembly as transcription_assembly
from api.audio.request import FIELDS as TRANSCRIPTION_FIELDS
from api.audio.request import parse_transcription
from api.audio.shape import TranscriptionShape
from api.bodies import BodyAssembly, BodySplice, no_shape
from api.chat.completion import assembly
from api.chat.fields import FIELDS as CHAT_FIELDS
from api.chat.request import parse_chat
from api.chat.splice import Splice
from api.completions.completion import assembly as completion_assembly
from api.completions.fields import FIELDS as COMPLETION_FIELDS
from api.completions.request import parse_completion
from api.completions.splice import Splice as CompletionSplice
from api.embeddings.answer import EmbeddingAssembly
from api.embeddings.request import FIELDS as EMBEDDING_FIELDS
from api.embeddings.request import parse_embeddings, parse_native
from api.endpoint import Endpoint
from api.messages.answer import assembly as message_assembly
from api.messages.errors import error_body
from api.messages.rates import rate_headers
from api.messages.request import FIELDS as MESSAGE_FIELDS
from api.messages.request import parse_message
from api.messages.shape import MessageShape
from api.native.completion import parse_native_completion
from api.native.fields import FIELDS as NATIVE_FIELDS
from api.native.infill import parse_infill
from api.native.request import LAST
from api.native.shape import NativeShape
from api.native.splice import InfillSplice, NativeSplice
from api.native.whole import NativeAssembly
from api.rerank.answer import RerankAssembly
from api.rerank.request import FIELDS as RERANK_FIELDS
from api.rerank.request import parse_rerank
from api.responses import whole as responses
from api.responses.fields import FIELDS as RESPONSE_FIELDS
from api.responses.request import parse_responses
from api.responses.stream import ResponsesShape
from api.scopes import AUDIO, CHAT, EMBEDDINGS, TOKENIZE
from api.shape import ChunkShape
from api.side.about_chat import about
from api.side.answer import MessageCount
from api.side.request import TEXT, TOKENS, parse_detokenize, parse_tokenize
from dispatcher.job import BODY

ENDPOINTS: Sequence[Endpoint[Any]] = (
    Endpoint(
        "/v1/chat/completions",
        parse_chat,
        assembly,
        lambda chat, id_: ChunkShape(chat.choices, f"chatcmpl-{id_}"),
        Splice,
        also=("/chat/completions",),
        fields=CHAT_FIELDS,
        required=("messages",),
        scope=CHAT,
    ),
    Endpoint(
        "/v1/completions",
        parse_completion,
        completion_assembly,
        lambda asked, id_: ChunkShape(asked.choices, f"chatcmpl-{id_}"),
        CompletionSplice,
        fields=COMPLETION_FIELDS,
        required=("prompt",),
        scope=CHAT,
    ),
    Endpoint(
        "/v1/responses",
        parse_responses,
        responses.assembly,
        ResponsesShape,
        Splice,
        also=("/responses",),
        upstream="/v1/chat/completions",
        fields=RESPONSE_FIELDS,
        required=("input",),
        scope=CHAT,
    ),
    Endpoint(
        "/v1/messages",
        parse_message,
        message_assembly,
        lambda chat, id_: MessageShape(id_),
        Splice,
        also=("/messages",),
        upstream="/v1/chat/completions",
        errors=error_body,
        rates=rate_headers,
        id_header="request-id",
        fields=MESSAGE_FIELDS,
        required=("messages",),
        scope=CHAT,
    ),
    Endpoint(
        "/v1/audio/transcriptions",
        parse_transcription,
        transcription_assembly,
        lambda chat, _: TranscriptionShape(),
        Splice,
        also=("/audio/transcriptions",),
        upstream="/v1/chat/completions",
        fields=TRANSCRIPTION_FIELDS,
        required=("file",),
        media_type="multipart/form-data",
        scope=AUDIO,
    ),
    Endpoint(
        "/v1/embeddings",
        parse_embeddings,
        EmbeddingAssembly,
        no_shape,
        BodySplice,
        form=BODY,
        fields=EMBEDDING_FIELDS,
        scope=EMBEDDINGS,
    ),
    Endpoint(
        "/embeddings",
        parse_native,
        EmbeddingAssembly,
        no_shape,
        BodySplice,
        also=("/embedding", "/v1/embedding"),
        form=BODY,
        fields=EMBEDDING_FIELDS,
        scope=EMBEDDINGS,
    ),
    Endpoint(
        "/v1/rerank",
        parse_rerank,
        RerankAssembly,
        no_shape,
        BodySplice,
        also=("/rerank", "/v1/reranking", "/reranking"),
        form=BODY,
        fields=RERANK_FIELDS,
        required=("query",),
        scope=EMBEDDINGS,
    ),
    Endpoint(
        "/completion",
        parse_native_completion,
        NativeAssembly,
        lambda asked, _: NativeShape(asked),
        NativeSplice,
        also=("/v1/completion", "/completions"),
        form=LAST,
        fields=NATIVE_FIELDS,
        required=("prompt",),
        scope=CHAT,
    ),
    Endpoint(
        "/infill",
        parse_infill,
        NativeAssembly,
        lambda asked, _: NativeShape(asked),
        InfillSplice,
        also=("/v1/infill",),
        form=LAST,
        fields=NATIVE_FIELDS,
        required=("input_prefix", "input_suffix"),
        scope=CHAT,
    ),
    Endpoint(
        "/tokenize",
        parse_tokenize,
        BodyAssembly,
        no_shape,
        BodySplice,
        also=("/v1/tokenize",),
        form=BODY,
        fields=TEXT,
        scope=TOKENIZE,
    ),
    Endpoint(
        "/detokenize",
        parse_detokenize,
        BodyAssembly,
        no_shape,
        BodySplice,
        also=("/v1/detokenize",),
        form=BODY,
        fields=TOKENS,
        scope=TOKENIZE,
    ),
    Endpoint(
        "/apply-template",
        about(parse_chat),
        BodyAssembly,
        no_shape,
        BodySplice,
        also=("/v1/apply-template",),
        form=BODY,
        fields=CHAT_FIELDS,
        required=("messages",),
        scope=TOKENIZE,
    ),
    Endpoint(
        "/v1/chat/completions/input_tokens",
        about(parse_chat),
        BodyAssembly,
        no_shape,
        BodySplice,
        also=("/chat/completions/input_tokens",),
        form=BODY,
        fields=CHAT_FIELDS,
        required=("messages",),
        scope=CHAT,
    ),
    Endpoint(
        "/v1/responses/input_tokens",
        about(parse_responses),
        BodyAssembly,
        no_shape,
        BodySplice,
        also=("/responses/input_tokens",),
        upstream="/v1/chat/completions/input_tokens",
        form=BODY,
        fields=RESPONSE_FIELDS,
        required=("input",),
        scope=CHAT,
    ),
    Endpoint(
        "/v1/messages/count_tokens",
        about(parse_message),
        MessageCount,
        no_shape,
        BodySplice,
        also=("/messages/count_tokens",),
        upstream="/v1/chat/completions/input_tokens",
        form=BODY,
        errors=error_body,
        rates=rate_headers,
        id_header="request-id",
        fields=MESSAGE_FIELDS,
        required=("messages",),
        scope=CHAT,
    ),
)
