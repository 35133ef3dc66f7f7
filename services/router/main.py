"""Builds the router and runs it: ``python -m services.router.main``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from services.router import bus, metrics, rpc
from services.router.app.ports import Provider
from services.router.app.router import Limits, Router
from services.router.clients.fal import Fal
from services.router.clients.media import TaskMedia
from services.router.clients.openai_images import OpenAIImages
from services.router.clients.replicate import Replicate
from services.router.clients.wire import Wire
from services.router.domain.catalogue import Catalogue
from services.router.domain.decide import DECIDER
from services.router.settings import RouterSettings
from services.router.store.catalogue import CATALOGUE_FOLDER, OFFERINGS, SIMULATED_OFFERINGS, read_catalogue
from services.router.store.journal import RunJournal
from winnow.adapters.connections import run_bus
from winnow.adapters.resources import connect
from winnow.contracts.topics import TASKS
from winnow.eventstore.wiring import journal_of
from winnow.runtime.service import Service, run
from winnow.templates import TEMPLATES_FOLDER

_DRAIN_SHARE: Final = 0.7
"""The part of the drain that attempts get; the rest is for the journal and the bus."""
_SAVE_EVERY_S: Final = 5.0


def build(settings: RouterSettings) -> Service:
    """Wire the rooms; nothing connects before the service runs."""
    service = Service("router", settings)
    resources = connect(service, settings)
    wire = Wire(service.clock)
    providers = _providers(settings, wire)
    catalogue = _catalogue(settings)
    usable = {
        name: offering for name, offering in catalogue.offerings.items() if offering.provider in providers
    }
    metrics.warn_of_retired(usable.values(), service.clock.now().date())
    record = RunJournal()
    router = Router(
        replace(catalogue, offerings=usable),
        providers,
        TaskMedia(resources.objects, settings.private_bucket),
        record,
        service.clock,
        metrics.PrometheusMeter(),
        Limits(
            shards=settings.shards,
            attempts_max=settings.attempts_max,
            epoch=f"{settings.instance}-{int(service.clock.now().timestamp() * 1000)}",
        ),
    )
    journal = journal_of(service, resources, DECIDER, listener=router, save_every_s=_SAVE_EVERY_S)
    record.bind(journal, router)
    bus.subscribe(resources.bus, journal, router)
    service.add_task("router", router.run)
    service.add_task("figures", lambda: metrics.sample(router))
    service.add_grpc(rpc.SERVICE_NAME, rpc.register(router))
    service.add_drain(lambda: router.drain(settings.drain_timeout_s * _DRAIN_SHARE))
    run_bus(service, resources.bus, [TASKS.name], [journal.drain])
    service.add_close(wire.close)
    return service


def _catalogue(settings: RouterSettings) -> Catalogue:
    templates = Path(settings.templates_folder or TEMPLATES_FOLDER)
    if settings.catalogue_folder:
        return read_catalogue(Path(settings.catalogue_folder), templates_folder=templates)
    is_simulated = settings.catalogue == "simulated"
    return read_catalogue(CATALOGUE_FOLDER, SIMULATED_OFFERINGS if is_simulated else OFFERINGS, templates)


def _providers(settings: RouterSettings, wire: Wire) -> dict[str, Provider]:
    providers: dict[str, Provider] = {}
    if key := _key(settings.fal_key):
        providers["fal"] = Fal(wire, settings.fal_base_url, key)
    if key := _key(settings.replicate_key):
        providers["replicate"] = Replicate(wire, settings.replicate_base_url, key)
    if key := _key(settings.openai_key):
        providers["openai"] = OpenAIImages(wire, settings.openai_base_url, key)
    return providers


def _key(given: SecretStr | None) -> str:
    """Return a key, empty when there is none: a compose file passes a variable that is not set as an empty one."""
    return given.get_secret_value() if given is not None else ""


if __name__ == "__main__":
    run("router", RouterSettings.load, build)
