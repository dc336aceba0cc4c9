#!/usr/bin/env python3
"""Do the arrows between the C files go down only?

The C below src/ lies in layers, one folder and one header each, and graph_fdw.c is on top. LAYERS says what each may
use. This reads what every file includes, what it defines for others and what of others it uses, and names both files
wherever

- an include or a use runs up or sideways,
- files use each other in a circle, also within one layer,
- a header that is private to a layer (*_int.h) is included from elsewhere,
- a struct in a header has too many fields, a function or a file too many lines.

    check_layers.py [--arrows] [FOLDER]     --arrows prints who uses what instead

It understands as much of C as that takes. Comments, strings and prototypes use nothing; a macro's text is a use where
it is written. Of the branches of an #if only the first counts for what a file defines, all for what it uses.
test_check_layers.py has an example of each rule.
"""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# What each layer may use beside itself, lowest first.
LAYERS: dict[str, str] = {
    "base": "",
    "catalog": "base",
    "json": "base",
    "net": "base",
    "auth": "net json catalog base",
    "odata": "catalog base",
    "plan": "odata catalog base",
    "scan": "auth net json odata catalog base",
    "write": "auth net json catalog base",
    "row": "json catalog base",
    "exec": "write row scan plan odata auth net json catalog base",
    "graph_fdw": "exec write row scan plan odata auth net json catalog base",
}
TOP = "graph_fdw"  # the layer of graph_fdw.c

MOST_FIELDS = 20  # of a struct in a header
MOST_FUNCTION_LINES = 60  # from its name to its closing brace, tables in it excepted
MOST_FILE_LINES = 900
LONG_FILES = {"src/catalog/resource_data.h"}  # generated

TOKEN = re.compile(
    r"""
    (?P<skip> /\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | \\\n | [ \t\r\f\v]+ )
  | (?P<line> \n )
  | (?P<directive> \# )
  | (?P<word> [A-Za-z_]\w* )
  | (?P<number> \.?\d(?:[eEpP][+-]|[\w.])* )
  | (?P<mark> -> | \.\.\. | . )
    """,
    re.VERBOSE | re.DOTALL,
)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
COMMENT = re.compile(r"""/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""", re.DOTALL)

OPENING, CLOSING = set("([{"), set(")]}")
ATTRIBUTE = re.compile(r"pg_attribute_|__attribute__|pg_noreturn|PG_USED_")


@dataclass(frozen=True)
class Token:
    text: str
    line: int

    @property
    def is_word(self) -> bool:
        return self.text[0].isalpha() or self.text[0] == "_"


@dataclass
class File:
    name: str  # from the top folder, with slashes
    lines: int = 0
    includes: list[str] = field(default_factory=list)  # files of the tree
    defined: set[str] = field(default_factory=set)  # what other files may use
    local: set[str] = field(default_factory=set)  # static
    used: dict[str, int] = field(default_factory=dict)  # a word, and the line of its first use
    functions: list[tuple[str, int]] = field(default_factory=list)  # and the number of lines
    structs: list[tuple[str, int]] = field(default_factory=list)  # and the number of fields

    @property
    def layer(self) -> str:
        folder, _, rest = self.name.removeprefix("src/").partition("/")
        return folder if rest else TOP

    @property
    def is_header(self) -> bool:
        return self.name.endswith(".h")


# ---------------------------------------------------------------------------
# Reading C
# ---------------------------------------------------------------------------


def tokens(text: str) -> tuple[list[Token], list[Token]]:
    """What is code, and what is only used: the text of macros and the other branches of an #if."""
    code: list[Token] = []
    other: list[Token] = []
    directive: list[Token] = []
    branches: list[bool] = []  # for each #if around: this is not its first branch
    line, fresh, in_directive = 1, True, False
    for match in TOKEN.finditer(text):
        piece = match.group()
        kind = match.lastgroup
        if kind == "line" and in_directive:
            follow_directive(directive, branches, other)
            directive, in_directive = [], False
        elif kind == "directive" and fresh:
            in_directive = True
        elif kind in ("word", "number", "mark", "directive"):
            (directive if in_directive else other if any(branches) else code).append(Token(piece, line))
        if kind == "line":
            fresh = True
        elif kind != "skip":
            fresh = False
        line += piece.count("\n")
    return code, other


