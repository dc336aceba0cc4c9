# coverage.sh: which lines of src/ does no test reach?  It is sourced by
# check.sh, which has built graph_fdw with gcov's counters, and run the tests.
#
# The counters are written when a process ends by itself, so the servers of TAP
# tests are not stopped at once, but when their sessions have ended.
#
# shellcheck shell=bash disable=SC2154

# What a build needs.  Without optimization, so that each line is one that is
# written; the C library's headers complain of that.
coverage_flags=(COPT="--coverage -O0 -Wno-cpp" PG_LDFLAGS=--coverage with_llvm=no)

check_coverage_programs() {
    local program

    for program in gcov lcov genhtml; do
        have "$program" || die "$program is missing: a coverage report needs gcov and lcov (Debian: gcc, lcov)."
    done
}

# TAP tests stop their servers by this pg_ctl.
make_patient_pg_ctl() {
    local program

    "${user[@]}" mkdir "$work/bin"
    for program in "$pg_bin"/*; do
        "${user[@]}" ln -s "$program" "$work/bin/"
    done
    rm "$work/bin/pg_ctl"
    cat >"$work/bin/pg_ctl" <<WRAPPER
#!/usr/bin/env bash
case " \$* " in
    *" stop "*) if "$pg_bin/pg_ctl" "\${@/#immediate/fast}" --timeout=20; then exit; fi ;;
esac
exec "$pg_bin/pg_ctl" "\$@"
WRAPPER
    chmod +x "$work/bin/pg_ctl"
}

# What the counters say, of our own files.
gather() {
    run lcov --quiet --capture --directory "$work/build" --base-directory "$work/build" --no-external \
        --output-file "$work/coverage.info" &&
        run genhtml --quiet --prefix "$work/build" --title graph_fdw --output-directory "$work/html" "$work/coverage.info"
}

# Each line that was not reached, with its text, and a sum for each file.  A
# header is there once for each file that includes it.
list_unreached() {
    awk -v top="$work/build/" '
        /^SF:/ { path = substr($0, 4) }
        /^DA:/ {
            split(substr($0, 4), part, ",")
            if (!((path, part[1]) in hits)) total[path]++
            hits[path, part[1]] += part[2]
        }
        END {
            for (path in total) {
                name = path
                sub(top, "", name)
                missed = 0
                text = ""
                for (n = 1; (getline line < path) > 0; n++)
                    if ((path, n) in hits && hits[path, n] == 0) {
                        missed++
                        text = text name ":" n ":" line "\n"
                    }
                printf "%s: %d of %d lines not reached\n%s", name, missed, total[path], text
            }
        }' "$work/coverage.info" | sort -s -t : -k 1,1
}

# report FOLDER: the report, and on the screen what was not reached.
report() {
    local output=$1

    step "Gathering what was reached" gather
    list_unreached >"$work/unreached.txt"
    rm -rf "$output"
    mkdir -p "$output"
    cp -R "$work/html/." "$work/unreached.txt" "$output/"
    cat "$output/unreached.txt"
    printf 'Report: %s/index.html\n' "$output"
}
