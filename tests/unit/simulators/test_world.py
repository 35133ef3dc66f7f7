"""A provider's world: the seed decides everything, the truth is recorded, the ledger tells all."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from simulators.defects import Defect
from simulators.generation import Generation, Stage, Wanted
from simulators.provider_profile import Control, ProfileUnknownError, load_profile
from simulators.renderer import Renderer
from simulators.world import Outcome, World

HEADSHOT = Wanted("a studio headshot", 1, (256, 256), "jpeg")
Opener = Callable[..., Awaitable[World]]


@pytest.fixture
async def opened(renderer: Renderer) -> AsyncIterator[Opener]:
    worlds: list[World] = []

    async def make(profile: str = "flawless-fal", *, seed: int = 1, **changes: object) -> World:
        chosen = load_profile(profile).model_copy(update=changes)
        worlds.append(World(chosen, seed=seed, renderer=renderer))
        await worlds[-1].gallery.prepare()
        return worlds[-1]

    yield make
    for world in worlds:
        await world.close()


async def _ended(world: World, wanted: Wanted = HEADSHOT, name: str = "one") -> Generation:
    generation = world.accept(wanted, name)
    assert await generation.ends_within(10)
    return generation


async def test_same_seed_serves_the_same_bytes_whatever_came_before(opened: Opener) -> None:
    first, second = await opened(defect_rate=0.5), await opened(defect_rate=0.5)
    await _ended(second, name="something else")
    seeded = Wanted("a studio headshot", 2, (256, 256), "jpeg", seed=77)
    generation, other = await _ended(first, seeded, "a"), await _ended(second, seeded, "b")

    assert [p.made.content for p in generation.pictures] == [p.made.content for p in other.pictures]


async def test_another_world_seed_or_prompt_serves_other_bytes(opened: Opener) -> None:
    seeded = Wanted("a studio headshot", 1, (256, 256), "jpeg", seed=77)
    prompted = Wanted("a headshot", 1, (256, 256), "jpeg", seed=77)
    first, second = await opened(), await opened(seed=2)
    contents = {
        (await _ended(world, wanted, name)).pictures[0].made.content
        for world, wanted, name in ((first, seeded, "a"), (second, seeded, "b"), (first, prompted, "c"))
    }

    assert len(contents) == 3


async def test_every_served_picture_has_its_truth(opened: Opener) -> None:
    world = await opened()
    world.control(Control(forced_defects=[Defect.blur, None, Defect.closed_eyes]))
    generation = await _ended(world, Wanted("a studio headshot", 3, (256, 256), "jpeg"))
    served = {hashlib.sha256(picture.made.content).hexdigest(): picture for picture in generation.pictures}

    assert [(line["defect"], line["dimension"]) for line in world.gallery.truth()] == [
        ("blur", "sharpness"),
        (None, None),
        ("closed_eyes", "eyes_open"),
    ]
    assert {line["sha256"] for line in world.gallery.truth()} == set(served)


async def test_drawn_defects_come_at_the_profiles_rate(opened: Opener) -> None:
    world = await opened(defect_rate=1.0)
    await _ended(world)
    world.control(Control(defect_rate=0.0))
    await _ended(world, name="two")

    assert [line["defect"] is None for line in world.gallery.truth()] == [False, True]


async def test_fates_follow_from_the_seed(opened: Opener) -> None:
    rates = {"too_many_rate": 0.2, "error_rate": 0.2, "lost_reply_rate": 0.2}
    first, second, third = await opened(**rates), await opened(**rates), await opened(seed=2, **rates)
    fates = [[world.knock() for _ in range(60)] for world in (first, second, third)]

    assert fates[0] == fates[1] != fates[2]
    assert set(fates[0]) == {Outcome.accepted, Outcome.too_many, Outcome.error, Outcome.reply_lost}


async def test_forced_faults_happen_once_each(opened: Opener) -> None:
    world = await opened()
    world.control(Control(too_many_next=1, error_next=1))

    assert [world.knock() for _ in range(3)] == [Outcome.too_many, Outcome.error, Outcome.accepted]


async def test_outage_window_of_the_profile_is_an_outage(opened: Opener) -> None:
    world = await opened(outage_windows_s=((0, 3600),))

    assert world.knock() is Outcome.outage
    assert world.is_out(submitting=False)


async def test_failed_work_and_work_cancelled_in_the_queue_is_free(opened: Opener) -> None:
    world = await opened()
    world.control(Control(failed_next=1))
    assert (await _ended(world, name="failed")).stage is Stage.failed
    world.control(Control(stuck_next=1))
    world.cancel(world.accept(HEADSHOT, "stuck"))

    assert world.ledger()["billed_usd_micro"] == 0


async def test_same_seeded_work_done_twice_is_told(opened: Opener) -> None:
    world = await opened()
    seeded = Wanted("x", 1, (256, 256), "jpeg", seed=5)
    await _ended(world, seeded, "a")
    await _ended(world, seeded, "b")
    await _ended(world, Wanted("x", 1, (256, 256), "jpeg", seed=6), "c")

    assert world.ledger()["billed_twice"] == [["a", "b"]]
    assert world.ledger()["billed_usd_micro"] == 9000


async def test_pool_serves_ready_pictures_in_turn(opened: Opener) -> None:
    world = await opened("instant-fal", pool_size=3)
    generations = [await _ended(world, HEADSHOT, str(turn)) for turn in range(4)]
    contents = [generation.pictures[0].made.content for generation in generations]

    assert contents[0] == contents[3]
    assert len(set(contents)) == 3


async def test_expired_link_serves_nothing(opened: Opener) -> None:
    world = await opened()
    name = (await _ended(world)).pictures[0].file_name
    assert world.gallery.file(name) is not None
    world.control(Control(links_expired=True))

    assert world.gallery.file(name) is None


def test_unknown_profile_names_the_bundled_ones() -> None:
    with pytest.raises(ProfileUnknownError, match="demo-fal"):
        load_profile("no-such-profile")


@pytest.mark.parametrize("provider", ["fal", "replicate", "openai"])
@pytest.mark.parametrize("kind", ["demo", "instant", "flawless"])
def test_bundled_profiles_belong_to_their_provider(kind: str, provider: str) -> None:
    assert load_profile(f"{kind}-{provider}").provider == provider
