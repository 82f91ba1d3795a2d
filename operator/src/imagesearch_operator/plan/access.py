"""How a collection's pods get to Kafka and Elasticsearch: addresses as settings, passwords and authorities by one Secret."""

from base64 import b64encode
from pathlib import Path
from typing import Any, Final, NamedTuple

from imagesearch_contract.settings import ElasticsearchSettings, KafkaConnection
from pydantic import SecretStr

from imagesearch_operator import naming
from imagesearch_operator.facts import Facts, Manifest
from imagesearch_operator.plan.objects import owned
from imagesearch_operator.plan.pods import Json, secret_value
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Collection, KeyRef

DIRECTORY: Final = Path("/etc/imagesearch/stores")
_VOLUME: Final = "stores"


class Store(NamedTuple):
    """One store as pods see it."""

    fields: dict[str, Any]
    """Of the class of settings that says where the store is."""
    variable: str
    """The environment variable of the password."""
    key: str
    """The password's key in the Secret."""
    password: SecretStr | None
    authority: str | None
    """The file, and key in the Secret, of the authority that the store's certificate is signed by."""


def kafka(settings: OperatorSettings) -> Store:
    """Kafka."""
    authority = "kafka-ca.crt" if settings.kafka_ca_path else None
    fields = settings.model_dump(include=set(KafkaConnection.model_fields))
    fields["kafka_ca_path"] = DIRECTORY / authority if authority else None
    return Store(fields, "KAFKA_PASSWORD", "kafka-password", settings.kafka_password, authority)


def elasticsearch(settings: OperatorSettings) -> Store:
    """Elasticsearch."""
    authority = "elasticsearch-ca.crt" if settings.elasticsearch_ca_path else None
    fields = settings.model_dump(include=set(ElasticsearchSettings.model_fields))
    fields["elasticsearch_ca_path"] = DIRECTORY / authority if authority else None
    password = settings.elasticsearch_password
    return Store(fields, "ELASTICSEARCH_PASSWORD", "elasticsearch-password", password, authority)


def passwords(collection: Collection, *stores: Store) -> list[Json]:
    """The stores' passwords as environment variables."""
    name = naming.credentials(collection.name)
    return [secret_value(store.variable, KeyRef(name=name, key=store.key)) for store in stores if store.password]


def volumes(collection: Collection, *stores: Store) -> list[Json]:
    """The volume of the stores' authorities, where there are any."""
    items = [{"key": store.authority, "path": store.authority} for store in stores if store.authority]
    source = {"secretName": naming.credentials(collection.name), "items": items}
    return [{"name": _VOLUME, "secret": source}] if items else []


def mounts(*stores: Store) -> list[Json]:
    """Where `volumes` goes."""
    mount = {"name": _VOLUME, "mountPath": str(DIRECTORY), "readOnly": True}
    return [mount] if any(store.authority for store in stores) else []


def secret(collection: Collection, facts: Facts, *stores: Store) -> list[Manifest]:
    """The Secret, where there is something to keep in it."""
    content = {store.key: store.password.get_secret_value() for store in stores if store.password}
    content |= {
        store.authority: facts.authorities[store.authority]
        for store in stores
        if store.authority and store.authority in facts.authorities
    }
    data = {key: b64encode(value.encode()).decode() for key, value in content.items()}
    name = naming.credentials(collection.name)
    return [owned(collection, "v1", "Secret", name, "stores", type="Opaque", data=data)] if data else []
