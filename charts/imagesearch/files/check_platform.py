"""`helm test`: what the release installed answers. Runs in the search image, on the standard library."""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def get(url, **options):
    with urllib.request.urlopen(url, timeout=10, **options) as response:
        return response.read().decode()


def check_search():
    get(os.environ["SEARCH_URL"] + "/readyz")


def check_operator():
    assert "imagesearch_operator_" in get(os.environ["OPERATOR_URL"] + "/metrics"), "no metric of the operator"


def check_mlflow():
    assert get(os.environ["MLFLOW_URL"] + "/api/2.0/mlflow/registered-models/search?max_results=1"), "no answer"


def check_kind():
    request = urllib.request.Request("https://kubernetes.default.svc/apis/imagesearch.dev/v1alpha1")
    request.add_header("Authorization", "Bearer " + (ACCOUNT / "token").read_text())
    served = json.loads(get(request, context=ssl.create_default_context(cafile=ACCOUNT / "ca.crt")))
    assert any(kind["name"] == "imagecollections" for kind in served["resources"]), "the kind is not served"


CHECKS = {
    "the search API is ready": check_search,
    "the operator works": check_operator,
    "the kind ImageCollection is served": check_kind,
}
if os.environ.get("MLFLOW_URL"):
    CHECKS["MLflow's registry answers"] = check_mlflow

failed = 0
for what, check in CHECKS.items():
    try:
        check()
    except (AssertionError, KeyError, OSError, ValueError) as error:
        failed += 1
        print(f"FAILED  {what}: {error}")
    else:
        print(f"ok      {what}")
sys.exit(failed)
