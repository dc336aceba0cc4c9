#!/usr/bin/env python3
"""Is the C indented as PostgreSQL's pgindent would do it?

pg_bsd_indent does the work, with pgindent's options and what pgindent does before and after it. The program is looked
for in $PG_BSD_INDENT, in PATH and beside pg_config; Debian has it as the package pg-bsd-indent, PostgreSQL 16 and later
in src/tools. Where there is none, that is said, and nothing is checked.

    check_indent.py                 how many files differ, and which; the exit status says whether any does
    check_indent.py diff [FILE...]  what would change
    check_indent.py fix [FILE...]   change it
    check_indent.py typedefs        make typedefs.list anew, from the debugging information of graph_fdw.so

pg_bsd_indent has to know which names are types: typedefs.list, in the top folder, and what the C declares itself.
Another type is taken for a variable where "Type *name" might be a product.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
TYPEDEFS = TOP / "typedefs.list"

# pgindent's
OPTIONS = (
    "-bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 -nfc1 -i4 -l79 -lp -lpl -nip -npro -sac -tpg -ts4".split()
)
# A type that is no typedef, and a typedef of the server that is the name of many variables here.
MORE_TYPES = {"bool"}
NOT_TYPES = {"text"}

GENERATED = {"src/catalog/resource_data.h"}


def sources() -> list[Path]:
    found = [*TOP.glob("*.[ch]"), *(TOP / "src").rglob("*.[ch]")]
    return sorted(path for path in found if path.relative_to(TOP).as_posix() not in GENERATED)


def find_program() -> str:
    """The path of pg_bsd_indent; empty if there is none."""
    candidates = [os.environ.get("PG_BSD_INDENT", ""), "pg_bsd_indent"]
    pg_config = shutil.which(os.environ.get("PG_CONFIG") or "pg_config")
    if pg_config:
        folder = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=True).stdout.strip()
        candidates.append(f"{folder}/pg_bsd_indent")
    return next((path for path in map(shutil.which, filter(None, candidates)) if path), "")


def hide_literals(text: str, types: set[str]) -> str:
    """Compound literals, "(Type) {a, b}", as casts: pg_bsd_indent takes their braces for blocks."""

    def hidden(match: re.Match[str]) -> str:
        return f"({match[1].swapcase()}) ({match[2]})" if match[1] in types else match[0]

    return re.sub(r"\((\w+)\) ?\{([^{};]*)\}", hidden, text)


def show_literals(text: str, types: set[str]) -> str:
    def shown(match: re.Match[str]) -> str:
        return f"({match[1].swapcase()}) {{{match[2]}}}" if match[1].swapcase() in types else match[0]

    return re.sub(r"\((\w+)\) \(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)", shown, text)


def indented(program: str, text: str, types: str, known: set[str]) -> str:
    """The text as pgindent would leave it."""
    # comments that begin with dashes stay as they are
    text = hide_literals(re.sub(r"/\* +---", "/*---X_X", text), known)
    with tempfile.NamedTemporaryFile("w", suffix=".c", encoding="utf-8") as source:
        source.write(text)
        source.flush()
        command = [program, *OPTIONS, f"-U{types}", source.name, "/dev/stdout"]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode or done.stderr:
        raise ValueError(done.stderr.strip() or f"{program}: exit status {done.returncode}")
    text = show_literals(done.stdout.replace("/*---X_X", "/* ---"), known)
    # comments that were run together
    text = re.sub(r"\*/(/\*.*\*/)$", "*/\t\\1", text, flags=re.MULTILINE)
    # one space before the '*' of what a function returns
    return re.sub(r"^([A-Za-z_]\S*)[ \t]+\*$", r"\1 *", text, flags=re.MULTILINE)


def mend(before: str, after: str) -> str:
    """Without what version 2.1.1, PostgreSQL 15's and Debian 12's, does otherwise than 2.1.2.

    It indents the further lines of an initializer by one tab less, and writes ",." before a designator.
    """
    after = re.sub(r",\.(?=\w+ = )", ", .", after)
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    result: list[str] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        moved = kind == "replace" and b - a == d - c and all(x == "\t" + y for x, y in zip(old[a:b], new[c:d]))
        result += old[a:b] if moved else new[c:d]
    return "".join(result)


def words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", text))


def own_typedefs(text: str) -> set[str]:
    """What a file declares itself; what nobody uses under its name is not in the debugging information."""
    short = r"^typedef (?:struct|union|enum) \w+ (\w+);"
    long = r"^typedef (?:struct|union|enum)[^;\n]*\n\{\n.*?^\}\s*(\w+);"
    return set(re.findall(short, text, re.MULTILINE)) | set(re.findall(long, text, re.MULTILINE | re.DOTALL))


def make_typedefs() -> int:
    module = TOP / "graph_fdw.so"
    if not module.exists():
        print(f"{module} is not there: build it first", file=sys.stderr)
        return 1
    command = ["objdump", "--dwarf=info", str(module)]
    dwarf = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"\(DW_TAG_typedef\)\n.*DW_AT_name +: .*?([A-Za-z_]\w*)\n", dwarf))
    used: set[str] = set()
    for path in sources():
        text = path.read_text(encoding="utf-8")
        used |= words(re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)) & known | own_typedefs(text)
    used -= NOT_TYPES
    # one a line, in the order of bytes, as PostgreSQL's own list
    TYPEDEFS.write_text("".join(f"{name}\n" for name in sorted(used)), encoding="utf-8")
    print(f"{TYPEDEFS.name}: {len(used)} types")
    return 0


def check(program: str, action: str, paths: list[Path]) -> int:
    differ = 0
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as types:
        known = words(TYPEDEFS.read_text(encoding="utf-8")) | MORE_TYPES
        for path in sources():
            known |= own_typedefs(path.read_text(encoding="utf-8"))
        # those in compound literals; "CURL" would make a type of each variable "curl"
        hidden = {name.swapcase() for name in known if name not in (name.upper(), name.lower())}
        types.write("".join(f"{name}\n" for name in sorted(known | hidden)))
        types.flush()
        for path in paths:
            name = path.relative_to(TOP).as_posix()
            before = path.read_text(encoding="utf-8")
            try:
                after = indented(program, before, types.name, known)
            except ValueError as problem:
                print(f"{name}: {problem}")
                differ += 1
                continue
            if " 2.1.1 " in version:
                after = mend(before, after)
            if after == before:
                continue
            differ += 1
            if action == "diff":
                show_difference(name, before, after)
            else:
                print(f"{name}: {count_changes(before, after)} lines")
            if action == "fix":
                path.write_text(after, encoding="utf-8")
    print(f"{differ} of {len(paths)} files {'changed' if action == 'fix' else 'are not as pgindent leaves them'}")
    return 1 if differ and action != "fix" else 0


def show_difference(name: str, before: str, after: str) -> None:
    lines = [text.splitlines(keepends=True) for text in (before, after)]
    sys.stdout.writelines(difflib.unified_diff(*lines, name, f"{name}, indented"))


def count_changes(before: str, after: str) -> int:
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    return sum(max(b - a, d - c) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal")


def main(arguments: list[str]) -> int:
    action = arguments[0] if arguments else "check"
    if action not in ("check", "diff", "fix", "typedefs"):
        print(__doc__, file=sys.stderr)
        return 2
    if action == "typedefs":
        return make_typedefs()
    program = find_program()
    if not program:
        print("left out: there is no pg_bsd_indent (Debian: pg-bsd-indent)")
        return 0
    return check(program, action, [Path(name).resolve() for name in arguments[1:]] or sources())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
