# setup.sh: what the scripts that start a server have in common; it is sourced,
# not run.
#
# It installs the packages that are missing, or says which, builds graph_fdw
# from a copy of this checkout, and runs a PostgreSQL and an emulator of Microsoft Graph that
# last as long as the script.  Everything it makes is in one folder, $work,
# which is gone at the end, as is every process started here.
#
# shellcheck shell=bash

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

need_cron=              # not empty: the caller uses pg_cron
need_perl=              # not empty: the caller runs TAP tests
need_clang=             # not empty: the caller runs fuzz targets
need_assert=            # not empty: the caller builds a server with assertions
say_missing=            # not empty: say which packages are missing, install none
leave_server=           # not empty: install nothing into the server's folders

work=                   # the folder of this run
keep=                   # not empty: leave it there
log=                    # $work/log: what the steps print
screen=                 # file descriptor of the screen
lifeline=               # file descriptor whose closing wakes the janitor
janitor=                # process that removes $work
step_title=             # the step that is running
explanation=            # why it has failed, if that can be said in a sentence
job=                    # process group of the command that is running
postmaster=             # process of the throwaway PostgreSQL
emulator_process=       # process of the emulator
apt_drop_in=            # file that apt-get is to see, and nobody after it
user=()                 # prefix that turns a command into the unprivileged user's

oldest_major=15         # what graph_fdw needs
pg_major=               # 15
pg_config=              # /usr/lib/postgresql/15/bin/pg_config
pg_bin=                 # /usr/lib/postgresql/15/bin

#------------------------------------------------------------------------------
# Beginning and end
#------------------------------------------------------------------------------

# Make the folder of this run.  The caller has set a trap on EXIT that calls
# clean_up, and gets every signal that ends a script turned into an exit.
begin() {
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM

    # Messages are parsed, and nothing of the caller's database is meant here.
    export LC_ALL=C.UTF-8
    pg_config=${PG_CONFIG:-}
    unset "${!PG@}" MAKEFLAGS MAKELEVEL MFLAGS TMPDIR
    umask 022
    # The emulator is on loopback; a proxy of this machine does not know it.
    export no_proxy="127.0.0.1,localhost${no_proxy:+,$no_proxy}"

    exec {screen}>&1
    work=$(mktemp -d /tmp/graph_fdw.XXXXXX)
    log=$work/log
    : >"$log"
    start_janitor
}

# The last to leave: waits for the end of this script, even of one that is
# killed and cannot clean up, and removes what is left.
start_janitor() {
    exec {lifeline}> >(
        trap '' HUP INT TERM
        set +e
        read -r _
        stop_stray_postgres
        if [ -z "$keep" ]; then rm -rf "$work"; fi
    )
    janitor=$!
}

# End every process of this run and remove its folder.  Called once, on EXIT.
clean_up() {
    trap '' HUP INT TERM
    set +e
    # a signal may have come while the output went to a file
    if [ -n "$screen" ]; then exec >&"$screen"; fi

    if [ -n "$step_title" ]; then
        printf 'FAILED\n'
        show_log_end
        if [ -n "$explanation" ]; then printf '%s\n' "$explanation" >&2; fi
    fi

    if [ -n "$apt_drop_in" ]; then remove_apt_drop_in; fi
    if [ -n "$job" ]; then end_group "$job"; fi
    if [ -n "$emulator_process" ]; then stop_emulator; fi
    if [ -n "$postmaster" ]; then stop_postgres; fi
    if [ -n "$janitor" ]; then
        exec {lifeline}>&-
        wait "$janitor"
    fi
    if [ -n "$keep" ] && [ -n "$work" ]; then printf 'Kept: %s\n' "$work"; fi
}

# What the last step printed: the end of the log, back to the step's title.
show_log_end() {
    awk '/^=== / { n = 0 } { text[n++] = $0 }
         END { for (i = n > 60 ? n - 60 : 0; i < n; i++) print text[i]; print "===" }' "$log"
}

# End a process group: asked first, since a TAP test stops its own servers
# when it is asked, and made to after ten seconds.
end_group() {
    local group=$1 i

    kill -TERM -- "-$group" 2>/dev/null || return
    for ((i = 0; i < 100; i++)); do
        kill -0 -- "-$group" 2>/dev/null || return
        sleep 0.1
    done
    kill -KILL -- "-$group" 2>/dev/null
}

