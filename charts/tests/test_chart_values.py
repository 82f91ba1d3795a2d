"""Values: a mistake is refused in words, and what the pods are told is what the services read."""

import json
from typing import Any

import pytest
import yaml
from imagesearch_contract.settings import SearchSettings
from imagesearch_operator.settings import OperatorSettings

pytestmark = pytest.mark.integration

TRIAL = ("kafka.embedded.enabled=true", "elasticsearch.embedded.enabled=true")


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ("kafka.embeded.enabled=true", "at '/kafka': additional properties 'embeded' not allowed"),
        ("search.replicaCount=3", "at '/search': additional properties 'replicaCount' not allowed"),
        ("operator.pod.nodeselector.a=b", "at '/operator/pod': additional properties 'nodeselector' not allowed"),
        ("operator.workers=many", "at '/operator/workers': got string, want integer"),
        ("search.replicas=-1", "at '/search/replicas': minimum: got -1, want 0"),
        ("images.pullPolicy=Sometimes", "'Always', 'IfNotPresent', 'Never'"),
        ("images.operator.digest=sha256:12", "at '/images/operator/digest': 'sha256:12' does not match pattern"),
        ("fetch.allowedNetworks={10.0.0.0}", "at '/fetch/allowedNetworks/0': '10.0.0.0' does not match pattern"),
        ("search.access.keysSecret=keys", "at '/search/access/keysSecret': got string, want object"),
        ("search.maxConcurrentSearches=0", "at '/search/maxConcurrentSearches': minimum: got 0, want 1"),
        ("search.trustedProxies={10.0.0.1}", "at '/search/trustedProxies/0': '10.0.0.1' does not match pattern"),
        ("search.cors.allowedOrigins={example.org}", "'example.org' does not match pattern"),
        ("kafka.topicReplicationFactor=0", "at '/kafka/topicReplicationFactor'"),
        ("kafka.bootstrapServers=kafka:9092", "Two Kafkas: unset kafka.bootstrapServers"),
        ("kafka.embedded.enabled=false", "No Kafka: set kafka.bootstrapServers to the address of yours"),
        ("kafka.securityProtocol=SSL", "The embedded Kafka speaks PLAINTEXT only"),
        ("elasticsearch.url=http://elasticsearch:9200", "Two Elasticsearches: unset elasticsearch.url"),
        ("elasticsearch.embedded.enabled=false", "No Elasticsearch: set elasticsearch.url to the address of yours"),
        ("elasticsearch.username=me", "The embedded Elasticsearch knows the user elastic only"),
        ("mlflow.enabled=false", "No MLflow: set mlflow.trackingUri to the address of yours"),
        ("mlflow.trackingUri=http://mlflow:5000", "Two MLflows: unset mlflow.trackingUri"),
        ("search.ingress.enabled=true", "search.ingress.enabled wants search.ingress.host"),
    ],
)
def test_a_mistake_is_refused_in_words(helm, chart, mistake, words):
    done = helm("template", chart, "--kube-version", "1.36", "--set", ",".join(TRIAL), "--set", mistake)

    assert not done.ok
    assert words in done.text


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("kafka.username=", "kafka.securityProtocol=SASL_SSL wants kafka.username, and kafka.existingSecret"),
        ("kafka.existingSecret=", 'a Secret in namespace imagesearch whose key "secret" (kafka.passwordKey)'),
        ("elasticsearch.existingSecret=", "elasticsearch.username and elasticsearch.existingSecret go together"),
        ("elasticsearch.url=https://elasticsearch", "at '/elasticsearch/url': 'https://elasticsearch' does not match"),
    ],
)
def test_half_an_access_is_refused_in_words(helm, chart, missing, words):
    done = helm(
        *("template", chart, "--kube-version", "1.36", "--namespace", "imagesearch"),
        *("--values", chart / "ci" / "yours-values.yaml", "--set", missing),
    )

    assert not done.ok
    assert words in done.text


def test_the_schema_names_every_value(chart):
    values = yaml.safe_load((chart / "values.yaml").read_text())
    schema = json.loads((chart / "values.schema.json").read_text())

    assert _paths(values) == _schema_paths(schema, schema) - {"global"}


