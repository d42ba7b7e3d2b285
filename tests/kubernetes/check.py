"""What the Kustomize examples promise beyond their schemas; reads their YAML from stdin."""

import sys
from typing import Any

import yaml

DRAIN_S = 120  # LLAMAQ_DRAIN_S


def pods(resources: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pod of each Deployment and StatefulSet."""
    kinds = ("Deployment", "StatefulSet")
    return {
        resource["metadata"]["name"]: resource["spec"]["template"]["spec"]
        for resource in resources
        if resource["kind"] in kinds
    }


def check(resources: list[dict[str, Any]], accelerator: str) -> None:
    """Asserts all of it; `accelerator` is the resource that the worker's server wants, or ""."""
    assert all(resource["kind"] != "Secret" for resource in resources), "a secret in a file"
    found = pods(resources)
    assert set(found) == {"api", "redis", "worker"}
    for name, pod in found.items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            check_container(container)
    check_end_of_worker(found["worker"], accelerator)
    api = found["api"]["containers"][0]
    assert api["livenessProbe"]["httpGet"]["path"] == "/health"
    assert api["readinessProbe"]["httpGet"]["path"] == "/ready"
    budgets = [resource for resource in resources if resource["kind"] == "PodDisruptionBudget"]
    assert [budget["spec"]["minAvailable"] for budget in budgets] == [1]


def check_container(container: dict[str, Any]) -> None:
    """Confined, of an exact image, and told of secrets only by their names."""
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"]["drop"] == ["ALL"]
    tag = container["image"].partition(":")[2]
    assert any(letter.isdigit() for letter in tag), container["image"]
    for variable in container.get("env", []):
        if variable["name"].endswith(("PASSWORD", "SECRET")):
            assert variable["valueFrom"]["secretKeyRef"]["name"] == "llamaq"


def check_end_of_worker(pod: dict[str, Any], accelerator: str) -> None:
    """Sidecars end after the containers: the server must be one, and the bridge none."""
    assert [container["name"] for container in pod["containers"]] == ["bridge"]
    sidecars = {each["name"]: each for each in pod["initContainers"] if "restartPolicy" in each}
    assert set(sidecars) == {"llama-server"}
    assert pod["terminationGracePeriodSeconds"] >= DRAIN_S + 30
    server = sidecars["llama-server"]
    assert server["args"][server["args"].index("--host") + 1] == "127.0.0.1"
    limits = server["resources"].get("limits", {})
    assert limits == ({accelerator: "1"} if accelerator else {}), limits


if __name__ == "__main__":
    check(list(yaml.safe_load_all(sys.stdin)), sys.argv[1])
