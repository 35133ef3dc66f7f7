"""Makes the router's stores again from its journal: the runs of tasks."""

from __future__ import annotations

from services.router.domain.decide import DECIDER
from services.router.settings import RouterSettings
from winnow.audit.rebuild import RebuildOptions, open_session, run

STATES = ("state_2", "folds")
"""The collections of runs, named by their format."""
_OLDER = ("state",)


async def rebuild(settings: RouterSettings, options: RebuildOptions) -> dict[str, int]:
    """Rebuild; return what was made. Raises what ``open_session`` raises, and BrokenChain."""
    async with open_session("router", settings, STATES, options, retired=_OLDER) as session:
        runs = [len(states) async for states in session.folded(DECIDER)]
    return {"runs": sum(runs)}


if __name__ == "__main__":
    run("router", RouterSettings.load, rebuild)
