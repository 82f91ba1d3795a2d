"""The operator's own settings: where the stores are, which images run. The chart writes them."""

from imagesearch_contract.settings import ElasticsearchSettings, FlickrSource, KafkaConnection, Settings
from pydantic import Field


class OperatorSettings(KafkaConnection, ElasticsearchSettings, Settings):
    """One operator."""

    mlflow_tracking_uri: str = "http://127.0.0.1:5000"

    namespaces: tuple[str, ...] = Field(default=(), description="Watched namespaces; empty is every one.")
    producer_image: str
    embedder_image: str
    encoder_image: str
    encoder_cuda_image: str | None = Field(default=None, description="For collections with gpusPerReplica > 0.")
    model_image: str
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()

    topic_partitions: int = Field(default=4, gt=0)
    topic_replication_factor: int = Field(default=-1, ge=-1, description="-1 is the broker's default.")
    storage_class: str | None = Field(default=None, description="Of checkpoints; None is the cluster's default.")
    checkpoint_size: str = "1Gi"
    ray_version: str = Field(default="2.60.0", description="Of the encoder image.")

    network_policies: bool = Field(default=True, description="Make NetworkPolicies for what is planned.")
    allowed_hosts: tuple[str, ...] = Field(default=(), description="As `FetchSettings`, for every pod that fetches.")
    allowed_networks: tuple[str, ...] = ()
    flickr_endpoint: str = FlickrSource().endpoint

    resync_seconds: float = Field(
        default=120, gt=0, description="Every collection is reconciled this often, changed or not."
    )
    poll_seconds: float = Field(
        default=10, gt=0, description="Kafka, Elasticsearch and MLflow are looked at this often."
    )
    workers: int = Field(default=8, gt=0, description="Collections reconciled at the same time.")
    health_port: int = Field(default=8081, ge=0, le=65535)
    metrics_port: int = Field(default=9090, ge=0, le=65535)
