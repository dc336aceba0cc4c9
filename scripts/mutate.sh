#!/usr/bin/env bash
#
# mutate.sh: does a test notice when the code becomes wrong?
#
# Each mutation of mutations.txt is made, one at a time, in a copy of this
# checkout; the copy is built, and the tests that the table names run until one
# fails.  A mutation that no test notices has survived: either a test is missing
# or the code is not needed.  One that cannot be made, since the code has
# changed, or that does not compile, counts as a failure, too.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

usage() {
    cat <<'USAGE'
Usage: scripts/mutate.sh [--list | --check | --sample N] [--trust] [NAME...]

  NAME...      these mutations; without a name all of them, which takes an hour
  --sample N   N of them, others each day
  --trust      do not run the tests without a mutation first
  --list       print the names
  --check      see whether each can be made; nothing is built
  --help       this text

The last line says how many were noticed, and the exit status whether all were.
USAGE
}

trust=
noticed=0
survived=()
broken=()
ruined=                 # why nothing can be said of any

# Without bitcode, which would take longer than all the rest.
make_extension() {
    run make -C "$work/build" "PG_CONFIG=$pg_config" with_llvm=no "$@"
}

mutate() {
    python3 "$checkout/scripts/mutate.py" "$@"
}

finish() {
    local status=$?

    clean_up
    if [ "${#survived[@]}" -gt 0 ]; then printf 'Survived: %s\n' "${survived[*]}"; fi
    if [ "${#broken[@]}" -gt 0 ]; then printf 'Not made: %s\n' "${broken[*]}"; fi
    printf '%d noticed, %d survived, %d not made\n' "$noticed" "${#survived[@]}" "${#broken[@]}"
    if [ "$status" -eq 0 ] && [ $((${#survived[@]} + ${#broken[@]})) -gt 0 ]; then status=1; fi
    exit "$status"
}

# Build and install what is in the copy.
rebuild() {
    make_extension -s -j"$(nproc)" &&
        if [ -s "$work/extension.conf" ]; then
            make_extension -s install "DESTDIR=$work/install"
        else
            as_root make -C "$work/build" "PG_CONFIG=$pg_config" with_llvm=no -s install
        fi
}

# pg_regress, on a server that a mutation may have ended.
run_regress() {
    if [ -z "$postmaster" ]; then
        init_postgres </dev/null || return
        start_emulator --alerts 2000 --seed 1 --now 2026-11-01T00:00:00Z || return
        start_postgres || return
    elif ! kill -0 "$postmaster" 2>/dev/null; then
        start_postgres || return
    fi
    run timeout -k 10 180 make -C "$work/build" "PG_CONFIG=$pg_config" with_llvm=no -s installcheck
}

# run_test "NAME VARIABLE=VALUE...": "regress", or a file in t/.
run_test() {
    local name=${1%% *} variables=()

    if [ "$name" = regress ]; then
        run_regress
        return
    fi
    read -ra variables <<<"${1#"$name"}"
    # --check complains of it
    if ! [ -e "$work/build/t/$name.pl" ]; then return; fi
    run timeout -k 10 240 env "TEMP_CONFIG=$work/extension.conf" GRAPH_FIRST_FAILURE=1 "${variables[@]}" \
        make -s -C "$work/build" "PG_CONFIG=$pg_config" with_llvm=no prove_installcheck "PROVE_TESTS=t/$name.pl"
}

# What failed first, of what a test printed.  One that had no end in its time
# has said nothing; on a busy machine that need not be the mutation's doing.
first_failure() {
    if ! grep -m 1 -A 1 -E '^not ok|^#   Failed test|FAILED|died at' "$work/test.out" |
        sed -E 's/^#? +//' | tr '\n' ' ' | cut -c 1-150; then
        echo 'it did not end, or ended at once'
    fi
}

# Without a mutation every test passes; otherwise nothing could be said.
check_tests() {
    local name test
    local -A seen=()

    for name in "$@"; do
        while IFS= read -r test; do
            if [ -n "${seen[$test]:-}" ]; then continue; fi
            seen[$test]=1
            if ! run_test "$test" >"$work/test.out" 2>&1; then
                tail -n 30 "$work/test.out"
                ruined="Without a mutation, the test $test fails."
                return 0
            fi
        done < <(mutate show "$name" | tail -n +3)
    done
}

# try NAME: make the mutation and look for a test that fails.
try() {
    local name=$1 start=$SECONDS lines test by=''

    mapfile -t lines < <(mutate show "$name")
    if ! mutate apply "$name" "$work/build"; then
        broken+=("$name")
        return
    fi
    if ! rebuild >"$work/test.out" 2>&1; then
        printf '%s: does not compile\n' "$name"
        tail -n 10 "$work/test.out"
        broken+=("$name")
    else
        for test in "${lines[@]:2}"; do
            if ! run_test "$test" >"$work/test.out" 2>&1; then
                by=$test
                break
            fi
        done
        if [ -n "$by" ]; then
            noticed=$((noticed + 1))
            printf '%s: noticed by %s (%d s): %s\n' "$name" "$by" $((SECONDS - start)) "$(first_failure)"
        else
            survived+=("$name")
            printf '%s: SURVIVED (%d s).  %s  %s\n' "$name" $((SECONDS - start)) "${lines[0]}" "${lines[1]}"
        fi
    fi
    mutate undo "$name" "$work/build"
}

main() {
    local names=() sample='' name

    while [ $# -gt 0 ]; do
        case $1 in
            --list) mutate list; exit ;;
            --check) mutate check "$checkout"; exit ;;
            --sample) sample=${2:?}; shift ;;
            --trust) trust=1 ;;
            --help) usage; exit 0 ;;
            -*) usage >&2; exit 2 ;;
            *) names+=("$1") ;;
        esac
        shift
    done
    if [ "${#names[@]}" -eq 0 ]; then mapfile -t names < <(mutate list); fi
    if [ -n "$sample" ]; then
        mapfile -t names < <(printf '%s\n' "${names[@]}" | shuf -n "$sample" --random-source=<(yes "$(date +%F)"))
    fi

    # shellcheck disable=SC2034 # setup.sh reads it
    need_perl=1
    trap finish EXIT
    set_up
    for name in "${names[@]}"; do mutate show "$name" >/dev/null; done
    if [ -z "$trust" ]; then
        step "Running the tests without a mutation" check_tests "${names[@]}"
        if [ -n "$ruined" ]; then die "$ruined"; fi
    fi
    for name in "${names[@]}"; do try "$name"; done
}

main "$@"
