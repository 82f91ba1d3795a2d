"""How kopf is set up to watch."""

import pytest
from imagesearch_operator import handlers
from imagesearch_operator.health import Health
from imagesearch_operator.kinds import COLLECTION, POD, RAY_SERVICE, WATCHED
from imagesearch_operator.live import Live
from kopf import Resource


def resource(kind) -> Resource:
    return Resource(kind.group, kind.version, kind.plural, kind=kind.name, namespaced=True)


@pytest.mark.parametrize("kind", WATCHED, ids=lambda kind: kind.name)
@pytest.mark.parametrize("namespace", [None, "pictures"])
def test_each_watch_is_expected_under_the_path_at_which_kopf_asks(kind, namespace):
    assert resource(kind).get_url(namespace=namespace) == kind.path(namespace)


def test_a_watch_that_is_not_renewed_is_noticed():
    now = [0.0]
    health = Health(lambda: now[0])
    handlers.registry(Live(), lambda key: None, health, [COLLECTION, POD], ["pictures", "animals"])
    assert health.stale() == []
    now[0] = handlers.STALE_SECONDS + 1
    assert len(health.stale()) == 4
    health.beat("watch of /api/v1/namespaces/animals/pods")
    assert len(health.stale()) == 3


def test_children_are_selected_by_the_server_and_collections_are_not():
    selectors = handlers.settings(WATCHED).watching.label_selectors
    assert selectors.collect(resource(COLLECTION)) == []
    for kind in (POD, RAY_SERVICE):
        assert selectors.collect(resource(kind)) == ["app.kubernetes.io/managed-by=imagesearch-operator"]


def test_kopf_writes_nothing_and_scans_nothing():
    settings = handlers.settings(WATCHED)
    assert not settings.posting.enabled
    assert settings.scanning.disabled
