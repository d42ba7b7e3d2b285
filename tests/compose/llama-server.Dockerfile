# Stands in for llama.cpp's server image, with the same entry point, health check, variable and folder.
FROM llamaq-trial-base
COPY wheels /wheels
COPY pip.conf /etc/pip.conf
RUN python3 -m venv /opt/llama && /opt/llama/bin/pip install --no-cache-dir click gguf numpy xllamacpp
COPY demo_server.py /opt/llama/
COPY llama-server /app/llama-server
ENV LLAMA_ARG_HOST=0.0.0.0
WORKDIR /app
HEALTHCHECK CMD ["curl", "-f", "http://localhost:8080/health"]
ENTRYPOINT ["/app/llama-server"]
