"""What does the query of a request ask for, and is it a query that the service accepts?

parse_filter() turns a $filter into a predicate over alerts or incidents; the rest reads the other options. Everything that the
service would not accept, or that nobody knows whether it would, is a BadQuery, which becomes a 400.
"""

from __future__ import annotations

import operator
import re
from typing import Callable, NamedTuple
from urllib.parse import unquote_plus

import timestamps
from metadata import NAMESPACE, SENTINEL, Metadata, Property

FILTERABLE = ("assignedTo", "classification", "determination", "createdDateTime", "lastUpdateDateTime", "severity",
              "serviceSource", "status")
SORTABLE = ("createdDateTime", "lastUpdateDateTime")
OPTIONS = ("$filter", "$top", "$skip", "$skiptoken", "$count", "$orderby", "$select")

Predicate = Callable[[object], bool]


class BadQuery(Exception):
    """A query that is answered with 400. The code is empty for a failed validation, as the service has it."""

    def __init__(self, message: str, code: str = ""):
        super().__init__(message)
        self.message = message
        self.code = code


def invalid(reason: str) -> BadQuery:
    return BadQuery(f"The query specified in the URI is not valid. {reason}")


# ---------------------------------------------------------------------------------------------------------------------
# Options

def parse_options(raw_query: str, allowed: tuple[str, ...] = OPTIONS) -> dict[str, str]:
    """The decoded parameters. An option of OData appears once and is one of those allowed; others pass."""
    options: dict[str, str] = {}
    for pair in filter(None, raw_query.split("&")):
        name, _, value = pair.partition("=")
        try:
            name, value = unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")
        except UnicodeDecodeError:
            raise BadQuery("The request URI is not valid UTF-8.", "BadRequest") from None
        if name.startswith("$"):
            if name not in allowed:
                raise invalid(f"The query parameter '{name}' is not supported.")
            if name in options:
                raise invalid(f"Query option '{name}' was specified more than once, but it must be specified at most once.")
        options[name] = value
    return options


def whole_number(option: str, text: str, least: int) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text) or not least <= int(text) < 2 ** 31:
        raise invalid(f"Invalid value '{text}' for {option} query option found. The {option} query option requires a "
                      f"{'positive' if least else 'non-negative'} integer value.")
    return int(text)


