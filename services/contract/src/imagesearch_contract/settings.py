"""The settings of each service: one frozen model, written to and read from the environment.

Whoever starts a service (the operator, the local stack) builds the model and calls `to_env()`; the service calls
`from_env()`. So no variable's name is typed twice. A field `trigger_seconds` is `IMAGESEARCH_TRIGGER_SECONDS`;
a tuple of strings is comma-separated, anything nested is JSON. Secrets are read from the environment under the name
given beside them, and never written by `to_env()`: they reach a pod by reference.
"""

import json
import os
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from imagesearch_contract import names
from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.record import Url

PREFIX = "IMAGESEARCH_"
_ORIGIN = re.compile(r"https?://[^/\s@?#*]+")


class SettingsError(ValueError):
    """The environment does not give a service what it needs; the message names each variable and what is wrong."""


class Settings(BaseModel):
    """The base of every service's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def env_names(cls) -> dict[str, str]:
        """Field name -> environment variable."""
        return {name: _secret(field) or PREFIX + name.upper() for name, field in cls.model_fields.items()}

    def to_env(self) -> dict[str, str]:
        """The environment that gives these settings back; secrets and unset fields are left out."""
        values = self.model_dump(mode="json", exclude_none=True)
        return {
            PREFIX + name.upper(): _to_text(values[name])
            for name, field in type(self).model_fields.items()
            if values.get(name) not in (None, []) and not _secret(field)
        }

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings; `environ` defaults to the process's.

        Raises:
            SettingsError: a variable is missing or has a value that does not fit.
        """
        environ = os.environ if environ is None else environ
        names_of = cls.env_names()
        try:
            return cls.model_validate(
                {
                    field: _from_text(environ[variable], cls.model_fields[field].annotation)
                    for field, variable in names_of.items()
                    if environ.get(variable)
                }
            )
        except ValidationError as error:
            faults = [
                f"{names_of.get(str(fault['loc'][0]), fault['loc'][0]) if fault['loc'] else 'environment'}: {fault['msg']}"
                for fault in error.errors(include_url=False)
            ]
            raise SettingsError(f"{cls.__name__} cannot be read from the environment: " + "; ".join(faults)) from error


def _secret(field: Any) -> str | None:
    extra = field.json_schema_extra
    return extra.get("env") if isinstance(extra, dict) else None


def _to_text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list() if all(isinstance(item, str) and "," not in item for item in value):
            return ",".join(value)
        case list() | dict():
            return json.dumps(value)
        case _:
            return str(value)


def _from_text(text: str, annotation: Any) -> Any:
    if text.startswith(("{", "[")):
        try:
            return json.loads(text)
        except ValueError:
            return text  # a host such as `[::1]:9092`; pydantic judges it
    if annotation == tuple[str, ...]:
        return tuple(item.strip() for item in text.split(",") if item.strip())
    return text


class KafkaConnection(Settings):
    """Where Kafka is, and how to be let in."""

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str | None = None
    kafka_ca_path: Path | None = Field(default=None, description="PEM; None trusts what the system trusts.")
    kafka_password: SecretStr | None = Field(default=None, exclude=True, json_schema_extra={"env": "KAFKA_PASSWORD"})

    @property
    def kafka_client(self) -> dict[str, str]:
        """What a client of librdkafka (confluent-kafka) is made with: address, trust and credentials."""
        options = {"bootstrap.servers": self.kafka_bootstrap_servers}
        if self.kafka_security_protocol != "PLAINTEXT":
            options["security.protocol"] = self.kafka_security_protocol
        if self.kafka_security_protocol.startswith("SASL"):
            options |= {
                "sasl.mechanism": self.kafka_sasl_mechanism,
                "sasl.username": self.kafka_username or "",
                "sasl.password": self.kafka_password.get_secret_value() if self.kafka_password else "",
            }
        if self.kafka_ca_path:
            options["ssl.ca.location"] = str(self.kafka_ca_path)
        return options


class KafkaSettings(KafkaConnection):
    """A collection's topic, and how to reach it."""

    topic: str = Field(min_length=1, max_length=249)

    @property
    def dead_letter_topic(self) -> str:
        """The topic for records that could not be used."""
        return names.dead_letter_topic(self.topic)

    @property
    def state_topic(self) -> str:
        """The topic in which sources keep how far they are."""
        return names.state_topic(self.topic)


