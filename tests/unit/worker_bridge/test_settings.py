import pytest
from pydantic import ValidationError

from worker_bridge.settings import BridgeSettings


@pytest.mark.parametrize(
    "server", ["http://127.0.0.1:8080", "https://gpu.example.org/llama", "http://v1"]
)
def test_server_is_an_address(server: str) -> None:
    assert BridgeSettings(server=server).server == server


@pytest.mark.parametrize("given", ["http://gpu:1/llama/v1", "http://gpu:1/llama/v1/"])
def test_address_for_clients_of_openai_means_the_same_server(given: str) -> None:
    assert BridgeSettings(server=given).server == "http://gpu:1/llama"


@pytest.mark.parametrize(
    "bad",
    [
        {"server": "127.0.0.1:8080"},
        {"server": ""},
        {"model": "a b"},
        {"model": "a{b}"},
        {"model": "x" * 201},
        {"worker_name": "a/b"},
        {"stall_token_s": 0},
        {"drain_s": -1},
    ],
)
def test_bad_value_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        BridgeSettings(**bad)
    assert [error["loc"] for error in caught.value.errors()] == [tuple(bad)]


def test_key_is_not_printed() -> None:
    assert "secret" not in repr(BridgeSettings(server_key="secret"))


def test_every_setting_has_a_description() -> None:
    assert all(field.description for field in BridgeSettings.model_fields.values())
