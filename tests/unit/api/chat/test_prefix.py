"""The next turn of a conversation finds its last one by name, and no other conversation does."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cache_names import MOST, key_name, salt_of
from api.chat import prefix
from api.chat.prefix import head_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
MESSAGES = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "assistant", "tool"]),
    TEXTS | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS})),
)
CHATS = st.lists(MESSAGES, min_size=1, max_size=2 * MOST)
SYSTEM = {"role": "system", "content": "You are kind."}
HEAD = head_of({})

Chat = list[dict[str, Any]]


def chain(head: bytes, messages: Chat, tenant: str = "ada", end_user: str = "") -> list[str]:
    return prefix.chain(head, messages, salt_of(tenant, end_user))


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


@given(CHATS, st.lists(MESSAGES, max_size=MOST - 1))
def test_later_turn_finds_the_earlier_one(earlier: Chat, more: Chat) -> None:
    assert chain(HEAD, earlier)[0] == chain(HEAD, earlier + more)[len(more)]


@given(CHATS, CHATS)
def test_what_comes_first_is_part_of_all_names_behind_it(before: Chat, chat: Chat) -> None:
    first, second = chain(HEAD, [user("a"), *chat]), chain(HEAD, [user("b"), *chat])
    assert not set(first) & set(second)
    assert len(set(chain(HEAD, before + chat))) == min(len(before + chat), MOST)


@given(CHATS)
def test_order_of_keys_makes_no_difference(chat: Chat) -> None:
    turned = [dict(reversed(message.items())) for message in chat]
    assert chain(HEAD, chat) == chain(HEAD, json.loads(json.dumps(turned)))


@given(CHATS)
def test_names_are_few_and_short(chat: Chat) -> None:
    names = chain(HEAD, chat)
    assert len(names) <= MOST
    assert {len(name) for name in names} == {16}


@pytest.mark.parametrize("role", ["system", "developer"])
def test_system_messages_alone_have_no_name(role: str) -> None:
    shared = {**SYSTEM, "role": role}
    assert chain(HEAD, [shared, shared]) == []
    assert len(chain(HEAD, [shared, shared, user("a")])) == 1
    assert len(chain(HEAD, [shared, user("a"), shared, user("b")])) == 3


def test_system_message_is_part_of_the_names_behind_it() -> None:
    assert chain(HEAD, [SYSTEM, user("a")]) != chain(HEAD, [user("a")])


def test_tools_and_template_settings_come_first_and_other_fields_do_not() -> None:
    heads = [{}, {"tools": [{"type": "function"}]}, {"chat_template_kwargs": {"thinking": True}}]
    assert len({chain(head_of(fields), [user("a")])[0] for fields in heads}) == 3
    assert head_of({"temperature": 1, "response_format": {}, "max_tokens": 3}) == HEAD


def test_where_one_message_ends_and_the_next_begins_matters() -> None:
    assert chain(HEAD, [user("a"), user("b")])[0] != chain(HEAD, [user("ab")])[0]


def test_cache_keys_are_a_tenants_own() -> None:
    names = {key_name("ada", "k"), key_name("bob", "k"), key_name("ada", "l"), key_name("adak", "")}
    assert len(names) == 4


@given(CHATS)
def test_tenants_and_end_users_have_no_name_in_common(chat: Chat) -> None:
    """M5: at d26fdb4 names had no tenant. Who guessed another one's prompt was sent to the worker
    that had it in its cache, and `cached_tokens` told how much of the guess was right.
    """
    owners = [("ada", ""), ("bob", ""), ("bob", "u1"), ("bob", "u2"), ("bobu1", "")]
    names = [chain(HEAD, chat, *owner) for owner in owners]
    assert len(set().union(*names)) == len(owners) * min(len(chat), MOST)
