from pathlib import Path
from typing import Any

import pytest
from imagesearch_contract import settings
from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.settings import (
    EmbedderSettings,
    EncoderServiceSettings,
    FlickrSource,
    ManifestSource,
    ProducerSettings,
    ReplaySettings,
    SearchSettings,
    Settings,
    SettingsError,
)

EXAMPLES: list[Settings] = [
    ProducerSettings(topic="t", source=FlickrSource(text="playing, dogs", tags=("a", "b,c"), user_id="1@N00"), quota=7),
    ProducerSettings(topic="t", source=ManifestSource(url="pictures", format="csv"), source_name="list"),
    ReplaySettings(topic="t", reason=Reason.DEAD_LINK),
    ReplaySettings(topic="t", reason="all", summary_path=Path("/dev/termination-log")),
    EmbedderSettings(
        topic="t",
        index="i",
        checkpoint_location="/var/checkpoint",
        model_name="starter",
        model_version="1",
        allowed_hosts=("live.staticflickr.com", "*.example.org"),
        allowed_networks=("127.0.0.0/8", "::1/128"),
        trigger_seconds=0.5,
    ),
    EncoderServiceSettings(model_name="starter", model_version="1", gpus_per_replica=0.5),
    SearchSettings(
        web_dir=Path("web/dist"),
        elasticsearch_username="elastic",
        access_keys_path=Path("keys.yaml"),
        requests_per_minute=600,
        trusted_proxies=("10.0.0.0/8", "fd00::/8"),
        cors_allowed_origins=("https://pictures.example.org",),
        log_queries=True,
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_settings_survive_the_environment(example: Settings) -> None:
    assert type(example).from_env(example.to_env()) == example


def test_every_settings_class_has_an_example() -> None:
    leaves = {cls for cls in vars(settings).values() if isinstance(cls, type) and issubclass(cls, Settings)}
    leaves -= {base for cls in leaves for base in cls.__mro__[1:]}
    assert leaves == {type(example) for example in EXAMPLES}


def test_secrets_are_read_from_the_environment_and_never_written_to_it_or_shown() -> None:
    base = ProducerSettings(topic="t", source=FlickrSource(text="dogs"))
    read = ProducerSettings.from_env(base.to_env() | {"FLICKR_API_KEY": "s3cret"})
    assert read.flickr_api_key is not None
    assert read.flickr_api_key.get_secret_value() == "s3cret"
    assert "s3cret" not in str(read.to_env()) + repr(read) + read.model_dump_json()


def test_an_empty_variable_counts_as_unset() -> None:
    assert SearchSettings.from_env({"IMAGESEARCH_PORT": ""}).port == 8080


@pytest.mark.parametrize(
    ("environ", "complaints"),
    [
        ({}, ["IMAGESEARCH_TOPIC: Field required", "IMAGESEARCH_SOURCE: Field required"]),
        ({"IMAGESEARCH_TOPIC": "t", "IMAGESEARCH_SOURCE": "{"}, ["IMAGESEARCH_SOURCE"]),
        ({"IMAGESEARCH_TOPIC": "t", "IMAGESEARCH_SOURCE": '{"kind": "s3"}'}, ["IMAGESEARCH_SOURCE", "flickr"]),
        ({"IMAGESEARCH_TOPIC": "t", "IMAGESEARCH_QUOTA": "many"}, ["IMAGESEARCH_QUOTA", "integer"]),
    ],
)
def test_a_faulty_environment_is_told_variable_by_variable(environ: dict[str, str], complaints: list[Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        ProducerSettings.from_env(environ)
    for complaint in complaints:
        assert complaint in str(caught.value)


def test_a_client_of_elasticsearch_is_given_address_trust_and_credentials() -> None:
    plain = SearchSettings()
    assert plain.elasticsearch_client == {"hosts": "http://127.0.0.1:9200"}
    secured = SearchSettings.from_env(
        SearchSettings(elasticsearch_username="elastic", elasticsearch_ca_path=Path("ca.crt")).to_env()
        | {"ELASTICSEARCH_PASSWORD": "s3cret"}
    )
    assert secured.elasticsearch_client == plain.elasticsearch_client | {
        "basic_auth": ("elastic", "s3cret"),
        "ca_certs": "ca.crt",
    }
