#!/usr/bin/env bash
#
# demo.sh: graph_fdw on Debian or Ubuntu with nothing prepared.
#
# What is needed and missing is installed with apt-get.  The tour runs in a
# PostgreSQL of its own against an emulator of Microsoft Graph, both of which
# are gone when it ends; no tenant and no account is needed.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

# An app of the emulator that may read alerts and incidents, and one that may write them.  Their
# secrets are in the emulator's source, so they may be shown here; real ones may not.
tenant_id=11111111-2222-3333-4444-555555555555
client_id=cccccccc-dddd-eeee-ffff-000000000000
client_secret='emulator-secret-read-only'
writer_id=aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
writer_secret='emulator-secret-~Q8+/=&%'

usage() {
    cat <<'USAGE'
Usage: scripts/demo.sh [--psql | --tenant]

Without an option: a tour of graph_fdw, each statement followed by its result.

  --psql     connect only, and leave you in psql there
  --tenant   how to use graph_fdw with a tenant of your own
  --help     this text

PG_CONFIG=/path/to/pg_config takes another PostgreSQL than Debian's.
USAGE
}

explain_tenant() {
    cat <<'TENANT'
graph_fdw with a tenant of your own

1. Register an application (https://entra.microsoft.com, as Application
   Administrator or above): Entra ID > App registrations > New registration.
   Any name, accounts of this directory only, no redirect URI.
   Note "Application (client) ID" and "Directory (tenant) ID".

2. Give it the right to read alerts and incidents: API permissions > Add a
   permission > Microsoft Graph > Application permissions >
   SecurityAlert.Read.All and SecurityIncident.Read.All.
   Then "Grant admin consent", as Privileged Role Administrator or above:
   without consent every query ends with 403.

3. Make a secret: Certificates & secrets > New client secret.  Note its Value,
   which is shown once; the Secret ID is something else.

   Steps 1 to 3 with the Azure CLI:

     app=$(az ad app create --display-name graph_fdw --query appId -o tsv)
     az ad sp create --id "$app"
     az ad app permission add --id "$app" \
       --api 00000003-0000-0000-c000-000000000000 \
       --api-permissions 472e4a4d-bb4a-4026-98d1-0b0d74cb74a5=Role \
                         45cc0394-e837-488b-a098-1918f48d186c=Role
     az ad app permission admin-consent --id "$app"
     az ad app credential reset --id "$app" --years 1

4. Install graph_fdw where your PostgreSQL runs:

     make
     sudo make install

   Of several servers say which: make PG_CONFIG=/usr/lib/postgresql/17/bin/pg_config,
   and the same for sudo make install.
   The server must reach graph.microsoft.com and login.microsoftonline.com
   on port 443.

5. Connect, as a superuser.  Keep the secret out of psql's history: put it into
   the environment, which sudo drops unless it is told to keep it.

     read -rs GRAPH_SECRET; export GRAPH_SECRET
     sudo --preserve-env=GRAPH_SECRET -u postgres psql

   And in psql:

     \getenv secret GRAPH_SECRET
     CREATE EXTENSION graph_fdw;
     CREATE SERVER graph FOREIGN DATA WRAPPER graph_fdw;
     CREATE USER MAPPING FOR CURRENT_USER SERVER graph
       OPTIONS (tenant_id 'your tenant id',
                client_id 'your client id',
                client_secret :'secret');
     CREATE SCHEMA defender;
     IMPORT FOREIGN SCHEMA security FROM SERVER graph INTO defender;

   A national cloud: CREATE SERVER ... OPTIONS (cloud 'usgov'), or 'usgovdod'.
   CREATE USER MAPPING is in the server's log, with the secret, if log_statement
   is on.

6. Does it work?  Each row that is not ok says why, and what to do:

     SELECT * FROM graph_fdw_check('graph') \gx

7. Look:

     SELECT created_date_time, severity, title
     FROM defender.alerts
     WHERE created_date_time >= now() - interval '1 day';

   401 or AADSTS7000215: the secret is wrong, or is the Secret ID.
   403: the permission or the consent is missing, or is minutes old.
TENANT
}