def truth(option: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise invalid(f"Invalid value '{text}' for {option} query option found. Valid values are 'true' and 'false'.")
    return text == "true"


def parse_orderby(text: str) -> list[tuple[str, bool]]:
    """Pairs of a property and whether it descends."""
    keys = []
    for part in text.split(","):
        words = part.split()
        if not words or len(words) > 2 or words[1:] not in ([], ["asc"], ["desc"]):
            raise BadQuery(f"Syntax error in $orderby '{text}'.", "BadRequest")
        if words[0] not in SORTABLE:
            raise invalid(f"The property '{words[0]}' cannot be used in the $orderby query option.")
        keys.append((words[0], words[1:] == ["desc"]))
    return keys


def parse_select(text: str, known: frozenset[str], type_name: str = "alert") -> frozenset[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise BadQuery("Parsing OData Select and Expand failed: Could not find a property named "
                           f"'{name}' on type '{NAMESPACE}{type_name}'.", "BadRequest")
    return frozenset(names)


# ---------------------------------------------------------------------------------------------------------------------
# $filter

class Token(NamedTuple):
    kind: str
    text: str
    at: int


class Literal(NamedTuple):
    kind: str           # "string", "time", "number", "boolean" or "null"
    value: object


class Operand(NamedTuple):
    """A property in a filter: how to read it from the row, and what it may be compared with."""
    name: str
    read: Callable[[object], object]
    kind: str           # "string", "time", "number", "boolean" or "enum"
    enum: str = ""


class FilterRules(NamedTuple):
    """What the service accepts at present."""
    allow_in: bool = False
    allow_any: bool = True
    fold_case: bool = True
    gated_literals: bool = True
    max_comparisons: int = 0


_TOKEN = re.compile(r"""
    (?P<space>[ ]+)
  | (?P<string>'(?:[^']|'')*')
  | (?P<time>\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)?)
  | (?P<number>-?\d+(?:\.\d+)?(?![\w-]))
  | (?P<name>[A-Za-z_][\w.]*(?:/[A-Za-z_][\w.]*)*)
  | (?P<mark>[(),:])
""", re.VERBOSE | re.ASCII)

_COMPARE = {"eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt,
            "le": operator.le}
_MIRROR = {"eq": "eq", "ne": "ne", "gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}
_KIND_NAMES = {"eq": "Equal", "ne": "NotEqual", "gt": "GreaterThan", "ge": "GreaterThanOrEqual", "lt": "LessThan",
               "le": "LessThanOrEqual"}
_PRIMITIVES = {"Edm.String": "string", "Edm.DateTimeOffset": "time", "Edm.Int64": "number", "Edm.Int32": "number",
               "Edm.Double": "number", "Edm.Boolean": "boolean"}
_MAX_DEPTH = 100


def parse_filter(text: str, schema: Metadata, rules: FilterRules = FilterRules(), type_name: str = "alert") -> Predicate:
    return _Parser(text, schema, rules, type_name).parse()


def _tokens(text: str) -> list[Token]:
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            fault = "There is an unterminated string literal" if text[at] == "'" else "Syntax error"
            raise BadQuery(f"Invalid filter clause: {fault} at position {at} in '{text}'.", "BadRequest")
        if match.lastgroup != "space":
            tokens.append(Token(match.lastgroup, match.group(), at))
        at = match.end()
    tokens.append(Token("end", "", at))
    return tokens


class _Parser:
    """Recursive descent: or, and, not, then a group, a lambda or a comparison. Each method returns a predicate."""

    def __init__(self, text: str, schema: Metadata, rules: FilterRules, type_name: str):
        self.text = text
        self.schema = schema
        self.rules = rules
        self.type_name = type_name
        self.tokens = _tokens(text)
        self.next = 0
        self.depth = 0
        self.comparisons = 0
        self.variable: str | None = None        # of the lambda around, if any

    def parse(self) -> Predicate:
        predicate = self.disjunction()
        if self.peek().kind != "end":
            raise self.syntax_error()
        return predicate

    # Tokens

    def peek(self) -> Token:
        return self.tokens[self.next]

    def take(self) -> Token:
        token = self.tokens[self.next]
        self.next += token.kind != "end"
        return token

    def take_if(self, kind: str, text: str) -> bool:
        token = self.peek()
        if (token.kind, token.text) == (kind, text):
            self.next += 1
            return True
        return False

    def expect(self, mark: str) -> None:
        if not self.take_if("mark", mark):
            raise self.syntax_error()

    def syntax_error(self) -> BadQuery:
        return BadQuery(f"Invalid filter clause: Syntax error at position {self.peek().at} in '{self.text}'.", "BadRequest")

    # Logic

    def disjunction(self) -> Predicate:
        terms = [self.conjunction()]
        while self.take_if("name", "or"):
            terms.append(self.conjunction())
        return terms[0] if len(terms) == 1 else lambda row: any(term(row) for term in terms)

    def conjunction(self) -> Predicate:
        terms = [self.negation()]
        while self.take_if("name", "and"):
            terms.append(self.negation())
        return terms[0] if len(terms) == 1 else lambda row: all(term(row) for term in terms)

    def negation(self) -> Predicate:
        """`not` binds tighter than a comparison, so it needs a group or a lambda behind it."""
        if not self.take_if("name", "not"):
            return self.primary()
        token = self.peek()
        if token.text != "(" and not token.text.endswith("/any"):
            raise BadQuery("A unary operator with an incompatible type was detected. Found operand type "
                           "'Edm.String' for operator kind 'Not'.", "BadRequest")
        operand = self.primary()
        return lambda row: not operand(row)

    def primary(self) -> Predicate:
        if self.peek().text == "evidence/any" and self.type_name == "alert":
            return self.evidence_any()
        if self.take_if("mark", "("):
            return self.group(self.disjunction)
        return self.comparison()

    def group(self, inside: Callable[[], Predicate]) -> Predicate:
        """What stands between parentheses, the first of which has been taken."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise invalid("The recursion limit has been exceeded.")
        predicate = inside()
        self.expect(")")
        self.depth -= 1
        return predicate

    def evidence_any(self) -> Predicate:
        if not self.rules.allow_any or self.variable is not None:
            raise invalid("The property 'evidence' cannot be used in the $filter query option.")
        self.take()
        self.expect("(")
        self.variable = self.take().text
        self.expect(":")
        predicate = self.group(self.disjunction)
        self.variable = None
        return lambda alert: any(predicate(item) for item in alert.evidence())

    # Comparisons

    def comparison(self) -> Predicate:
        self.comparisons += 1
        if self.rules.max_comparisons and self.comparisons > self.rules.max_comparisons:
            raise invalid(f"The node count limit of '{self.rules.max_comparisons}' has been exceeded.")
        if self.at_literal():
            literal, op, operand = self.literal(), self.operator(), self.operand()
            return self.compare(operand, _MIRROR[op], literal)
        operand = self.operand()
        if self.take_if("name", "in"):
            return self.membership(operand)
        return self.compare(operand, self.operator(), self.literal())

    def membership(self, operand: Operand) -> Predicate:
        if not self.rules.allow_in:
            raise invalid("The operator 'in' is not supported.")
        self.expect("(")
        choices = [self.compare(operand, "eq", self.literal())]
        while self.take_if("mark", ","):
            choices.append(self.compare(operand, "eq", self.literal()))
        self.expect(")")
        return lambda row: any(choice(row) for choice in choices)

    def operator(self) -> str:
        if self.peek().text not in _COMPARE:
            raise self.syntax_error()
        return self.take().text

    def at_literal(self) -> bool:
        token = self.peek()
        return token.kind in ("string", "time", "number") or token.text in ("null", "true", "false")

    def literal(self) -> Literal:
        if not self.at_literal():
            raise self.syntax_error()
        token = self.take()
        if token.kind == "string":
            return Literal("string", token.text[1:-1].replace("''", "'"))
        if token.kind == "time":
            return Literal("time", self.instant(token))
        if token.kind == "number":
            return Literal("number", float(token.text) if "." in token.text else int(token.text))
        return Literal("null", None) if token.text == "null" else Literal("boolean", token.text == "true")

    def instant(self, token: Token) -> int:
        try:
            return timestamps.to_ticks(token.text)
        except ValueError:
            raise BadQuery(f"Invalid filter clause: Unrecognized 'Edm.DateTimeOffset' literal '{token.text}' at "
                           f"'{token.at}' in '{self.text}'.", "BadRequest") from None

    def operand(self) -> Operand:
        token = self.take()
        if token.kind != "name":
            self.next -= token.kind != "end"
            raise self.syntax_error()
        if self.peek().text == "(":
            raise invalid(f"The function '{token.text}' is not supported in the $filter query option.")
        return self.evidence_property(token.text) if self.variable else self.alert_property(token.text)

    def alert_property(self, name: str) -> Operand:
        prop = next((p for p in getattr(self.schema, self.type_name) if p.name == name), None)
        if prop is None:
            raise BadQuery(f"Invalid filter clause: Could not find a property named '{name}' on type "
                           f"'{NAMESPACE}{self.type_name}'.", "BadRequest")
        if name not in FILTERABLE:
            raise invalid(f"The property '{name}' cannot be used in the $filter query option.")
        return _operand(prop, lambda alert: alert.fields.get(name))

    def evidence_property(self, path: str) -> Operand:
        variable, *steps = path.split("/")
        if variable != self.variable or not steps:
            raise BadQuery(f"Invalid filter clause: '{path}' is not a path of the range variable.", "BadRequest")
        cast = steps.pop(0)[len(NAMESPACE):] if steps[0].startswith(NAMESPACE) else None
        prop = self.schema.find(cast or "alertEvidence", steps) if steps else None
        if prop is None or prop.collection or (prop.kind == "primitive" and prop.type not in _PRIMITIVES) \
                or prop.kind == "complex":
            raise BadQuery(f"Invalid filter clause: Could not find a property for the path '{path}'.", "BadRequest")
        return _operand(prop, _evidence_reader(cast, steps, prop))

    def compare(self, operand: Operand, op: str, literal: Literal) -> Predicate:
        """The predicate of one comparison. Only ne holds for a null on one side; orders with a null are false."""
        wanted = self.comparable(operand, op, literal)
        read, test = operand.read, _COMPARE[op]
        if op == "eq":
            return lambda row: self.folded(operand, read(row)) == wanted
        if op == "ne":
            return lambda row: self.folded(operand, read(row)) != wanted
        return lambda row: wanted is not None and read(row) is not None and test(read(row), wanted)

    def comparable(self, operand: Operand, op: str, literal: Literal) -> object:
        """The literal's value in the form in which rows are compared, after all checks."""
        if literal.kind == "null":
            return None
        expected = "string" if operand.kind == "enum" else operand.kind
        ordered = operand.kind in ("time", "number")
        if literal.kind != expected or (op not in ("eq", "ne") and not ordered):
            raise BadQuery("Invalid filter clause: A binary operator with incompatible types was detected. Found operand "
                           f"types '{operand.enum or operand.kind}' and '{literal.kind}' for operator kind "
                           f"'{_KIND_NAMES[op]}'.", "BadRequest")
        if operand.kind == "enum":
            self.check_member(operand, literal.value)
        return self.folded(operand, literal.value)

    def check_member(self, operand: Operand, member: str) -> None:
        known = member in self.schema.enums[operand.enum]
        gated = member in self.schema.gated[operand.enum]
        if not known or (gated and not self.rules.gated_literals):
            raise BadQuery(f"Invalid filter clause: The string '{member}' is not a valid enumeration type constant "
                           f"of '{NAMESPACE}{operand.enum}'.", "BadRequest")

    def folded(self, operand: Operand, value: object) -> object:
        """What is compared in place of a value. Members of an incident's enums may be written in any case."""
        fold = self.rules.fold_case if operand.kind == "string" else operand.kind == "enum" and self.type_name == "incident"
        return value.casefold() if fold and isinstance(value, str) else value


def _operand(prop: Property, read: Callable[[object], object]) -> Operand:
    if prop.kind == "enum":
        return Operand(prop.name, read, "enum", prop.type)
    return Operand(prop.name, read, _PRIMITIVES[prop.type])


def _evidence_reader(cast: str | None, steps: list[str], prop: Property) -> Callable[[object], object]:
    def read(item: object) -> object:
        if not isinstance(item, dict) or (cast and item.get("@odata.type") != f"#{NAMESPACE}{cast}"):
            return None
        for step in steps:
            item = item.get(step) if isinstance(item, dict) else None
        return ticks_or_none(item) if prop.type == "Edm.DateTimeOffset" else item
    return read


def ticks_or_none(value: object) -> int | None:
    try:
        return timestamps.to_ticks(value) if isinstance(value, str) else None
    except ValueError:
        return None
