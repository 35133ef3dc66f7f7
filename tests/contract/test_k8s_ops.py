"""The operator's jobs call commands that exist, with settings that these read, and nothing starts by itself."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import yaml

from scripts.command_page import every_command
from tests.support.manifests import OPS, has_no_rights, of_kind

JOBS = sorted(of_kind("CronJob"))
READING = {
    "audit-verify": "winnow-audit",
    "audit-anchor": "winnow-archive",
    "audit-archive": "winnow-archive",
}
"""Job → the secret with its keys of the object store; its key of the database may only read."""
REBUILT = ("delivery", "ingest", "ledger", "router")


def pod(job: str) -> dict[str, Any]:
    return of_kind("CronJob")[job]["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def containers(job: str) -> list[dict[str, Any]]:
    return pod(job)["containers"]


def command_of(arguments: list[str]) -> Any:
    """Return the command that arguments call; raises LookupError when there is none."""
    for _, words, command in every_command():
        if arguments[: len(words)] == words:
            return command
    raise LookupError(arguments)


def test_there_is_a_job_for_each_task_of_an_operator() -> None:
    rebuilds = {f"rebuild-{service}" for service in REBUILT}
    others = {"audit-verify", "audit-anchor", "audit-archive", "reemit", "dead-letters"}
    assert set(JOBS) == others | rebuilds


@pytest.mark.parametrize("job", JOBS)
def test_a_job_is_a_template_that_an_operator_starts_and_that_runs_once(job: str) -> None:
    spec = of_kind("CronJob")[job]["spec"]
    assert (spec["suspend"], spec["concurrencyPolicy"]) == (True, "Forbid")
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert pod(job)["restartPolicy"] == "Never"
    labels = spec["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert of_kind("NetworkPolicy")["ops"]["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert pod(job)["serviceAccountName"] == "ops"
    has_no_rights(pod(job))


@pytest.mark.parametrize("job", JOBS)
def test_arguments_and_variables_are_those_of_the_command(job: str) -> None:
    for container in containers(job):
        command = command_of(container["args"])
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in container["args"] if word.startswith("--")} <= options
        known = {str(parameter.envvar) for parameter in command.params if parameter.envvar}
        given = {variable["name"] for variable in container["env"]}
        used = {name for name in given if any(f"$({name})" in argument for argument in container["args"])}
        of_service = given if job.startswith("rebuild-") else set()
        assert given <= known | used | of_service


@pytest.mark.parametrize("service", REBUILT)
def test_a_rebuild_has_the_settings_of_its_service(service: str) -> None:
    settings = getattr(
        importlib.import_module(f"services.{service}.settings"), f"{service.capitalize()}Settings"
    )
    prefix = settings.model_config["env_prefix"].upper()
    (container,) = containers(f"rebuild-{service}")
    assert container["args"] == ["rebuild", service]
    given = {variable["name"] for variable in container["env"]} - {"WINNOW_ARCHIVE"}
    fields = settings.model_fields
    assert given <= {prefix + name.upper() for name in fields}
    assert {prefix + name.upper() for name, field in fields.items() if field.is_required()} <= given


@pytest.mark.parametrize("job", JOBS)
def test_secrets_come_by_reference_and_what_only_reads_has_keys_of_its_own(job: str) -> None:
    sources = [
        (variable["name"], variable["valueFrom"])
        for container in containers(job)
        for variable in container["env"]
    ]
    secrets = {(name, source["secretKeyRef"]["name"]) for name, source in sources if "secretKeyRef" in source}
    assert {name for name, _ in sources if name.endswith(("_URI", "_KEY", "_PEPPER"))} == {
        name for name, _ in secrets
    }
    if job in READING:
        of_database = {secret for name, secret in secrets if name.endswith("MONGO_URI")}
        of_objects = {secret for name, secret in secrets if "_S3_" in name}
        assert (of_database, of_objects) == ({"winnow-audit"}, {READING[job]})
    else:
        assert {secret for _, secret in secrets} == (set() if job == "dead-letters" else {"winnow"})


def test_the_overlay_has_the_jobs_and_names_their_image() -> None:
    overlay = OPS.parent / "overlays/staging"
    kustomization = yaml.safe_load((overlay / "kustomization.yaml").read_text())
    assert "../../ops" in kustomization["resources"]
    assert "winnow-ops" in {image["name"] for image in kustomization["images"]}
    files = {path.name for path in OPS.glob("*.yaml")} - {"kustomization.yaml"}
    assert files == set(yaml.safe_load((OPS / "kustomization.yaml").read_text())["resources"])
