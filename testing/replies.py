"""Replies of the fake llama-server that several tests script."""

from testing.fake_llama_server import Chat


async def break_off(chat: Chat) -> None:
    """The process dies before it says anything."""


async def break_off_midway(chat: Chat) -> None:
    await chat.say("Hello")


async def hang_midway(chat: Chat) -> None:
    await chat.say("Hello")
    await chat.hang()


async def say_the_rest(chat: Chat) -> None:
    """What is left of `Hello world` after `Hello`."""
    await chat.say(" world")
    await chat.finish()


async def compute_error(chat: Chat) -> None:
    await chat.refuse(500, "Compute error.")
