# `imagesearch-model register`: a model from the Hugging Face hub to MLflow. Context: the repository's root.
# It exports with torch, which from PyPI is 6 GB.
ARG BASE=docker.io/library/python:3.11-slim-bookworm
ARG BUILDER=ghcr.io/astral-sh/uv:0.13.9-python3.11-bookworm-slim

FROM ${BUILDER} AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_SOURCES=1 UV_PYTHON_DOWNLOADS=never \
    UV_CONSTRAINT=requirements.lock UV_BUILD_CONSTRAINT=requirements.lock
WORKDIR /build
COPY requirements.lock ./
COPY services/contract/pyproject.toml services/contract/
COPY services/fetcher/pyproject.toml services/fetcher/
COPY services/encoder/pyproject.toml services/encoder/
RUN --mount=type=cache,target=/root/.cache/uv \
    printf 'imagesearch-%s\n' contract fetcher encoder >own.txt && \
    uv venv /opt/venv && \
    uv pip install --python /opt/venv --excludes own.txt --extra torch --extra starter \
      -r services/contract/pyproject.toml -r services/fetcher/pyproject.toml -r services/encoder/pyproject.toml && \
    echo /opt/imagesearch >/opt/venv/lib/python3.11/site-packages/imagesearch.pth
COPY services/contract/src services/contract/src
COPY services/fetcher/src services/fetcher/src
COPY services/encoder/src services/encoder/src
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /opt/venv --no-deps --target /opt/imagesearch ./services/contract ./services/fetcher ./services/encoder

FROM ${BASE}
RUN groupadd --gid 10001 imagesearch && \
    useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin imagesearch
# The project's own packages lie apart from what they depend on: changed code is a layer of kilobytes.
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/imagesearch /opt/imagesearch
ENV PATH=/opt/imagesearch/bin:/opt/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 \
    MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true GIT_PYTHON_REFRESH=quiet HF_HUB_DISABLE_TELEMETRY=1
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["imagesearch-model"]
