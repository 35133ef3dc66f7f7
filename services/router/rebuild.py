"""Makes the router's stores again from its journal: the runs of tasks."""

from __future__ import annotations

from services.router.settings import RouterSettings
from services.router.store import RunMachine
from winnow.audit.rebuild import STATES, Given, run, workshop


async def rebuild(settings: RouterSettings, given: Given) -> dict[str, int]:
    """Rebuild; return what was made. Raises what ``workshop`` raises, and BrokenChain."""
    async with workshop("router", settings, STATES, given) as shop:
        runs = [len(states) async for states in shop.folded(RunMachine())]
    return {"runs": sum(runs)}


if __name__ == "__main__":
    run("router", RouterSettings.load, rebuild)
