# assert_server.sh: a PostgreSQL with assertions, and the tests on it.  It is
# sourced by test.sh.
#
# No package has one, so it is built from Debian's source package of the server
# and kept for the next run.  The server itself then checks what graph_fdw does
# to it: writes past the end of a piece of memory, memory that is used after it
# was freed (it is overwritten at once), descriptors, snapshots and buffers that
# are not given back, nodes of the wrong type.
#
# It is kept in $GRAPH_FDW_CACHE, by default /var/cache/graph_fdw for root and
# ~/.cache/graph_fdw for others.  Nothing is built or installed into the folder
# where it is kept: each run copies it, and installs graph_fdw into the copy.
#
# shellcheck shell=bash disable=SC2034,SC2154

# What it is built with: little, and quickly.  The locale's provider that tests
# use is ICU.
assert_options=(--enable-cassert --enable-debug --enable-tap-tests --with-icu --without-readline --without-zlib
    "CFLAGS=-O1 -pipe")

# What is built of it: a server, PL/pgSQL, what tests start, and PGXS.
assert_parts=(src/interfaces/libpq src/fe_utils src/bin/initdb src/bin/pg_ctl src/bin/psql src/bin/pg_config
    src/bin/scripts src/bin/pg_dump src/backend/utils/mb/conversion_procs src/backend/snowball src/pl/plpgsql
    src/timezone src/test/regress src/test/isolation)
assert_installed=(src/include src/common src/port src/backend "${assert_parts[@]}" src/test/perl src/makefiles config)

# The tests on it: answers of random queries, and everything in which scans are
# interleaved.
assert_tests=(030_same_answer 033_statements 043_semantics 045_append 047_interleaved)

assert_space=1000       # megabytes that a build needs
assert_missing=         # why there is no such server

# The folder where servers are kept.
assert_cache() {
    if [ -n "${GRAPH_FDW_CACHE:-}" ]; then
        printf '%s\n' "$GRAPH_FDW_CACHE"
    elif [ "$(id -u)" -eq 0 ]; then
        # root's own folder is closed to the user who runs servers
        printf '/var/cache/graph_fdw\n'
    else
        printf '%s/graph_fdw\n' "${XDG_CACHE_HOME:-$HOME/.cache}"
    fi
}

# What tells builds of a version apart: options and parts, the machine, and the
# library that a build is linked with.
assert_key() {
    { printf '%s\n' "${assert_options[@]}" "${assert_installed[@]}"; uname -m; pkg-config --modversion icu-i18n; } 2>&1 |
        sha256sum | cut -c 1-12
}

# The server that was kept, the newest of its major version; nothing if none.
kept_assert_server() {
    local folder

    for folder in "$(assert_cache)/postgresql-$pg_major"_*_"$(assert_key)"; do
        if [ -x "$folder/bin/postgres" ]; then printf '%s\n' "$folder"; fi
    done | sort -V | tail -n 1
}

# What building needs beyond the rest, by missing_packages's rules.
missing_assert_packages() {
    if ! have apt-get || [ -n "$(kept_assert_server)" ]; then return; fi
    pkg-config --exists icu-uc icu-i18n 2>/dev/null || missing_library icu-i18n libicu-dev
    # the archives of older versions have what these two make
    if [ "$pg_major" -ge 17 ]; then
        have bison || echo bison
        have flex || echo flex
    fi
}

#------------------------------------------------------------------------------
# The source package
#------------------------------------------------------------------------------