def follow_directive(directive: list[Token], branches: list[bool], other: list[Token]) -> None:
    name = directive[0].text if directive else ""
    if name in ("if", "ifdef", "ifndef"):
        branches.append(False)
    elif name in ("else", "elif") and branches:
        branches[-1] = True
    elif name == "endif" and branches:
        branches.pop()
    elif name == "define":
        other.extend(directive[2:])


def close_of(code: list[Token], start: int) -> int:
    """The place of the bracket that closes the one at start."""
    depth = 0
    for place in range(start, len(code)):
        if code[place].text in OPENING:
            depth += 1
        elif code[place].text in CLOSING:
            depth -= 1
            if depth == 0:
                return place
    return len(code) - 1


def items(code: list[Token]) -> Iterator[tuple[list[Token], list[Token]]]:
    """Each declaration of a file, and the body of those that are functions."""
    head: list[Token] = []
    place = 0
    while place < len(code):
        token = code[place]
        end = close_of(code, place) if token.text in OPENING else place
        if token.text == "{" and head and head[-1].text == ")" and "=" not in [part.text for part in head]:
            yield head, code[place : end + 1]
            head = []
        elif token.text == ";":
            yield head, []
            head = []
        else:
            head.extend(code[place : end + 1])
        place = end + 1
    if head:
        yield head, []


def flat(head: list[Token]) -> list[Token]:
    """Without what is in brackets; the brackets stay."""
    result: list[Token] = []
    place = 0
    while place < len(head):
        result.append(head[place])
        if head[place].text in OPENING:
            place = close_of(head, place)
            result.append(head[place])
        place += 1
    return result


def function_pointer(head: list[Token]) -> str:
    """The variable in "type (*variable) (parameters)"; empty if it is another declaration."""
    place = 0
    while place < len(head) and head[place].text not in ("=", "{"):
        if head[place].text in OPENING:
            end = close_of(head, place)
            names = [part.text for part in head[place:end] if part.is_word and part.text != "const"]
            if head[place + 1].text == "*" and names:
                return names[0]
            place = end
        place += 1
    return ""


def function_name(head: list[Token]) -> Token | None:
    """What a definition or prototype declares, if it is a function."""
    parts = flat(head)
    for word, bracket in zip(parts, parts[1:]):
        if word.text in ("=", "{"):
            return None
        if word.is_word and bracket.text == "(" and not ATTRIBUTE.match(word.text):
            return None if function_pointer(head) else word
    return None


def variables(head: list[Token]) -> list[str]:
    """The variables that a declaration makes."""
    if function_pointer(head):
        return [function_pointer(head)]
    parts = [token.text for token in flat(head)]
    names = []
    start = 0
    for end in [place for place, text in enumerate(parts) if text == ","] + [len(parts)]:
        piece = parts[start:end]
        if start == 0 and piece[:1] and "{" in piece and "=" not in piece[: piece.index("{")]:
            piece = piece[piece.index("}") + 1 :]  # after the struct's members
        elif start == 0 and piece[:1] in (["struct"], ["union"], ["enum"]) and len(piece) == 2:
            piece = []  # a forward declaration
        for stop in ("=", "["):
            if stop in piece:
                piece = piece[: piece.index(stop)]
        if piece and re.match(r"[A-Za-z_]", piece[-1]):
            names.append(piece[-1])
        start = end + 1
    return names


def count_lines(name: Token, body: list[Token]) -> int:
    """The lines of a function, tables in it excepted."""
    lines = body[-1].line - name.line + 1
    place = 1
    while place < len(body):
        if body[place].text == "{" and body[place - 1].text == "=":
            end = close_of(body, place)
            lines -= body[end].line - body[place].line
            place = end
        place += 1
    return lines


