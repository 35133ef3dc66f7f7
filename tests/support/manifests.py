"""The Kubernetes manifests, rendered and read."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "deploy/k8s/base"
OPS = ROOT / "deploy/k8s/ops"
GPU = ROOT / "deploy/k8s/components/scorer-gpu"
OVERLAY = ROOT / "deploy/k8s/overlays/staging"
SERVICES = ("ingest", "router", "scorer", "ledger", "delivery")
WITHOUT_SCHEMA = {("keda.sh/v1alpha1", "ScaledObject")}


def objects() -> list[dict[str, Any]]:
    """Return every object that the kustomizations of the base and of the operator's jobs list."""
    return copy.deepcopy(_objects())


@cache
def _objects() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    queue = [BASE, OPS]
    while queue:
        folder = queue.pop()
        for name in yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]:
            path = folder / name
            if path.is_dir():
                queue.append(path)
            else:
                found += [manifest for manifest in yaml.safe_load_all(path.read_text()) if manifest]
    return found


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {manifest["metadata"]["name"]: manifest for manifest in objects() if manifest["kind"] == kind}


def container(name: str) -> dict[str, Any]:
    return of_kind("Deployment")[name]["spec"]["template"]["spec"]["containers"][0]


def has_no_rights(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for part in pod["containers"]:
        rights = part["securityContext"]
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"]["drop"] == ["ALL"]
        assert part["resources"]["limits"]["memory"] == part["resources"]["requests"]["memory"]