# A TAP test that was killed leaves its servers; their data is in our folder.
stop_stray_postgres() {
    local file pid i

    find "$work" -name postmaster.pid 2>/dev/null | while IFS= read -r file; do
        read -r pid <"$file" || continue
        kill -QUIT "$pid" 2>/dev/null || continue
        for ((i = 0; i < 50; i++)); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
    done
}

die() {
    step_title=
    printf '%s\n' "$@" >&2
    exit 1
}

# step TITLE COMMAND...: one line on the screen, the rest in the log.  When the
# command fails the script ends, and clean_up shows the end of the log.
step() {
    local start=$SECONDS

    step_title=$1
    shift
    printf '%s ... ' "$step_title"
    printf '\n=== %s\n' "$step_title" >>"$log"
    "$@" >>"$log" 2>&1
    step_title=
    printf 'done (%d s)\n' $((SECONDS - start))
}

# Run a command as the unprivileged user, in a session of its own, and wait for
# it: bash acts on a signal while it waits for a job, but not while a command
# runs in the foreground, and the session can be ended as a whole.  What it
# might leave running does not hold our lifeline or the screen.
run() {
    local status=0

    setsid "${user[@]}" "$@" </dev/null {lifeline}>&- {screen}>&- &
    job=$!
    wait "$job" || status=$?
    job=
    return "$status"
}

# Run a command with an administrator's rights.  In the foreground: sudo may
# have to ask for a password, and a package manager should not be cut short.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

#------------------------------------------------------------------------------
# Packages
#------------------------------------------------------------------------------

# Which PostgreSQL?  The one that PG_CONFIG names; else the distribution's own;
# else the latest that is there.
find_postgres() {
    local major

    if [ -n "$pg_config" ]; then
        check_pg_config
        return
    fi
    pg_major=$(distribution_major)
    if [ -z "$pg_major" ] || [ ! -x "/usr/lib/postgresql/$pg_major/bin/postgres" ]; then
        major=$(installed_major)
        if [ -n "$major" ]; then pg_major=$major; fi
    fi
    if [ -n "$pg_major" ] && [ "$pg_major" -ge "$oldest_major" ]; then
        pg_config=/usr/lib/postgresql/$pg_major/bin/pg_config
        if [ ! -e "$pg_config" ] && [ -x "/usr/pgsql-$pg_major/bin/pg_config" ]; then
            pg_config=/usr/pgsql-$pg_major/bin/pg_config
        fi
        return
    fi
    # built from source, or another system's
    if have pg_config && [ -x "$(pg_config --bindir)/postgres" ]; then
        pg_config=$(command -v pg_config)
        check_pg_config
        return
    fi
    if [ -n "$pg_major" ]; then
        die "PostgreSQL $pg_major is what this system has, and graph_fdw needs $oldest_major or later:" \
            "install postgresql-17 and postgresql-server-dev-17 from https://apt.postgresql.org, or set PG_CONFIG" \
            "to the pg_config of another server."
    fi
    die "There is no PostgreSQL here: install the server ($oldest_major or later) with its development files and pg_cron," \
        "a C compiler, make, pkg-config, libcurl, jansson, OpenSSL, zlib, python3 and perl's IPC::Run, or set PG_CONFIG" \
        "to the server's pg_config."
}

