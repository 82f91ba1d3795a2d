# Kafka for the one-node cluster, where no registry is reachable: laid out as the official apache/kafka image.
# Build contexts: jdk, a Java of version 17 or later; kafka, the broker's jars.
ARG BASE=docker.io/library/debian:bookworm-slim
FROM ${BASE}
COPY --from=jdk . /opt/java/openjdk
COPY --from=kafka . /opt/kafka/libs
RUN groupadd --gid 1000 appuser && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /tmp appuser
ENV JAVA_HOME=/opt/java/openjdk PATH=/opt/java/openjdk/bin:$PATH
USER 1000:1000
