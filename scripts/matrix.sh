#!/usr/bin/env bash
#
# matrix.sh: the tests of graph_fdw on every version of PostgreSQL that can be
# had here.
#
# Debian and Ubuntu have a version in each of their releases.  A root folder of
# one is made with debootstrap, kept packed in a cache, and unpacked for the run
# in it; mounts and processes are in namespaces of their own and end with it.  A
# server that is here already is used where it is.  What could not be tested is
# said with the reason, and a table is printed, for docs/versions.md.

set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mirror=${GRAPH_FDW_MIRROR:-http://deb.debian.org/debian}
ubuntu_mirror=${GRAPH_FDW_UBUNTU_MIRROR:-http://archive.ubuntu.com/ubuntu}
cache=${GRAPH_FDW_CACHE:-/var/cache/graph_fdw}/roots
days=7                  # a packed root is made anew after so many

usage() {
    cat <<'USAGE'
Usage: scripts/matrix.sh [--only unit|regress|tap]... [--logs FOLDER] [--fresh] [--table] [VERSION | PG_CONFIG]...

Without a version: 15 to 19, where a root folder has it (15 in Debian bookworm,
16 in Ubuntu noble, 17 in Debian trixie, 18 in unstable, 19 in experimental),
or a server that is installed here.  A path names another server's pg_config.

  --only PART   parts of scripts/test.sh (default: unit, regress and tap)
  --logs FOLDER what each version's run printed, as VERSION.log
  --fresh       make the root folders anew, and not of the cache
                (GRAPH_FDW_CACHE, /var/cache/graph_fdw)
  --table       print the table, what failed and what was left out, and
                nothing meanwhile
  --help        this text

Root folders need root, debootstrap, unshare and mirrors (GRAPH_FDW_MIRROR,
http://deb.debian.org/debian; GRAPH_FDW_UBUNTU_MIRROR,
http://archive.ubuntu.com/ubuntu).
USAGE
}

work=                   # the folder of this run
job=                    # process that runs in a root folder
only=()
fresh=
quiet=
logs=                   # folder of the logs that stay
rows=()                 # of the table
remarks=()              # what failed, and what was left out
tested=                 # ", commit ..."
bad=0                   # versions whose tests failed

clean_up() {
    local status=$?

    trap '' HUP INT TERM
    # unshare does not listen to anything less, and its child ends with it
    if [ -n "$job" ]; then { kill -KILL "$job" && wait "$job"; } 2>/dev/null || true; fi
    if [ -n "$work" ]; then rm -rf --one-file-system "$work"; fi
    exit "$status"
}

say() {
    if [ -z "$quiet" ]; then printf '%s\n' "$*"; fi
}

# add_row VERSION FROM WARNINGS REGRESS TAP
add_row() {
    rows+=("| $1 | $2 | $3 | $4 | $5 |")
    say "PostgreSQL $1 ($2): build without warnings: $3; pg_regress: $4; t/: $5"
}

# not_tested VERSION FROM WHY
not_tested() {
    rows+=("| $1 | $2 | not tested | | |")
    remarks+=("$1: not tested: $3")
    say "PostgreSQL $1: not tested: $3"
}

# Which release has a version.
suite_of() {
    case $1 in
        15) echo bookworm ;;
        16) echo noble ;;
        17) echo trixie ;;
        18 | 19) echo sid ;;
    esac
}

# Where it is said to come from.
release_of() {
    case $1 in
        16) echo "Ubuntu noble" ;;
        19) echo "Debian experimental" ;;
        *) echo "Debian $(suite_of "$1")" ;;
    esac
}

#------------------------------------------------------------------------------
# Root folders
#------------------------------------------------------------------------------

# Why there can be no root folders, or nothing.
why_no_roots() {
    if [ "$(id -u)" -ne 0 ]; then echo "a root folder needs root"
    elif ! command -v debootstrap >/dev/null; then echo "debootstrap is not installed"
    elif ! command -v unshare >/dev/null; then echo "unshare is not installed"
    elif ! unshare --mount --pid --fork true 2>/dev/null; then echo "this machine lets nobody mount"
    fi
}

# in_root ROOT COMMAND...: with its own mounts and processes, all of which end
# with the command.  /dev is the few files that debootstrap has made.  In the
# background, since bash acts on a signal while it waits for a job only.
in_root() {
    local root=$1 status=0

    shift
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount --pid --fork --kill-child=KILL bash -c '
        root=$1; shift
        mount --make-rprivate / &&
            mount -t proc proc "$root/proc" && mount -t tmpfs tmpfs "$root/dev/shm" &&
            exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
                ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} "$@"
    ' in_root "$root" "$@" </dev/null &
    job=$!
    wait "$job" || status=$?
    job=
    return "$status"
}

