#!/usr/bin/env python3
"""Tests of check_layers.py: small trees that break one rule each, and what is no breach though it looks like one."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

import check_layers

# A tree in order.  Each test changes or adds files.
GOOD = {
    "graph_fdw.c": '#include "exec/graph_exec.h"\nvoid fdw_begin(void) { exec_bind(); scan_next(); }\n',
    "src/base/graph_base.h": "extern int base_now(void);\n",
    "src/base/clock.c": '#include "base/graph_base.h"\nint base_now(void) { return 1; }\n',
    "src/net/graph_net.h": '#include "base/graph_base.h"\nextern void net_get(void);\n',
    "src/net/http.c": '#include "net/graph_net.h"\nvoid net_get(void) { base_now(); }\n',
    "src/scan/graph_scan.h": '#include "base/graph_base.h"\nextern void scan_next(void);\n',
    "src/scan/scan_int.h": '#include "net/graph_net.h"\n#include "scan/graph_scan.h"\n',
    "src/scan/scan.c": '#include "scan/scan_int.h"\nvoid scan_next(void) { net_get(); }\n',
    "src/exec/graph_exec.h": '#include "scan/graph_scan.h"\nextern void exec_bind(void);\n',
    "src/exec/bind.c": '#include "exec/graph_exec.h"\nvoid exec_bind(void) { scan_next(); }\n',
}


def fields(count: int) -> str:
    return "".join(f"\tint f{number};\n" for number in range(count))


class Layers(unittest.TestCase):
    def read(self, changed: dict[str, str]) -> dict[str, check_layers.File]:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        top = Path(folder.name)
        for name, text in (GOOD | changed).items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return check_layers.read_tree(top)

    def found(self, changed: dict[str, str]) -> list[str]:
        return check_layers.problems(self.read(changed))

    def accepted(self, changed: dict[str, str]) -> None:
        self.assertEqual(self.found(changed), [])

    def refused(self, changed: dict[str, str], *pieces: str) -> None:
        """One problem is found, and names these."""
        found = self.found(changed)
        self.assertEqual(len(found), 1, found)
        for piece in pieces:
            self.assertIn(piece, found[0])

    # -- what is in order ---------------------------------------------------

    def test_tree_in_order(self) -> None:
        self.accepted({})

    def test_table_goes_down(self) -> None:
        layers = list(check_layers.LAYERS)
        for place, layer in enumerate(layers):
            for lower in check_layers.LAYERS[layer].split():
                self.assertLess(layers.index(lower), place, f"{layer} may use {lower}")

    def test_what_was_found_is_said(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        source = Path(folder.name, "graph_fdw.c")
        source.write_text("void f(void) { }\n", encoding="utf-8")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = check_layers.main([folder.name])
        self.assertEqual((status, out.getvalue()), (0, "1 files, 0 arrows, no arrow up, no circle\n"))
        source.write_text("\n" * 901, encoding="utf-8")
        with contextlib.redirect_stdout(out):
            self.assertEqual(check_layers.main([folder.name]), 1)

    def test_empty_folder_is_no_success(self) -> None:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(check_layers.main([folder]), 1)

    # -- arrows up and sideways ---------------------------------------------

    def test_include_up(self) -> None:
        self.refused({"src/net/tls.c": '#include "scan/graph_scan.h"\n'}, "src/net/tls.c", "src/scan/graph_scan.h")

    def test_include_sideways(self) -> None:
        self.refused({"src/json/json.c": '#include "net/graph_net.h"\n'}, "src/json/json.c", "src/net/", "json may not")

    def test_header_of_a_layer_that_is_not_allowed(self) -> None:
        self.refused({"src/plan/graph_plan.h": '#include "net/graph_net.h"\n'}, "src/plan/graph_plan.h", "src/net")

    def test_include_beside_the_file(self) -> None:
        self.refused({"src/net/tls.c": '#include "../scan/graph_scan.h"\n'}, "src/scan/graph_scan.h")

    def test_use_up(self) -> None:
        changed = {"src/base/clock.c": "extern void net_get(void);\nint base_now(void) { net_get(); return 1; }\n"}
        found = self.found(changed)
        # both files are in a circle as well
        self.assertEqual(len(found), 2, found)
        self.assertIn("src/base/clock.c uses net_get of src/net/http.c: base may not use net", found)

    def test_use_of_the_top(self) -> None:
        self.refused(
            {
                "graph_fdw.c": "void fdw_handler(void) { }\n",
                "src/auth/token.c": "void *token(void) { return (void *) fdw_handler; }\n",
            },
            "src/auth/token.c uses fdw_handler of graph_fdw.c",
        )

    def test_use_sideways(self) -> None:
        self.refused(
            {"src/catalog/option.c": "void option(void) { net_get(); }\n"},
            "src/catalog/option.c uses net_get of src/net/http.c",
        )

    def test_use_of_a_variable(self) -> None:
        for made in (
            "int scan_count;",
            "const int scan_count[] = {1, 2};",
            "struct A { int x; } scan_count;",
            "int a, *scan_count = 0;",
            "int (*scan_count[2]) (int x);",
        ):
            with self.subTest(made):
                self.refused(
                    {"src/scan/page.c": made + "\n", "src/net/tls.c": "int tls(void) { return scan_count; }\n"},
                    "src/net/tls.c uses scan_count of src/scan/page.c",
                )

    def test_use_in_a_table(self) -> None:
        self.refused(
            {"src/catalog/option.c": "static const Action actions[] = {{1, net_get}};\n"}, "net_get of src/net/http.c"
        )

    def test_use_in_a_table_of_functions(self) -> None:
        self.refused(
            {"src/catalog/option.c": "static void (*const actions[]) (int x) = {\n\t[1] = net_get,\n};\n"},
            "net_get of src/net/http.c",
        )

    def test_use_in_a_macro(self) -> None:
        self.refused({"src/catalog/graph_catalog.h": "#define GET() \\\n\tnet_get()\n"}, "net_get of src/net/http.c")

    def test_use_in_an_inline_function(self) -> None:
        self.refused(
            {"src/catalog/graph_catalog.h": "static inline void get(void) { net_get(); }\n"},
            "net_get of src/net/http.c",
        )

    def test_use_in_any_branch(self) -> None:
        self.refused(
            {"src/catalog/option.c": "void option(void)\n{\n#if 1\n\tf();\n#else\n\tnet_get();\n#endif\n}\n"},
            "net_get of src/net/http.c",
        )

    def test_function_with_attributes(self) -> None:
        for head in ("pg_noreturn void", "void pg_attribute_noreturn()", "void *\n", "Datum"):
            with self.subTest(head):
                self.refused(
                    {"src/scan/page.c": f"{head} page(void)\n{{ }}\n", "src/net/tls.c": "void tls(void) { page(); }\n"},
                    "src/net/tls.c uses page of src/scan/page.c",
                )

    def test_function_that_takes_a_function(self) -> None:
        self.refused(
            {
                "src/scan/page.c": "bool page(void (*ended) (int result))\n{ ended(1); }\n",
                "src/net/tls.c": "static void tls(void) { page(ended); }\n",
            },
            "src/net/tls.c uses page of src/scan/page.c",
        )

    def test_unknown_layer(self) -> None:
        self.refused({"src/attic/old.c": "int x;\n"}, "src/attic/old.c", "attic")

    # -- what only looks like a use -----------------------------------------

    def test_no_uses(self) -> None:
        for text in (
            "/* net_get() */",
            "// net_get()",
            "/* ' */ /* net_get() */ /* ' */",
            'const char *text(void) { return "net_get()"; }',
            'const char *text(void) { return "\\"net_get()"; }',
            "extern void net_get(void);",
            "void net_get(void);",
            "static void net_get(void) { }\nvoid f(void) { net_get(); }",
            "static int net_get;\nvoid f(void) { net_get = 1; }",
            "void f(A *a) { a->net_get(); a->b.net_get = 1; }",
            "typedef struct A { int (*net_get) (void); } A;",
            '/*\n#include "net/graph_net.h"\n*/',
            "#error net_get",
        ):
            with self.subTest(text):
                self.accepted({"src/json/json.c": text + "\n"})

    def test_headers_of_the_server(self) -> None:
        self.accepted({"src/base/url.c": '#include "postgres.h"\n#include "scan/nowhere.h"\n'})

    # -- circles ------------------------------------------------------------

    def test_circle_in_a_layer(self) -> None:
        self.refused(
            {
                "src/auth/token.c": "void token(void) { login(); }\n",
                "src/auth/login.c": "void login(void) { token(); }\n",
            },
            "circle",
            "src/auth/login.c -> src/auth/token.c (token) -> src/auth/login.c (login)",
        )

    def test_circle_of_three(self) -> None:
        self.refused(
            {
                "src/auth/a.c": "void a(void) { b(); }\n",
                "src/auth/b.c": "void b(void) { c(); }\n",
                "src/auth/c.c": "void c(void) { a(); }\n",
            },
            "src/auth/a.c -> src/auth/b.c (b) -> src/auth/c.c (c) -> src/auth/a.c (a)",
        )

    def test_circle_of_headers(self) -> None:
        self.refused(
            {
                "src/auth/a.h": '#include "auth/b.h"\n',
                "src/auth/b.h": '#include "auth/a.h"\n',
            },
            "src/auth/a.h",
            "src/auth/b.h",
        )

    def test_recursion_is_no_circle(self) -> None:
        self.accepted({"src/auth/a.c": "void a(void) { a(); }\n"})

    def test_inline_function_of_its_own_layer(self) -> None:
        self.accepted(
            {
                "src/json/graph_json.h": "static inline void quick(void) { slow(); }\nextern int n;\n",
                "src/json/json.c": '#include "json/graph_json.h"\nint n;\nvoid slow(void) { quick(); }\n',
            }
        )

    # -- private headers ----------------------------------------------------

    def test_private_header(self) -> None:
        self.refused(
            {"src/exec/bind.c": '#include "scan/scan_int.h"\n'}, "src/exec/bind.c", "src/scan/scan_int.h", "private"
        )

    # -- sizes --------------------------------------------------------------

    def test_fields(self) -> None:
        self.accepted({"src/json/graph_json.h": "typedef struct A\n{\n" + fields(20) + "} A;\n"})
        for text in (
            "typedef struct A\n{\n" + fields(21) + "} A;\n",
            "struct A\n{\n" + fields(21) + "};\n",
            "typedef struct\n{\n" + fields(21) + "} A;\n",
            "typedef struct A { " + "int a, *b, c[3];" * 7 + "} A;\n",
            "typedef struct A { " + "int (*f) (int a, int b);" * 21 + "} A;\n",
            "typedef struct A\n{\n" + fields(10) + "\tstruct\n\t{\n" + fields(11) + "\t} inner;\n} A;\n",
            "typedef struct A\n{\n" + fields(10) + "\tunion\n\t{\n" + fields(11) + "\t};\n} A;\n",
        ):
            with self.subTest(text):
                self.refused({"src/json/graph_json.h": text}, "src/json/graph_json.h: struct A has", "more than 20")

    def test_no_fields(self) -> None:
        for text in (
            "typedef struct A\n{\n" + fields(19) + "\tenum { X, Y, Z } kind;\n} A;\n",
            "typedef struct A\n{\n" + fields(19) + "\tint (*f) (int a, int b, int c);\n} A;\n",
            "typedef enum A { " + "".join(f"X{number}," for number in range(40)) + "} A;\n",
            "typedef struct A\n{\n" + fields(20) + "\t/* int f; */\n} A;\n",
        ):
            with self.subTest(text):
                self.accepted({"src/json/graph_json.h": text})

    def test_fields_of_a_private_struct(self) -> None:
        self.accepted({"src/json/json.c": "typedef struct A\n{\n" + fields(50) + "} A;\n"})

    def test_long_function(self) -> None:
        # name, brace, 57 lines, brace
        self.accepted({"src/json/json.c": "static int\nlong_one(void)\n{\n" + "\tf();\n" * 57 + "}\n"})
        self.refused(
            {"src/json/json.c": "static int\nlong_one(void)\n{\n" + "\tf();\n" * 58 + "}\n"},
            "src/json/json.c: long_one has 61 lines",
        )

    def test_table_in_a_function(self) -> None:
        table = "\tstatic const int numbers[] = {\n" + "\t\t1,\n" * 100 + "\t};\n"
        self.accepted({"src/json/json.c": "static int\nlong_one(void)\n{\n" + table + "\tf();\n" * 50 + "}\n"})

    def test_long_file(self) -> None:
        self.accepted({"src/json/json.c": "\n" * 900, "src/catalog/resource_data.h": "\n" * 2000})
        self.refused({"src/json/json.c": "\n" * 901}, "src/json/json.c: 901 lines")


if __name__ == "__main__":
    unittest.main()
