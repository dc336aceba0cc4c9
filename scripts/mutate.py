#!/usr/bin/env python3
"""Which small changes of the C code should a test notice, and how is one made?

The table is a text file, mutations.txt beside this program:

    [name-of-the-mutation]
    why   what it breaks, as a sentence
    file  src/plan/pushdown.c
    test  regress
    test  030_same_answer GRAPH_QUERIES=200
    -   text that is in the file exactly once
    +   what stands there instead; may be missing

Tests are tried in that order until one fails. Lines with "-" and "+" are text without their first character, so that
an indentation is written as it is in the file. A line of the table that begins with "#" is a comment.

    mutate.py list                  the names
    mutate.py check FOLDER          whether each can be made there; says which cannot
    mutate.py find FOLDER           where the code has moved to another file, write that into the table
    mutate.py show NAME             file, why and tests, one a line
    mutate.py apply NAME FOLDER     make it; the file as it was is kept as FILE.unmutated
    mutate.py undo NAME FOLDER
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

TABLE = Path(__file__).with_name("mutations.txt")


class BadTable(ValueError):
    """The table or an argument is not as it should be, or does not fit the code."""


@dataclass
class Mutation:
    name: str
    why: str = ""
    file: str = ""
    tests: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def path(self, folder: Path) -> Path:
        path = folder / self.file
        if not path.is_file():
            raise BadTable(f"{self.name}: there is no {self.file}")
        return path

    def mutated(self, text: str) -> str:
        before = "".join(f"{line}\n" for line in self.before)
        after = "".join(f"{line}\n" for line in self.after)
        # whole lines only
        count = ("\n" + text).count("\n" + before)
        if count != 1:
            raise BadTable(f"{self.name}: the text is {count} times in {self.file}: {self.before[0].strip()}")
        return ("\n" + text).replace("\n" + before, "\n" + after)[1:]


def table() -> dict[str, Mutation]:
    found: dict[str, Mutation] = {}
    mutation = Mutation("")
    for number, line in enumerate(TABLE.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("["):
            mutation = Mutation(line.strip("[] "))
            if mutation.name in found:
                raise BadTable(f"line {number}: {mutation.name} is there twice")
            found[mutation.name] = mutation
        elif line.startswith("-"):
            mutation.before.append(line[1:])
        elif line.startswith("+"):
            mutation.after.append(line[1:])
        elif line.strip() and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            if word == "test":
                mutation.tests.append(rest.strip())
            elif word in ("why", "file"):
                setattr(mutation, word, rest.strip())
            else:
                raise BadTable(f"line {number}: {word!r} means nothing")
    for mutation in found.values():
        if not (mutation.why and mutation.file and mutation.tests and mutation.before):
            raise BadTable(f"{mutation.name}: why, file, a test and a line to change are needed")
    return found


def check(mutations: dict[str, Mutation], folder: Path) -> int:
    """How many cannot be made."""
    bad = 0
    for mutation in mutations.values():
        try:
            mutation.mutated(mutation.path(folder).read_text(encoding="utf-8"))
            for test in mutation.tests:
                name = test.split()[0]
                if name != "regress" and not (folder / "t" / f"{name}.pl").exists():
                    raise BadTable(f"{mutation.name}: there is no test {name}")
        except BadTable as problem:
            print(problem)
            bad += 1
    return bad


def find(mutations: dict[str, Mutation], folder: Path) -> None:
    """Where a text has moved to another file, as it was, put that file's name into the table."""
    files = [*folder.glob("*.c"), *folder.glob("src/*/*.[ch]")]
    texts = {path.relative_to(folder).as_posix(): "\n" + path.read_text(encoding="utf-8") for path in files}
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    for mutation in mutations.values():
        before = "\n" + "".join(f"{line}\n" for line in mutation.before)
        places = [name for name, text in texts.items() for _ in range(text.count(before))]
        if len(places) == 1 and places[0] != mutation.file:
            start = lines.index(f"[{mutation.name}]")
            place = next(place for place in range(start, len(lines)) if lines[place].startswith("file"))
            lines[place] = f"file  {places[0]}"
            print(f"{mutation.name}: {mutation.file} -> {places[0]}")
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def apply(mutation: Mutation, folder: Path) -> None:
    path = mutation.path(folder)
    text = mutation.mutated(path.read_text(encoding="utf-8"))
    shutil.copyfile(path, f"{path}.unmutated")
    path.write_text(text, encoding="utf-8")


def undo(mutation: Mutation, folder: Path) -> None:
    path = mutation.path(folder)
    kept = Path(f"{path}.unmutated")
    # written anew, so that make sees that it has changed
    path.write_bytes(kept.read_bytes())
    kept.unlink()


def main(arguments: list[str]) -> int:
    mutations = table()
    match arguments:
        case ["list"]:
            print("\n".join(mutations))
        case ["check", folder]:
            return 1 if check(mutations, Path(folder)) else 0
        case ["find", folder]:
            find(mutations, Path(folder))
        case [("show" | "apply" | "undo"), name, *_] if name not in mutations:
            raise BadTable(f"no mutation is named {name}")
        case ["show", name]:
            print("\n".join([mutations[name].file, mutations[name].why, *mutations[name].tests]))
        case ["apply", name, folder]:
            apply(mutations[name], Path(folder))
        case ["undo", name, folder]:
            undo(mutations[name], Path(folder))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BadTable as problem:
        print(problem, file=sys.stderr)
        sys.exit(1)
