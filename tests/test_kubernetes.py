"""No cluster runs here: what can be checked of the manifests in deploy/kubernetes/ without one."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from backend.__main__ import main
from backend.settings import Settings

FOLDER = Path(__file__).parent.parent / "deploy" / "kubernetes"
FILES = sorted(FOLDER.rglob("*.yaml"))
OBJECTS: list[dict[str, Any]] = [
    each for path in FILES for each in yaml.safe_load_all(path.read_text())
]
DEPLOYMENTS = {
    each["metadata"]["name"]: each["spec"] for each in OBJECTS if each["kind"] == "Deployment"
}
# Of a Secret that an operator makes, as settings.yaml says.
SECRETS = {
    "REDIS_URL",
    "DATABASE_URL",
    "LABEL_STUDIO_API_KEY",
    "BASIC_AUTH_USER",
    "BASIC_AUTH_PASS",
}


def container_of(name: str) -> dict[str, Any]:
    [container] = DEPLOYMENTS[name]["template"]["spec"]["containers"]
    return dict(container)


def named(kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in OBJECTS if each["kind"] == kind}


@pytest.mark.parametrize("version", ["1.30", "1.37"])
@pytest.mark.parametrize(
    "thing", OBJECTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}"
)
def test_kubernetes_knows_every_field(thing: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(thing, version, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    [service] = [each for each in OBJECTS if each["kind"] == "Service"]
    wrong = {**service, "spec": {**service["spec"], "selektor": {}}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_container_runs_a_command_of_the_backend(name: str) -> None:
    container = container_of(name)
    assert main([*container["args"], "--help"]) == 0
    for probe in ("livenessProbe", "startupProbe", "readinessProbe"):
        if "exec" in container.get(probe, {}):
            python, option, module, *arguments = container[probe]["exec"]["command"]
            assert (python, option, module) == ("python", "-m", "backend")
            assert main([*arguments, "--help"]) == 0


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_container_can_neither_write_nor_be_root(name: str) -> None:
    pod, container = DEPLOYMENTS[name]["template"]["spec"], container_of(name)
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_what_a_pod_refers_to_is_there(name: str) -> None:
    template = DEPLOYMENTS[name]["template"]
    assert DEPLOYMENTS[name]["selector"]["matchLabels"] == template["metadata"]["labels"]
    volumes = {each["name"]: each for each in template["spec"]["volumes"]}
    assert {each["name"] for each in container_of(name)["volumeMounts"]} == set(volumes)
    claims = named("PersistentVolumeClaim")
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] in claims
    references = [reference for each in container_of(name)["envFrom"] for reference in each.items()]
    assert references == [
        ("configMapRef", {"name": "keypoint-backend"}),
        ("secretRef", {"name": "keypoint-backend"}),
    ]


def test_every_setting_exists_and_secrets_are_in_no_file() -> None:
    [settings] = [each["data"] for each in OBJECTS if each["kind"] == "ConfigMap"]
    names = {name.upper() for name in Settings.model_fields}
    assert set(settings) | SECRETS <= names
    assert not set(settings) & SECRETS
    text = (FOLDER / "settings.yaml").read_text()
    assert all(f"{name}=" in text for name in SECRETS)
    assert not named("Secret")


def test_what_selects_pods_finds_some() -> None:
    labels = [spec["template"]["metadata"]["labels"] for spec in DEPLOYMENTS.values()]
    [service] = [each["spec"] for each in OBJECTS if each["kind"] == "Service"]
    [budget] = [each["spec"] for each in OBJECTS if each["kind"] == "PodDisruptionBudget"]
    assert service["selector"] in labels
    assert budget["selector"]["matchLabels"] in labels
    [scaler] = [each["spec"] for each in OBJECTS if each["kind"] == "HorizontalPodAutoscaler"]
    assert scaler["scaleTargetRef"]["name"] in DEPLOYMENTS
    assert "replicas" not in DEPLOYMENTS[scaler["scaleTargetRef"]["name"]]