class ElasticsearchSettings(Settings):
    """Where Elasticsearch is, and how to be let in."""

    elasticsearch_url: str = "http://127.0.0.1:9200"
    elasticsearch_username: str | None = None
    elasticsearch_ca_path: Path | None = None
    elasticsearch_password: SecretStr | None = Field(
        default=None, exclude=True, json_schema_extra={"env": "ELASTICSEARCH_PASSWORD"}
    )

    @property
    def elasticsearch_client(self) -> dict[str, Any]:
        """What the client, of either kind, is made with: address, trust and credentials."""
        options: dict[str, Any] = {"hosts": self.elasticsearch_url}
        if self.elasticsearch_username and self.elasticsearch_password:
            options["basic_auth"] = (self.elasticsearch_username, self.elasticsearch_password.get_secret_value())
        if self.elasticsearch_ca_path:
            options["ca_certs"] = str(self.elasticsearch_ca_path)
        return options


class FetchSettings(Settings):
    """What the fetcher may reach and how much it takes. The defaults refuse every address that is not public."""

    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="Host names, or `*.domain`; empty allows every public host."
    )
    allowed_networks: tuple[str, ...] = Field(
        default=(), description="CIDR networks that are let through although they are not public."
    )
    fetch_timeout_seconds: float = Field(
        default=10.0, gt=0, description="For one picture in total, redirects included."
    )
    fetch_max_bytes: int = Field(default=10 * 2**20, gt=0)
    fetch_concurrency: int = Field(default=32, gt=0)
    fetch_concurrency_per_host: int = Field(default=16, gt=0)
    fetch_requests_per_second_per_host: float | None = Field(
        default=None, gt=0, description="How many fetches from one host a process begins each second; None is no limit."
    )
    max_pixels: int = Field(
        default=40_000_000, gt=0, description="Width times height above which a picture is refused."
    )


class ModelSettings(Settings):
    """Which registered model, and where the registry is."""

    mlflow_tracking_uri: str = "http://127.0.0.1:5000"
    model_name: str = Field(min_length=1)
    model_version: str = Field(min_length=1)

    @property
    def model_uri(self) -> str:
        """The model's address in the registry."""
        return names.model_uri(self.model_name, self.model_version)

    @property
    def model_label(self) -> str:
        """`<name>/<version>`: how documents and the encoder service name the model."""
        return names.model_label(self.model_name, self.model_version)


class FlickrSource(BaseModel):
    """Photos found by `flickr.photos.search`. At least one of the four criteria is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["flickr"] = "flickr"
    text: str | None = Field(default=None, min_length=1)
    tags: tuple[str, ...] = ()
    tag_mode: Literal["any", "all"] = "any"
    user_id: str | None = None
    group_id: str | None = None
    licenses: tuple[str, ...] = Field(
        default=("CC-BY-2.0", "CC-BY-SA-2.0", "CC0-1.0", "CC-PDM-1.0", "CC-BY-4.0", "CC-BY-SA-4.0"),
        min_length=1,
        description="SPDX identifiers of the licences that are taken.",
    )
    safe_search: Literal["safe", "moderate", "restricted"] = "safe"
    min_upload_date: str | None = Field(
        default=None, description="ISO 8601 date; photos uploaded earlier are left out."
    )
    sweep_days: int = Field(
        default=7,
        ge=1,
        le=365,
        description="How often the source is compared whole with what Flickr has, for edits and deletions.",
    )
    endpoint: Url = "https://api.flickr.com/services/rest/"


class ManifestSource(BaseModel):
    """Photos listed in a file, one record a line or row, by URL or path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["manifest"] = "manifest"
    url: str = Field(min_length=1, description="http(s) URL, or the path of a file.")
    format: Literal["auto", "jsonl", "csv", "parquet"] = Field(
        default="auto",
        description="`auto` goes by the name (`.csv`, `.parquet`, with or without `.gz`), else by the first bytes.",
    )
    max_takedown_percent: int = Field(
        default=50,
        ge=0,
        le=100,
        description="A run that would take down more of the source's photos at once takes the manifest for broken.",
    )


Source = Annotated[FlickrSource | ManifestSource, Field(discriminator="kind")]


class ProducerSettings(KafkaSettings, FetchSettings):
    """One source of one collection, for one run."""

    source: Source
    source_name: str = Field(
        default="source",
        min_length=1,
        description="Under which the source keeps how far it is, and owns what it published.",
    )
    quota: int | None = Field(default=None, gt=0, description="At most so many records published in one run.")
    flickr_api_key: SecretStr | None = Field(default=None, exclude=True, json_schema_extra={"env": "FLICKR_API_KEY"})


