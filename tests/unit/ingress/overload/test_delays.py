"""Answers held back: by timers, bounded, let go of when the sender leaves, all at once at the end."""

import asyncio

from ingress.overload.delays import Delays


async def test_an_answer_goes_out_after_its_delay_and_not_before() -> None:
    delays, loop, answered = Delays(), asyncio.get_running_loop(), asyncio.Event()
    began = loop.time()
    assert delays.hold(0.05, answered.set)
    assert (len(delays), delays.total) == (1, 1)
    await asyncio.wait_for(answered.wait(), 5)
    assert loop.time() - began >= 0.04
    assert len(delays) == 0


async def test_past_the_bound_and_without_a_delay_nothing_is_held() -> None:
    delays, answered = Delays(most=2), list[int]()
    assert delays.hold(0.0, lambda: answered.append(0)) == delays.hold(-1.0, lambda: answered.append(0)) == 0
    numbers = [delays.hold(60.0, lambda: answered.append(1)) for _ in range(3)]
    assert [bool(number) for number in numbers] == [True, True, False]
    delays.let_go(numbers[0])
    delays.let_go(numbers[0])
    assert delays.hold(60.0, lambda: answered.append(2))
    delays.end()
    assert answered == [1, 2]


async def test_the_end_answers_all_at_once_and_holds_no_more() -> None:
    delays = Delays()
    waiting = [asyncio.create_task(delays.wait(600.0)) for _ in range(5)]
    while len(delays) < 5:
        await asyncio.sleep(0)
    delays.end()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert (len(delays), delays.hold(1.0, lambda: None)) == (0, 0)
    await asyncio.wait_for(delays.wait(600.0), 5)


async def test_a_task_that_is_cancelled_gives_its_place_back() -> None:
    delays = Delays()
    waiting = asyncio.create_task(delays.wait(600.0))
    while not len(delays):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert len(delays) == 0
