"""The tenant cache: bounded, shared loads, and nothing kept that was read before a change."""

import asyncio
from uuid import UUID

import pytest

from tenants.cache import TenantCache

ACME, GLOBEX = UUID(int=1), UUID(int=2)


async def let_reads_begin() -> None:
    """Give the tasks that wait their turns: a caller's, then that of its read."""
    for _ in range(3):
        await asyncio.sleep(0)


class Source:
    """Values that are read when the test says so."""

    def __init__(self) -> None:
        self.reads = 0
        self.value = "old"
        self.may_finish = asyncio.Event()
        self.may_finish.set()

    async def load(self, key: str) -> tuple[UUID, str] | None:
        self.reads += 1
        value = self.value
        await self.may_finish.wait()
        if key == "absent":
            return None
        return (GLOBEX if key.startswith("globex") else ACME), value


async def test_a_value_is_read_once() -> None:
    source = Source()
    cache = TenantCache(source.load, entries_max=10)
    assert cache.cached("a") is None
    assert [await cache.get("a"), await cache.get("a"), cache.cached("a")] == ["old", "old", "old"]
    assert source.reads == 1


async def test_callers_at_once_share_a_read() -> None:
    source = Source()
    cache = TenantCache(source.load, entries_max=10)
    assert await asyncio.gather(*(cache.get("a") for _ in range(20))) == ["old"] * 20
    assert source.reads == 1


async def test_what_is_absent_is_not_remembered() -> None:
    source = Source()
    cache = TenantCache(source.load, entries_max=10)
    assert [await cache.get("absent"), await cache.get("absent")] == [None, None]
    assert (source.reads, len(cache)) == (2, 0)


async def test_the_least_recently_used_leaves_first() -> None:
    cache = TenantCache(Source().load, entries_max=2)
    for key in ("a", "b", "a", "globex"):
        await cache.get(key)
    assert [cache.cached(key) for key in ("a", "b", "globex")] == ["old", None, "old"]
    cache.drop_tenant(ACME)
    assert [cache.cached(key) for key in ("a", "globex")] == [None, "old"]


async def test_dropping_a_tenant_leaves_the_others() -> None:
    cache = TenantCache(Source().load, entries_max=10)
    for key in ("a", "b", "globex"):
        await cache.get(key)
    cache.drop_tenant(ACME)
    assert [cache.cached(key) for key in ("a", "b", "globex")] == [None, None, "old"]


@pytest.mark.parametrize("is_everyone", [False, True])
async def test_a_read_that_began_before_a_change_is_neither_kept_nor_joined(is_everyone: bool) -> None:
    source = Source()
    cache = TenantCache(source.load, entries_max=10)
    source.may_finish.clear()
    before = asyncio.create_task(cache.get("a"))
    await let_reads_begin()
    source.value = "new"
    if is_everyone:
        cache.clear()
    else:
        cache.drop_tenant(ACME)
    after = asyncio.create_task(cache.get("a"))
    await let_reads_begin()
    source.may_finish.set()
    assert [await before, await after] == ["old", "new"]
    assert cache.cached("a") == "new"


async def test_a_change_of_another_tenant_lets_a_read_be_kept() -> None:
    source = Source()
    cache = TenantCache(source.load, entries_max=10)
    source.may_finish.clear()
    reading = asyncio.create_task(cache.get("a"))
    await let_reads_begin()
    cache.drop_tenant(GLOBEX)
    source.may_finish.set()
    await reading
    assert cache.cached("a") == "old"


async def test_a_read_that_fails_is_tried_again() -> None:
    reads = 0

    async def fail_once(key: str) -> tuple[UUID, str]:
        nonlocal reads
        reads += 1
        if reads == 1:
            raise OSError
        return ACME, "value"

    cache = TenantCache(fail_once, entries_max=10)
    with pytest.raises(OSError):  # noqa: PT011 - this very one
        await cache.get("a")
    assert await cache.get("a") == "value"


async def test_a_caller_that_leaves_does_not_cancel_the_read() -> None:
    source = Source()
    cache = TenantCache(source.load, entries_max=10)
    source.may_finish.clear()
    leaving, staying = asyncio.create_task(cache.get("a")), asyncio.create_task(cache.get("a"))
    await let_reads_begin()
    leaving.cancel()
    await let_reads_begin()
    source.may_finish.set()
    assert await staying == "old"
    assert source.reads == 1
