{{/* The operator's settings, as environment variables: `OperatorSettings` reads them. What is empty is left to its default. */}}
{{- define "imagesearch.operatorSettings" -}}
IMAGESEARCH_KAFKA_BOOTSTRAP_SERVERS: {{ include "imagesearch.kafkaBootstrapServers" . | quote }}
IMAGESEARCH_KAFKA_SECURITY_PROTOCOL: {{ .Values.kafka.securityProtocol }}
IMAGESEARCH_KAFKA_SASL_MECHANISM: {{ .Values.kafka.saslMechanism }}
IMAGESEARCH_KAFKA_USERNAME: {{ .Values.kafka.username | quote }}
IMAGESEARCH_KAFKA_CA_PATH: {{ include "imagesearch.kafkaCaPath" . | quote }}
IMAGESEARCH_ELASTICSEARCH_URL: {{ include "imagesearch.elasticsearchUrl" . | quote }}
IMAGESEARCH_ELASTICSEARCH_USERNAME: {{ include "imagesearch.elasticsearchUsername" . | quote }}
IMAGESEARCH_ELASTICSEARCH_CA_PATH: {{ include "imagesearch.elasticsearchCaPath" . | quote }}
IMAGESEARCH_MLFLOW_TRACKING_URI: {{ include "imagesearch.mlflowTrackingUri" . | quote }}
IMAGESEARCH_NAMESPACES: {{ join "," .Values.operator.watchNamespaces | quote }}
IMAGESEARCH_PRODUCER_IMAGE: {{ include "imagesearch.image" (list . "producer") | quote }}
IMAGESEARCH_EMBEDDER_IMAGE: {{ include "imagesearch.image" (list . "embedder") | quote }}
IMAGESEARCH_ENCODER_IMAGE: {{ include "imagesearch.image" (list . "encoder") | quote }}
IMAGESEARCH_ENCODER_CUDA_IMAGE: {{ include "imagesearch.image" (list . "encoderCuda") | quote }}
IMAGESEARCH_MODEL_IMAGE: {{ include "imagesearch.image" (list . "model") | quote }}
IMAGESEARCH_IMAGE_PULL_POLICY: {{ .Values.images.pullPolicy }}
IMAGESEARCH_IMAGE_PULL_SECRETS: {{ join "," .Values.images.pullSecrets | quote }}
IMAGESEARCH_TOPIC_PARTITIONS: {{ .Values.kafka.topicPartitions | quote }}
IMAGESEARCH_TOPIC_REPLICATION_FACTOR: {{ .Values.kafka.topicReplicationFactor | quote }}
IMAGESEARCH_STORAGE_CLASS: {{ .Values.embedder.storageClass | quote }}
IMAGESEARCH_CHECKPOINT_SIZE: {{ .Values.embedder.checkpointSize | quote }}
IMAGESEARCH_RAY_VERSION: {{ .Values.encoder.rayVersion | quote }}
IMAGESEARCH_ALLOWED_HOSTS: {{ join "," .Values.fetch.allowedHosts | quote }}
IMAGESEARCH_ALLOWED_NETWORKS: {{ join "," .Values.fetch.allowedNetworks | quote }}
IMAGESEARCH_FLICKR_ENDPOINT: {{ .Values.flickr.endpoint | quote }}
IMAGESEARCH_RESYNC_SECONDS: {{ .Values.operator.resyncSeconds | quote }}
IMAGESEARCH_NETWORK_POLICIES: {{ .Values.networkPolicy.enabled | quote }}
IMAGESEARCH_POLL_SECONDS: {{ .Values.operator.pollSeconds | quote }}
IMAGESEARCH_WORKERS: {{ .Values.operator.workers | quote }}
IMAGESEARCH_HEALTH_PORT: "8081"
IMAGESEARCH_METRICS_PORT: "9090"
{{- end }}
