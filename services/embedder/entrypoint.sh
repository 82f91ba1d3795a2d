#!/bin/bash
# The embedder's container: Spark's driver, or with the argument `executor` one of its executors. Spark on Kubernetes starts
# executor pods by that argument and tells them by SPARK_* variables what they are.
set -euo pipefail

if [ "${1:-}" != executor ]; then
  exec imagesearch-embedder "$@"
fi

# SPARK_JAVA_OPT_0, SPARK_JAVA_OPT_1, ...: one option each, as they may hold spaces.
options=()
for name in $(compgen -A variable SPARK_JAVA_OPT_ | sort --version-sort); do
  options+=("${!name}")
done

exec java "${options[@]}" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" \
  -cp "${SPARK_CONF_DIR:+$SPARK_CONF_DIR:}${SPARK_CLASSPATH:+$SPARK_CLASSPATH:}$SPARK_HOME/jars/*" \
  org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
  --driver-url "$SPARK_DRIVER_URL" \
  --executor-id "$SPARK_EXECUTOR_ID" \
  --cores "$SPARK_EXECUTOR_CORES" \
  --app-id "$SPARK_APPLICATION_ID" \
  --hostname "$SPARK_EXECUTOR_POD_IP" \
  --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" \
  --podName "$SPARK_EXECUTOR_POD_NAME"
