"""Makes the router's stores again from its journal: the runs of tasks."""

from __future__ import annotations

from services.router.domain.decide import DECIDER
from services.router.settings import RouterSettings
from winnow.audit.rebuild import STATES, RebuildOptions, open_session, run


async def rebuild(settings: RouterSettings, options: RebuildOptions) -> dict[str, int]:
    """Rebuild; return what was made. Raises what ``open_session`` raises, and BrokenChain."""
    async with open_session("router", settings, STATES, options) as session:
        runs = [len(states) async for states in session.folded(DECIDER)]
    return {"runs": sum(runs)}


if __name__ == "__main__":
    run("router", RouterSettings.load, rebuild)
