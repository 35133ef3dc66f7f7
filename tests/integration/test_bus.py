"""The bus by itself on each broker: order, poison, bugs, and where a restarted reader goes on."""

from __future__ import annotations

import json

from tests.integration.bus_records import JOIN_S, PARTITIONS, TYPE, Place, Seen, body_of, send
from tests.support.eventually import eventually
from winnow.adapters.bus import BUG_TRIES_MAX
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.local.ports import HOST, choose


async def test_what_is_still_to_be_sent_can_be_when_the_bus_reads_no_more(place: Place) -> None:
    seen = Seen()
    bus = await place.reader(seen)

    await bus.stop_reading()

    await (await bus.send(place.topic, 0, "late", body_of("late", 1), {"type": TYPE}))
    again = Seen()
    await place.reader(again)
    await eventually(lambda: again.bodies, within_s=30)
    assert seen.bodies == []


async def test_every_key_is_read_in_the_order_of_writing(place: Place) -> None:
    keys = [f"key-{number}" for number in range(8)]
    writer, seen = await place.writer(), Seen()
    futures = [
        await writer.send(place.topic, shard_of(key, PARTITIONS), key, body_of(key, number), {"type": TYPE})
        for number in range(50)
        for key in keys
    ]
    for future in futures:
        await future
    await place.reader(seen)

    await eventually(lambda: len(seen.bodies) == len(futures), within_s=30)
    for key in keys:
        subject = derive_id(Prefix.task, key)
        of_key = [body for _, body in seen.bodies if json.loads(body)["subject"] == subject]
        assert of_key == [body_of(key, number) for number in range(50)]


async def test_poison_is_put_aside_and_its_neighbours_are_handled(place: Place) -> None:
    writer, seen = await place.writer(), Seen()
    good = [body_of("key", number) for number in range(3)]
    poison = [b"\xff not json", b'{"type": "task.cancel_requested"}']
    for body in (good[0], poison[0], good[1], poison[1], good[2]):
        await send(writer, place, "key", body)
    await place.reader(seen)

    lane = shard_of("key", PARTITIONS)
    await eventually(lambda: len(seen.bodies) == 3, within_s=30)
    assert seen.bodies == [(lane, body) for body in good]
    letters = await place.dead_letters(2)
    assert [letter.value for letter in letters] == poison
    assert {letter.partition for letter in letters} == {lane}
    told = [dict(letter.headers) for letter in letters]
    assert [(letter["dlq-reason"], letter["dlq-offset"]) for letter in told] == [
        (b"poison", b"1"),
        (b"poison", b"3"),
    ]
    assert {letter["dlq-topic"] for letter in told} == {place.topic.encode()}

    async def all_committed() -> bool:
        return await place.committed(lane) == 5

    await eventually(all_committed, within_s=15)


async def test_a_record_that_always_breaks_is_put_aside_after_five_tries(place: Place) -> None:
    bodies = [body_of("key", number) for number in range(3)]
    writer, seen = await place.writer(), Seen(breaks={bodies[1]: -1})
    for body in bodies:
        await send(writer, place, "key", body)
    await place.reader(seen)

    (letter,) = await place.dead_letters(1)
    assert letter.value == bodies[1]
    headers = dict(letter.headers)
    assert (headers["dlq-reason"], headers["dlq-error"]) == (b"bug", b"ArithmeticError")
    await eventually(lambda: len(seen.bodies) == 2, within_s=15)
    assert seen.tries == [bodies[1]] * BUG_TRIES_MAX
    assert [body for _, body in seen.bodies] == [bodies[0], bodies[2]]


async def test_a_record_that_breaks_for_a_while_holds_its_partition_and_no_other(place: Place) -> None:
    bodies = [body_of("key", number) for number in range(3)]
    elsewhere = next(
        name
        for name in (f"other-{number}" for number in range(99))
        if shard_of(name, PARTITIONS) != shard_of("key", PARTITIONS)
    )
    writer, seen = await place.writer(), Seen(breaks={bodies[0]: 3})
    for body in bodies:
        await send(writer, place, "key", body)
    await send(writer, place, elsewhere, body_of(elsewhere, 0))
    await place.reader(seen)

    await eventually(lambda: len(seen.bodies) == 4, within_s=30)
    assert seen.tries == [bodies[0]] * 3
    lane = shard_of("key", PARTITIONS)
    assert [body for partition, body in seen.bodies if partition == lane] == bodies


async def test_a_reader_goes_on_where_the_one_before_it_stopped(place: Place) -> None:
    writer, first, second = await place.writer(), Seen(), Seen()
    await send(writer, place, "key", body_of("key", 0))
    reader = await place.reader(first)
    await eventually(lambda: first.bodies, within_s=30)
    await place.stop(reader)
    await send(writer, place, "key", body_of("key", 1))
    await place.reader(second)

    await eventually(lambda: second.bodies, within_s=JOIN_S)
    assert [body for _, body in first.bodies + second.bodies] == [body_of("key", 0), body_of("key", 1)]


async def test_an_address_that_is_dead_leaves_the_others(place: Place) -> None:
    dead = choose(["nobody"], {})["nobody"]
    writer = await place.writer(f"{HOST}:{dead},{place.addresses.kafka_bootstrap}")
    await send(writer, place, "key", body_of("key", 0))
