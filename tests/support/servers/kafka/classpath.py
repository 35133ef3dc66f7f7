"""Java that runs Apache Kafka, and the class path that Maven resolves for it once."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

POM = Path(__file__).with_name("pom.xml")
JAVA_MIN = 17
_CACHE = Path(__file__).resolve().parents[4] / "build/kafka"
_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath"
_TRIES = 3


class KafkaUnavailable(Exception):  # noqa: N818 (the noun of the problem)
    """This machine cannot run Apache Kafka; the text says what is missing."""


def version() -> str:
    """Return the version that the POM names."""
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    found = ET.parse(POM).find("m:properties/m:kafka.version", space)
    assert found is not None
    return str(found.text)


@cache
def java() -> str:
    """Return the Java to run; raises KafkaUnavailable when there is none or it is too old."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else None
    found = found or shutil.which("java")
    if found is None:
        raise KafkaUnavailable("Java is missing")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    release = re.search(r'version "(\d+)', said)
    if release is None or int(release[1]) < JAVA_MIN:
        raise KafkaUnavailable(f"Java {JAVA_MIN} or newer is missing")
    return found


def formatted_folder() -> Path:
    """Return the folder of storages that are formatted once for each POM."""
    return _CACHE / f"formatted-{_digest()}"


def _digest() -> str:
    return hashlib.sha256(POM.read_bytes()).hexdigest()[:12]


def class_path() -> str:
    """Return the class path, resolved once for each POM; raises KafkaUnavailable when that is not possible."""
    kept = _CACHE / f"classpath-{_digest()}.txt"
    if kept.exists() and all(Path(part).exists() for part in kept.read_text().split(os.pathsep)):
        return kept.read_text()
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailable("Maven is missing")
    _CACHE.mkdir(parents=True, exist_ok=True)
    scratch = kept.with_suffix(f".{os.getpid()}")
    argv = [maven, "-q", "-B", "-f", str(POM), _GOAL, f"-Dmdep.outputFile={scratch}"]
    last = ""
    for _ in range(_TRIES):
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        if ran.returncode == 0:
            scratch.replace(kept)
            return kept.read_text()
        last = (ran.stdout.strip().splitlines() or [f"status {ran.returncode}"])[0]
    raise KafkaUnavailable(f"Maven could not resolve its artefacts: {last}")
