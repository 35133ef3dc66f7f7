"""Metrics of delivery, declared in one place; labels come from closed sets, never ids."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

FINISH_SECONDS = Histogram(
    "winnow_delivery_finish_seconds",
    "Time to finish all the outputs of a task.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
FINISH_FAILURES = Counter(
    "winnow_delivery_finish_failures_total", "Selected candidates that could not be finished.", ["reason"]
)
OUTPUT_BYTES = Counter("winnow_delivery_output_bytes_total", "Bytes of outputs and thumbnails stored.")
WEBHOOK_ATTEMPTS = Counter("winnow_delivery_webhook_attempts_total", "Delivery attempts.", ["reason"])
WEBHOOK_SECONDS = Histogram(
    "winnow_delivery_webhook_seconds",
    "Time of a delivery attempt.",
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 15),
)
WORK_RUNNING = Gauge("winnow_delivery_work_running", "Long work under way or waiting for its turn.", ["work"])
WORK_RETRIES = Counter("winnow_delivery_work_retries_total", "Long work that is tried again.", ["work"])
LINKS = Counter("winnow_delivery_links_total", "Links signed.")
SWEPT_OBJECTS = Counter("winnow_delivery_swept_objects_total", "Outputs and thumbnails deleted by age.")
