"""The operator as a process, when it is killed and when a store is away."""

import os
import signal

import psutil
import pytest
from imagesearch_stack import servers
from imagesearch_stack.control_plane import kuberay_crds
from imagesearch_stack.processes import Process, free_port
from running import Platform, apply, children, condition, get, registered, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def test_an_operator_killed_in_the_middle_loses_nothing(platform):
    namespace = platform.namespace("killed")
    platform.api.apply_crds(*kuberay_crds())
    other = platform.start("killed.log", namespaces=(namespace,))
    for number in range(6):
        apply(platform.api, f"birds-{number}", namespace, model=registered())
    until(lambda: children(platform.api, namespace))
    kill(other.process)
    assert len(children(platform.api, namespace, "deployments")) <= 6
    again = platform.start("again.log", namespaces=(namespace,))
    try:
        until(lambda: len(children(platform.api, namespace, "deployments")) == 6)
        until(lambda: len(children(platform.api, namespace, "cronjobs")) == 6)
        until(lambda: len(platform.topics(namespace)) == 18)
    finally:
        again.stop()


def test_kafka_that_is_away_is_a_condition_that_heals_and_a_deletion_that_waits(platform, tmp_path):
    namespace = platform.namespace("no-kafka")
    port = free_port()
    alone = platform.start("no-kafka.log", namespaces=(namespace,), kafka_bootstrap_servers=f"127.0.0.1:{port}")
    kafka: Process | None = None
    try:
        apply(platform.api, "birds", namespace, model=registered(), deletionPolicy="Delete")
        until(lambda: condition(platform.api, namespace, "birds", "TopicReady").get("reason") == "KafkaUnreachable")
        assert "CronJob/birds-list" in until(lambda: children(platform.api, namespace))
        kafka = servers.start_kafka(tmp_path, port)
        servers.wait_for_kafka(kafka, port)
        until(lambda: condition(platform.api, namespace, "birds", "TopicReady")["status"] == "True")
        kafka.stop()
        until(lambda: condition(platform.api, namespace, "birds", "TopicReady")["reason"] == "KafkaUnreachable")
        assert "CronJob/birds-list" in children(platform.api, namespace)
        platform.api.kubectl("-n", namespace, "delete", "ic", "birds", "--wait=false")
        said = until(lambda: waits(platform, namespace))
        assert "deletionPolicy" in said["message"]
        retain = '{"spec":{"deletionPolicy":"Retain"}}'
        platform.api.kubectl("-n", namespace, "patch", "ic", "birds", "--type=merge", "-p", retain)
        until(lambda: not get(platform.api, namespace, "ic")["items"])
        assert alone.probe("healthz") == 200
    finally:
        alone.stop()
        if kafka is not None:
            kafka.stop()


def waits(platform: Platform, namespace: str) -> dict:
    said = condition(platform.api, namespace, "birds", "Ready")
    return said if "deletion waits" in said["message"] else {}


def kill(process: Process) -> None:
    """Kill the command itself, not its guard, as a node that loses power does."""
    for child in psutil.Process(process.pid).children(recursive=True):
        os.kill(child.pid, signal.SIGKILL)
    process.stop()
