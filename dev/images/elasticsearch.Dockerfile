# Elasticsearch for the one-node cluster, where no registry is reachable: laid out as the official image.
# Build contexts: jdk, a Java of version 21 or later; elasticsearch, the unpacked distribution.
ARG BASE=docker.io/library/debian:bookworm-slim
FROM ${BASE}
COPY --from=jdk . /opt/java/openjdk
COPY --from=elasticsearch . /usr/share/elasticsearch
COPY dev/images/elasticsearch-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
# The process belongs to group 0, which may write where it has to, whichever user a cluster chooses.
RUN useradd --uid 1000 --gid 0 --no-create-home --home-dir /usr/share/elasticsearch elasticsearch && \
    cd /usr/share/elasticsearch && mkdir -p data logs config/jvm.options.d && \
    chown -R 1000:0 data logs config && chmod -R g=u data logs config
ENV ES_JAVA_HOME=/opt/java/openjdk PATH=/usr/share/elasticsearch/bin:/opt/java/openjdk/bin:$PATH
WORKDIR /usr/share/elasticsearch
USER 1000:0
ENTRYPOINT ["/usr/local/bin/docker-entrypoint.sh"]
CMD ["eswrapper"]
