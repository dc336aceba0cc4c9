#!/usr/bin/env bash
#
# test.sh: every test of graph_fdw, on Debian 12 or 13 with nothing prepared.
#
# What is needed and missing is installed with apt-get; the tests run in a
# temporary folder against a PostgreSQL and an emulator of Microsoft Graph of
# their own.  The last line is "N passed, N failed".

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source-path=SCRIPTDIR source=sanitize.sh
. "$(dirname "${BASH_SOURCE[0]}")/sanitize.sh"
# shellcheck source-path=SCRIPTDIR source=assert_server.sh
. "$(dirname "${BASH_SOURCE[0]}")/assert_server.sh"

usage() {
    cat <<'USAGE'
Usage: scripts/test.sh [--only unit|regress|tap|sanitize|assert] [--keep]

  --only PART   run a part: unit (the emulator's tests, the generated table,
                the layers of the C, a build without warnings), regress
                (pg_regress), tap (t/), sanitize (a build with sanitizers, the
                fuzz targets) or assert (a server with assertions, which is
                built from Debian's source package and kept in GRAPH_FDW_CACHE,
                /var/cache/graph_fdw or ~/.cache/graph_fdw)
  --keep        leave the temporary folder, and say where it is
  --help        this text

PG_CONFIG=/path/to/pg_config tests with another PostgreSQL.
USAGE
}

passed=0
failed=0
only=
workers=()              # processes that run TAP files
title_prefix=           # of the tests that run more than once

#------------------------------------------------------------------------------
# Counting
#------------------------------------------------------------------------------

# count TITLE STATUS PASSED FAILED OUTPUT: add the result of one run and show
# it.  A run that failed without a failed test counts as one: it did not get to
# its tests.
count() {
    local title=$1 status=$2 good=$3 bad=$4 output=$5

    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    passed=$((passed + good))
    failed=$((failed + bad))
    if [ "$bad" -eq 0 ]; then
        printf '%s: %d passed\n' "$title" "$good"
    else
        printf '%s: %d passed, %d FAILED\n' "$title" "$good" "$bad"
        show "$output"
    fi
}

# The end of a file, marked as such.
show() {
    if [ -s "$1" ]; then
        printf -- '--- %s\n' "${1#"$work"/}"
        tail -n "${2:-100}" "$1"
        printf -- '---\n'
    fi
}

# Number of lines of a file that match.
lines() {
    grep -c -E "$1" "$2" || true
}

finish() {
    local status=$? pid

    for pid in "${workers[@]}"; do
        kill -TERM "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    clean_up
    # a set-up that failed, or an interruption
    if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
    printf '%d passed, %d failed\n' "$passed" "$failed"
    if [ "$status" -eq 0 ] && [ "$failed" -ne 0 ]; then status=1; fi
    exit "$status"
}

wanted() {
    [ -z "$only" ] || [ "$only" = "$1" ]
}

#------------------------------------------------------------------------------
# The parts
#------------------------------------------------------------------------------

