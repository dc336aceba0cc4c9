#!/usr/bin/env bash
#
# package.sh: the release as PGXN, Debian and RPM want it, of the last commit
# (or, where there is no git, of this folder).
#
# It builds in a temporary folder, asks no network and installs nothing.

set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
output=
work=

usage() {
    cat <<'USAGE'
Usage: scripts/package.sh [--output FOLDER] pgxn|deb|rpm...

  pgxn         graph_fdw-VERSION.zip, as PGXN takes it ("make dist")
  deb          Debian packages for every PostgreSQL that postgresql-common
               supports here (with debhelper,
               postgresql-server-dev-all and what debian/control names are).
               DEB_BUILD_OPTIONS=nocheck leaves out pg_regress, which takes
               postgresql-all
  rpm          RPM packages for the PostgreSQL that PG_CONFIG names (or the
               pg_config in PATH).  RPMBUILD_OPTIONS has words for rpmbuild, such
               as "--without llvm", or "--nodeps" where what is needed is there,
               but not as an RPM package
  --output     where the packages go: the checkout's folder dist, unless this
               says otherwise
  --help       this text
USAGE
}

die() {
    printf '%s\n' "$@" >&2
    exit 1
}

need() {
    local program

    for program in "$@"; do
        command -v "$program" >/dev/null || die "$program is missing."
    done
}

# The version of the release: META.json has all three numbers.
version() {
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["version"])' "$checkout/META.json"
}

# source_tar PREFIX: the release as a tar archive on standard output.
source_tar() {
    if git -C "$checkout" rev-parse --git-dir >/dev/null 2>&1; then
        git -C "$checkout" archive --format=tar --prefix="$1/" HEAD
    else
        tar -C "$checkout" --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude=__pycache__ \
            --exclude=./dist --transform "s,^\.,$1," -cf - .
    fi
}

make_pgxn() {
    local version=$1

    need git
    git -C "$checkout" archive --format=zip --prefix="graph_fdw-$version/" \
        --output="$output/graph_fdw-$version.zip" HEAD
}

# debian/control is what control.in says for the versions of this release of
# Debian, so it is written anew, in the copy.
make_deb() {
    local version=$1 folder=$work/deb/graph-fdw-$1

    need dpkg-buildpackage dh pg_buildext
    mkdir "$work/deb"
    source_tar "graph-fdw-$version" | gzip -n >"$work/deb/graph-fdw_$version.orig.tar.gz"
    tar -C "$work/deb" -xzf "$work/deb/graph-fdw_$version.orig.tar.gz"
    (cd "$folder" && pg_buildext updatecontrol && dpkg-buildpackage -us -uc)
    find "$work/deb" -maxdepth 1 -type f -exec mv -t "$output" {} +
}

make_rpm() {
    local version=$1 top=$work/rpm config=${PG_CONFIG:-pg_config} major options=()

    need rpmbuild "$config"
    major=$("$config" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
    read -r -a options <<<"${RPMBUILD_OPTIONS:-}"
    mkdir -p "$top"/{BUILD,BUILDROOT,RPMS,SOURCES,SPECS,SRPMS}
    source_tar "graph_fdw-$version" | gzip -n >"$top/SOURCES/graph_fdw-$version.tar.gz"
    rpmbuild -ba --define "_topdir $top" --define "pgmajorversion $major" \
        --define "pginstdir $(dirname "$("$config" --bindir)")" \
        --define "pglibdir $("$config" --pkglibdir)" --define "pgsharedir $("$config" --sharedir)" \
        "${options[@]}" "$checkout/packaging/graph_fdw.spec"
    find "$top/RPMS" "$top/SRPMS" -name '*.rpm' -exec mv -t "$output" {} +
}

main() {
    local kinds=() kind version

    while [ $# -gt 0 ]; do
        case $1 in
            --output)
                [ -d "${2:-}" ] || die "--output wants a folder."
                output=$(cd "$2" && pwd)
                shift ;;
            --help) usage; exit 0 ;;
            pgxn | deb | rpm) kinds+=("$1") ;;
            *) usage >&2; exit 2 ;;
        esac
        shift
    done
    if [ "${#kinds[@]}" -eq 0 ]; then
        usage >&2
        exit 2
    fi

    if [ -z "$output" ]; then
        output=$checkout/dist
        mkdir -p "$output"
    fi
    version=$(version)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    for kind in "${kinds[@]}"; do "make_$kind" "$version"; done
}

main "$@"
