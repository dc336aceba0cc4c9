# run_tests.sh: how pg_regress and the TAP tests are run and counted; it is
# sourced by test.sh and check.sh, after setup.sh.
#
# shellcheck shell=bash disable=SC2154

passed=0
failed=0
workers=()              # processes that run tests, see worker
title_prefix=           # of the tests that run more than once
tap_bin=                # not empty: the folder of the programs that TAP tests run

# The TAP tests of more than a minute, the longest first.
long_tests=(111_one_limit 008_cancel 048_moving 083_incident_faults 112_limit_ends 057_redact 110_throttled 040_faults 047_interleaved
    041_recovery 051_allocations 033_statements)

#------------------------------------------------------------------------------
# Counting
#------------------------------------------------------------------------------

# count TITLE STATUS PASSED FAILED OUTPUT: add the result of one run and show
# it, with the seconds that it took, if they are in $taken.  A run that failed
# without a failed test counts as one: it did not get to its tests.
count() {
    local title=$1 status=$2 good=$3 bad=$4 output=$5

    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    passed=$((passed + good))
    failed=$((failed + bad))
    if [ "$bad" -eq 0 ] && [ "$good" -gt 0 ]; then
        printf '%s: %d passed%s\n' "$title" "$good" "${taken:+ ($taken s)}"
    elif [ "$bad" -ne 0 ]; then
        printf '%s: %d passed, %d FAILED%s\n' "$title" "$good" "$bad" "${taken:+ ($taken s)}"
        show_failures "$title" "$output"
        show "$output"
    fi
    say_skipped "$title" "$output"
}

# The assertions that failed, with what was expected: of TAP, of pg_regress and
# of Python's unittest.
show_failures() {
    local found=$work/failures.one

    awk '/^not ok/ || /\.\.\. FAILED/ || /^(FAIL|ERROR): / { n = 12 }
         /^(ok|test) / && !/FAILED/ { n = 0 }
         n > 0 && ++total <= 60 { print "  " substr($0, 1, 200); n-- }' "$2" >"$found"
    if [ -s "$found" ]; then
        cat "$found"
        { printf '%s\n' "$1"; grep -E '^  (not ok|FAIL|ERROR|.*\.\.\. FAILED)' "$found" || true; } >>"$work/failures"
    else
        printf '%s\n' "$1" >>"$work/failures"
    fi
}