#------------------------------------------------------------------------------
# The tour
#------------------------------------------------------------------------------

psql_arguments=()

# Settings of every psql here, and what the files in scripts/demo/ refer to.
prepare_psql() {
    local bold='' plain=''

    if [ -t 1 ]; then
        bold=$'\e[1m' plain=$'\e[0m'
    fi
    psql_arguments=(
        --no-psqlrc --set=ON_ERROR_STOP=1 --pset=pager=off --pset=expanded=auto
        --set=bold="$bold" --set=plain="$plain"
        --set=graph="http://127.0.0.1:$GRAPH_EMULATOR_PORT"
        --set=tenant_id="$tenant_id" --set=client_id="$client_id" --set=client_secret="$client_secret"
    )
    export PGTZ=UTC
    # what the tour shows of a plan: our lines, a long request in pieces
    export GRAPH_DEMO_PLAN="sed -n -e '/^ *Graph Filter/d;/^ *Graph /{s/^ */ /;s/[?&]/\\n     &/g;p}'"
}

# Run one file of the tour, each statement before its result.
show_sql() {
    # From standard input: before each notice would be the name of a file.
    # Notices of a copy are wider than most screens.
    # shellcheck disable=SC2016 # the inner shell expands it
    run bash -o pipefail -c '"$@" <"$0" 2>&1 |
        sed -u -e "/^NOTICE:  copy /{s/copy \"[^\"]*\" of \"[^\"]*\": //;s/\.[0-9]*+00/+00/g}"' \
        "$work/build/scripts/demo/$1" "$pg_bin/psql" "${psql_arguments[@]}" --echo-queries "${@:2}"
}

# The one value that a query returns.
query() {
    "$pg_bin/psql" --no-psqlrc --no-align --tuples-only --command="$1"
}

start_servers() {
    local preload=pg_cron

    # what sessions share of the service's limit; from 17 on it needs no such place
    # shellcheck disable=SC2016 # the server expands it
    if [ "$pg_major" -lt 17 ]; then preload='pg_cron,$libdir/graph_fdw'; fi
    init_postgres <<CONF
shared_preload_libraries = '$preload'
cron.database_name = 'postgres'
cron.use_background_workers = on
cron.host = '$work/socket'
CONF
    start_postgres
    start_emulator --seed 1
}

# What an analyst does in the portal; another app of the emulator may write.
resolve_alert() {
    run python3 "$work/build/scripts/demo/resolve_alert.py" "http://127.0.0.1:$GRAPH_EMULATOR_PORT" \
        "$tenant_id" aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee 'emulator-secret-~Q8+/=&%' "$1"
}

# Several sessions that meet the service's limit together.
share_limit() {
    local i sessions=()

    run python3 -c 'import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1], sys.argv[2].encode(), method="POST"))' \
        "http://127.0.0.1:$GRAPH_EMULATOR_PORT/_emulator/settings" '{"rate_limit": 24, "rate_limit_window": 3}'
    show_sql 6-limit.sql
    for i in 1 2 3 4; do
        "${user[@]}" "$pg_bin/psql" --no-psqlrc --quiet --no-align --tuples-only \
            --command='SELECT count(*) FROM (SELECT id, title FROM defender.alerts OFFSET 0) AS a' \
            </dev/null >"$work/session.$i" 2>&1 {lifeline}>&- {screen}>&- &
        sessions+=("$!")
    done
    sleep 3
    show_sql 7-activity.sql
    # what goes wrong there is shown below
    wait "${sessions[@]}" || true
    printf 'All four have come to their end.  How many alerts each of them has read:\n\n'
    for i in 1 2 3 4; do printf ' session %d: %s\n' "$i" "$(cat "$work/session.$i")"; done
    printf '\n2001 and not 2000, as in the copy: one, the sample of Microsoft'"'"'s documentation, is of 2021.\n\n'
    show_sql 8-together.sql
}