def count_fields(members: list[Token]) -> int:
    """The fields of a struct; those of a struct or union in it count one by one."""
    count = 0
    for head, _ in items(members):
        kind = next((part.text for part in head if part.text in ("struct", "union", "enum", "{")), "")
        braces = [place for place, part in enumerate(head) if part.text == "{"]
        if kind in ("struct", "union") and braces:
            count += count_fields(head[braces[0] + 1 : close_of(head, braces[0])])
        elif head:
            count += 1 + sum(part.text == "," for part in flat(head))
    return count


def structs(head: list[Token]) -> Iterator[tuple[str, int]]:
    """The structs that a declaration defines, without those in them."""
    for place, token in enumerate(head):
        if token.text == "{":
            before = [part.text for part in head[:place]]
            kind = next((word for word in before if word in ("struct", "union", "enum")), "")
            end = close_of(head, place)
            if kind in ("struct", "union"):
                tag = before[-1] if before[-1] != kind else ""
                yield tag or next((part.text for part in head[end + 1 :] if part.is_word), "?"), count_fields(
                    head[place + 1 : end]
                )
            return


def note_uses(file: File, used: list[Token]) -> None:
    before = ""
    for token in used:
        # a member has a name of its own
        if token.is_word and before not in (".", "->"):
            file.used.setdefault(token.text, token.line)
        before = token.text


def read_declaration(file: File, head: list[Token], body: list[Token]) -> None:
    words = {token.text for token in flat(head)}
    name = function_name(head)
    is_local = "static" in words
    if body and name:
        file.functions.append((name.text, count_lines(name, body)))
        (file.local if is_local else file.defined).add(name.text)
        note_uses(file, body)
    elif name or "typedef" in words:
        pass
    elif "extern" not in words:
        (file.local if is_local else file.defined).update(variables(head))
        # in an initializer
        if "=" in words:
            note_uses(file, head)
    if file.is_header:
        file.structs.extend(structs(head))


def read_file(top: Path, path: Path) -> File:
    text = path.read_text(encoding="utf-8")
    file = File(path.relative_to(top).as_posix(), len(text.splitlines()))
    for name in INCLUDE.findall(COMMENT.sub(lambda match: match.group(1) or " ", text)):
        for folder in (path.parent, top / "src", top):
            if (folder / name).is_file():
                file.includes.append((folder / name).resolve().relative_to(top.resolve()).as_posix())
                break
    code, other = tokens(text)
    for head, body in items(code):
        read_declaration(file, head, body)
    note_uses(file, other)
    return file


def read_tree(top: Path) -> dict[str, File]:
    paths = [*sorted(top.glob("*.[ch]")), *sorted((top / "src").rglob("*.[ch]"))]
    return {file.name: file for file in (read_file(top, path) for path in paths)}


# ---------------------------------------------------------------------------
# Arrows
# ---------------------------------------------------------------------------

Arrows = dict[str, dict[str, str]]  # from, to: by what, the first of several in the file


def uses(files: dict[str, File]) -> Arrows:
    """Which file uses what another one defines."""
    homes: dict[str, list[str]] = {}
    for file in files.values():
        for word in file.defined:
            homes.setdefault(word, []).append(file.name)
    arrows: Arrows = {}
    for file in files.values():
        for word in file.used:
            if word not in file.defined | file.local:
                for home in homes.get(word, []):
                    arrows.setdefault(file.name, {}).setdefault(home, word)
    return arrows


def all_uses(files: dict[str, File], user: str, home: str) -> str:
    """Everything of one file that another one uses."""
    words = files[home].defined - files[user].defined - files[user].local
    return ", ".join(word for word in files[user].used if word in words)


def way(arrows: Arrows, start: str, end: str) -> list[str]:
    """The shortest way along arrows, with both ends; empty if there is none."""
    came_from: dict[str, str] = {start: ""}
    queue = deque([start])
    while queue:
        at = queue.popleft()
        if at == end:
            found = []
            while at:
                found.append(at)
                at = came_from[at]
            return found[::-1]
        for to in sorted(arrows.get(at, {})):
            if to not in came_from:
                came_from[to] = at
                queue.append(to)
    return []


