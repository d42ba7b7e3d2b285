# Two images from one file:
#   docker build --target llamaq .   the API, and the bridge for a llama-server that runs elsewhere
#   docker build --target worker .   llama.cpp's own server image with a bridge that supervises the server

# Exact tags, so that the same files make the same images; the test of images holds them.
ARG PYTHON_IMAGE=python:3.12.15-slim-bookworm
# Any server image of llama.cpp, such as ghcr.io/ggml-org/llama.cpp:server-cuda-b11515
ARG LLAMA_SERVER_IMAGE=ghcr.io/ggml-org/llama.cpp:server-b11515


FROM ${PYTHON_IMAGE} AS llamaq-venv
RUN python -m venv /opt/llamaq
COPY requirements-run.lock /tmp/
RUN /opt/llamaq/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /tmp/requirements-run.lock
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY api api
COPY dispatcher dispatcher
COPY llamaq llamaq
COPY worker_bridge worker_bridge
RUN /opt/llamaq/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/llamaq/bin/pip install --no-cache-dir --no-deps /dist/*.whl


FROM ${PYTHON_IMAGE} AS llamaq
RUN useradd --system --uid 10001 --no-create-home --home-dir /tmp llamaq
COPY --from=llamaq-venv /opt/llamaq /opt/llamaq
ENV PATH=/opt/llamaq/bin:$PATH \
    LLAMAQ_HOST=0.0.0.0
USER 10001
EXPOSE 8484
# No HEALTHCHECK here: only the API listens, and the same image is the bridge. The Compose file checks the API.
ENTRYPOINT ["llamaq"]
CMD ["api"]


# llama.cpp's server images are Ubuntu without Python; 24.04 has 3.12.
FROM ${LLAMA_SERVER_IMAGE} AS worker-python
USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -c 'import sys; sys.exit("llamaq needs Python 3.11 or newer: choose a newer LLAMA_SERVER_IMAGE" if sys.version_info < (3, 11) else 0)'


# A virtual environment fits one Python only, so the worker's is made with the Python that it will run on.
FROM worker-python AS worker-venv
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv \
    && python3 -m venv /opt/llamaq
COPY requirements-run.lock /tmp/
RUN /opt/llamaq/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /tmp/requirements-run.lock
COPY --from=llamaq-venv /dist /dist
RUN /opt/llamaq/bin/pip install --no-cache-dir --no-deps /dist/*.whl


FROM worker-python AS worker
# A new volume at /cache has the owner that the folder has here.
RUN useradd --system --uid 10001 --no-create-home --home-dir /tmp llamaq \
    && mkdir /cache \
    && chown llamaq /cache
COPY --from=worker-venv /opt/llamaq /opt/llamaq
# The base image makes the server listen on every address; here only the bridge may reach it.
ENV PATH=/opt/llamaq/bin:$PATH \
    HOME=/tmp \
    LLAMA_CACHE=/cache \
    HF_HOME=/cache/huggingface \
    LLAMA_ARG_HOST=127.0.0.1
USER 10001
# Healthy once the model is loaded, which may take minutes; the server's port is the one in CMD.
HEALTHCHECK --interval=5s --timeout=5s --start-period=15m --retries=3 \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
# What follows is llama-server's own command line, as with the base image.
ENTRYPOINT ["llamaq", "bridge", "--", "/app/llama-server", "--host", "127.0.0.1", "--port", "8080"]
