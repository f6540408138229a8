"""Shows for every rule of lint.py that it fails where it should and is silent where it should be."""

import os
import tempfile
import unittest

import lint

HEADER = "// Thing: an example.\n#pragma once\n"


def function(line_count, head="void f() {"):
    return "\n".join([head] + ["  g();"] * (line_count - 2) + ["}"]) + "\n"


class LintTest(unittest.TestCase):
    def problems(self, files, executable=()):
        """What lint says of a tree of {path: text}."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8") as file:
                    file.write(text)
                os.chmod(full, 0o755 if path in executable else 0o644)
            return lint.problems(root)

    def assert_clean(self, files, executable=()):
        self.assertEqual(self.problems(files, executable), [])

    def assert_offence(self, rule, files, count=1, executable=()):
        """Exactly `count` offences, all against `rule`."""
        found = self.problems(files, executable)
        self.assertEqual([p.rsplit("[", 1)[1] for p in found], [rule + "]"] * count, found)

    def test_every_rule_has_a_test(self):
        for rule in lint.RULES:
            self.assertTrue(hasattr(self, "test_" + rule.__name__), rule.__name__)

    def test_include_direction(self):
        allowed = {"cas/os/a.cc": "cas/os/b.h", "cas/kv/a.cc": "cas/os/b.h", "cas/a.cc": "cas/kv/b.h",
                   "index/a.cc": "cas/b.h", "remotes/a.cc": "index/b.h", "nbd/a.cc": "remotes/b.h",
                   "tests/unit/a.cc": "nbd/b.h"}
        self.assert_clean({path: f'#include "{name}"\n' for path, name in allowed.items()})
        forbidden = {"cas/os/a.cc": "cas/b.h", "cas/kv/a.cc": "cas/b.h", "cas/a.cc": "index/b.h",
                     "index/a.cc": "remotes/b.h", "remotes/a.cc": "nbd/b.h", "nbd/a.cc": "tests/b.h",
                     "index/b.cc": "tree.h"}
        for path, name in forbidden.items():
            self.assert_offence("include_direction", {path: f'#include "{name}"\n'})

    def test_one_door_includes(self):
        doors = {"cas/os/": "liburing.h", "cas/kv/": "lmdb.h", "nbd/": "nbdkit-plugin.h"}
        doors_of_cas = ("zstd.h", "lz4hc.h", "blake3.h", "isa-l.h", "isa-l/crc.h")
        for home, name in [*doors.items(), *(("cas/", n) for n in doors_of_cas), ("nbd/", "libnbd.h")]:
            line = f"#include <{name}>\n"
            self.assert_clean({home + "a.cc": line})
            self.assert_offence("one_door_includes", {home + "a.cc": line, home + "b.cc": line})
            self.assert_offence("one_door_includes", {home + "a.h": HEADER + line})
            self.assert_offence("one_door_includes", {"index/a.cc": line})
        for name in ("libnbd.h", "nbdkit-plugin.h"):
            line = f"#include <{name}>\n"
            self.assert_clean({"nbd/a.cc": line, "tests/unit/a.cc": line})

    def test_file_length(self):
        self.assert_clean({"cas/a.cc": "int a;\n" * 500})
        self.assert_offence("file_length", {"cas/a.cc": "int a;\n" * 501})
        self.assert_offence("file_length", {"scripts/run": "true\n" * 501})

    def test_function_length(self):
        self.assert_clean({"cas/a.cc": function(70) + function(70)})
        long = 71
        heads = ("void f() {", "int A::f(int a) const {", "A::A() : a_(1), b_{2}, c_(3) {",
                 "template <class T>\nvoid f(T t) {", "TEST(Journal, Replays) {",
                 'extern "C" int f(void) {')
        for head in heads:
            self.assert_offence("function_length", {"tests/a.cc": function(long, head)})
        nested = "namespace casdisk {\nclass A {\n public:\n" + function(long) + "};\n}\n"
        self.assert_offence("function_length", {"cas/a.cc": nested})

    def test_function_length_counts_functions_only(self):
        lines = "  int a_ = 1;\n" * 80
        self.assert_clean({"cas/a.cc": "namespace a {\nstruct A {\n" + lines + "};\n}\n"})
        self.assert_clean({"cas/a.cc": "const int kTable[] = {\n" + "  1,\n" * 80 + "};\n"})
        self.assert_clean({"cas/a.cc": "const A kTable = make({\n" + "  1,\n" * 80 + "});\n"})
        self.assert_clean({"cas/a.cc": "// {\n" + 'const char k[] = "f() {";\n' + function(60) * 2})

    def test_header_shape(self):
        self.assert_clean({"cas/a.h": HEADER})
        self.assert_offence("header_shape", {"cas/a.h": "#pragma once\n"})
        self.assert_offence("header_shape", {"cas/a.h": "// A: an example.\n"})
        own = '#include "cas/a.h"\n'
        self.assert_clean({"cas/a.h": HEADER, "cas/a.cc": own + "#include <string>\n"})
        self.assert_offence("header_shape", {"cas/a.h": HEADER, "cas/a.cc": "#include <string>\n" + own})

    def test_unfinished_words(self):
        for word in ("TODO", "FIXME", "XXX"):
            self.assert_offence("unfinished_words", {"cas/a.cc": f"// {word}: later\n"})
            self.assert_offence("unfinished_words", {"docs/a.md": f"{word}\n"})
        self.assert_clean({"cas/a.cc": 'char name[] = "/tmp/a.XXXXXX";\n'})

    def test_exceptions(self):
        for text in ("throw 1;", "} catch (...) {", "try {"):
            self.assert_offence("exceptions", {"index/a.cc": f"{text}\n"})
        self.assert_offence("exceptions", {"tests/a.cc": "throw 1;\n"})
        self.assert_clean({"index/a.cc": '// We try, and never throw.\nchar a[] = "catch";\n'})
        for path in lint.MAY_CATCH:
            self.assert_clean({path: "try {\n} catch (...) {\n}\n"})
            self.assert_offence("exceptions", {path: "throw 1;\n"})

    def test_front_door_tests(self):
        self.assert_offence("front_door_tests", {"tests/unit/a.cc": '#include "cas/b.cc"\n'})
        for hook in ("void TEST_drop();", "friend class JournalTest;", "FRIEND_TEST(A, B);"):
            self.assert_offence("front_door_tests", {"cas/a.cc": hook + "\n"})
        self.assert_clean({"tests/unit/a.cc": "TEST(A, B) {}\nTEST_F(A, B) {}\nTEST_P(A, B) {}\n"})

    def test_whitespace(self):
        for text in ("\tint a;\n", "int a; \n", "int a;"):
            self.assert_offence("whitespace", {"cas/a.cc": text})
        self.assert_offence("whitespace", {"scripts/run": "true \n"})

    def test_file_names(self):
        for path in ("cas/ChunkStore.cc", "cas/chunk-store.cc", "index/Tree/page.cc"):
            self.assert_offence("file_names", {path: ""})
        script = {"tests/blackbox/test-a.sh": "", "tests/blackbox/functions.sh": ""}
        self.assert_clean(script, executable=script)
        self.assert_offence("file_names", script)
        odd = {"tests/blackbox/kill.sh": ""}
        self.assert_offence("file_names", odd, executable=odd)

    def test_links(self):
        page = {"docs/b.md": "# The second page: b\n"}
        self.assert_clean({"docs/a.md": "[b](b.md) [h](b.md#the-second-page-b) [w](https://a.b/)\n", **page})
        self.assert_clean({"docs/a.md": "```\n[b](gone.md)\n```\n"})
        for link in ("gone.md", "b.md#gone", "#gone", "../b.md"):
            self.assert_offence("links", {"docs/a.md": f"[b]({link})\n", **page})

    def test_promised_tests(self):
        tests = {"tests/unit/a_test.cc": "TEST(Tree, Grows) {}\nTEST_P(Store, Gets) {}\n",
                 "tests/blackbox/test-kill.sh": ""}
        runs = ["tests/blackbox/test-kill.sh"]
        table = "| it grows | `Tree.Grows`, `Store.*`, `test-kill` |\n"
        self.assert_clean({"docs/TESTING.md": table, **tests}, executable=runs)
        for name in ("Tree.Shrinks", "Page.*", "test-gone"):
            self.assert_offence("promised_tests", {"docs/TESTING.md": f"| a | `{name}` |\n", **tests},
                                executable=runs)

    def test_mutations_apply(self):
        mutations = ("from collections import namedtuple\nMutation = namedtuple('Mutation', 'name path old')\n"
                     "MUTATIONS = [Mutation('unsynced', 'cas/a.py', 'sync()')]\n")
        self.assert_clean({"tests/mutations/mutations.py": mutations, "cas/a.py": "sync()\n"})
        for text in ("", "sync(sync())\nsync()\n", "close()\n"):
            self.assert_offence("mutations_apply", {"tests/mutations/mutations.py": mutations, "cas/a.py": text})

    def test_machine_words(self):
        for word in ("/work/main", "see /home/me/a", "/root/a", "deb.debian.org", "crates.io"):
            self.assert_offence("machine_words", {"docs/a.md": word + "\n"})
        self.assert_clean({"docs/a.md": "a/work/b $HOME/work/ ~/work/ https://nbd.example/\n"})

    def test_hidden_and_built_files_are_not_read(self):
        self.assert_clean({"build/dev/a.cc": "\t", "cas/.cache/a.cc": "\t"})
        self.assert_offence("whitespace", {".ci/run": "\ttrue\n"})


if __name__ == "__main__":
    unittest.main()