# test_python TITLE FOLDER: the tests of the programs in a folder.
test_python() {
    local title=$1 folder=$2 output=$work/unittest.out status=0 ran bad skipped

    run timeout -k 10 300 env -C "$work/build" python3 -m unittest discover "$folder" >"$output" 2>&1 || status=$?
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

# Not one warning.  In a copy, so that what the other tests use stays built.
test_warnings() {
    local output=$work/warnings.out status=0

    "${user[@]}" cp -R "$work/build" "$work/warnings"
    run make -C "$work/warnings" PG_CONFIG="$pg_config" WERROR=1 with_llvm=no -s -B -k -j"$(nproc)" \
        >"$output" 2>&1 || status=$?
    count "Build without warnings" "$status" $((status == 0)) 0 "$output"
}

# pg_regress.  PostgreSQL 15 prints "test name ... ok", later ones TAP.
test_regress() {
    local output=$work/regress.out status=0

    make_extension -s installcheck >"$output" 2>&1 || status=$?
    count "${title_prefix}Regression tests" "$status" \
        "$(lines '^(test +|     )[^ ]+ +\.\.\. ok |^ok [0-9]+ ' "$output")" \
        "$(lines '\.\.\. FAILED |^not ok [0-9]+ ' "$output")" "$output"
    if [ "$status" -ne 0 ]; then
        show "$work/build/regression.diffs" 400
        show "$work/postgres.log" 40
    fi
}

# run_tap NAME FOLDER: one file of TAP tests in a folder that nobody else uses.
# What it printed is in $work/NAME.out, its exit status in $work/NAME.status, and
# the logs of one that failed in $work/NAME.logs.
run_tap() {
    local name=$1 folder=$2 status=0

    TEMP_CONFIG=$work/extension.conf \
        run timeout -k 10 400 make -s -C "$folder" PG_CONFIG="$pg_config" prove_installcheck \
        PROVE_TESTS="t/$name.pl" PROVE_FLAGS=--verbose >"$work/$name.out" 2>&1 || status=$?
    echo "$status" >"$work/$name.status"
    if [ "$status" -ne 0 ]; then
        # the next file starts with an empty tmp_check
        cp -R "$folder/tmp_check/log" "$work/$name.logs" || true
        if [ -n "$keep" ]; then mv "$folder/tmp_check" "$work/tmp_check.$name" || true; fi
    fi
}

# tap_worker FOLDER NAME...: run those files that no other worker has taken.
tap_worker() {
    local folder=$1 name

    exec {lifeline}>&-
    trap 'if [ -n "$job" ]; then end_group "$job"; fi; exit 143' TERM
    shift
    for name in "$@"; do
        if mkdir "$work/$name.taken" 2>/dev/null; then run_tap "$name" "$folder"; fi
    done
}

# count_tap NAME: the result of a file; one that died is a failure of its own.
count_tap() {
    local name=$1 output=$work/$1.out status log_file

    status=$(cat "$work/$name.status" 2>/dev/null || echo 1)
    count "${title_prefix}t/$name" "$status" \
        "$(grep -E '^ok [0-9]+' "$output" | grep -c -v -i '# skip' || true)" \
        "$(grep -E '^not ok [0-9]+' "$output" | grep -c -v -i '# todo' || true)" "$output"
    if [ "$status" -ne 0 ]; then
        for log_file in "$work/$name.logs/"*"$name"*; do show "$log_file" 60; done
    fi
    rm -rf "$work/$name.taken" "$work/$name.status" "$work/$name.logs"
}

# test_tap [NAME...]: the TAP tests, or some of them; two files at a time, as
# most of what a test does is to wait.
test_tap() {
    local file name names=() pid

    for file in "$work"/build/t/*.pl; do
        name=$(basename "$file" .pl)
        case " $* " in
            "  " | *" $name "*) names+=("$name") ;;
        esac
    done
    rm -rf "$work/build2"
    "${user[@]}" cp -R "$work/build" "$work/build2"
    tap_worker "$work/build" "${names[@]}" &
    workers=($!)
    tap_worker "$work/build2" "${names[@]}" &
    workers+=($!)
    for pid in "${workers[@]}"; do wait "$pid" || true; done
    workers=()
    for name in "${names[@]}"; do count_tap "$name"; done
}

main() {
    while [ $# -gt 0 ]; do
        case $1 in
            --only)
                only=${2:-}
                case $only in
                    unit | regress | tap | sanitize | assert) shift ;;
                    *) usage >&2; exit 2 ;;
                esac ;;
            --keep) keep=1 ;;
            --help) usage; exit 0 ;;
            *) usage >&2; exit 2 ;;
        esac
        shift
    done

    if wanted tap || wanted sanitize || wanted assert; then need_perl=1; fi
    if wanted assert; then need_assert=1; fi
    if wanted sanitize; then need_clang=1; fi
    trap finish EXIT
    set_up

    if wanted unit; then
        test_python "Emulator" emulator
        test_python "Scripts" scripts
        # the table of properties in C is what the metadata says
        test_check "Generated table" python3 metadata/generate.py --check
        test_check "Layers" python3 scripts/check_layers.py
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

start_servers() {
    init_postgres </dev/null
    start_postgres
    # the same alerts in every run; sql/setup.sql says so, too
    start_emulator --alerts 2000 --seed 1 --now 2026-11-01T00:00:00Z
}

main "$@"
