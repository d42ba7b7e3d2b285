"""Each process of `up` gets the settings that it needs, and no secret more.

At d26fdb4 (M1) every llama-server had LLAMAQ_JWT_SECRET and the address of Redis.
"""

from llamaq.child_environment import of_api, of_bridge, of_redis

USERS = {"PATH": "/bin", "HOME": "/root", "LLAMA_ARG_CTX_SIZE": "1", "CUDA_VISIBLE_DEVICES": "0"}
OURS = USERS | {
    "REDIS_URL": "redis://:a@b",
    "LLAMAQ_JWT_SECRET": "x",
    "llamaq_jwt_issuer": "y",
    "LLAMAQ_SERVER_KEY": "z",
    "LLAMAQ_LEASE_S": "3",
    "LLAMAQ_OF_TOMORROW": "?",
}
TOLD = {"LLAMAQ_REDIS_URL": "redis://c"}


def test_redis_sees_only_what_is_the_users() -> None:
    assert of_redis(OURS) == USERS


def test_bridge_sees_nothing_that_signs_tokens() -> None:
    needed = {"LLAMAQ_SERVER_KEY": "z", "LLAMAQ_LEASE_S": "3"}
    assert of_bridge(OURS, TOLD) == USERS | TOLD | needed


def test_api_sees_no_key_of_a_server() -> None:
    needed = {"LLAMAQ_JWT_SECRET": "x", "llamaq_jwt_issuer": "y", "LLAMAQ_LEASE_S": "3"}
    assert of_api(OURS, TOLD) == USERS | TOLD | needed


def test_what_up_tells_goes_before_the_environment() -> None:
    assert of_api(OURS, {"LLAMAQ_LEASE_S": "5"})["LLAMAQ_LEASE_S"] == "5"


def test_each_process_logs_and_traces_as_up_does() -> None:
    logs = {"LLAMAQ_LOG_FORMAT": "json", "LLAMAQ_TRACES": "1", "OTEL_SERVICE_NAME": "x"}
    for environment in (of_redis(logs), of_api(logs, {}), of_bridge(logs, {})):
        assert environment == logs
