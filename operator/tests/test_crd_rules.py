"""What a real API server makes of the CRD: what it fills in, what it refuses, and what it says then."""

import copy
import json
from typing import Any

import pytest
import specs
import yaml
from imagesearch_operator.spec import API_VERSION, KIND, Collection
from imagesearch_stack import StackError
from imagesearch_stack.control_plane import KubernetesApi

pytestmark = pytest.mark.integration

SHORT: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": KIND,
    "metadata": {"name": "birds", "namespace": "default"},
    "spec": {
        "sources": [{"name": "dogs", "flickr": {"tags": ["dog"], "apiKeySecretRef": {"name": "flickr"}}}],
        "model": {"name": "starter"},
    },
}

URL_SOURCE = {"name": "list", "manifest": {"url": "https://example.org/a.jsonl"}}


@pytest.fixture(scope="module")
def api(kubernetes_api: KubernetesApi) -> KubernetesApi:
    """An API server that knows ImageCollections."""
    kubernetes_api.apply_crds(specs.CRD_PATH)
    return kubernetes_api


def dry_run(api: KubernetesApi, body: dict[str, Any]) -> dict[str, Any]:
    """What the server would store."""
    options = ("--dry-run=server", "--validate=strict", "--output", "json")
    stored: dict[str, Any] = json.loads(api.kubectl("apply", *options, "-f", "-", stdin=yaml.safe_dump(body)))
    return stored


def changed(path: str, value: Any) -> dict[str, Any]:
    """The short collection with another value at `path`, such as `spec.sources.0.name`; None takes the field out."""
    body = copy.deepcopy(SHORT)
    *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
    place: Any = body
    for step in steps:
        place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return body


FLICKR = "spec.sources.0.flickr"