def circles(arrows: Arrows) -> list[list[str]]:
    """A shortest circle through each arrow that is in one; each circle once."""
    found: dict[frozenset[str], list[str]] = {}
    for start in sorted(arrows):
        for to in sorted(arrows[start]):
            back = way(arrows, to, start)
            if back:
                found.setdefault(frozenset(back), [start, *back])
    return sorted(found.values(), key=lambda circle: (len(circle), circle))


def may_use(layer: str, other: str) -> bool:
    return other == layer or other in LAYERS.get(layer, "").split()


# ---------------------------------------------------------------------------
# The rules
# ---------------------------------------------------------------------------


def check_layers(files: dict[str, File]) -> Iterator[str]:
    for file in files.values():
        if file.layer not in LAYERS:
            yield f"{file.name}: LAYERS in check_layers.py has no layer {file.layer!r}"


def check_includes(files: dict[str, File]) -> Iterator[str]:
    for file in files.values():
        for name in file.includes:
            other = files.get(name)
            if not other:
                continue
            if not may_use(file.layer, other.layer):
                yield f"{file.name} includes {name}: {file.layer} may not use {other.layer}"
            if name.endswith("_int.h") and Path(name).parent != Path(file.name).parent:
                yield f"{file.name} includes {name}: that header is private to its folder"


def check_uses(files: dict[str, File], arrows: Arrows) -> Iterator[str]:
    for user, homes in arrows.items():
        for home in homes:
            layer, other = files[user].layer, files[home].layer
            if not may_use(layer, other):
                yield f"{user} uses {all_uses(files, user, home)} of {home}: {layer} may not use {other}"


def check_circles(files: dict[str, File], arrows: Arrows) -> Iterator[str]:
    # a header's inline function may use a file that includes the header
    between_sources = {
        user: {home: word for home, word in homes.items() if not files[home].is_header}
        for user, homes in arrows.items()
        if not files[user].is_header
    }
    between_headers = {
        file.name: {name: "#include" for name in file.includes if name in files}
        for file in files.values()
        if file.is_header
    }
    for graph in (between_sources, between_headers):
        for circle in circles(graph):
            steps = [f"-> {to} ({graph[at][to]})" for at, to in zip(circle, circle[1:])]
            yield f"circle: {circle[0]} {' '.join(steps)}"


def check_sizes(files: dict[str, File]) -> Iterator[str]:
    for file in files.values():
        if file.lines > MOST_FILE_LINES and file.name not in LONG_FILES:
            yield f"{file.name}: {file.lines} lines, more than {MOST_FILE_LINES}"
        for name, lines in file.functions:
            if lines > MOST_FUNCTION_LINES:
                yield f"{file.name}: {name} has {lines} lines, more than {MOST_FUNCTION_LINES}"
        for name, fields in file.structs:
            if fields > MOST_FIELDS:
                yield f"{file.name}: struct {name} has {fields} fields, more than {MOST_FIELDS}"


def problems(files: dict[str, File]) -> list[str]:
    arrows = uses(files)
    return [
        *check_layers(files),
        *check_includes(files),
        *check_uses(files, arrows),
        *check_circles(files, arrows),
        *check_sizes(files),
    ]


def main(arguments: list[str]) -> int:
    print_arrows = "--arrows" in arguments
    folders = [argument for argument in arguments if argument != "--arrows"]
    if len(folders) > 1 or any(folder.startswith("-") for folder in folders):
        print(__doc__, file=sys.stderr)
        return 2
    top = Path(folders[0]) if folders else Path(__file__).resolve().parent.parent
    files = read_tree(top)
    arrows = uses(files)
    if print_arrows:
        for user, homes in arrows.items():
            for home in homes:
                print(f"{user} -> {home}: {all_uses(files, user, home)}")
        return 0
    found = problems(files)
    for problem in found:
        print(problem)
    if not files:
        print(f"{top}: no C files")
    elif not found:
        print(f"{len(files)} files, {sum(map(len, arrows.values()))} arrows, no arrow up, no circle")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
