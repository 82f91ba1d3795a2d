"""MLflow's model registry, over its REST API: which version of a model is meant, and how long its vectors are."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import aiohttp
from imagesearch_contract import names

from imagesearch_operator.facts import ModelVersion, Unknown
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Model
from imagesearch_operator.stores.errors import StoreError

REQUEST_SECONDS: Final = 15.0
_API: Final = "/api/2.0/mlflow"
_NEWEST: Final = 50
"""So many versions of a model are looked through for one that can be used."""
_logger = logging.getLogger(__name__)

Answer = ModelVersion | Unknown | None


class Registry:
    """The registered models."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address
        self._seen: dict[Model, Answer] = {}

    @classmethod
    @asynccontextmanager
    async def connect(cls, settings: OperatorSettings) -> AsyncIterator[Self]:
        """The registry of the settings; nothing is asked yet."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield cls(session, settings.mlflow_tracking_uri.rstrip("/"))

    async def look(self, models: Iterable[Model]) -> None:
        """Look these models up anew, and forget all others."""
        asked = list(models)
        answers = await asyncio.gather(*(self._find(model) for model in asked))
        before, self._seen = self._seen, dict(zip(asked, answers, strict=True))
        troubles = {answer for answer in answers if isinstance(answer, Unknown)}
        for trouble in troubles.difference(before.values()):
            _logger.warning("%s", trouble.message)

    async def model(self, model: Model) -> Answer:
        """The version that is meant; None: a model by name that is not registered."""
        if model not in self._seen:
            self._seen[model] = await self._find(model)
        return self._seen[model]

    async def _find(self, model: Model) -> Answer:
        try:
            if model.registry is None:
                return await self._newest(names.registered_name(model.name or ""))
            return await self._registered(model.registry.name, model.registry.version, model.registry.alias)
        except StoreError as error:
            return error.unknown

    async def _newest(self, name: str) -> ModelVersion | None:
        found = await self._get(
            "model-versions/search",
            filter="name = '{}'".format(name.replace("'", "''")),
            max_results=str(_NEWEST),
            order_by="version_number DESC",
        )
        usable = (_usable(version) for version in (found or {}).get("model_versions", ()))
        return next((version for version in usable if version is not None), None)

    async def _registered(self, name: str, version: str | None, alias: str | None) -> Answer:
        if alias is not None:
            found = await self._get("registered-models/alias", name=name, alias=alias)
            wanted = f"{name}@{alias}"
        else:
            found = await self._get("model-versions/get", name=name, version=version or "")
            wanted = f"{name}/{version}"
        if found is None:
            return Unknown(
                "ModelNotRegistered",
                f"MLflow at {self._address} has no model {wanted}. Register it, or name another in `spec.model.registry`.",
            )
        usable = _usable(found["model_version"])
        return usable or Unknown(
            "ModelNotUsable",
            f"Model {wanted} has no tag {names.MODEL_DIMS_TAG}, so it was not made for image search. Register it with "
            "`imagesearch-model register`.",
        )

    async def _get(self, path: str, **params: str) -> dict[str, Any] | None:
        try:
            async with self._session.get(f"{self._address}{_API}/{path}", params=params) as answer:
                if answer.status == 404 or (answer.status == 400 and "not found" in await answer.text()):
                    return None
                if answer.status in (401, 403):
                    raise StoreError(
                        "MlflowRefused", f"MLflow at {self._address} refuses the operator (HTTP {answer.status})."
                    )
                if answer.status != 200:
                    raise StoreError("MlflowError", f"MLflow at {self._address} answered with HTTP {answer.status}.")
                found: dict[str, Any] = await answer.json()
                return found
        except (aiohttp.ClientError, TimeoutError) as error:
            raise StoreError(
                "MlflowUnreachable",
                f"MLflow does not answer at {self._address} ({type(error).__name__}). It is asked again by itself; if it "
                "runs, check `mlflow.trackingUri` and the network policies.",
            ) from error


def _usable(version: dict[str, Any]) -> ModelVersion | None:
    tags = {tag["key"]: tag["value"] for tag in version.get("tags", ())}
    dims = tags.get(names.MODEL_DIMS_TAG, "")
    return ModelVersion(version["name"], version["version"], int(dims)) if dims.isdigit() else None