REFUSED = {
    "a dot in the name": ("metadata.name", "city.birds", "write city-birds, not City.Birds"),
    "a name that begins with a digit": ("metadata.name", "2birds", "beginning with a letter"),
    "a name of 41 characters": ("metadata.name", "a" * 41, "at most 40 lower-case letters"),
    "no source": ("spec.sources", [], "should have at least 1 items"),
    "no model": ("spec.model", None, "spec.model: Required value"),
    "a misspelt field": ("spec.sourcs", [], 'unknown field "spec.sourcs"'),
    "two kinds of source in one": (
        "spec.sources.0.manifest",
        URL_SOURCE["manifest"],
        "exactly one of flickr and manifest: write one of the two",
    ),
    "a source of no kind": (FLICKR, None, "exactly one of flickr and manifest: write one of the two"),
    "two sources of one name": ("spec.sources", [URL_SOURCE, URL_SOURCE], "Duplicate value"),
    "a source with a space in its name": ("spec.sources.0.name", "my dogs", "write playing-dogs, not Playing Dogs"),
    "a schedule in words": ("spec.sources.0.schedule", "every hour", "write '0 * * * *' or @hourly for every hour"),
    "a schedule with seconds": ("spec.sources.0.schedule", "0 0 * * * *", "schedule has five fields"),
    "a schedule with an hour too many": ("spec.sources.0.schedule", "0 24 * * *", "schedule has five fields"),
    "a schedule of an unknown macro": ("spec.sources.0.schedule", "@minutely", "schedule has five fields"),
    "a time zone by its offset": ("spec.sources.0.timeZone", "+02:00", "write Europe/Berlin or Etc/UTC"),
    "a quota of nothing": ("spec.sources.0.quota", 0, "should be greater than or equal to 1"),
    "nothing to look for": (f"{FLICKR}.tags", [], "write at least one of text, tags, userId and groupId"),
    "tags with commas": (f"{FLICKR}.tags", ["dog,beach"], "write each tag as an item of its own, tags: [dog, beach]"),
    "an unknown tag mode": (f"{FLICKR}.tagMode", "some", 'supported values: "any", "all"'),
    "a member by a name with a space": (
        f"{FLICKR}.userId",
        "NASA on The Commons",
        "write an NSID such as 44494372@N05",
    ),
    "a member at another site": (
        f"{FLICKR}.userId",
        "https://example.org/photos/nasa",
        "https://www.flickr.com/photos/",
    ),
    "a group by a member's address": (
        f"{FLICKR}.groupId",
        "https://www.flickr.com/photos/dogs/",
        "https://www.flickr.com/groups/dogs/",
    ),
    "a licence that Flickr does not have": (f"{FLICKR}.licenses", ["MIT"], 'supported values: "CC-BY-2.0"'),
    "a date in another order": (f"{FLICKR}.minUploadDate", "31.05.2024", "write 2024-05-31"),
    "no key for Flickr": (f"{FLICKR}.apiKeySecretRef", None, "apiKeySecretRef: Required value"),
    "two manifests in one": (
        "spec.sources",
        [{"name": "a", "manifest": {"url": "https://example.org/a", "configMapRef": {"name": "a"}}}],
        "exactly one of url and configMapRef: write one of the two",
    ),
    "a manifest of nothing": (
        "spec.sources",
        [{"name": "a", "manifest": {}}],
        "exactly one of url and configMapRef: write one of the two",
    ),
    "a manifest by FTP": (
        "spec.sources",
        [{"name": "a", "manifest": {"url": "ftp://example.org/a.jsonl"}}],
        "write https://example.org/pictures.jsonl",
    ),
    "a password in an address": (
        "spec.sources",
        [{"name": "a", "manifest": {"url": "https://me:secret@example.org/a.jsonl"}}],
        "without user name and password",
    ),
    "a share of more than all": (
        "spec.sources",
        [{"name": "a", "manifest": {"url": "https://example.org/a", "maxTakedownPercent": 101}}],
        "should be less than or equal to 100",
    ),
    "a model of no kind": ("spec.model", {}, "exactly one of name and registry: write name"),
    "a model of both kinds": (
        "spec.model.registry",
        {"name": "starter", "version": "1"},
        "exactly one of name and registry: write name",
    ),
    "a model without its owner": ("spec.model.name", "clip-vit", "write google/siglip2-base-patch16-224, or starter"),
    "a registered model of no version": (
        "spec.model",
        {"registry": {"name": "starter"}},
        'exactly one of version and alias: write version: "3"',
    ),
    "a registered model of a version and an alias": (
        "spec.model",
        {"registry": {"name": "starter", "version": "1", "alias": "champion"}},
        'exactly one of version and alias: write version: "3"',
    ),
    "a registered model by its address": (
        "spec.model",
        {"registry": {"name": "models:/starter/1", "version": "1"}},
        "the registered name alone",
    ),
    "the latest version": ("spec.model", {"registry": {"name": "starter", "version": "latest"}}, 'write version: "3"'),
    "fewer executors at most than at least": (
        "spec.embedding.executors",
        {"min": 3},
        "write both, max as large as min or larger",
    ),
    "fewer replicas at most than at least": (
        "spec.serving",
        {"minReplicas": 3},
        "write both, maxReplicas as large as minReplicas",
    ),
    "memory without a unit": ("spec.embedding.resources.requests", {"memory": "2"}, "with its unit: write 2Gi"),
    "memory in words": ("spec.serving.resources.limits", {"memory": "plenty"}, "with its unit: write 2Gi"),
    "processors in words": ("spec.serving.resources.requests", {"cpu": "two"}, "write 500m for half a core, or 2"),
    "executors with a memory request of their own": (
        "spec.embedding.resources.requests",
        {"memory": "3Gi"},
        "write the same memory under requests and limits",
    ),
    "a request over the limit": (
        "spec.serving.resources.requests",
        {"memory": "6Gi"},
        "write both, the limit as large as the request",
    ),
    "a processor limit under the request": (
        "spec.serving.resources.limits",
        {"cpu": "100m"},
        "write limits.cpu as large as requests.cpu",
    ),
    "a GPU among the resources": ("spec.serving.resources.limits", {"nvidia.com/gpu": 1}, "unknown field"),
    "half a GPU": ("spec.serving.gpusPerReplica", 0.5, "must be of type integer"),
    "an unknown quantization": ("spec.index.quantization", "int2", 'supported values: "none"'),
    "an unknown deletion policy": ("spec.deletionPolicy", "Orphan", 'supported values: "Delete", "Retain"'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_with_a_message_that_says_what_to_write(api: KubernetesApi, case: str) -> None:
    path, value, message = REFUSED[case]

    with pytest.raises(StackError) as refusal:
        dry_run(api, changed(path, value))

    assert message in str(refusal.value)


def test_the_table_of_refusals_begins_from_something_that_is_accepted(api: KubernetesApi) -> None:
    assert dry_run(api, SHORT)["spec"]["paused"] is False


@pytest.mark.parametrize(
    "schedule", ["0 * * * *", "*/10 0-6,12 1 jan-mar MON-FRI", "@hourly", "@every 30m", "30 6 ? * 1-5", "59 23 31 12 0"]
)
def test_a_schedule_that_a_cron_job_takes_is_accepted_as_it_is(api: KubernetesApi, schedule: str) -> None:
    stored = dry_run(api, changed("spec.sources.0.schedule", schedule))

    assert stored["spec"]["sources"][0]["schedule"] == schedule
    command = ("create", "cronjob", "x", "--image", "x", f"--schedule={schedule}", "--dry-run=server", "--output=name")
    assert api.kubectl(*command).strip() == "cronjob.batch/x"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("userId", "44494372@N05"),
        ("userId", "nasacommons"),
        ("userId", "https://www.flickr.com/photos/nasacommons/"),
        ("groupId", "dogs"),
        ("groupId", "https://www.flickr.com/groups/52240257802@N01"),
    ],
)
def test_a_member_and_a_group_are_named_as_flickr_names_them(api: KubernetesApi, field: str, value: str) -> None:
    stored = dry_run(api, changed(f"{FLICKR}.{field}", value))

    assert stored["spec"]["sources"][0]["flickr"][field] == value


