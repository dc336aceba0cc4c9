#!/usr/bin/env bash
#
# check.sh: the tests of graph_fdw for somebody who has PostgreSQL and the
# libraries; "make check" and "make coverage" run it.
#
# It builds a copy of this checkout, starts a server and an emulator of
# Microsoft Graph of its own, runs pg_regress and the TAP tests, and ends both.
# Nothing is installed: what is missing is said.  As root, all of it runs as the
# user postgres.  The last line is "N passed, N failed".

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source-path=SCRIPTDIR source=run_tests.sh
. "$(dirname "${BASH_SOURCE[0]}")/run_tests.sh"
# shellcheck source-path=SCRIPTDIR source=coverage.sh
. "$(dirname "${BASH_SOURCE[0]}")/coverage.sh"

usage() {
    cat <<'USAGE'
Usage: scripts/check.sh [--coverage] [--keep] [--install] [TEST...]

  TEST         these only: regress (pg_regress), or files such as
               t/001_rows.pl; without one, all
  --coverage   say which lines no test reached, and leave a report in the
               folder coverage.  Tests with time limits may fail, since the
               code is slower
  --keep       leave the temporary folder, and say where it is
  --install    install graph_fdw into the server's own folders, if it loads
               extensions from nowhere else (before PostgreSQL 18, unless it is
               Debian's)
  --help       this text

PG_CONFIG=/path/to/pg_config names the PostgreSQL; otherwise it is the one in
PATH.
USAGE
}

# pg_config of the server, not of the client library that may be in PATH.
find_pg_config() {
    local found=${PG_CONFIG:-}

    if [ -z "$found" ]; then found=$(command -v pg_config || true); fi
    if [ -z "$found" ]; then return; fi
    if ! have "$found"; then die "$found is not there."; fi
    PG_CONFIG=$("$found" --bindir)/pg_config
    if ! [ -x "$PG_CONFIG" ]; then PG_CONFIG=$(command -v "$found"); fi
}

# A server that can be built for, or why there is none.
check_server() {
    local bin pgxs

    if [ -z "${PG_CONFIG:-}" ]; then return; fi
    bin=$("$PG_CONFIG" --bindir)
    pgxs=$("$PG_CONFIG" --pgxs)
    [ -x "$bin/postgres" ] || die "There is no server in $bin: set PG_CONFIG to the pg_config of one."
    [ -e "$pgxs" ] || die "The server's development files are missing ($pgxs; Debian: postgresql-server-dev-NN)."
}

# Was the server built with what TAP tests need?
has_tap() {
    grep -q '^enable_tap_tests[[:space:]]*=[[:space:]]*yes' "$(dirname "$("$pg_config" --pgxs)")/../Makefile.global"
}

make_extension() {
    run make -C "$work/build" PG_CONFIG="$pg_config" "${make_options[@]}" "$@"
}

main() {
    local names=() regress='' tap='' coverage='' make_options=()

    # shellcheck disable=SC2034 # setup.sh reads them
    say_missing=1 leave_server=1
    while [ $# -gt 0 ]; do
        case $1 in
            --coverage) coverage=1 ;;
            --keep) keep=1 ;;
            --install) leave_server= ;;
            --help) usage; exit 0 ;;
            regress) regress=1 ;;
            *.pl)
                [ -e "$checkout/t/${1##*/}" ] || die "There is no test $1."
                tap=1
                names+=("$(basename "$1" .pl)") ;;
            *) usage >&2; exit 2 ;;
        esac
        shift
    done
    if [ -z "$regress$tap" ]; then
        regress=1
        tap=1
    fi

    if [ -n "$coverage" ]; then
        check_coverage_programs
        make_options=("${coverage_flags[@]}")
    fi
    find_pg_config
    check_server
    # shellcheck disable=SC2034 # setup.sh reads it
    need_perl=$tap
    trap finish EXIT
    set_up
    if [ -n "$coverage" ]; then
        make_patient_pg_ctl
        tap_bin=$work/bin
    fi
    if [ -n "$regress" ]; then
        step "Starting PostgreSQL and the emulator" start_servers
        test_regress
    fi
    if [ -n "$tap" ]; then
        if has_tap; then
            test_tap "${names[@]}"
        else
            echo "TAP tests: left out, this PostgreSQL was built without --enable-tap-tests"
        fi
    fi
    if [ -n "$coverage" ]; then
        # a process that still runs has not written its counters
        stop_servers
        report "$checkout/coverage"
    fi
}

main "$@"