class ReplaySettings(KafkaSettings):
    """One replay of dead letters."""

    reason: Reason | Literal["all"] = Field(description="Which letters are replayed.")
    summary_path: Path | None = Field(
        default=None,
        description="A file that is given the summary line, too: what Kubernetes shows as the pod's last word.",
    )


class EmbedderSettings(KafkaSettings, ElasticsearchSettings, FetchSettings, ModelSettings):
    """One collection's embedder."""

    index: str = Field(min_length=1)
    checkpoint_location: str = Field(min_length=1, description="A directory or Hadoop URL that outlives the driver.")
    spark_master: str = Field(
        default="local[2,4]", description="`local[2,4]` is two workers in this process, each task tried four times."
    )
    spark_jars: tuple[str, ...] = Field(
        default=(),
        description="Jars of Spark's Kafka connector, or patterns; empty lets Spark fetch them from Maven Central.",
    )
    spark_ui_port: int = Field(default=0, ge=0, le=65535, description="Port of Spark's own web page; 0 is none.")
    metrics_port: int = Field(default=0, ge=0, le=65535, description="Where Prometheus asks the driver; 0 is none.")
    trigger_seconds: float = Field(
        default=5.0, ge=0, description="Between two looks at the topic; while records wait, the next is at once."
    )
    max_records_per_trigger: int = Field(default=512, gt=0)
    batch_size: int = Field(default=32, gt=0, description="Pictures encoded at once.")
    encoder_threads: int = Field(default=1, gt=0, description="Threads of the encoder in each Spark worker.")


class EncoderServiceSettings(ModelSettings):
    """The Ray Serve application of one model."""

    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(default=2, ge=1)
    target_ongoing_requests: float = Field(default=8, gt=0)
    max_batch_size: int = Field(default=16, gt=0)
    batch_wait_seconds: float = Field(
        default=0.0, ge=0, description="Wait for company; 0 encodes a lone request at once and batches while busy."
    )
    gpus_per_replica: float = Field(default=0, ge=0)
    cpus_per_replica: float = Field(default=1, gt=0)
    max_image_bytes: int = Field(default=10 * 2**20, gt=0)
    max_pixels: int = Field(default=40_000_000, gt=0)


def _networks(entries: tuple[str, ...]) -> tuple[str, ...]:
    for entry in entries:
        ip_network(entry)  # says what is wrong
    return entries


def _origins(entries: tuple[str, ...]) -> tuple[str, ...]:
    for entry in entries:
        if entry != "*" and not _ORIGIN.fullmatch(entry):
            raise ValueError(f"{entry!r} is no origin such as https://pictures.example.org (no path), and not *")
    return entries


class SearchSettings(ElasticsearchSettings, FetchSettings):
    """The search API of one release; it serves every collection."""

    default_namespace: str = names.DEFAULT_NAMESPACE
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    encoder_timeout_seconds: float = Field(default=5.0, gt=0)
    max_query_characters: int = Field(default=1_000, gt=0)
    max_depth: int = Field(default=1_000, gt=0, le=10_000, description="The largest `from + size` that is answered.")
    web_dir: Path | None = Field(default=None, description="The built web page, served at `/` where given.")
    access_keys_path: Path | None = Field(
        default=None, description="The file of API keys (YAML or JSON); without one everybody may search everything."
    )
    requests_per_minute: int | None = Field(
        default=None,
        gt=0,
        description="Of one client (a key, or an address without one) to one process; None is no limit.",
    )
    trusted_proxies: Annotated[tuple[str, ...], AfterValidator(_networks)] = Field(
        default=(), description="CIDR networks whose `X-Forwarded-For` is believed."
    )
    max_concurrent_searches: int = Field(
        default=32, gt=0, description="Under way in one process; a few more wait a moment, the rest is refused."
    )
    request_timeout_seconds: float = Field(
        default=30.0, gt=0, description="For one request, its body included; a client may ask for less."
    )
    cors_allowed_origins: Annotated[tuple[str, ...], AfterValidator(_origins)] = Field(
        default=(), description="Origins whose pages may ask this API, or `*`; empty allows none but its own."
    )
    log_queries: bool = Field(default=False, description="Whether the access log tells what was searched for.")
