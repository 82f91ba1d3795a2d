"""What holds for every plan, whatever the collection and the operator's settings say."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import specs
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from imagesearch_contract import names
from imagesearch_operator import naming
from imagesearch_operator.facts import Facts, IndexFacts, Manifest, ModelVersion, TopicFacts, Unknown
from imagesearch_operator.plan import plan
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Collection

LIMITS = {"CronJob": 52, "RayService": 47}
"""Of names; 63 for everything else, because names become label values and host names."""
PASSWORDS = ("kafka-pass-word", "elastic-pass-word")
ALLOWED_VOLUMES = {"name", "configMap", "emptyDir", "persistentVolumeClaim", "secret"}

labels = st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)
cpus = st.sampled_from(["100m", "500m", "1", "2500m", "8"])
memories = st.sampled_from(["1Gi", "1536Mi", "2Gi", "10G"])
model_versions = st.builds(
    ModelVersion,
    st.sampled_from(["starter", "google--siglip2-base-patch16-224", "Bird CLIP"]),
    st.sampled_from(["1", "12"]),
    st.sampled_from([64, 512]),
)
models = st.none() | st.just(Unknown("MlflowUnreachable", "no answer")) | model_versions


@st.composite
def sources(draw: st.DrawFn) -> list[dict[str, Any]]:
    kinds = st.sampled_from([specs.MANIFEST_SOURCE, specs.FLICKR_SOURCE])
    found = draw(
        st.lists(st.tuples(kinds, labels, st.booleans()), min_size=1, max_size=3, unique_by=lambda each: each[1])
    )
    return [kind | {"name": name, "suspend": suspend} for kind, name, suspend in found]


@st.composite
def collections(draw: st.DrawFn) -> Collection:
    memory = draw(memories)
    low, high = sorted(draw(st.tuples(st.integers(1, 4), st.integers(1, 4))))
    resources = {"requests": {"cpu": draw(cpus), "memory": memory}, "limits": {"memory": memory}}
    return specs.collection(
        draw(labels),
        sources=draw(sources()),
        model={"name": draw(st.sampled_from(["starter", "google/siglip2-base-patch16-224"]))},
        embedding={"executors": {"min": low, "max": high}, "resources": resources},
        serving={"minReplicas": low, "maxReplicas": high, "gpusPerReplica": draw(st.sampled_from([0, 1, 4]))},
        created_at=specs.CREATED + timedelta(seconds=draw(st.integers(0, 3))),
        status=draw(st.sampled_from([{}, {"activeModel": "starter/1"}])),
        annotations=draw(st.sampled_from([{}, {"imagesearch.dev/replay": "unsupported_format"}])),
    )


@st.composite
def operators(draw: st.DrawFn) -> OperatorSettings:
    secured = {
        "kafka_security_protocol": "SASL_SSL",
        "kafka_username": "imagesearch",
        "kafka_password": PASSWORDS[0],
        "kafka_ca_path": "/ca/kafka.crt",
        "elasticsearch_username": "imagesearch",
        "elasticsearch_password": PASSWORDS[1],
        "elasticsearch_ca_path": "/ca/elasticsearch.crt",
        "image_pull_secrets": ("registry",),
        "storage_class": "fast",
    }
    return worlds.settings(**draw(st.sampled_from([{}, secured])))


@st.composite
def observed(draw: st.DrawFn) -> Facts:
    siblings = draw(st.lists(collections(), min_size=1, max_size=3, unique_by=lambda each: each.name))
    found = {each.name: draw(models) for each in siblings}
    facts = worlds.facts(*siblings, topic=draw(st.sampled_from([TopicFacts(), TopicFacts(exists=True)])))
    return replace(facts, model=found[facts.siblings[0].name], models=found, authorities={"kafka-ca.crt": "PEM"})


def seen_by(collection: Collection, facts: Facts) -> Facts:
    """The same world, as it is observed for another collection of the namespace."""
    said = collection.status.get("activeModel")
    index = names.index(collection.namespace, collection.name, *said.split("/")) if said else None
    return replace(facts, model=facts.models[collection.name], index=IndexFacts({index: 1} if index else {}, index))


def plans(facts: Facts, operator: OperatorSettings) -> list[Manifest]:
    """All that is planned in the namespace."""
    return [each for owner in facts.siblings for each in plan(owner, seen_by(owner, facts), operator).manifests]


def templates(manifest: Any) -> Iterator[dict[str, Any]]:
    """Every pod spec within a manifest, with the labels of its pods."""
    if isinstance(manifest, dict):
        if manifest.get("kind") == "ConfigMap":
            yield from templates(json.loads(manifest["data"]["executor.json"]))
        elif "containers" in manifest.get("spec", {}):
            yield manifest
        else:
            for value in manifest.values():
                yield from templates(value)
    elif isinstance(manifest, list):
        for value in manifest:
            yield from templates(value)


def every_plan(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test on many worlds."""
    return settings(deadline=None, max_examples=30)(given(facts=observed(), operator=operators())(test))


