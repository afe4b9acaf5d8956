# syntax=docker/dockerfile:1
# The service provider alone: no demo, no tests, no compiler, no root. compose.yaml shows it with a database.

FROM python:3.11-slim AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY requirements/prod.txt /tmp/prod.txt
# Every package is named with its hashes, and comes as a wheel: nothing is compiled, nothing unknown gets in.
RUN /opt/venv/bin/pip install --require-hashes --only-binary :all: -r /tmp/prod.txt \
    && /opt/venv/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=config.settings \
    PORTICO_ENV=production \
    PORTICO_DATA=/tmp/portico \
    PORTICO_BIND=0.0.0.0 \
    PORT=8000
RUN groupadd --system --gid 10001 portico \
    && useradd --system --uid 10001 --gid portico --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin portico
COPY --from=packages /opt/venv /opt/venv
WORKDIR /srv/portico
# .dockerignore lets through what runs in production and nothing else.
COPY . .
# Settings want these values to load; nothing connects to that database, and neither value is kept in the image.
RUN PORTICO_SECRET_KEY=unused-while-collecting DATABASE_URL=postgresql://unused/unused \
    python manage.py collectstatic --noinput \
    && python -m compileall -q accounts audit config pages saml_sp
USER 10001:10001
EXPOSE 8000
# The loopback name is always among the allowed hosts; the page needs the application and its templates.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-c", \
    "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/sign-in/\", timeout=4)"]
CMD ["gunicorn", "--config", "config/gunicorn.conf.py", "config.wsgi:application"]
