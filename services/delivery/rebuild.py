"""Makes delivery's stores again from its journal: the deliveries of tasks, and the index that finds them.

Webhook endpoints are orders of clients and lie in no journal: they are left as they are. The index notes when it was
written, which nothing records; a rebuilt one notes the end of the task.
"""

from __future__ import annotations

from services.delivery.domain.decide import Policy, decider
from services.delivery.domain.task import TaskDelivery
from services.delivery.settings import DeliverySettings
from services.delivery.store import IndexStore
from winnow.audit.rebuild import STATES, RebuildOptions, open_session, run

INDEX = ("outputs", "webhooks")


async def rebuild(settings: DeliverySettings, options: RebuildOptions) -> dict[str, int]:
    """Rebuild; return what was made. Raises what ``open_session`` raises, and BrokenChain."""
    async with open_session("delivery", settings, (*STATES, *INDEX), options) as session:
        policy = Policy(settings.finish_deadline_s, settings.webhook_schedule_s)
        index = IndexStore(session.database)
        await index.prepare()
        count = 0
        async for states in session.folded(decider(policy)):
            count += len(states)
            for state in states:
                await _note(index, state)
    return {"deliveries": count}


async def _note(index: IndexStore, state: TaskDelivery) -> None:
    if state.end is None:
        return
    if state.outputs:
        keys = [key for output in state.outputs for key in (output.stored.key, output.thumbnail.key)]
        await index.note_outputs(state.task_id, state.account_id, keys, state.end.at)
    if state.webhooks:
        ids = [webhook.delivery_id for webhook in state.webhooks]
        await index.note_webhooks(state.task_id, state.account_id, ids, state.end.at)


if __name__ == "__main__":
    run("delivery", DeliverySettings.load, rebuild)