@every_plan
def test_the_same_world_gives_the_same_plan(facts: Facts, operator: OperatorSettings) -> None:
    again = Facts(**{name: getattr(facts, name) for name in facts.__dataclass_fields__})
    assert json.dumps(plans(facts, operator)) == json.dumps(plans(again, operator))


@every_plan
def test_whoever_plans_a_shared_object_plans_the_same(facts: Facts, operator: OperatorSettings) -> None:
    found: dict[tuple[str, str], str] = {}
    for manifest in plans(facts, operator):
        if naming.SHARED in manifest["metadata"]["labels"]:
            key = manifest["kind"], manifest["metadata"]["name"]
            assert found.setdefault(key, json.dumps(manifest)) == json.dumps(manifest)


@every_plan
def test_no_two_objects_have_one_name(facts: Facts, operator: OperatorSettings) -> None:
    own = [each for each in plans(facts, operator) if naming.SHARED not in each["metadata"]["labels"]]
    assert len({(each["kind"], each["metadata"]["name"]) for each in own}) == len(own)


@every_plan
def test_every_object_is_labelled_owned_and_named_within_its_limit(facts: Facts, operator: OperatorSettings) -> None:
    uids = {each.name: each.uid for each in facts.siblings}
    for owner in facts.siblings:
        for manifest in plan(owner, seen_by(owner, facts), operator).manifests:
            metadata = manifest["metadata"]
            assert metadata["namespace"] == owner.namespace
            assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", metadata["name"])
            assert len(metadata["name"]) <= LIMITS.get(manifest["kind"], 63)
            assert naming.SELECTOR.items() <= metadata["labels"].items()
            assert all(len(value) <= 63 for value in metadata["labels"].values())
            owners = {each["name"]: each["uid"] for each in metadata["ownerReferences"]}
            assert owners.items() <= uids.items()
            assert owner.name in owners
            controllers = [each["name"] for each in metadata["ownerReferences"] if each.get("controller")]
            shared = naming.SHARED in metadata["labels"]
            assert controllers == ([] if shared else [owner.name])
            whose = {naming.SHARED: metadata["name"]} if shared else {naming.COLLECTION: owner.name}
            for template in templates(manifest):
                assert (naming.SELECTOR | whose).items() <= template["metadata"]["labels"].items()


@every_plan
def test_every_pod_meets_the_restricted_standard_and_writes_nowhere_but_on_volumes(
    facts: Facts, operator: OperatorSettings
) -> None:
    found = [template["spec"] for manifest in plans(facts, operator) for template in templates(manifest)]
    assert found
    for pod in found:
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == 10001
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert all(volume.keys() <= ALLOWED_VOLUMES for volume in pod["volumes"])
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}


@every_plan
def test_a_password_is_in_the_secret_and_nowhere_else(facts: Facts, operator: OperatorSettings) -> None:
    everything = plans(facts, operator)
    rest = json.dumps([manifest for manifest in everything if manifest["kind"] != "Secret"])
    assert not any(password in rest for password in PASSWORDS)
    secrets = [manifest for manifest in everything if manifest["kind"] == "Secret"]
    assert len(secrets) == (len(facts.siblings) if operator.kafka_password else 0)


@every_plan
def test_only_drivers_and_ray_heads_may_talk_to_the_kubernetes_api(facts: Facts, operator: OperatorSettings) -> None:
    for manifest in plans(facts, operator):
        for template in templates(manifest):
            [container] = template["spec"]["containers"]
            trusted = container["name"] in ("driver", "ray-head")
            assert template["spec"]["automountServiceAccountToken"] is trusted


@every_plan
def test_a_plan_can_be_written_as_json(facts: Facts, operator: OperatorSettings) -> None:
    for manifest in plans(facts, operator):
        assert json.loads(json.dumps(manifest)) == manifest


@pytest.mark.parametrize("kind", ["Deployment", "CronJob", "Job", "RayService", "ConfigMap"])
def test_the_pods_that_these_tests_look_at_are_found_in_every_kind(kind: str) -> None:
    birds = specs.collection()
    planned = plan(birds, worlds.facts(birds), worlds.settings()).manifests
    assert all(list(templates(manifest)) for manifest in planned if manifest["kind"] == kind)
