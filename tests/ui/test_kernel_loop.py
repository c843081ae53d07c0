"""What other threads want done is done on the kernel's thread, and what takes time is done elsewhere."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from workbench.ui.kernel_loop import KernelLoop


def _play(scene: Callable[[KernelLoop], Awaitable[Any]]) -> Any:
    async def play() -> Any:
        return await asyncio.wait_for(scene(KernelLoop()), 10)

    return asyncio.run(play())


def test_without_a_loop_everything_is_done_at_once_by_the_caller() -> None:
    loop, done = KernelLoop(), []
    loop.call(lambda: done.append("call"))
    loop.later(60, lambda: done.append("later"))
    loop.work(threading.get_ident, lambda ident: done.append(ident), done.append)
    loop.work(lambda: 1 / 0, done.append, lambda error: done.append(type(error)))

    assert done == ["call", "later", threading.get_ident(), ZeroDivisionError]


def test_call_from_another_thread_runs_on_the_kernels() -> None:
    async def scene(loop: KernelLoop) -> Any:
        ran: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        thread = threading.Thread(target=lambda: loop.call(lambda: ran.set_result(threading.get_ident())))
        thread.start()
        ident = await ran
        thread.join()
        return ident

    assert _play(scene) == threading.get_ident()


def test_work_leaves_the_kernel_free_and_tells_it_the_outcome() -> None:
    async def scene(loop: KernelLoop) -> Any:
        outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        free = threading.Event()

        def task() -> int:
            assert free.wait(5)
            return threading.get_ident()

        loop.work(
            task, lambda ident: outcome.set_result((ident, threading.get_ident())), outcome.set_exception
        )
        free.set()
        return await outcome

    worker, teller = _play(scene)
    assert worker != threading.get_ident()
    assert teller == threading.get_ident()


def test_work_that_fails_tells_the_kernel_why() -> None:
    async def scene(loop: KernelLoop) -> Any:
        outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        loop.work(lambda: [][0], outcome.set_result, outcome.set_result)
        return await outcome

    assert isinstance(_play(scene), IndexError)


def test_later_waits() -> None:
    async def scene(loop: KernelLoop) -> float:
        done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        start = time.monotonic()
        loop.later(0.2, lambda: done.set_result(time.monotonic() - start))
        return await done

    assert _play(scene) >= 0.19


def test_call_after_the_end_of_the_loop_is_nothing() -> None:
    async def scene(loop: KernelLoop) -> KernelLoop:
        return loop

    loop, done = _play(scene), []
    thread = threading.Thread(target=lambda: loop.call(lambda: done.append("late")))
    thread.start()
    thread.join()
    assert done == []
