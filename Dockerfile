# One image for every process of Hookberg: `hookberg ingress`, `api`, `streams`, `sinks`, `notify`, `migrate` (deploy/images/README.md).
# Optional build secrets, for builders behind a mirror or a private certificate authority:
#   docker build --secret id=pip,src=pip.conf --secret id=ca,src=bundle.pem .      (pip.conf: cert = /run/secrets/ca)
FROM docker.io/library/python:3.11-slim-bookworm AS tools
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
WORKDIR /src
RUN python3 -m venv /opt/hookberg
COPY requirements.lock ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    /opt/hookberg/bin/python -m pip install --only-binary :all: --require-hashes -r requirements.lock

# Nothing that builds or installs stays. This stage does not see the project, so its layer outlives every change of it.
FROM tools AS libraries
RUN /opt/hookberg/bin/python -m pip uninstall -q -y hatchling editables pathspec pluggy trove-classifiers setuptools pip \
 && rm -rf /opt/hookberg/lib/python3.11/site-packages/pyarrow/include \
           /opt/hookberg/lib/python3.11/site-packages/pyarrow/src \
           /opt/hookberg/lib/python3.11/site-packages/pyarrow/tests

FROM tools AS project
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY ingress ingress
COPY streams streams
COPY sinks sinks
COPY deploy deploy
RUN /opt/hookberg/bin/python -m pip install --no-deps --no-build-isolation --prefix /opt/project .

FROM docker.io/library/python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="hookberg" \
      org.opencontainers.image.description="Webhooks into Apache Iceberg tables: exactly once, typed, within seconds" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --system --gid 10001 hookberg \
 && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/hookberg --shell /usr/sbin/nologin hookberg \
 && install -d -o hookberg -g hookberg -m 0700 /var/lib/hookberg /var/lib/hookberg/state
COPY --from=libraries /opt/hookberg /opt/hookberg
COPY --from=project /opt/project /opt/hookberg
# The modules were compiled when they were installed, and the user of the image cannot write beside them.
ENV PATH=/opt/hookberg/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOOKBERG_STATE_DIR=/var/lib/hookberg/state
WORKDIR /var/lib/hookberg
USER 10001:10001
EXPOSE 8080 8081
ENTRYPOINT ["hookberg"]
CMD ["--help"]
