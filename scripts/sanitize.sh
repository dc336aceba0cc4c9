# sanitize.sh: graph_fdw with AddressSanitizer and UndefinedBehaviorSanitizer,
# and the fuzz targets.  It is sourced by test.sh.
#
# The server is the installed one: only graph_fdw is built with the sanitizers,
# and their runtime is loaded into the server ahead of everything else.  So what
# is checked are graph_fdw's own reads and writes of what malloc() gave, of its
# stack and of its globals, and its arithmetic; what palloc() gave is a part of
# larger pieces, and only their ends are seen.
#
# shellcheck shell=bash

fuzz_seconds=20         # for each target
sanitized_tests=(003_types 004_odd_strings 040_faults 047_interleaved)

# The flags that a build needs, and the runtime that a process needs.
sanitizers=(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)

# A server that is started by this pg_ctl has the sanitizers' runtime.
#
# first.so is there because of the order in which libraries are initialized.
# The runtime comes last, although it is loaded first; before it, libgpg-error
# (by way of libldap and GnuTLS) calls bindtextdomain(), which calls malloc()
# with a lock held; that initializes the runtime, which calls dlerror(), which
# takes the same lock: the server hangs before main().  A library that is linked
# with "initfirst" is initialized before all others, and its call of malloc()
# does it in time.
make_sanitized_pg_ctl() {
    local bin=$1 runtime program

    runtime=$(ldd "$work/build/graph_fdw.so" | awk '/libasan/ { print $3 }')
    printf '%s\n' '#include <stdlib.h>' \
        'static void __attribute__((constructor)) first(void) { void *volatile p = malloc(1); free(p); }' >"$bin/first.c"
    gcc -shared -fPIC -Wl,-z,initfirst -o "$bin/first.so" "$bin/first.c"
    cat >"$bin/pg_ctl" <<WRAPPER
#!/bin/sh
# the memory of a backend is not given back one piece at a time: no leaks
ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:handle_segv=0:use_sigaltstack=0:log_path=$work/report
UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1:log_path=$work/report
LD_PRELOAD=$runtime:$bin/first.so
export ASAN_OPTIONS UBSAN_OPTIONS LD_PRELOAD
exec $pg_bin/pg_ctl "\$@"
WRAPPER
    chmod +x "$bin/pg_ctl"
    for program in "$pg_bin"/*; do
        if ! [ -e "$bin/${program##*/}" ]; then ln -s "$program" "$bin/"; fi
    done
}

build_sanitized() {
    tar -C "$checkout_copy" -cf - --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude=./tmp_check . |
        "${user[@]}" tar -C "$work/build" -xf - &&
        run make -C "$work/build" PG_CONFIG="$pg_config" with_llvm=no -s -j"$(nproc)" \
            COPT="-g -O1 ${sanitizers[*]}" PG_LDFLAGS="${sanitizers[*]}" &&
        run make -C "$work/build" PG_CONFIG="$pg_config" with_llvm=no -s install DESTDIR="$work/install" &&
        "${user[@]}" mkdir "$tap_bin" &&
        make_sanitized_pg_ctl "$tap_bin"
}

# Some of the TAP tests: those that feed the module what is broken, and those in
# which one scan runs while another one's bytes are being read.  What run_tap
# uses of this run is meanwhile in a folder below the run's.
test_sanitizers() {
    local checkout_copy=$work/build conf=$work/extension.conf status=0 report
    local work=$work/sanitized tap_bin=$work/sanitized/bin title_prefix="With sanitizers, "

    if ! grep -q extension_destdir "$conf"; then
        echo "With sanitizers: left out, this PostgreSQL loads extensions from its own folder only"
        return
    fi
    "${user[@]}" mkdir "$work" "$work/build"
    build_sanitized >"$work/make.out" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        count "With sanitizers" "$status" 0 0 "$work/make.out"
        return
    fi
    sed "s|'.*'|'$work/install'|" "$conf" >"$work/extension.conf"
    echo 'jit = off' >>"$work/extension.conf"
    GRAPH_SLOW=5 test_tap "${sanitized_tests[@]}"
    for report in "$work"/report.*; do
        if [ -e "$report" ]; then count "With sanitizers, ${report##*/}" 1 0 0 "$report"; fi
    done
}

# run_fuzz NAME NUMBER: a target for a while, from the corpus that is in the
# checkout.
run_fuzz() {
    local status=0

    run make -s -C "$work/build/fuzz" PG_CONFIG="$pg_config" "run-$1" SECONDS=$fuzz_seconds \
        >"$work/$1.out" 2>&1 || status=$?
    echo "$status" >"$work/$1.status"
}

test_fuzz() {
    local targets target status=0

    run make -C "$work/build/fuzz" PG_CONFIG="$pg_config" -s -j"$(nproc)" all >"$work/fuzz.out" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        count "Fuzz targets" "$status" 0 0 "$work/fuzz.out"
        return
    fi
    read -r -a targets < <(make -s -C "$work/build/fuzz" PG_CONFIG="$pg_config" targets)
    run_workers "$(nproc)" run_fuzz "${targets[@]}"
    for target in "${targets[@]}"; do
        status=1
        read -r status 2>/dev/null <"$work/$target.status" || true
        count "fuzz/$target" "$status" $((status == 0)) 0 "$work/$target.out"
    done
}