# Wait until a run that started after run $1 has succeeded.
wait_for_cron() {
    local last=$1 begun=$SECONDS

    while [ "$(query "SELECT count(*) FROM cron.job_run_details WHERE runid > $last AND status = 'succeeded'")" = 0 ]; do
        if ((SECONDS - begun > 150)); then
            printf '\n'
            die "pg_cron did not refresh the copy:" \
                "$(query "SELECT status, return_message FROM cron.job_run_details")" "$(tail -n 20 "$work/postgres.log")"
        fi
        if [ -t 1 ]; then
            printf '\rWaiting for pg_cron ... %d s ' $((SECONDS - begun))
        elif (((SECONDS - begun) % 10 == 0)); then
            printf 'Waiting for pg_cron ... %d s\n' $((SECONDS - begun))
        fi
        sleep 1
    done
    printf '\rpg_cron has refreshed the copy (%d s)\n\n' $((SECONDS - begun))
}

tour() {
    local schedule='* * * * *' alert last

    # pg_cron runs jobs by the second from 1.5 on
    if [ "$(query "SELECT string_to_array(substring(default_version FROM '^[0-9.]+'), '.')::int[] >= '{1,5}'
                   FROM pg_available_extensions WHERE name = 'pg_cron'")" = t ]; then
        schedule='2 seconds'
    fi

    show_sql 1-connect.sql
    show_sql 2-look.sql
    show_sql 3-keep.sql --set=schedule="$schedule"

    alert=$(query "SELECT id FROM defender_copy.alerts WHERE status = 'new' ORDER BY created_date_time DESC, id LIMIT 1")
    resolve_alert "$alert"
    # only a run that began after the change has to show it
    last=$(query "SELECT coalesce(max(runid), 0) FROM cron.job_run_details")
    printf 'The alert is resolved in the portal.  The schedule is "%s":\n' "$schedule"
    if [ "$schedule" = '* * * * *' ]; then
        printf 'pg_cron begins at the next full minute, so this may take a minute.\n\n'
    else
        printf 'pg_cron begins within a few seconds.\n\n'
    fi
    wait_for_cron "$last"
    show_sql 4-refreshed.sql --set=resolved="$alert"
    show_sql 5-triage.sql --set=writer_id="$writer_id" --set=writer_secret="$writer_secret"
    share_limit

    printf '\nThat was graph_fdw.  scripts/demo.sh --psql to try it, --tenant for your own tenant.\n'
}

open_psql() {
    local pager=more

    # -S does not wrap long lines
    if command -v less >/dev/null; then pager='less -S -F -X'; fi
    show_sql 1-connect.sql
    cat <<'PSQL'

The tables are in the schema "defender": \det defender.* lists them, \d defender.alerts describes one.
Try:

    SELECT severity, count(*) FROM defender.alerts GROUP BY severity;
    SELECT * FROM defender.alerts_summary ORDER BY created_date_time DESC LIMIT 3;

Name the columns that you want, or use the views alerts_summary and incidents_summary: SELECT * of
alerts is very wide.  \x auto is set, so wide rows become lists, and long output goes to a pager (q
leaves it).

Everything is removed when you leave (\q).

PSQL
    # Ctrl-C is psql's, to cancel a query; any other signal ends this script
    # (which ends psql) and so must not wait for psql
    trap : INT
    PSQL_HISTORY=/dev/null PSQL_PAGER="$pager" "${user[@]}" "$pg_bin/psql" --pset=expanded=auto <&0 {lifeline}>&- {screen}>&- &
    while kill -0 "$!" 2>/dev/null; do wait "$!" || true; done
}

main() {
    local mode=tour

    case $#:${1:-} in
        0:) ;;
        1:--psql) mode=open_psql ;;
        1:--tenant) explain_tenant; exit 0 ;;
        1:--help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac

    need_cron=1
    trap clean_up EXIT
    set_up
    step "Starting PostgreSQL and an emulator of Microsoft Graph" start_servers
    prepare_psql
    "$mode"
}

main "$@"
