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

    runtime=$(ldd "$work/sanitized/graph_fdw.so" | awk '/libasan/ { print $3 }')
    printf '%s\n' '#include <stdlib.h>' \
        'static void __attribute__((constructor)) first(void) { void *volatile p = malloc(1); free(p); }' >"$bin/first.c"
    gcc -shared -fPIC -Wl,-z,initfirst -o "$bin/first.so" "$bin/first.c"
    cat >"$bin/pg_ctl" <<WRAPPER
#!/bin/sh
# the memory of a backend is not given back one piece at a time: no leaks
ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:handle_segv=0:use_sigaltstack=0:log_path=$work/sanitized/report
UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1:log_path=$work/sanitized/report
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
    local folder=$work/sanitized

    "${user[@]}" mkdir "$folder"
    tar -C "$work/build" -cf - --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude=./tmp_check . |
        "${user[@]}" tar -C "$folder" -xf -
    run make -C "$folder" PG_CONFIG="$pg_config" with_llvm=no -s -j"$(nproc)" \
        COPT="-g -O1 ${sanitizers[*]}" PG_LDFLAGS="${sanitizers[*]}" &&
        run make -C "$folder" PG_CONFIG="$pg_config" with_llvm=no -s install DESTDIR="$folder/install" &&
        "${user[@]}" mkdir "$folder/bin" &&
        make_sanitized_pg_ctl "$folder/bin"
}

# Some of the TAP tests: those that feed the module what is broken, and those in
# which one scan runs while another one's bytes are being read.
test_sanitizers() {
    local folder=$work/sanitized output=$work/sanitize.out status=0 tests reports

    if ! grep -q extension_destdir "$work/extension.conf"; then
        echo "With sanitizers: left out, this PostgreSQL loads extensions from its own folder only"
        return
    fi
    build_sanitized >"$output" 2>&1 || status=$?
    if [ "$status" -eq 0 ]; then
        sed "s|'.*'|'$folder/install'|" "$work/extension.conf" >"$folder/extension.conf"
        echo 'jit = off' >>"$folder/extension.conf"
        for tests in "t/040_faults.pl t/003_types.pl t/004_odd_strings.pl" t/047_interleaved.pl; do
            TEMP_CONFIG=$folder/extension.conf GRAPH_SLOW=5 \
                run timeout -k 10 300 make -s -C "$folder" PG_CONFIG="$pg_config" with_llvm=no prove_installcheck \
                bindir="$folder/bin" PROVE_TESTS="$tests" PROVE_FLAGS=--verbose >>"$output" 2>&1 || status=$?
        done
    fi
    for reports in "$folder"/report.*; do
        if [ -e "$reports" ]; then
            status=1
            show "$reports"
        fi
    done
    count "With sanitizers" "$status" \
        "$(grep -E '^ok [0-9]+' "$output" | grep -c -v -i '# skip' || true)" \
        "$(lines '^not ok [0-9]+' "$output")" "$output"
}

# Each fuzz target for a while, from the corpus that is in the checkout.
test_fuzz() {
    local target output status

    output=$work/fuzz.out
    status=0
    run make -C "$work/build/fuzz" PG_CONFIG="$pg_config" -s all >"$output" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        count "Fuzz targets" "$status" 0 0 "$output"
        return
    fi
    for target in $(make -s -C "$work/build/fuzz" PG_CONFIG="$pg_config" targets); do
        output=$work/$target.out
        status=0
        run make -s -C "$work/build/fuzz" PG_CONFIG="$pg_config" "run-$target" SECONDS=$fuzz_seconds \
            >"$output" 2>&1 || status=$?
        count "fuzz/$target" "$status" $((status == 0)) 0 "$output"
    done
}
