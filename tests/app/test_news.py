import asyncio
import json

from plainfilm.app.news import News


def test_who_waits_hears_of_what_is_new_and_of_nothing_else():
    async def run():
        news = News()
        early = asyncio.create_task(news.after(0, 5))
        await asyncio.sleep(0.01)
        assert not early.done(), "nothing was told yet"
        news.tell({"a": 1})
        assert json.loads(await early)["a"] == 1
        first = json.loads(await news.after(0, 5))
        waiting = asyncio.create_task(news.after(first["number"], 5))
        await asyncio.sleep(0.01)
        assert news.waiting == 1
        news.tell({"a": 1})
        await asyncio.sleep(0.01)
        assert not waiting.done()
        news.tell({"a": 2})
        second = json.loads(await waiting)
        assert second == {"number": first["number"] + 1, "a": 2}
        assert json.loads(await news.after(second["number"], 0.01)) == second, "after a while, the same again"
        late = asyncio.create_task(news.after(second["number"], 60))
        await asyncio.sleep(0.01)
        news.end()
        assert json.loads(await late) == second
        assert news.waiting == 0

    asyncio.run(run())


def test_numbers_grow_from_one_app_to_the_next():
    async def number():
        return News().number

    first = asyncio.run(number())
    assert first > 1_700_000_000_000
    assert asyncio.run(number()) >= first