def test_the_server_fills_in_what_the_tests_fill_in(api: KubernetesApi) -> None:
    assert dry_run(api, SHORT)["spec"] == specs.spec(**SHORT["spec"])


def test_the_operator_reads_what_the_server_stores_numbers_as_quantities_included(api: KubernetesApi) -> None:
    stored = dry_run(api, changed("spec.serving.resources.requests", {"cpu": 2}))
    stored["metadata"] |= {"creationTimestamp": "2026-05-01T12:00:00Z"}

    collection = Collection.of_body(stored)

    assert collection.spec.serving.resources.requests == {"cpu": "2", "memory": "1536Mi"}


def test_the_index_of_a_live_collection_stays_as_it_is_and_the_rest_can_be_changed(api: KubernetesApi) -> None:
    body = changed("metadata.name", "live")
    api.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(body))

    with pytest.raises(StackError, match="make a new collection with the settings that you want"):
        dry_run(api, {**body, "spec": {**body["spec"], "index": {"shards": 2}}})

    other_model = {**body, "spec": {**body["spec"], "model": {"name": "openai/clip-vit-base-patch32"}}}
    assert dry_run(api, other_model)["spec"]["model"] == {"name": "openai/clip-vit-base-patch32"}


def test_kubectl_shows_at_a_glance_how_a_collection_is(api: KubernetesApi) -> None:
    body = changed("metadata.name", "shown")
    api.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(body))
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "ImagePullFailed",
        "message": "no such image",
        "lastTransitionTime": "2026-05-01T12:00:00Z",
    }
    status = {
        "conditions": [condition],
        "images": {"published": 12, "indexed": 7, "failed": 2, "lag": 3},
        "activeIndex": "default.shown.0011aabb",
        "activeModel": "starter/1",
    }
    api.kubectl(
        "patch", "ic", "shown", "--subresource=status", "--type=merge", "--patch", json.dumps({"status": status})
    )

    narrow, wide = (api.kubectl("get", "ic", "shown", *options).splitlines() for options in ((), ("--output=wide",)))

    assert narrow[0].split() == ["NAME", "READY", "REASON", "IMAGES", "LAG", "MODEL", "AGE"]
    assert narrow[1].split()[:-1] == ["shown", "False", "ImagePullFailed", "7", "3", "starter/1"]
    assert wide[0].split()[7:] == ["PUBLISHED", "FAILED", "INDEX", "MESSAGE"]
    assert wide[1].split(maxsplit=10)[7:] == ["12", "2", "default.shown.0011aabb", "no such image"]


def test_kubectl_explains_a_field(api: KubernetesApi) -> None:
    assert "GPUs (nvidia.com/gpu) of each encoder" in api.kubectl("explain", "ic.spec.serving.gpusPerReplica")


def test_collections_are_found_by_short_name_and_category(api: KubernetesApi) -> None:
    listed = api.kubectl("api-resources", "--categories=imagesearch", "--no-headers")

    assert listed.split()[:2] == ["imagecollections", "ic"]
