"""Whether a live object already says what is planned."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagesearch_operator import naming
from imagesearch_operator.compare import covers, digest, needs_apply, with_hash

PLANNED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"namespace": "pictures", "name": "embedder", "labels": {"a": "b"}},
    "spec": {
        "replicas": 1,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "args": ["one", "two"],
                        "env": [{"name": "A", "value": "1"}],
                        "resources": {"requests": {"cpu": "500m", "memory": "1024Mi"}},
                    }
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            }
        },
    },
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
manifests = st.dictionaries(st.text(max_size=5), json_values, max_size=4).map(
    lambda body: {**body, "metadata": {"namespace": "n", "name": "m"}}
)


def live() -> dict[str, Any]:
    """PLANNED as the API server gives it back: canonical quantities, defaults, and things of others."""
    made = copy.deepcopy(with_hash(PLANNED))
    made["metadata"]["resourceVersion"] = "7"
    made["status"] = {"replicas": 1}
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["resources"]["requests"] = {"cpu": "0.5", "memory": "1Gi"}
    container["terminationMessagePath"] = "/dev/termination-log"
    return made


def test_an_object_as_the_api_server_gives_it_back_needs_nothing():
    assert not needs_apply(PLANNED, live())


def test_what_others_put_beside_the_planned_is_theirs():
    made = live()
    made["metadata"]["labels"]["theirs"] = "x"
    made["metadata"]["ownerReferences"] = [{"uid": "1"}]
    made["spec"]["template"]["spec"]["containers"].append({"name": "sidecar"})
    made["spec"]["template"]["spec"]["containers"][0]["env"].insert(0, {"name": "Z", "value": "9"})
    assert not needs_apply(PLANNED, made)


@pytest.mark.parametrize(
    "edit",
    [
        lambda made: made["spec"].update(replicas=2),
        lambda made: made["spec"].pop("replicas"),
        lambda made: made["metadata"]["labels"].clear(),
        lambda made: made["spec"]["template"]["spec"]["containers"][0]["args"].append("three"),
        lambda made: made["spec"]["template"]["spec"]["containers"][0]["args"].reverse(),
        lambda made: made["spec"]["template"]["spec"]["containers"][0]["env"][0].update(value="2"),
        lambda made: made["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"].update(cpu="501m"),
        lambda made: made["spec"]["template"]["spec"].update(containers=[{"name": "other"}]),
        lambda made: made["metadata"]["annotations"].pop(naming.PLAN_HASH),
        lambda made: made["metadata"]["annotations"].update({naming.PLAN_HASH: "deadbeef"}),
    ],
    ids=[
        "a number",
        "a field gone",
        "labels gone",
        "an argument more",
        "arguments swapped",
        "an environment variable",
        "a quantity",
        "a container gone",
        "never applied",
        "a field that is planned no longer",
    ],
)
def test_an_edit_is_noticed(edit):
    made = live()
    edit(made)
    assert needs_apply(PLANNED, made)


def test_a_missing_object_needs_to_be_applied():
    assert needs_apply(PLANNED, None)


def test_numbers_of_quantities_may_come_back_as_text_but_booleans_are_no_numbers():
    assert covers({"limits": {"nvidia.com/gpu": "1"}}, {"limits": {"nvidia.com/gpu": 1}})
    assert not covers({"suspend": 0}, {"suspend": False})
    assert not covers({"name": "1000m"}, {"name": "1"})


def test_what_is_empty_may_be_left_out_by_the_api_server():
    assert covers({}, {"env": [], "labels": {}, "readOnly": False, "subPath": "", "nothing": None})
    assert not covers({}, {"readOnly": True})


def test_a_secret_written_as_text_is_found_again_as_base64():
    planned = {"kind": "Secret", "stringData": {"key": "höflich"}}
    assert covers({"kind": "Secret", "data": {"key": "aMO2ZmxpY2g="}}, planned)
    assert not covers({"kind": "Secret", "data": {"key": "eA=="}}, planned)


@given(manifests)
def test_whatever_was_applied_needs_no_second_time(manifest):
    assert not needs_apply(manifest, with_hash(manifest))


@given(manifests, st.text(min_size=6, max_size=8), json_values)
def test_one_field_more_is_another_digest(manifest, name, value):
    assert digest({**manifest, name: value}) != digest(manifest)


@given(manifests, st.dictionaries(st.text(min_size=6, max_size=8), json_values, max_size=3))
def test_more_fields_in_the_live_object_change_nothing(manifest, more):
    assert not needs_apply(manifest, {**more, **with_hash(manifest)})
