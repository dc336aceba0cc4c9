#!/usr/bin/env bash
#
# graph.sh: what the image does with a new data folder, once.  The image's entry
# point runs it when the first server is there, which listens on a socket only.
#
# It makes the extensions and, where a client id is given, the server "graph",
# the login of POSTGRES_USER, the foreign tables in the schema "defender", their
# copy in "defender_copy", loads it, and has pg_cron refresh it.
#
#   GRAPH_TENANT_ID, GRAPH_CLIENT_ID     the application that reads the alerts
#   GRAPH_CLIENT_SECRET                  its secret, or
#   GRAPH_CLIENT_SECRET_FILE             the file that it is in
#   GRAPH_ENDPOINT, GRAPH_AUTHORITY      elsewhere than at Microsoft: an emulator
#   GRAPH_SINCE                          how far back the copy goes (30 days)
#   GRAPH_SCHEDULE                       when it is refreshed (*/15 * * * *)

set -euo pipefail

if [ -n "${GRAPH_CLIENT_SECRET_FILE:-}" ]; then
    GRAPH_CLIENT_SECRET=$(cat "$GRAPH_CLIENT_SECRET_FILE")
fi
# psql reads them with \getenv, so that no secret is on a command line
export GRAPH_TENANT_ID="${GRAPH_TENANT_ID:-}" GRAPH_CLIENT_ID="${GRAPH_CLIENT_ID:-}" \
    GRAPH_CLIENT_SECRET="${GRAPH_CLIENT_SECRET:-}" GRAPH_SINCE="${GRAPH_SINCE:-30 days}" \
    GRAPH_SCHEDULE="${GRAPH_SCHEDULE:-*/15 * * * *}"

# run_psql DATABASE [OPTION...]: the statements of standard input
run_psql() {
    local database=$1

    shift
    psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --no-password --dbname "$database" "$@"
}

database=${POSTGRES_DB:-$POSTGRES_USER}
cron_database=$(run_psql "$database" --tuples-only --no-align <<<'SHOW cron.database_name')

run_psql "$cron_database" <<<'CREATE EXTENSION IF NOT EXISTS pg_cron'
run_psql "$database" <<<'CREATE EXTENSION IF NOT EXISTS graph_fdw'

if [ -z "$GRAPH_CLIENT_ID" ]; then
    echo "graph_fdw: GRAPH_CLIENT_ID is not set, so there is no server yet"
    exit 0
fi

run_psql "$database" <<'SQL'
\getenv tenant_id GRAPH_TENANT_ID
\getenv client_id GRAPH_CLIENT_ID
\getenv client_secret GRAPH_CLIENT_SECRET
\getenv endpoint GRAPH_ENDPOINT
\getenv authority GRAPH_AUTHORITY
\getenv since GRAPH_SINCE

CREATE SERVER graph FOREIGN DATA WRAPPER graph_fdw;
\if :{?endpoint}
ALTER SERVER graph OPTIONS (ADD endpoint :'endpoint');
\endif
\if :{?authority}
ALTER SERVER graph OPTIONS (ADD authority :'authority');
\endif
CREATE USER MAPPING FOR CURRENT_USER SERVER graph
  OPTIONS (tenant_id :'tenant_id', client_id :'client_id', client_secret :'client_secret');
CREATE SCHEMA defender;
IMPORT FOREIGN SCHEMA security FROM SERVER graph INTO defender;
SELECT graph_fdw_create_copy('defender', 'defender_copy', since => :'since');
SQL

run_psql "$cron_database" <<SQL
\getenv schedule GRAPH_SCHEDULE
SELECT cron.schedule_in_database('refresh defender_copy', :'schedule',
  \$\$CALL graph_fdw_refresh_copy('defender_copy')\$\$, '$database');
SQL

# A service that cannot be reached now may be reached later: the job goes on
# where this ends.
if ! run_psql "$database" <<<"CALL graph_fdw_refresh_copy('defender_copy')"; then
    echo "graph_fdw: the first load is not complete; pg_cron goes on with it ($GRAPH_SCHEDULE)"
fi