# Does PG_CONFIG name the pg_config of a server?  That of Debian's packages may
# be named before they are installed.
check_pg_config() {
    local version

    case $pg_config in
        /usr/lib/postgresql/[0-9]*/bin/pg_config)
            pg_major=${pg_config#/usr/lib/postgresql/}
            pg_major=${pg_major%%/*}
            if have apt-get || [ -x "$pg_config" ]; then return; fi ;;
    esac
    have "$pg_config" || die "PG_CONFIG names $pg_config, which is not there or cannot be run."
    version=$("$pg_config" --version 2>/dev/null | head -n 1) || version=
    pg_major=$(printf '%s\n' "$version" | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')
    [ -n "$pg_major" ] || die "PG_CONFIG names $pg_config, which is no pg_config: it says \"$version\" of its version."
    [ "$pg_major" -ge "$oldest_major" ] ||
        die "PG_CONFIG names $pg_config of PostgreSQL $pg_major, and graph_fdw needs $oldest_major or later."
    [ -x "$("$pg_config" --bindir)/postgres" ] ||
        die "PG_CONFIG names $pg_config, but there is no server in $("$pg_config" --bindir)."
    [ -e "$("$pg_config" --pgxs)" ] ||
        die "PG_CONFIG names $pg_config, whose server has no development files ($("$pg_config" --pgxs) is missing)."
}

# The version that the distribution has: known of those that are released, and
# what apt says of others (testing, unstable, with PostgreSQL's own packages).
distribution_major() {
    local system

    # shellcheck disable=SC1091
    system=$(. /etc/os-release 2>/dev/null && printf '%s' "${ID:-} ${VERSION_ID:-}")
    case $system in
        "debian 12") echo 15 ;;
        "debian 13") echo 17 ;;
        "ubuntu 24.04") echo 16 ;;
        *)
            if ! have apt-cache; then return; fi
            # a new system knows no packages yet
            if [ -z "$(apt_major)" ] && [ -z "$(installed_major)" ] && [ -z "$say_missing" ]; then
                apt_get update >>"$log" 2>&1 || true
            fi
            apt_major ;;
    esac
}

apt_major() {
    apt-cache depends postgresql 2>/dev/null | sed -n 's/^ *Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1
}

# The latest server that is installed as a package and new enough.
installed_major() {
    local file

    for file in /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres; do
        if [ -x "$file" ]; then printf '%s\n' "$file" | sed 's/^[^0-9]*\([0-9]*\).*/\1/'; fi
    done | sort -n | awk -v oldest="$oldest_major" '$1 >= oldest { latest = $1 } END { if (latest) print latest }'
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# The packages that are missing: those whose use fails, so that what came from
# elsewhere, or under another name, counts too.
missing_packages() {
    local prefix=/usr/lib/postgresql/$pg_major

    have gcc || echo gcc
    [ -e /usr/include/stdlib.h ] || echo libc6-dev
    have make || echo make
    have pkg-config || echo pkg-config
    pkg-config --exists libcurl 2>/dev/null || missing_library libcurl libcurl4-openssl-dev
    pkg-config --exists jansson 2>/dev/null || missing_library jansson libjansson-dev
    pkg-config --exists libcrypto 2>/dev/null || missing_library libcrypto libssl-dev
    pkg-config --exists zlib 2>/dev/null || missing_library zlib zlib1g-dev
    # curl does not start a TLS connection without the authorities' file
    [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/pki/tls/certs/ca-bundle.crt ] || echo ca-certificates
    # python3-minimal has the command and a part of the library
    python3 -c 'import gzip, http.server, ssl, unittest' 2>/dev/null || echo python3

    # a PostgreSQL that is not a package is taken as it is
    if [ "$pg_config" = "$prefix/bin/pg_config" ]; then
        [ -x "$prefix/bin/postgres" ] || echo "postgresql-$pg_major"
        # its makefiles are a client's, too: only the headers are its own
        [ -e "/usr/include/postgresql/$pg_major/server/postgres.h" ] || echo "postgresql-server-dev-$pg_major"
        if [ -n "$need_cron" ]; then
            [ -e "$prefix/lib/pg_cron.so" ] || echo "postgresql-$pg_major-cron"
        fi
    fi

    if [ -n "$need_perl" ]; then
        have prove || echo perl
        have openssl || echo openssl
        # its test is left out without it
        [ -n "$say_missing" ] || have nghttpd || echo nghttp2-server
        perl -MIPC::Run -MTest::More -e 1 2>/dev/null || echo libipc-run-perl
    fi

    if [ -n "$need_clang" ]; then
        have clang || echo clang
        # it links nothing without its runtime
        echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n ? 0 : 0; }' |
            clang -x c -fsanitize=fuzzer,address -o /dev/null - 2>/dev/null || echo libclang-rt-dev
    fi

    if [ -n "$need_assert" ]; then missing_assert_packages; fi
}

# Without pkg-config nothing can be asked, but the library may be there.
missing_library() {
    local name=$1 package=$2 file

    if ! have pkg-config; then
        for file in /usr/lib/*/pkgconfig/"$name".pc; do
            if [ -e "$file" ]; then return; fi
        done
    fi
    echo "$package"
}

# What postgresql-common reads before it makes a default cluster.
apt_drop_in_folder=/etc/postgresql-common/createcluster.d

# Keep Debian from making, and starting, a cluster that nobody asked for.
add_apt_drop_in() {
    apt_drop_in=$apt_drop_in_folder/zz-graph_fdw.conf
    as_root mkdir -p "$apt_drop_in_folder"
    printf 'create_main_cluster = false\n' | as_root tee "$apt_drop_in" >/dev/null
}

remove_apt_drop_in() {
    as_root rm -f "$apt_drop_in"
    as_root rmdir --ignore-fail-on-non-empty "$apt_drop_in_folder" 2>/dev/null || true
    apt_drop_in=
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

install_packages() {
    local output=$work/apt.out

    # A source that does not answer may be one that nothing here needs.
    apt_get update 2>&1 | tee "$output" || echo "apt-get update failed; going on with what is known"
    case " $* " in
        *" postgresql-$pg_major "* | *" postgresql-$pg_major-cron "*) add_apt_drop_in ;;
    esac
    if ! apt_get install --no-install-recommends --no-upgrade "$@" 2>&1 | tee -a "$output"; then
        explain_apt "$output"
        return 1
    fi
    if [ -n "$apt_drop_in" ]; then remove_apt_drop_in; fi
}

# What apt-get says at length, in a sentence.
explain_apt() {
    if grep -q -i -E 'could not resolve|temporary failure resolving|could not connect|unable to connect|connection (failed|refused|timed out)' "$1"; then
        explanation="The packages' mirror cannot be reached: is there a network, and does apt know its proxy (Acquire::http::Proxy)?"
    elif grep -q -i 'unable to locate package\|has no installation candidate' "$1"; then
        explanation="This system's package sources do not have all of it: see /etc/apt, or set PG_CONFIG to another PostgreSQL."
    fi
}

# Install what is missing, and nothing else.
ensure_packages() {
    local missing=()

    mapfile -t missing < <(missing_packages)
    if [ "${#missing[@]}" -eq 0 ]; then return; fi

    if [ -n "$say_missing" ] || ! have apt-get; then
        die "Missing, by Debian's names: ${missing[*]}"
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! have sudo; then
            die "Packages are missing, and installing them needs root or sudo.  As root:" \
                "    apt-get install --no-install-recommends ${missing[*]}"
        fi
        printf 'Missing packages: %s\n' "${missing[*]}"
        # Any password is asked for here, before the screen is the step's.
        sudo -n true 2>/dev/null || sudo -v || die "sudo does not let you install them."
    fi
    step "Installing ${missing[*]}" install_packages "${missing[@]}"

    mapfile -t missing < <(missing_packages)
    if [ "${#missing[@]}" -ne 0 ]; then
        die "Still missing after the installation: ${missing[*]}"
    fi
}

# PostgreSQL refuses to run as root: then everything that needs no rights runs
# as the user of Debian's packages, otherwise as whoever called.
choose_user() {
    local home=$work/home

    mkdir "$home"
    if [ "$(id -u)" -eq 0 ]; then
        id postgres >/dev/null 2>&1 || die "There is no user \"postgres\" to run PostgreSQL."
        chown -R postgres: "$work"
        user=(setpriv --reuid=postgres --regid=postgres --init-groups)
    else
        user=(setpriv)
    fi
    # With --pdeathsig what runs in the background ends even if this script is
    # killed and cannot clean up.
    user+=(--pdeathsig TERM env "HOME=$home" "TMPDIR=$work/tmp")
    "${user[@]}" mkdir "$work/tmp" "$work/build"
    # the caller's folder may be closed to that user
    cd "$work" || return
}

#------------------------------------------------------------------------------
# The extension
#------------------------------------------------------------------------------

# Copy the checkout, which stays as it is and need not be readable to the
# unprivileged user, without what an earlier make has left in it.
copy_checkout() {
    # of a checkout that may not be written to, a copy that may
    tar -C "$checkout" --mode=u+rwX,go+rX -cf - --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.bc.tmp' --exclude='*.so' \
        --exclude=__pycache__ --exclude=./tmp_check --exclude=./results . |
        "${user[@]}" tar -C "$work/build" -xf - --no-same-owner
}

# Bitcode for the server's compiler is not made: it takes longer than all else,
# and what the server compiles does not call into graph_fdw.
make_extension() {
    run make -C "$work/build" PG_CONFIG="$pg_config" with_llvm=no "$@"
}

build_extension() {
    make_extension -s -j"$(nproc)"
}

# Does the server have this setting?
has_setting() {
    "$pg_bin/postgres" --describe-config | grep "^$1[[:space:]]" >/dev/null
}

# The settings by which a server loads an extension that was installed below
# $work/install: Debian has one of its own, and PostgreSQL 18 has two.
extension_settings() {
    if has_setting extension_destdir; then
        echo "extension_destdir = '$work/install'"
    elif has_setting extension_control_path; then
        echo "extension_control_path = '$work/install$("$pg_config" --sharedir):\$system'"
        echo "dynamic_library_path = '$work/install$("$pg_config" --pkglibdir):\$libdir'"
    fi
}

# The system is left alone where the server can load an extension from elsewhere.
install_extension() {
    extension_settings >"$work/extension.conf"
    if [ -s "$work/extension.conf" ]; then
        "${user[@]}" mkdir "$work/install"
        make_extension install DESTDIR="$work/install"
    elif [ -n "$leave_server" ]; then
        echo "This PostgreSQL loads extensions from its own folders only: --install puts graph_fdw there."
        return 1
    elif [ -w "$("$pg_config" --pkglibdir)" ]; then
        make -C "$work/build" PG_CONFIG="$pg_config" with_llvm=no install
    else
        as_root make -C "$work/build" PG_CONFIG="$pg_config" with_llvm=no install
    fi
}

# Everything up to an extension that a server can load.
set_up() {
    begin
    find_postgres
    ensure_packages
    pg_bin=$("$pg_config" --bindir)
    choose_user
    step "Copying the checkout" copy_checkout
    step "Building graph_fdw for PostgreSQL $pg_major" build_extension
    step "Installing it for this run" install_extension
    if ! [ -s "$work/extension.conf" ]; then
        printf 'This PostgreSQL loads extensions from its own folder only: graph_fdw was installed in %s\n' \
               "$("$pg_config" --pkglibdir)"
    fi
}

#------------------------------------------------------------------------------
# A throwaway PostgreSQL
#------------------------------------------------------------------------------

# Its settings; further lines come from the caller on standard input.
write_server_conf() {
    cat <<CONF

# graph_fdw: a server for one run.  No TCP port, so it is in nobody's way.
listen_addresses = ''
unix_socket_directories = '$work/socket'
fsync = off
full_page_writes = off
synchronous_commit = off
max_wal_size = 256MB
CONF
    cat "$work/extension.conf" -
}

# initdb, with the lines of standard input added to postgresql.conf
init_postgres() {
    local data=$work/data conf=$work/server.conf

    write_server_conf >"$conf"
    "${user[@]}" mkdir -m 700 "$work/socket"
    run "$pg_bin/initdb" -D "$data" -U postgres --auth=trust --encoding=UTF8 --locale=C --no-sync
    cat "$conf" >>"$data/postgresql.conf"
}

# Start it.  Not by pg_ctl: as a child of this script it can be waited for, and
# it ends (--pdeathsig, an immediate shutdown is enough) when the script dies.
start_postgres() {
    local i

    export PGHOST=$work/socket PGUSER=postgres PGDATABASE=postgres
    setsid "${user[@]}" setpriv --pdeathsig QUIT "$pg_bin/postgres" -D "$work/data" \
        </dev/null >>"$work/postgres.log" 2>&1 {lifeline}>&- {screen}>&- &
    postmaster=$!
    for ((i = 0; i < 300; i++)); do
        if "$pg_bin/pg_isready" -q; then return; fi
        if ! kill -0 "$postmaster" 2>/dev/null; then break; fi
        sleep 0.1
    done
    echo "PostgreSQL did not start:"
    tail -n 30 "$work/postgres.log"
    return 1
}

# Fast shutdown: sessions are ended, then the server.  If that takes too long,
# the server is told to drop everything.
stop_postgres() {
    local i

    kill -INT "$postmaster" 2>/dev/null
    for ((i = 0; i < 150; i++)); do
        if ! kill -0 "$postmaster" 2>/dev/null; then break; fi
        sleep 0.1
    done
    kill -QUIT "$postmaster" 2>/dev/null
    wait "$postmaster" 2>/dev/null
    postmaster=
}

#------------------------------------------------------------------------------
# The emulator
#------------------------------------------------------------------------------

# start_emulator ARGUMENTS...: it ends when its standard input is closed, by us
# or by our death.
start_emulator() {
    coproc emulator {
        exec setsid "${user[@]}" python3 "$work/build/emulator/graph_emulator.py" --until-stdin-closes "$@" \
            2>>"$work/emulator.log" {lifeline}>&- {screen}>&-
    }
    # shellcheck disable=SC2154 # coproc assigns it
    emulator_process=$emulator_PID
    if ! read -r -t 30 GRAPH_EMULATOR_PORT <&"${emulator[0]}"; then
        echo "the emulator did not start:"
        tail -n 30 "$work/emulator.log"
        return 1
    fi
    export GRAPH_EMULATOR_PORT
}

stop_emulator() {
    if [ -n "${emulator[1]:-}" ]; then
        eval "exec ${emulator[1]}>&-"
    fi
    end_group "$emulator_process"
    wait "$emulator_process" 2>/dev/null
    emulator_process=
}
