"""The manifests are valid, and agree with each other and with the code."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from services.scorer.inference.device_protocol import Device
from services.scorer.settings import ScorerSettings
from tests.support.manifests import (
    BASE,
    GPU,
    OVERLAY,
    ROOT,
    SERVICES,
    WITHOUT_SCHEMA,
    container,
    has_no_rights,
    objects,
    of_kind,
)
from winnow.contracts.topics import CONSUMER_GROUPS, group_of


@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_every_object_fits_its_schema(version: str, tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump_all([manifest for manifest in objects() if _has_schema(manifest)]))
    command = [str(Path(sys.executable).parent / "kubernetes-validate"), "--strict", "-k", version, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN" not in done.stdout + done.stderr


def _has_schema(manifest: dict[str, Any]) -> bool:
    return (manifest["apiVersion"], manifest["kind"]) not in WITHOUT_SCHEMA


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_the_overlay_renders_with_kubectl() -> None:
    done = subprocess.run(["kubectl", "kustomize", str(OVERLAY)], capture_output=True, text=True, check=True)
    rendered = [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]
    assert {
        manifest["metadata"].get("namespace") for manifest in rendered if manifest["kind"] != "Namespace"
    } == {"winnow-staging"}
    assert len(rendered) == len(objects()) + 1


def test_there_is_a_deployment_service_account_budget_and_policy_for_each_service() -> None:
    for kind in ("Deployment", "Service", "PodDisruptionBudget"):
        assert set(of_kind(kind)) == set(SERVICES), kind
    assert set(of_kind("ServiceAccount")) == {*SERVICES, "ops"}
    assert set(of_kind("NetworkPolicy")) == {*SERVICES, "ops", "default-deny"}


def test_selectors_match_the_pods_they_mean() -> None:
    for name, deployment in of_kind("Deployment").items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert of_kind("Service")[name]["spec"]["selector"].items() <= labels.items()
        assert (
            of_kind("PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"].items() <= labels.items()
        )
        assert of_kind("NetworkPolicy")[name]["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_service_ports_name_container_ports() -> None:
    for name, service in of_kind("Service").items():
        named = {port["name"] for port in container(name)["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named


def test_probes_ask_paths_that_the_runtime_serves() -> None:
    from winnow.runtime.service import Service
    from winnow.runtime.settings import ServiceSettings

    settings = ServiceSettings(
        kafka_bootstrap="x",
        mongo_uri=SecretStr("x"),
        s3_endpoint="x",
        s3_access_key=SecretStr("x"),
        s3_secret_key=SecretStr("x"),
    )
    paths = {route.path for route in Service("x", settings)._ops_app().routes}  # type: ignore[attr-defined]
    for name in SERVICES:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container(name)[probe]["httpGet"]["path"] in paths


@pytest.mark.parametrize("name", SERVICES)
def test_variables_are_settings_of_the_service(name: str) -> None:
    settings = getattr(importlib.import_module(f"services.{name}.settings"), f"{name.capitalize()}Settings")
    prefix = settings.model_config["env_prefix"].upper()
    known = {prefix + field.upper() for field in settings.model_fields}
    required = {
        prefix + field.upper() for field, declared in settings.model_fields.items() if declared.is_required()
    }
    given = {variable["name"] for variable in container(name)["env"]}
    assert given <= known
    assert required <= given


def test_scalers_watch_topics_and_groups_of_the_code() -> None:
    scalers = of_kind("ScaledObject")
    assert set(scalers) == {"router", "scorer"}
    for name, scaler in scalers.items():
        assert scaler["spec"]["scaleTargetRef"]["name"] == name
        trigger = scaler["spec"]["triggers"][0]["metadata"]
        assert trigger["consumerGroup"] == group_of(name)
        assert trigger["topic"] in {topic.name for topic in CONSUMER_GROUPS[name]}
        assert trigger["offsetResetPolicy"] == "earliest"


def test_pods_run_without_rights() -> None:
    for deployment in of_kind("Deployment").values():
        has_no_rights(deployment["spec"]["template"]["spec"])


def test_budgets_leave_a_replica() -> None:
    for name, budget in of_kind("PodDisruptionBudget").items():
        assert budget["spec"]["maxUnavailable"] < of_kind("Deployment")[name]["spec"]["replicas"]


def test_compose_names_the_same_settings() -> None:
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]
    assert set(SERVICES) <= set(compose)
    for name in SERVICES:
        settings = getattr(
            importlib.import_module(f"services.{name}.settings"), f"{name.capitalize()}Settings"
        )
        prefix = settings.model_config["env_prefix"].upper()
        assert set(compose[name]["environment"]) <= {
            prefix + field.upper() for field in settings.model_fields
        }


def test_the_gpu_component_patches_what_there_is_with_settings_of_the_scorer() -> None:
    patch = yaml.safe_load((GPU / "deployment.yaml").read_text())
    (patched,) = patch["spec"]["template"]["spec"]["containers"]
    assert (patch["metadata"]["name"], patched["name"]) == ("scorer", container("scorer")["name"])
    assert (
        patched["resources"]["limits"]["nvidia.com/gpu"] == patched["resources"]["requests"]["nvidia.com/gpu"]
    )
    given = {
        variable["name"].removeprefix("WINNOW_SCORER_").lower(): variable["value"]
        for variable in patched["env"]
    }
    settings = ScorerSettings.model_validate(
        {
            "kafka_bootstrap": "x:1",
            "s3_endpoint": "http://x",
            "s3_access_key": "x",
            "s3_secret_key": "x",
            **given,
        }
    )
    assert settings.device is Device.cuda
    assert settings.processes > 8
    scaler = yaml.safe_load((GPU / "scaledobject.yaml").read_text())
    assert scaler["metadata"]["name"] in of_kind("ScaledObject")


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_an_overlay_with_the_gpu_component_renders_and_fits_its_schema(tmp_path: Path) -> None:
    here = tmp_path / "overlay"
    here.mkdir()
    lines = {
        "resources": [os.path.relpath(BASE, here)],
        "components": [os.path.relpath(GPU, here)],
    }
    (here / "kustomization.yaml").write_text(yaml.safe_dump(lines))
    done = subprocess.run(["kubectl", "kustomize", str(here)], capture_output=True, text=True, check=True)
    rendered = {
        (manifest["kind"], manifest["metadata"]["name"]): manifest
        for manifest in yaml.safe_load_all(done.stdout)
        if manifest
    }
    (scorer,) = rendered["Deployment", "scorer"]["spec"]["template"]["spec"]["containers"]
    names = [variable["name"] for variable in scorer["env"]]
    assert {"WINNOW_SCORER_DEVICE", "WINNOW_SCORER_KAFKA_BOOTSTRAP"} <= set(names)
    assert scorer["startupProbe"]["httpGet"]["path"] == "/readyz"
    assert rendered["ScaledObject", "scorer"]["spec"]["triggers"]
    path = tmp_path / "deployment.yaml"
    path.write_text(yaml.safe_dump(rendered["Deployment", "scorer"]))
    command = [str(Path(sys.executable).parent / "kubernetes-validate"), "--strict", "-k", "1.37", str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
