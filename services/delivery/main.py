"""Builds and runs delivery."""

from __future__ import annotations

from typing import Final

from services.delivery import bus, jobs, rpc
from services.delivery.app.delivery_log import DeliveryLog
from services.delivery.app.endpoint_register import EndpointRegister
from services.delivery.app.finishing import Finishing, FinishingLimits
from services.delivery.app.outputs import Outputs
from services.delivery.app.reconciler import Reconciler
from services.delivery.app.webhooks import Webhooks
from services.delivery.app.work import performed_by
from services.delivery.clients.images import ImageFinisher
from services.delivery.clients.webhook import WebhookSender
from services.delivery.domain.decide import Policy, decider
from services.delivery.domain.outputs import derive_key
from services.delivery.domain.task import TaskDelivery
from services.delivery.settings import DeliverySettings
from services.delivery.store import EndpointStore, IndexStore
from winnow.adapters.connections import run_bus
from winnow.adapters.object_store import ObjectStore
from winnow.adapters.resources import Resources, connect
from winnow.contracts.topics import TASKS
from winnow.egress.client import EgressRules
from winnow.eventstore import Journal
from winnow.eventstore.wiring import journal_of
from winnow.runtime.service import Service, run

_SAVE_EVERY_S: Final = 5.0


def build(settings: DeliverySettings) -> Service:
    """Wire the service; nothing connects before it runs."""
    service = Service("delivery", settings)
    resources = connect(service, settings)
    endpoints = EndpointStore(resources.mongo.database)
    index = IndexStore(resources.mongo.database)
    service.add_start(endpoints.prepare)
    service.add_start(index.prepare)
    sender = _sender(service, settings)
    policy = Policy(settings.finish_deadline_s, settings.webhook_schedule_s)
    journal = journal_of(service, resources, decider(policy), save_every_s=_SAVE_EVERY_S)
    finishing = _finishing(service, settings, resources, journal, index)
    webhooks = Webhooks(
        journal,
        endpoints,
        index,
        sender,
        service.clock,
        signing_key=_key(settings, "webhook-secrets"),
        at_once_max=settings.webhooks_at_once_max,
        per_endpoint_max=settings.webhooks_per_endpoint_max,
    )
    reconciler = Reconciler(performed_by(finishing, webhooks), shards=settings.shards)
    journal.listen(reconciler, on_decided=reconciler.decided)
    outputs = Outputs(
        journal,
        index,
        resources.objects,
        _links(service, settings, resources),
        service.clock,
        retention_s=settings.retention_s,
        outputs_bucket=settings.outputs_bucket,
        name_key=_key(settings, "object-names"),
    )
    register = EndpointRegister(
        endpoints,
        sender,
        service.clock,
        signing_key=_key(settings, "webhook-secrets"),
        endpoints_max=settings.endpoints_max,
    )
    log = DeliveryLog(journal, index, service.clock)
    service.add_start(
        lambda: jobs.set_lifecycle(resources.objects, settings.outputs_bucket, settings.retention_s)
    )
    service.add_task("sweep", lambda: jobs.sweep_for_ever(outputs, settings.sweep_every_s))
    service.add_task("redeliveries", lambda: jobs.take_redeliveries_for_ever(log))
    service.add_grpc(rpc.SERVICE_NAME, rpc.register(rpc.DeliveryServicer(outputs, register, log)))
    bus.subscribe(resources.bus, journal)
    service.add_drain(lambda: reconciler.stop(settings.drain_timeout_s / 2))
    run_bus(service, resources.bus, [TASKS.name], [journal.drain])
    return service


def _finishing(
    service: Service,
    settings: DeliverySettings,
    resources: Resources,
    journal: Journal[TaskDelivery],
    index: IndexStore,
) -> Finishing:
    images = ImageFinisher(
        threads=settings.finish_threads,
        pixels_max=settings.image_pixels_max,
        thumbnail_px=settings.thumbnail_px,
    )

    async def close() -> None:
        images.close()

    service.add_close(close)
    return Finishing(
        journal,
        resources.objects,
        images,
        index,
        service.clock,
        limits=FinishingLimits(
            settings.finish_within_s, settings.candidate_bytes_max, settings.finish_at_once_max
        ),
        outputs_bucket=settings.outputs_bucket,
        name_key=_key(settings, "object-names"),
    )


def _sender(service: Service, settings: DeliverySettings) -> WebhookSender:
    rules = EgressRules(
        ports=settings.webhook_ports,
        allowed_hosts=settings.webhook_allowed_hosts,
        private_networks=settings.webhook_allow_private_networks,
    )
    sender = WebhookSender(rules, timeout_s=settings.webhook_timeout_s, ca_file=settings.webhook_ca_file)
    service.add_close(sender.close)
    return sender


def _links(service: Service, settings: DeliverySettings, resources: Resources) -> ObjectStore:
    """Sign links for the address that clients reach the store by."""
    if not settings.links_endpoint:
        return resources.objects
    links = ObjectStore(
        settings.links_endpoint,
        settings.s3_region,
        settings.s3_access_key.get_secret_value(),
        settings.s3_secret_key.get_secret_value(),
    )

    async def close() -> None:
        await links.close()

    service.add_close(close)
    return links


def _key(settings: DeliverySettings, purpose: str) -> bytes:
    return derive_key(settings.secret_key.get_secret_value().encode(), purpose)


if __name__ == "__main__":
    run("delivery", DeliverySettings.load, build)