def test_the_operator_reads_the_address_of_everything_that_is_yours(render):
    settings = OperatorSettings.from_env(_environment(render("yours"), "operator"))

    assert settings.kafka_bootstrap_servers == "kafka-0.example.org:9093,kafka-1.example.org:9094"
    assert settings.kafka_security_protocol == "SASL_SSL"
    assert settings.kafka_sasl_mechanism == "SCRAM-SHA-256"
    assert settings.kafka_username == "imagesearch"
    assert settings.kafka_password
    assert settings.kafka_password.get_secret_value() == "kafka/secret"
    assert str(settings.kafka_ca_path) == "/etc/imagesearch/stores/kafka-ca.crt"
    assert settings.elasticsearch_url == "https://elasticsearch.example.org:9243/search"
    assert settings.elasticsearch_password
    assert settings.elasticsearch_password.get_secret_value() == "elasticsearch/password"
    assert str(settings.elasticsearch_ca_path) == "/etc/imagesearch/stores/elasticsearch-ca.crt"
    assert settings.mlflow_tracking_uri == "https://mlflow.example.org"
    assert (settings.topic_partitions, settings.topic_replication_factor) == (12, 3)


def test_the_authorities_lie_where_the_settings_point(render):
    for part in ("operator", "search"):
        pod = _pod(render("yours"), part)
        (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "stores"]
        (mount,) = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "stores"]
        files = {
            f"{mount['mountPath']}/{item['path']}": (source["secret"]["name"], item["key"])
            for source in volume["projected"]["sources"]
            for item in source["secret"]["items"]
        }
        named = {value for name, value in _environment(render("yours"), part).items() if name.endswith("_CA_PATH")}

        assert set(files) == named
        assert files["/etc/imagesearch/stores/elasticsearch-ca.crt"] == ("elasticsearch-ca", "tls.crt")


def test_a_trial_is_given_its_own_stores(render):
    objects = render("trial")
    settings = OperatorSettings.from_env(_environment(objects, "operator"))
    services = {item["metadata"]["name"] for item in objects if item["kind"] == "Service"}

    for address in (settings.kafka_bootstrap_servers, settings.elasticsearch_url, settings.mlflow_tracking_uri):
        host = address.removeprefix("http://").split(":")[0]
        assert host.removesuffix(".imagesearch.svc") in services
    (properties,) = [
        item["data"]["server.properties"] for item in objects if "server.properties" in item.get("data", {})
    ]
    assert f"advertised.listeners=PLAINTEXT://{settings.kafka_bootstrap_servers}\n" in properties
    assert settings.elasticsearch_username == "elastic"
    assert settings.elasticsearch_password
    assert settings.elasticsearch_password.get_secret_value() == "imagesearch-elasticsearch/password"


def test_the_operator_knows_every_variable_and_the_chart_every_setting(render):
    known = set(OperatorSettings.env_names().values())
    given = {
        values: set(_environment(render(values), "operator")) for values in ("trial", "yours", "namespaced", "full")
    }

    assert set().union(*given.values()) - {"HTTPS_PROXY"} == known


def test_lists_and_numbers_arrive_as_they_were_meant(render):
    settings = OperatorSettings.from_env(
        {name: value for name, value in _environment(render("full"), "operator").items() if name != "HTTPS_PROXY"}
    )

    assert settings.allowed_hosts == ("*.example.org", "example.net")
    assert settings.allowed_networks == ("10.1.0.0/16", "fd00::/8")
    assert settings.image_pull_secrets == ("registry", "mirror")
    assert settings.resync_seconds == 60.5
    assert settings.producer_image == "registry.example.org:5000/imagesearch/producer:1.2.3"
    assert settings.storage_class == "fast"
    assert settings.flickr_endpoint == "http://flickr-standin.standins.svc:8091/services/rest/"


def test_the_operator_watches_the_namespaces_that_are_named(render):
    assert OperatorSettings.from_env(_environment(render("namespaced"), "operator")).namespaces == ("team-a", "team-b")
    assert OperatorSettings.from_env(_environment(render("trial"), "operator")).namespaces == ()