# What was left out, and why.
say_skipped() {
    local why

    while IFS= read -r why; do
        printf '%s: skipped: %s\n' "$1" "$why"
    done < <(sed -n -e 's/^\(ok\|1\.\.0\)\( .*\)\{0,1\} # [Ss][Kk][Ii][Pp] *//p' \
        -e 's/^t\/[^ ]* \.\.* skipped: //p' -e "s/.* \.\.\. skipped ['\"]\(.*\)['\"]$/\1/p" "$2" 2>/dev/null | sort -u)
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
    local status=$? pid failed_list

    # before the folder is gone
    failed_list=$(cat "$work/failures" "$work"/*/failures 2>/dev/null || true)
    for pid in "${workers[@]}"; do
        kill -TERM "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    clean_up
    # a set-up that failed, or an interruption
    if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
    if [ -n "$failed_list" ]; then printf '\nFailed:\n%s\n\n' "$failed_list"; fi
    printf 'It took %d minutes and %d seconds.\n' $((SECONDS / 60)) $((SECONDS % 60))
    printf '%d passed, %d failed\n' "$passed" "$failed"
    if [ "$status" -eq 0 ] && [ "$failed" -ne 0 ]; then status=1; fi
    exit "$status"
}

#------------------------------------------------------------------------------
# The tests
#------------------------------------------------------------------------------

start_servers() {
    init_postgres </dev/null
    start_postgres
    # the same alerts in every run; sql/setup.sql says so, too
    start_emulator --alerts 2000 --seed 1 --now 2026-11-01T00:00:00Z
}

# What clean_up does at the end, earlier.
stop_servers() {
    if [ -n "$postmaster" ]; then stop_postgres || true; fi
    if [ -n "$emulator_process" ]; then stop_emulator || true; fi
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

# worker RUNNER NUMBER NAME...: call RUNNER NAME NUMBER for the names that no
# other worker has taken.
worker() {
    local runner=$1 number=$2 name

    exec {lifeline}>&-
    trap 'if [ -n "$job" ]; then end_group "$job"; fi; exit 143' TERM
    shift 2
    for name in "$@"; do
        if mkdir "$work/$name.taken" 2>/dev/null; then "$runner" "$name" "$number"; fi
    done
}

# run_workers MANY RUNNER NAME...: RUNNER once for each name, MANY at a time.
run_workers() {
    local many=$1 runner=$2 number pid name

    shift 2
    for ((number = 0; number < many; number++)); do
        worker "$runner" "$number" "$@" &
        workers+=($!)
    done
    for pid in "${workers[@]}"; do wait "$pid" || true; done
    workers=()
    for name in "$@"; do rmdir "$work/$name.taken" || true; done
}

# run_tap NAME NUMBER: one file of TAP tests, in the worker's own folder.  What
# it printed is in $work/NAME.out, its exit status and its seconds in
# $work/NAME.status, and the logs of one that failed in $work/NAME.logs.
run_tap() {
    local name=$1 folder=$work/build.$2 status=0 begun=$SECONDS

    TEMP_CONFIG=$work/extension.conf \
        run timeout -k 10 900 make -s -C "$folder" PG_CONFIG="$pg_config" with_llvm=no prove_installcheck \
        ${tap_bin:+"bindir=$tap_bin"} PROVE_TESTS="t/$name.pl" PROVE_FLAGS=--verbose >"$work/$name.out" 2>&1 || status=$?
    echo "$status $((SECONDS - begun))" >"$work/$name.status"
    if [ "$status" -ne 0 ]; then
        # the next file starts with an empty tmp_check
        cp -R "$folder/tmp_check/log" "$work/$name.logs" || true
        if [ -n "$keep" ]; then mv "$folder/tmp_check" "$work/tmp_check.$name" || true; fi
    fi
}

# count_tap NAME: the result of a file; one that died is a failure of its own.
count_tap() {
    local name=$1 output=$work/$1.out status=1 taken='' log_file

    read -r status taken 2>/dev/null <"$work/$name.status" || true
    count "${title_prefix}t/$name" "$status" \
        "$(grep -E '^ok [0-9]+' "$output" | grep -c -v -i '# skip' || true)" \
        "$(grep -E '^not ok [0-9]+' "$output" | grep -c -v -i '# todo' || true)" "$output"
    if [ "$status" -ne 0 ]; then
        for log_file in "$work/$name.logs/"*"$name"*; do show "$log_file" 60; done
    fi
    rm -rf "$work/$name.status" "$work/$name.logs"
}

# test_tap [NAME...]: the TAP tests, or some of them; one file more at a time
# than there are processors, as most of what a test does is to wait.  The
# longest come first: the others fill the gap at the end.
test_tap() {
    local name names=() number many

    many=$(($(nproc) < 8 ? $(nproc) + 1 : 8))
    for name in "${long_tests[@]}" $(cd "$work/build/t" && printf '%s\n' *.pl | sed 's/\.pl$//'); do
        case " ${names[*]} " in *" $name "*) continue ;; esac
        case " $* " in
            "  " | *" $name "*) names+=("$name") ;;
        esac
    done
    for ((number = 0; number < many; number++)); do
        rm -rf "$work/build.$number"
        "${user[@]}" cp -R "$work/build" "$work/build.$number"
    done
    run_workers "$many" run_tap "${names[@]}"
    while IFS= read -r name; do count_tap "$name"; done < <(printf '%s\n' "${names[@]}" | sort)
}
