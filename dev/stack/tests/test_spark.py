"""The archive with which Spark starts quickly is made, and fits."""

import os
import subprocess
import sys

import pytest
from imagesearch_stack import spark


@pytest.mark.integration
def test_a_driver_takes_its_classes_from_the_archive() -> None:
    environment = spark.environment()
    # With this the JVM ends where it cannot use the archive, instead of starting slowly.
    environment |= {
        "SPARK_SUBMIT_OPTS": environment["SPARK_SUBMIT_OPTS"] + " -Xshare:on",
        "PYSPARK_PYTHON": sys.executable,
    }
    command = [sys.executable, "-m", "imagesearch_stack.spark_warm_up"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