# Entries for source packages, from those for packages that this machine has.
# The machine's own are left alone.
write_source_entries() {
    local folder=$1 file

    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        if [ -r "$file" ]; then
            sed -n 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$file" >"$folder/parts/${file##*/}"
        fi
    done
    # sources.list is read under another name
    if [ -e "$folder/parts/sources.list" ]; then mv "$folder/parts/sources.list" "$folder/parts/main.list"; fi
    for file in /etc/apt/sources.list.d/*.sources; do
        if [ -r "$file" ]; then
            sed 's/^Types:.*/Types: deb-src/' "$file" >"$folder/parts/${file##*/}"
        fi
    done
}

# Run a program of apt with these entries only, and lists of its own.
private_apt() {
    local folder=$1 program=$2

    shift 2
    run env -C "$folder" "$program" -q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$folder/parts" \
        -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache" -o Acquire::Retries=2 "$@"
}

# The versions that can be had, newest first.
source_versions() {
    private_apt "$1" apt-cache showsrc "postgresql-$pg_major" | sed -n 's/^Version: //p' | sort -Vru
}

# Get the newest version whose archive is there: the newest of all may have left
# the mirror.  Its name is left in $folder/version.
get_source() {
    local folder=$1 version

    "${user[@]}" mkdir -p "$folder/parts" "$folder/lists/partial" "$folder/cache/archives/partial"
    write_source_entries "$folder"
    # entries of others may have no source packages
    private_apt "$folder" apt-get update || true
    for version in $(source_versions "$folder"); do
        if private_apt "$folder" apt-get source --download-only "postgresql-$pg_major=$version"; then
            printf '%s\n' "$version" >"$folder/version"
            return
        fi
    done
    return 1
}

#------------------------------------------------------------------------------
# The server
#------------------------------------------------------------------------------

# Build it, in the folder with the archive, for the place where it will be kept.
build_server() {
    local folder=$1 prefix=$2 source part make

    "${user[@]}" mkdir "$folder/source" &&
        run python3 -m tarfile -e "$folder"/*.orig.tar.* "$folder/source" || return
    source=$(echo "$folder"/source/*/)
    make=(make -s -j"$(nproc)")
    run env -C "$source" ./configure --quiet "--prefix=$prefix" "${assert_options[@]}" &&
        run "${make[@]}" -C "$source/src/backend" generated-headers &&
        run "${make[@]}" -C "$source/src/backend" || return
    for part in "${assert_parts[@]}"; do
        run "${make[@]}" -C "$source/$part" || return
    done
    for part in "${assert_installed[@]}"; do
        run make -s -C "$source/$part" install "DESTDIR=$folder/install" || return
    done
    run make -s -C "$source/src" install-local "DESTDIR=$folder/install"
}

# Keep what was built.  Another run may have been quicker, or half as far.
keep_server() {
    local built=$1 kept=$2

    mkdir -p "${kept%/*}" &&
        cp -R "$built" "$kept.$$" &&
        { mv -T "$kept.$$" "$kept" || { rm -rf "$kept.$$"; [ -x "$kept/bin/postgres" ]; }; }
}

# Megabytes that are free where a folder is, or will be.
free_space() {
    local folder=$1

    while ! [ -d "$folder" ]; do folder=$(dirname "$folder"); done
    df -Pm "$folder" | awk 'NR == 2 { print $4 }'
}

# Can one be built?  If not, $assert_missing says why.
can_build_server() {
    local cache

    cache=$(assert_cache)
    if ! have apt-get; then
        assert_missing="its source is got with apt-get"
    elif [ "$(free_space "$work")" -lt "$assert_space" ] || [ "$(free_space "$cache")" -lt 200 ]; then
        assert_missing="there is no space to build it"
    elif ! mkdir -p "$cache" 2>/dev/null || ! [ -w "$cache" ]; then
        assert_missing="$cache cannot be written to"
    fi
    [ -z "$assert_missing" ]
}

# A server with assertions in $work/server, of the major version under test.  It
# fails if it could not be built; that there is no source is not a failure, and
# leaves $assert_missing.
provide_assert_server() {
    local folder=$work/source kept version

    kept=$(kept_assert_server)
    if [ -z "$kept" ]; then
        can_build_server || return 0
        "${user[@]}" mkdir "$folder"
        if ! get_source "$folder"; then
            assert_missing="no source package postgresql-$pg_major is to be had"
            return 0
        fi
        version=$(cat "$folder/version")
        kept=$(assert_cache)/postgresql-${pg_major}_${version}_$(assert_key)
        build_server "$folder" "$kept" && keep_server "$folder/install$kept" "$kept" || return
        rm -rf "$folder"
    fi
    echo "$kept"
    # a part of it is linked with where it is kept; the rest goes by where it is
    "${user[@]}" cp -R "$kept" "$work/server"
}

#------------------------------------------------------------------------------
# The tests
#------------------------------------------------------------------------------

# A build for that server, and in it: it is a copy, and ours.
build_asserted() {
    tar -C "$checkout_copy" -cf - --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude=./tmp_check --exclude=./results . |
        "${user[@]}" tar -C "$work/build" -xf - &&
        make_extension -s -j"$(nproc)" &&
        make_extension -s install
}

# pg_regress and some TAP tests on a server with assertions.  What start_postgres
# and the tests use of this run is meanwhile in a folder below the run's.
test_asserts() {
    local checkout_copy=$work/build
    local work=$work/assert pg_config pg_bin title_prefix="With assertions, "

    "${user[@]}" mkdir "$work" "$work/build"
    pg_config=$work/server/bin/pg_config
    pg_bin=$work/server/bin
    : >"$work/extension.conf"
    step "Getting a server with assertions" provide_assert_server
    if [ -n "$assert_missing" ]; then
        printf 'With assertions: left out, %s\n' "$assert_missing"
        return
    fi
    step "Building graph_fdw for it" build_asserted
    stop_servers
    step "Starting it and the emulator" start_servers
    test_regress
    stop_servers
    test_tap "${assert_tests[@]}"
}