@pytest.mark.parametrize("values", ["trial", "yours", "namespaced", "full"])
def test_the_search_api_reads_what_it_is_given(render, values):
    environment = _environment(render(values), "search")
    environment.pop("OTHER", None)

    settings = SearchSettings.from_env(environment)

    assert set(environment) <= set(SearchSettings.env_names().values())
    assert (settings.host, settings.port) == ("0.0.0.0", 8080)
    assert settings.max_depth == (500 if values == "full" else 1000)
    assert bool(settings.elasticsearch_password) == (values != "namespaced")


def test_the_search_api_is_told_whom_to_let_in_and_how_much(render):
    settings = SearchSettings.from_env(_without(_environment(render("full"), "search"), "OTHER"))

    assert settings.requests_per_minute == 600
    assert settings.max_concurrent_searches == 64
    assert settings.request_timeout_seconds == 12.5
    assert settings.trusted_proxies == ("10.2.0.0/16", "fd01::/16")
    assert settings.cors_allowed_origins == ("https://pictures.example.org", "http://localhost:5173")
    assert settings.log_queries


def test_by_default_it_lets_everybody_in_as_it_does_by_itself(render):
    settings, itself = SearchSettings.from_env(_environment(render("trial"), "search")), SearchSettings()

    for name in (
        *("access_keys_path", "requests_per_minute", "trusted_proxies", "max_concurrent_searches"),
        *("request_timeout_seconds", "cors_allowed_origins", "log_queries"),
    ):
        assert getattr(settings, name) == getattr(itself, name)
    assert [volume["name"] for volume in _pod(render("trial"), "search")["volumes"]] == ["tmp"]


def test_the_keys_lie_where_the_settings_point_and_can_change(render):
    pod = _pod(render("full"), "search")
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "access"]
    (mount,) = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "access"]
    (item,) = volume["secret"]["items"]

    assert (volume["secret"]["secretName"], item["key"]) == ("search-keys", "list.json")
    assert (
        f"{mount['mountPath']}/{item['path']}" == _environment(render("full"), "search")["IMAGESEARCH_ACCESS_KEYS_PATH"]
    )
    assert "subPath" not in mount  # a file that is mounted by itself is never brought up to date


def test_without_the_page_the_image_is_told_to_serve_none(render):
    assert _environment(render("namespaced"), "search")["IMAGESEARCH_WEB_DIR"] == ""
    assert "IMAGESEARCH_WEB_DIR" not in _environment(render("trial"), "search")


def _pod(objects: list[dict[str, Any]], part: str) -> dict[str, Any]:
    (pod,) = [
        item["spec"]["template"]["spec"]
        for item in objects
        if item["kind"] in ("Deployment", "StatefulSet") and item["metadata"]["name"] == f"imagesearch-{part}"
    ]
    return pod


def _environment(objects: list[dict[str, Any]], part: str) -> dict[str, str]:
    """The part's environment; what comes of a Secret is `<secret>/<key>`."""
    return {
        variable["name"]: variable["value"] if "value" in variable else "/".join(_secret_key(variable))
        for variable in _pod(objects, part)["containers"][0]["env"]
    }


def _without(environment: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key != name}


def _secret_key(variable: dict[str, Any]) -> tuple[str, str]:
    reference = variable["valueFrom"]["secretKeyRef"]
    return reference["name"], reference["key"]


def _paths(values: Any, stem: str = "") -> set[str]:
    """Every value's path; what a user fills in (labels, tolerations, resources) is one value."""
    if not isinstance(values, dict) or not values or stem.endswith((".requests", ".limits")):
        return {stem}
    return set().union(*(_paths(value, f"{stem}.{key}".strip(".")) for key, value in values.items()))


def _schema_paths(schema: dict[str, Any], root: dict[str, Any], stem: str = "") -> set[str]:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name == "pod" and stem != "pod":
            return {stem}
        return _schema_paths(root["$defs"][name], root, stem)
    if not (properties := {key: value for key, value in schema.get("properties", {}).items() if key != "claims"}):
        return {stem}
    return set().union(*(_schema_paths(value, root, f"{stem}.{key}".strip(".")) for key, value in properties.items()))
