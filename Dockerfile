# plainfilm serve: a page, an API and, if asked for, a DICOM node. See docs/deploy.md.
#   docker build -t plainfilm . && TOKEN="$(openssl rand -hex 32)"
#   docker run --rm --read-only --cap-drop ALL -p 127.0.0.1:8000:8000 -e PLAINFILM_TOKEN="$TOKEN" \
#     -v "$PWD/run/model.plainfilm:/model.plainfilm:ro" plainfilm
FROM python:3.12-slim AS built
WORKDIR /source
COPY pyproject.toml requirements.lock README.md LICENSE ./
RUN python -m venv /opt/plainfilm && /opt/plainfilm/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY src src
RUN /opt/plainfilm/bin/pip install --no-cache-dir --no-deps .

FROM python:3.12-slim
COPY --from=built /opt/plainfilm /opt/plainfilm
RUN useradd --system --uid 10001 --home-dir /nonexistent plainfilm && install -d -o plainfilm -m 700 /spool
USER plainfilm
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
EXPOSE 8000 11112
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["/opt/plainfilm/bin/python", "-c", \
  "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/api/v1/health', timeout=4)"]
ENTRYPOINT ["/opt/plainfilm/bin/plainfilm", "serve"]
CMD ["/model.plainfilm", "--host", "0.0.0.0"]