# What a new root is told: packages start nothing, and a mirror that is behind
# will do, as nothing of the root outlives the run.
configure_root() {
    local root=$1 version=$2 suite=$3

    cp /etc/resolv.conf "$root/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
    echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/50behind"
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
    mkdir -p "$root/etc/postgresql-common/createcluster.d"
    echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.d/no-cluster.conf"
    if [ "$suite" = noble ]; then
        printf "deb $ubuntu_mirror %s main universe\n" "$suite" "$suite-updates" >"$root/etc/apt/sources.list"
    else
        echo "deb $mirror $suite main" >"$root/etc/apt/sources.list"
    fi
    if [ "$version" = 19 ]; then
        echo "deb $mirror experimental main" >>"$root/etc/apt/sources.list"
        printf 'Package: src:postgresql-19\nPin: release a=experimental\nPin-Priority: 600\n' \
            >"$root/etc/apt/preferences.d/postgresql-19"
    fi
}

copy_checkout() {
    mkdir -p "$1/checkout"
    tar -C "$checkout" --mode=u+rwX,go+rX -cf - --exclude=./.git --exclude='*.o' --exclude='*.so' . |
        tar -C "$1/checkout" -xf - --no-same-owner
}

# install_base SUITE ROOT: the least that a release is.  A debootstrap that does
# not know the release makes it as an earlier one of the same kind.
install_base() {
    local suite=$1 root=$2 scripts=/usr/share/debootstrap/scripts

    case $suite in
        noble)
            if [ ! -e "$scripts/$suite" ]; then scripts+=/jammy; else scripts+=/$suite; fi
            debootstrap --variant=minbase "$suite" "$root" "$ubuntu_mirror" "$scripts" ;;
        *) debootstrap --variant=minbase "$suite" "$root" "$mirror" ;;
    esac
}

# make_root VERSION ROOT: from the cache, or new, with all that the tests need.
make_root() {
    local version=$1 root=$2 suite packed=$cache/$1.tar

    suite=$(suite_of "$version")
    if [ -z "$fresh" ] && [ -n "$(find "$packed" -mtime "-$days" 2>/dev/null)" ]; then
        mkdir "$root"
        tar -C "$root" -xpf "$packed"
        cp /etc/resolv.conf "$root/etc/resolv.conf"
        return
    fi
    install_base "$suite" "$root" || return
    configure_root "$root" "$version" "$suite"
    copy_checkout "$root"
    in_root "$root" env "PG_CONFIG=/usr/lib/postgresql/$version/bin/pg_config" bash /checkout/scripts/test.sh --prepare --only tap || return
    rm -rf "$root/checkout"
    rm -f "$root"/var/cache/apt/archives/*.deb
    mkdir -p "$cache"
    tar -C "$root" --exclude=./proc/'*' --exclude=./dev/shm/'*' -cpf "$packed.new" .
    mv "$packed.new" "$packed"
}

#------------------------------------------------------------------------------
# Tests
#------------------------------------------------------------------------------

# result_of TITLE LOG: "N passed" or "N passed, N FAILED" of the tests whose title
# matches; of files, how many there are, too.
result_of() {
    sed -n -E "s#^($1): ([0-9]+) passed(, ([0-9]+) FAILED)?( \([0-9]+ s\))?\$#\2 \4#p" "$2" |
        awk -v files="${3:-}" '{ n++; good += $1; bad += $2 }
            END { if (n == 0) { print "not run"; exit }
                  if (files) printf "%d files, ", n
                  printf "%d passed", good
                  if (bad) printf ", %d FAILED", bad
                  print "" }'
}

# judge NAME FROM LOG: the row of a version whose tests have run.
judge() {
    local warnings line

    if [ -n "$logs" ]; then cp "$3" "$logs/$1.log"; fi
    case $(tail -n 1 "$3") in
        *" passed, 0 failed") ;;
        *) bad=$((bad + 1)) ;;
    esac
    if ! grep -q ': [0-9]* passed' "$3"; then
        not_tested "$1" "$2" "$(grep -v '^$\|^0 passed, ' "$3" | tail -n 1 | cut -c1-200)"
        return
    fi
    case $(result_of 'Build without warnings' "$3") in
        "1 passed") warnings=yes ;;
        "not run") warnings="not run" ;;
        *) warnings=NO ;;
    esac
    add_row "$1" "$2" "$warnings" "$(result_of 'Regression tests' "$3")" "$(result_of 't/[^:]*' "$3" files)"
    while IFS= read -r line; do
        remarks+=("$1: $line")
    done < <(sed -n '/^Failed:$/,$p' "$3" | sed -e '/^Failed:$/d' -e '/^$/d' -e '/^[0-9]* passed, /d' -e '/^It took /d' -e 's/^/failed: /'
             grep ': skipped: ' "$3" || true)
}

test_root() {
    local version=$1 root=$work/root-$1 log=$work/$1.log release full

    release=$(release_of "$version")
    say "PostgreSQL $version: making a root folder of $release ..."
    if ! make_root "$version" "$root" >"$log" 2>&1; then
        not_tested "$version" "$release" "$(grep -v '^$' "$log" | tail -n 1 | cut -c1-200)"
        rm -rf --one-file-system "$root"
        return
    fi
    copy_checkout "$root"
    full=$(in_root "$root" "/usr/lib/postgresql/$version/bin/pg_config" --version | sed 's/^PostgreSQL \([^ ]*\).*/\1/')
    say "PostgreSQL $full: testing ..."
    in_root "$root" env "PG_CONFIG=/usr/lib/postgresql/$version/bin/pg_config" \
        bash /checkout/scripts/test.sh "${only[@]}" >"$log" 2>&1 || true
    judge "$full" "$release" "$log"
    rm -rf --one-file-system "$root"
}

