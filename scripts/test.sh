#!/usr/bin/env bash
#
# test.sh: every test of graph_fdw, on Debian or Ubuntu with nothing prepared.
#
# What is needed and missing is installed with apt-get; the tests run in a
# temporary folder against a PostgreSQL and an emulator of Microsoft Graph of
# their own.  The last line is "N passed, N failed".

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source-path=SCRIPTDIR source=run_tests.sh
. "$(dirname "${BASH_SOURCE[0]}")/run_tests.sh"
# shellcheck source-path=SCRIPTDIR source=sanitize.sh
. "$(dirname "${BASH_SOURCE[0]}")/sanitize.sh"
# shellcheck source-path=SCRIPTDIR source=assert_server.sh
. "$(dirname "${BASH_SOURCE[0]}")/assert_server.sh"

usage() {
    cat <<'USAGE'
Usage: scripts/test.sh [--only unit|regress|tap|sanitize|assert]... [--long] [--keep]
       scripts/test.sh --prepare

  --only PART   run a part: unit (the emulator's tests, the generated table,
                the layers of the C, a build without warnings), regress
                (pg_regress), tap (t/), sanitize (a build with sanitizers, the
                fuzz targets) or assert (a server with assertions, which is
                built from Debian's source package and kept in GRAPH_FDW_CACHE,
                /var/cache/graph_fdw or ~/.cache/graph_fdw)
  --long        with more random statements, seeds and steps of what is tried
                one after the other (GRAPH_LONG=1)
  --prepare     install what the tests need, and run none
  --keep        leave the temporary folder, and say where it is
  --help        this text

PG_CONFIG=/path/to/pg_config tests with another PostgreSQL.
USAGE
}

only=()                 # parts to run; empty: all
prepare=                # not empty: install packages, and no more

wanted() {
    local part

    if [ "${#only[@]}" -eq 0 ]; then return 0; fi
    for part in "${only[@]}"; do
        if [ "$part" = "$1" ]; then return 0; fi
    done
    return 1
}

#------------------------------------------------------------------------------
# The parts
#------------------------------------------------------------------------------

# test_python TITLE FOLDER: the tests of the programs in a folder.
test_python() {
    local title=$1 folder=$2 output=$work/unittest.out status=0 ran bad skipped

    run timeout -k 10 300 env -C "$work/build" python3 -m unittest discover -v "$folder" >"$output" 2>&1 || status=$?
    ran=$(sed -n 's/^Ran \([0-9]*\) tests\{0,1\} in .*/\1/p' "$output")
    # "FAILED (failures=1, errors=2, skipped=3)" or "OK (skipped=3)"
    bad=$(summed 'failures|errors|unexpected successes' "$output")
    skipped=$(summed 'skipped' "$output")
    count "$title" "$status" $((${ran:-0} > bad + skipped ? ran - bad - skipped : 0)) "$bad" "$output"
}

# Sum of the numbers that unittest's last line gives for some words.
summed() {
    awk -v words="^($1)\$" -F'[(,)] ?' '
        /^(OK|FAILED) \(/ { for (i = 2; i <= NF; i++) if (split($i, part, "=") == 2 && part[1] ~ words) n += part[2] }
        END { print n + 0 }' "$2"
}

# test_check TITLE COMMAND...: a program that looks at the checkout's text.
test_check() {
    local title=$1 output=$work/check.out status=0

    shift
    run env -C "$work/build" "$@" >"$output" 2>&1 || status=$?
    count "$title" "$status" $((status == 0)) 0 "$output"
}

# How many files pgindent would change, if it is there: it is told, and no test,
# since versions of it do not agree about everything.
tell_indentation() {
    printf 'Indentation: %s\n' "$(run env -C "$work/build" python3 scripts/check_indent.py | tail -n 1)"
}

# Not one warning.  In a copy, so that what the other tests use stays built.
test_warnings() {
    local output=$work/warnings.out status=0

    "${user[@]}" cp -R "$work/build" "$work/warnings"
    run make -C "$work/warnings" PG_CONFIG="$pg_config" WERROR=1 with_llvm=no -s -B -k -j"$(nproc)" \
        >"$output" 2>&1 || status=$?
    count "Build without warnings" "$status" $((status == 0)) 0 "$output"
}

main() {
    while [ $# -gt 0 ]; do
        case $1 in
            --only)
                case ${2:-} in
                    unit | regress | tap | sanitize | assert) only+=("$2"); shift ;;
                    *) usage >&2; exit 2 ;;
                esac ;;
            --long) export GRAPH_LONG=1 ;;
            --prepare) prepare=1 ;;
            --keep) keep=1 ;;
            --help) usage; exit 0 ;;
            *) usage >&2; exit 2 ;;
        esac
        shift
    done

    if wanted tap || wanted sanitize || wanted assert; then need_perl=1; fi
    if wanted assert; then need_assert=1; fi
    if wanted sanitize; then need_clang=1; fi
    if [ -n "$prepare" ]; then
        trap clean_up EXIT
        begin
        find_postgres
        ensure_packages
        exit
    fi
    trap finish EXIT
    set_up

    if wanted unit; then
        test_python "Emulator" emulator
        test_python "Scripts" scripts
        # the table of properties in C is what the metadata says
        test_check "Generated table" python3 metadata/generate.py --check
        test_check "Layers" python3 scripts/check_layers.py
        tell_indentation
        test_warnings
    fi
    if wanted regress; then
        step "Starting PostgreSQL and the emulator" start_servers
        test_regress
    fi
    if wanted tap; then
        test_tap
    fi
    if wanted sanitize; then
        test_sanitizers
        test_fuzz
    fi
    if wanted assert; then
        test_asserts
    fi
}

main "$@"
