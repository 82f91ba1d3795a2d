"""What an operator works with, for the tests that run one."""

from collections.abc import Iterator

import pytest
import specs
from imagesearch_stack.control_plane import control_plane
from running import MODEL, Platform, register


@pytest.fixture(scope="module")
def platform(tmp_path_factory, kafka_bootstrap_servers, elasticsearch_url, mlflow_tracking_uri) -> Iterator[Platform]:
    """An API server of the module's own, with the CRD and without KubeRay's, and the session's stores."""
    home = tmp_path_factory.mktemp("operator")
    with control_plane(home) as api:
        api.apply_crds(specs.CRD_PATH)
        register(mlflow_tracking_uri, MODEL)
        yield Platform(api, kafka_bootstrap_servers, elasticsearch_url, mlflow_tracking_uri, home)