test_server() {
    local pg_config=$1 log=$work/server.log full

    full=$("$pg_config" --version 2>/dev/null | sed 's/^PostgreSQL \([^ ]*\).*/\1/') || full=
    if [ -z "$full" ]; then
        bad=$((bad + 1))
        not_tested "?" "$pg_config" "it is no pg_config"
        return
    fi
    say "PostgreSQL $full: testing ..."
    PG_CONFIG=$pg_config bash "$checkout/scripts/test.sh" "${only[@]}" >"$log" 2>&1 || true
    judge "$full" "$pg_config" "$log"
}

# The pg_config of an installed server of a version that has its headers.
installed() {
    local file

    for file in "/usr/lib/postgresql/$1/bin/pg_config" "/usr/pgsql-$1/bin/pg_config"; do
        if [ -x "$file" ] && [ -x "$(dirname "$file")/postgres" ] && [ -e "$("$file" --pgxs)" ]; then
            echo "$file"
            return
        fi
    done
}

test_version() {
    local version=$1 why found

    found=$(installed "$version")
    if [ -n "$(suite_of "$version")" ]; then
        why=$(why_no_roots)
        if [ -z "$why" ]; then
            test_root "$version"
            return
        fi
    else
        why="no release of Debian or Ubuntu that we know has it: name the pg_config of a server"
    fi
    if [ -n "$found" ]; then
        test_server "$found"
    else
        not_tested "$version" "" "$why"
    fi
}

# The commit that was tested, and whether it was changed.
commit() {
    local name

    name=$(git -C "$checkout" describe --always --dirty=", changed" 2>/dev/null) || return 0
    printf ', commit %s' "$name"
}

print_table() {
    printf '\n%s%s\n\n' "$(date -u '+%Y-%m-%d')" "$tested"
    printf '| PostgreSQL | from | builds with WERROR=1 | pg_regress | t/ |\n|---|---|---|---|---|\n'
    printf '%s\n' "${rows[@]}"
    if [ "${#remarks[@]}" -ne 0 ]; then printf '\n'; printf '%s\n' "${remarks[@]}"; fi
}

main() {
    local wanted=() one

    while [ $# -gt 0 ]; do
        case $1 in
            --only)
                case ${2:-} in
                    unit | regress | tap) only+=(--only "$2"); shift ;;
                    *) usage >&2; exit 2 ;;
                esac ;;
            --logs)
                [ -n "${2:-}" ] || { usage >&2; exit 2; }
                mkdir -p "$2"
                logs=$(cd "$2" && pwd)
                shift ;;
            --fresh) fresh=1 ;;
            --table) quiet=1 ;;
            --help) usage; exit 0 ;;
            */* | [0-9][0-9]) wanted+=("$1") ;;
            *) usage >&2; exit 2 ;;
        esac
        shift
    done
    if [ "${#only[@]}" -eq 0 ]; then only=(--only unit --only regress --only tap); fi
    if [ "${#wanted[@]}" -eq 0 ]; then wanted=(15 16 17 18 19); fi

    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    work=$(mktemp -d /tmp/graph_fdw.matrix.XXXXXX)
    chmod 755 "$work"
    tested=$(commit)
    for one in "${wanted[@]}"; do
        case $one in
            */*) test_server "$one" ;;
            *) test_version "$one" ;;
        esac
    done
    print_table
    exit $((bad > 0))
}

main "$@"
