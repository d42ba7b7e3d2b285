"""What comes every so many seconds comes in the same moment."""

import asyncio

from dispatcher.beat import until_beat_s


async def test_who_comes_at_different_times_meets_at_the_next_beat() -> None:
    time = asyncio.get_running_loop().time
    beats = []
    for _ in range(20):
        now = time()
        beats.append(now + until_beat_s(0.05))
        await asyncio.sleep(0.004)
    apart = [((beat - beats[0]) / 0.05 + 0.5) % 1 - 0.5 for beat in beats]  # parts of a beat
    assert max(map(abs, apart)) < 0.1


async def test_beats_are_as_far_apart_as_asked() -> None:
    time, at = asyncio.get_running_loop().time, []
    for _ in range(8):
        await asyncio.sleep(until_beat_s(0.05))
        at.append(time())
    assert at[-1] - at[0] > 7 * 0.05 * 0.8
    assert all(0 < until_beat_s(every_s) <= 1.1 * every_s for every_s in (0.05, 1.0, 10.0))
