"""The inside of every planned pod: hardened as the restricted Pod Security Standard wants it, with a writable /tmp only."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import KeyRef

Json = dict[str, Any]

USER: Final = 10001
"""As the images have it."""
TMP: Final[Json] = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108  a volume of the pod's own

CONTAINER_SECURITY: Final[Json] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def pod(
    settings: OperatorSettings, main: Json, *, volumes: Sequence[Json] = (), token: bool = False, **more: Any
) -> Json:
    """A pod spec of one container.

    Args:
        settings: the operator's.
        main: the container.
        volumes: beside the one at /tmp.
        token: whether it talks to the Kubernetes API.
        **more: other fields of the spec.
    """
    spec: Json = {
        "automountServiceAccountToken": token,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [main],
        "volumes": [{"name": "tmp", "emptyDir": {}}, *volumes],
        **more,
    }
    if settings.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return spec


def container(
    settings: OperatorSettings,
    name: str,
    image: str,
    *,
    env: Sequence[Json] = (),
    mounts: Sequence[Json] = (),
    **more: Any,
) -> Json:
    """A container; what it says last is what its pod's status tells."""
    main: Json = {
        "name": name,
        "image": image,
        "imagePullPolicy": settings.image_pull_policy,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [TMP, *mounts],
        **more,
    }
    return main | ({"env": list(env)} if env else {})


def values(variables: Mapping[str, str]) -> list[Json]:
    """Environment variables, in the order of their names."""
    return [{"name": name, "value": value} for name, value in sorted(variables.items())]


def secret_value(variable: str, ref: KeyRef) -> Json:
    """An environment variable that a Secret gives."""
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": ref.name, "key": ref.key}}}


def field_value(variable: str, path: str) -> Json:
    """An environment variable that the pod itself gives."""
    return {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}}
