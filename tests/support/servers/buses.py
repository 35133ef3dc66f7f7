"""Buses of the tests: Tansu, Apache Kafka, or each in turn."""

from __future__ import annotations

import os
from dataclasses import dataclass

from tests.support.servers.kafka import classpath

TANSU = "tansu"
KAFKA = "kafka"
GIVEN = "given"
CHOICES = {TANSU: (TANSU,), KAFKA: (KAFKA,), "both": (TANSU, KAFKA)}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The buses to run on, whether Kafka was asked for, and why it cannot be had (empty when it can)."""

    buses: tuple[str, ...]
    kafka_asked: bool
    kafka_missing: str = ""

    @property
    def notice(self) -> str:
        """The line of the summary about Kafka."""
        if self.kafka_missing:
            return f"Apache Kafka NOT exercised: {self.kafka_missing}; the tests ran on Tansu alone"
        return "" if self.kafka_asked else "Apache Kafka not exercised: not asked for (--bus both)"


def choose(name: str) -> Chosen:
    """Return the buses for a choice.

    Without Java or Maven that is Tansu alone; in CI (``CI=true``) KafkaUnavailable is raised instead.
    """
    asked = KAFKA in CHOICES[name]
    if os.environ.get("WINNOW_TEST_KAFKA") or os.environ.get("WINNOW_TEST_CONTAINERS") == "1":
        return Chosen((GIVEN,), kafka_asked=asked)
    if not asked:
        return Chosen(CHOICES[name], kafka_asked=False)
    try:
        classpath.java()
        classpath.class_path()
    except classpath.KafkaUnavailable as error:
        if os.environ.get("CI") == "true":
            raise
        return Chosen((TANSU,), kafka_asked=True, kafka_missing=str(error))
    return Chosen(CHOICES[name], kafka_asked=True)
