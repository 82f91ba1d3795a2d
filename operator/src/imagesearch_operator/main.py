"""The command `imagesearch-operator`: it looks after the ImageCollections of a cluster until it is told to stop."""

import argparse
import asyncio
import logging
import signal
import sys

import prometheus_client
from imagesearch_contract.settings import SettingsError
from kubernetes.aio.config import ConfigException

from imagesearch_operator import health, logs
from imagesearch_operator.health import Health
from imagesearch_operator.operate import operate
from imagesearch_operator.settings import OperatorSettings


def main() -> int:
    """Run with the settings of the environment; return the exit status."""
    argparse.ArgumentParser(
        prog="imagesearch-operator",
        description="Make the cluster what each ImageCollection says, until SIGTERM.",
        epilog="It is set up by the environment: " + ", ".join(OperatorSettings.env_names().values()),
    ).parse_args()
    logs.configure()
    logger = logging.getLogger("imagesearch_operator")
    # The first process of a container ignores SIGTERM unless it says otherwise.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        settings = OperatorSettings.from_env()
        liveness = Health()
        health.serve(liveness, settings.health_port)
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        prometheus_client.start_http_server(settings.metrics_port)
        while asyncio.run(operate(settings, liveness)):
            logger.info("the cluster serves other kinds now: starting anew to watch them")
    except SettingsError as error:
        return _fail(str(error))
    except ConfigException as error:
        return _fail(f"no credentials for the Kubernetes API ({error}): run in a pod, or set KUBECONFIG")
    except OSError as error:
        return _fail(f"cannot listen on its ports: {error}")
    except KeyboardInterrupt:
        pass
    except Exception:
        logger.exception("this is a bug of the operator; it ends, to be started again")
        return 1
    logger.info("stopped")
    return 0


def _fail(message: str) -> int:
    sys.stderr.write(f"imagesearch-operator: {' '.join(message.split())}\n")
    return 1
