"""The Job that the operator plans for a model that is not registered: its very command, with its environment."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import specs
import worlds
from imagesearch_operator.facts import ModelVersion
from imagesearch_operator.plan import plan
from imagesearch_operator.spec import Model
from imagesearch_operator.stores.mlflow import Registry


@pytest.mark.integration
async def test_the_planned_job_registers_a_model_and_the_operator_then_finds_it(
    tiny_model: Callable[[str], Path], mlflow_tracking_uri: str, tmp_path: Path
) -> None:
    """No hub is asked: the model's id is a directory below the one in which the command runs."""
    shutil.copytree(tiny_model("clip"), tmp_path / "tiny" / "clip")
    birds = specs.collection(model={"name": "tiny/clip"})
    settings = worlds.settings(mlflow_tracking_uri=mlflow_tracking_uri)
    (job,) = (
        manifest
        for manifest in plan(birds, worlds.facts(birds, model=None), settings).manifests
        if manifest["kind"] == "Job" and "model" in manifest["metadata"]["name"]
    )
    (container,) = job["spec"]["template"]["spec"]["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}

    done = subprocess.run(
        [Path(sys.executable).with_name("imagesearch-model"), *container["args"]],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment},
        cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout == "tiny--clip 1\n"
    async with Registry.connect(settings) as registry:
        assert await registry.model(Model(name="tiny/clip")) == ModelVersion("tiny--clip", "1", 24)
