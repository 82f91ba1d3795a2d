"""The Ray Serve application as it is configured. Marked as integration because importing Ray takes seconds."""

import subprocess
import sys

import pytest
from imagesearch_contract.settings import EncoderServiceSettings, SettingsError

pytestmark = [
    pytest.mark.integration,
    # Ray's own settings, when it is imported.
    pytest.mark.filterwarnings("ignore:.*`Field` is deprecated:pydantic.warnings.PydanticDeprecatedSince20"),
    # Deprecated in favour of variables that Ray 2.60 does not read yet; without it a burst goes unseen for 10 s.
    pytest.mark.filterwarnings("ignore:The `metrics_interval_s` field:DeprecationWarning"),
]


def test_the_arguments_of_the_serve_configuration_override_the_environment(monkeypatch):
    from imagesearch_search.serving import application

    monkeypatch.setenv("IMAGESEARCH_MODEL_NAME", "tiny")
    monkeypatch.setenv("IMAGESEARCH_MODEL_VERSION", "1")
    monkeypatch.setenv("IMAGESEARCH_MAX_BATCH_SIZE", "8")

    built = application({"IMAGESEARCH_MAX_REPLICAS": "7", "IMAGESEARCH_GPUS_PER_REPLICA": "0.5"})

    deployment = built._bound_deployment
    assert deployment.max_ongoing_requests == 16
    assert deployment.ray_actor_options == {"num_cpus": 1.0, "num_gpus": 0.5}
    assert deployment._deployment_config.autoscaling_config.max_replicas == 7
    assert deployment.init_args[0].model_label == "tiny/1"


def test_a_load_that_lasts_is_met_in_one_step():
    from imagesearch_search.serving import autoscaling

    config = autoscaling(EncoderServiceSettings(model_name="tiny", model_version="1"))

    assert config.upscale_delay_s < 5  # seconds, where Ray waits for 30
    assert config.look_back_period_s > config.metrics_interval_s  # or else Ray warns: the mean would be of one report
    # When the delay is over, the mean is of the new load alone.
    assert config.look_back_period_s <= config.metrics_interval_s + config.upscale_delay_s


def test_without_a_model_the_application_names_the_variables(monkeypatch):
    from imagesearch_search.serving import application

    monkeypatch.delenv("IMAGESEARCH_MODEL_NAME", raising=False)

    with pytest.raises(SettingsError, match="IMAGESEARCH_MODEL_NAME"):
        application({})


def test_without_a_model_the_command_ends_with_one_sentence():
    ended = subprocess.run(
        [sys.executable, "-m", "imagesearch_search.serving"],
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("imagesearch_search.serving: EncoderServiceSettings cannot be read")
    assert "Traceback" not in ended.stderr
