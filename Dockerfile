# The service alone: no torch, no training. The bundle is mounted, and nothing is written but temporary files:
#
#   docker build -t safas .
#   docker run --rm --read-only --tmpfs /tmp --cap-drop ALL -p 127.0.0.1:8000:8000 -v "$PWD/bundle:/bundle:ro" safas
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY requirements ./requirements
COPY src ./src
# The versions that the tests ran with; what is in the list for training only is not installed.
RUN python -m venv /safas && /safas/bin/pip install --no-cache-dir --constraint requirements/dev.txt ".[serve,sign]"

FROM python:3.12-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin safas
COPY --from=build /safas /safas
ENV PATH=/safas/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 ORT_DISABLE_TELEMETRY=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
# Options may follow: docker run ... safas --api-key-file /run/secrets/keys
ENTRYPOINT ["safas", "serve", "/bundle", "--host", "0.0.0.0", "--port", "8000"]
