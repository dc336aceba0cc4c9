# PostgreSQL with graph_fdw and pg_cron, and (target "emulator") the emulator of
# Microsoft Graph.  compose.yaml starts both; docs/packages.md says how, and what
# the variables of docker/initdb/graph.sh are.
#
#   docker build --build-arg PG_MAJOR=16 --build-arg DEBIAN=bookworm -t graph_fdw .

ARG PG_MAJOR=17
ARG DEBIAN=trixie

FROM python:3-slim-${DEBIAN} AS emulator
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY emulator /emulator
USER nobody
ENTRYPOINT ["python3", "/emulator/graph_emulator.py"]
CMD ["--port", "8365"]

# The base image has PG_MAJOR in its environment, and PGDG's archive in its
# sources.
FROM postgres:${PG_MAJOR}-${DEBIAN} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev make pkg-config libcurl4-openssl-dev libjansson-dev \
      libssl-dev zlib1g-dev "postgresql-server-dev-$PG_MAJOR" \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Makefile graph_fdw.control graph_fdw.c graph_fdw--*.sql ./
COPY src src
RUN make -j"$(nproc)" PG_CONFIG="/usr/lib/postgresql/$PG_MAJOR/bin/pg_config" with_llvm=no \
 && make install PG_CONFIG="/usr/lib/postgresql/$PG_MAJOR/bin/pg_config" with_llvm=no docdir= DOCS= DESTDIR=/install

FROM postgres:${PG_MAJOR}-${DEBIAN}
LABEL org.opencontainers.image.title="graph_fdw" \
      org.opencontainers.image.description="PostgreSQL with Microsoft Graph security alerts as tables" \
      org.opencontainers.image.version="1.1.0" \
      org.opencontainers.image.licenses="PostgreSQL"
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libcurl4 libjansson4 "postgresql-$PG_MAJOR-cron" \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /install /
COPY docker/initdb /docker-entrypoint-initdb.d
# pg_cron has to be loaded with the server, and runs its jobs without a login
CMD ["postgres", "-c", "shared_preload_libraries=pg_cron", "-c", "cron.use_background_workers=on"]
