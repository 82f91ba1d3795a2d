# Elasticsearch for the one-node cluster, where no registry is reachable: laid out as the official image, without its entrypoint.
# Build contexts: jdk, a Java of version 21 or later; elasticsearch, the unpacked distribution.
ARG BASE=docker.io/library/debian:bookworm-slim
FROM ${BASE}
COPY --from=jdk . /opt/java/openjdk
COPY --from=elasticsearch . /usr/share/elasticsearch
RUN groupadd --gid 1000 elasticsearch && \
    useradd --uid 1000 --gid 1000 --no-create-home --home-dir /usr/share/elasticsearch elasticsearch && \
    cd /usr/share/elasticsearch && mkdir -p data logs && chown -R 1000:1000 data logs config
ENV ES_JAVA_HOME=/opt/java/openjdk PATH=/usr/share/elasticsearch/bin:/opt/java/openjdk/bin:$PATH
WORKDIR /usr/share/elasticsearch
USER 1000:1000
CMD ["elasticsearch"]
