"""The house rules that a machine can check, run as a test: python3 lint.py ROOT

A rule is a generator over the tree: it yields one "path:line: what is wrong" for each offence. Every
rule says why it exists, and lint_test.py shows that it can fail. Where the better code breaks a rule,
change the rule here, in the open, and say why.
"""

import os
import re
import sys

SOURCE_DIRS = ("cas", "index", "remotes", "nbd", "tests")
TEXT_SUFFIXES = (".cc", ".h", ".py", ".sh", ".md", ".txt", ".json", ".cmake", ".in", ".pod", ".yml")
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70

# What a directory may include of ours; the longest matching prefix counts. See docs/ARCHITECTURE.md.
MAY_INCLUDE = {
    "cas/os/": ("cas/os/",),
    "cas/kv/": ("cas/kv/", "cas/os/"),
    "cas/": ("cas/",),
    "index/": ("index/", "cas/"),
    "remotes/": ("remotes/", "index/", "cas/"),
    "nbd/": ("nbd/", "remotes/", "index/", "cas/"),
    "tests/": ("tests/", "nbd/", "remotes/", "index/", "cas/"),
}

# Foreign headers with one door: the pattern, and the directory whose one .cc may include them.
DOORS = {
    r"liburing\.h": "cas/os/",
    r"lmdb\.h": "cas/kv/",
    # RocksDB has two: how it is set up, which is what it calls of ours, and what is done with it.
    r"rocksdb/(cache|compaction_filter|env|filter_policy|listener|options|table)\.h": "cas/kv/",
    r"rocksdb/(db|sst_file_writer|utilities/.*)\.h": "cas/kv/",
    r"zstd.*\.h": "cas/",
    r"lz4.*\.h": "cas/",
    r"blake3\.h": "cas/",
    r"isa-l.*\.h": "cas/",
    r"curl/.*\.h": "remotes/",
    r"hiredis/hiredis\.h": "remotes/",
    r"nbdkit-plugin\.h|nbdkit-common\.h": "nbd/",
    r"libnbd\.h": "nbd/",
    r"sodium.*\.h": "nbd/",
}
# Tests are clients too, and have an nbdkit plugin that is a faulty disk.
TESTS_MAY_TOO = (r"libnbd\.h", r"nbdkit-plugin\.h|nbdkit-common\.h")

# Where a library throws at us, and which. Everywhere else nothing throws, so nothing catches.
MAY_CATCH = {
    "cas/kv/rocksdb_database.cc": "RocksDB, whose opening makes a thread",
    "cas/os/parallel.cc": "std::thread, when the system has no more threads",
    "nbd/cli/arguments.cc": "Boost.Program_options, for what the user typed",
    "nbd/main.cc": "std::bad_alloc, which ends the command with a message and a status",
    "nbd/plugin.cc": "whatever a library throws ends the process before it reaches nbdkit, which is C",
}


class Tree:
    """The files under a root, without build results and hidden folders other than .ci."""

    def __init__(self, root):
        self.root = root
        self.paths = []
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(f for f in folders
                                if f not in ("build", "__pycache__") and (f[0] != "." or f == ".ci"))
            here = os.path.relpath(folder, root)
            self.paths += [os.path.normpath(os.path.join(here, name)) for name in sorted(names)]
        self._texts = {}

    def text(self, path):
        if path not in self._texts:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                self._texts[path] = file.read()
        return self._texts[path]

    def lines(self, path):
        return enumerate(self.text(path).splitlines(), 1)

    def sources(self, *suffixes):
        """Our C++ files: (.cc and .h unless said otherwise) in the source directories."""
        return [p for p in self.paths
                if p.split(os.sep)[0] in SOURCE_DIRS and p.endswith(suffixes or (".cc", ".h"))]

    def texts(self):
        """Everything that people wrote: sources, scripts, documents."""
        return [p for p in self.paths
                if p.endswith(TEXT_SUFFIXES) or p.startswith((".ci/", "scripts/"))]

    def includes(self, path):
        """(line, bracket, name) of every #include."""
        for number, line in self.lines(path):
            found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if found:
                yield number, found[1], found[2]


NOT_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^()\\ ]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.S | re.M)


def code_of(text):
    """The text with comments, literals and preprocessor lines blanked, every line where it was."""
    return NOT_CODE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def functions(code):
    """(first line, line count) of every function body, found by its braces.

    A "{" opens a scope (namespace, class), a function (its head has balanced parentheses), or is an
    initializer, which the head goes on after. What is inside a function is not looked at.
    """
    stack, head_start = [], 0
    for brace in re.finditer(r"[{};]", code):
        here = brace.start()
        if brace[0] == ";":
            head_start = here + 1
        elif brace[0] == "{":
            lead = re.compile(r"\s*(?:(?:public|private|protected)\s*:\s*)*").match(code, head_start)
            head = code[lead.end():here] if lead.end() <= here else ""
            kind_words = re.sub(r"\btemplate\s*<.*?>", "", head.split("(")[0], flags=re.S)
            if any(kind == "function" for kind, _ in stack):
                kind = "inner"
            elif head.count("(") != head.count(")") or not head[-1:].isspace():
                kind = "initializer"
            elif re.search(r"\b(namespace|class|struct|union|enum)\b|\bextern\s+$", kind_words):
                kind = "scope"
            else:
                kind = "function" if "(" in head and head.rstrip()[-1] != "=" else "initializer"
            stack.append((kind, lead.end()))
            if kind != "initializer":
                head_start = here + 1
        elif stack:
            kind, start = stack.pop()
            if kind == "function":
                first = line_of(code, start)
                yield first, line_of(code, here) - first + 1
            if kind != "initializer":
                head_start = here + 1


def include_direction(tree):
    """A request goes down through the directories; an include that points up ends that."""
    for path in tree.sources():
        home = max((prefix for prefix in MAY_INCLUDE if path.startswith(prefix)), key=len)
        for number, bracket, name in tree.includes(path):
            if bracket == '"' and not name.startswith(MAY_INCLUDE[home]):
                yield (f'{path}:{number}: {home} must not include "{name}" '
                       f"(only {', '.join(MAY_INCLUDE[home])}; paths start at the top)")


def one_door_includes(tree):
    """A library that one file wraps can be replaced, faked and understood in that file."""
    for pattern, home in DOORS.items():
        doors = []
        for path in tree.sources():
            if path.startswith("tests/") and pattern in TESTS_MAY_TOO:
                continue
            for number, _, name in tree.includes(path):
                if not re.fullmatch(pattern, name) and not (
                        pattern.startswith("isa-l") and name.startswith("isa-l/")):
                    continue
                if not (path.startswith(home) and path.endswith(".cc")):
                    yield f"{path}:{number}: only one .cc in {home} may include <{name}>"
                elif path not in doors:
                    doors.append(path)
        if len(doors) > 1:
            yield f"{doors[1]}:1: a second door to {pattern}; the first is {doors[0]}"


def file_length(tree):
    """A file that takes more than one sitting is more than one thing."""
    for path in tree.texts():
        count = tree.text(path).count("\n")
        if count > MAX_FILE_LINES and not path.endswith((".md", ".json")):
            yield f"{path}:{count}: {count} lines; the most is {MAX_FILE_LINES}"


def function_length(tree):
    """A function fits on a screen."""
    for path in tree.sources():
        for first, count in functions(code_of(tree.text(path))):
            if count > MAX_FUNCTION_LINES:
                yield f"{path}:{first}: a function of {count} lines; the most is {MAX_FUNCTION_LINES}"


def header_shape(tree):
    """The header is the contract: it opens with what the thing is. x.cc includes x.h first, which
    proves that x.h compiles alone (headers without a .cc are compiled by tests/CMakeLists.txt)."""
    for path in tree.sources(".h"):
        text = tree.text(path)
        if not text.startswith("//"):
            yield f"{path}:1: a header opens with a comment that says what it is"
        if not re.search(r"^#pragma once$", text, re.M):
            yield f"{path}:1: #pragma once is missing"
    for path in tree.sources(".cc"):
        own = path[:-len(".cc")] + ".h"
        first = next(tree.includes(path), None)
        if own in tree.paths and (first is None or first[2] != own):
            yield f'{path}:{first[0] if first else 1}: the first include must be "{own}"'


def unfinished_words(tree):
    """What is to be done is an issue with a number; in the source it only grows old."""
    for path in tree.texts():
        for number, line in tree.lines(path):
            found = re.search(r"\b(TODO|FIXME|XXX)\b", line)
            if found and not path.startswith("tests/lint/"):
                yield f"{path}:{number}: {found[0]}: finish it or open an issue"


def exceptions(tree):
    """Failures travel as Result; no exception crosses a function of ours."""
    for path in tree.sources():
        code = code_of(tree.text(path))
        for found in re.finditer(r"\b(throw|catch|try)\b", code):
            if found[1] != "throw" and (path in MAY_CATCH or path.startswith("tests/")):
                continue
            yield f"{path}:{line_of(code, found.start())}: {found[1]}: failures travel as Result"


def front_door_tests(tree):
    """Tests use what callers use; a hook for tests is an interface nobody designed."""
    for path in tree.sources():
        for number, _, name in tree.includes(path):
            if name.endswith(".cc"):
                yield f'{path}:{number}: #include "{name}": sources are compiled, not included'
        code = code_of(tree.text(path))
        hooks = r"\bFRIEND_TEST\b|\bfriend\s+class\s+\w*Test\w*|\bTEST_(?!F\b|P\b)\w*"
        for found in re.finditer(hooks, code):
            yield f"{path}:{line_of(code, found.start())}: {found[0]}: no hooks for tests"


def whitespace(tree):
    """So that a diff shows what changed and nothing else."""
    for path in tree.texts():
        for number, line in tree.lines(path):
            if "\t" in line:
                yield f"{path}:{number}: a tab"
            if line != line.rstrip():
                yield f"{path}:{number}: whitespace at the end"
        if tree.text(path)[-1:] not in ("", "\n"):
            yield f"{path}:{tree.text(path).count(chr(10)) + 1}: no newline at the end"


def file_names(tree):
    """One way to spell a name. A black-box test that ctest cannot find or run would never fail."""
    for path in tree.sources():
        if not re.fullmatch(r"([a-z0-9_]+/)+[a-z0-9_]+\.(cc|h)", path):
            yield f"{path}:1: C++ files and their folders are named in snake_case"
    for path in tree.paths:
        if re.fullmatch(r"tests/blackbox/[^/]+\.(sh|py)", path) and "functions" not in path:
            if not re.fullmatch(r"test-[a-z0-9-]+\.sh|test_[a-z0-9_]+\.py", os.path.basename(path)):
                yield f"{path}:1: black-box tests are named test-*.sh or test_*.py"
            if not os.access(os.path.join(tree.root, path), os.X_OK):
                yield f"{path}:1: is not executable"


def anchors(markdown):
    """The names under which a reader can link to the headings of a page, as GitHub makes them."""
    for heading in re.findall(r"^#+ +(.+?) *#*$", markdown, re.M):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def links(tree):
    """A dead link in a document is a promise that was broken."""
    for path in tree.paths:
        if not path.endswith(".md"):
            continue
        prose = re.sub(r"```.*?```", lambda m: re.sub(r"[^\n]", " ", m[0]), tree.text(path),
                       flags=re.S)
        for found in re.finditer(r"\]\(([^)\s]+)\)", prose):
            if re.match(r"[a-z]+:", found[1]):
                continue
            file, _, anchor = found[1].partition("#")
            target = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
            place = f"{path}:{line_of(prose, found.start())}"
            if not os.path.exists(os.path.join(tree.root, target)):
                yield f"{place}: a link to {target}, which does not exist"
            elif anchor and target.endswith(".md") and anchor not in anchors(tree.text(target)):
                yield f"{place}: {target} has no heading #{anchor}"


def promised_tests(tree):
    """docs/TESTING.md and docs/KV.md say which test shows a promise; a name that is no test shows nothing."""
    pages = [page for page in ("docs/TESTING.md", "docs/KV.md") if page in tree.paths]
    if not pages:
        return
    known = set()
    for path in tree.sources(".cc"):
        for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", tree.text(path), re.M):
            known |= {f"{suite}.{name}", f"{suite}.*"}
    known |= {os.path.splitext(os.path.basename(path))[0] for path in tree.paths
              if path.startswith("tests/blackbox/")}
    for page in pages:
        for number, line in tree.lines(page):
            for name in re.findall(r"`([A-Z]\w+\.(?:\w+|\*)|test[-_][a-z0-9_-]+)`", line):
                if line.startswith("|") and name not in known:
                    yield f"{page}:{number}: there is no test {name}"


def mutations_apply(tree):
    """scripts/check-mutations takes half an hour; that a mutation's place is gone is known at once."""
    page = "tests/mutations/mutations.py"
    if page not in tree.paths:
        return
    mutations = {}
    exec(compile(tree.text(page), page, "exec"), mutations)  # pylint: disable=exec-used
    for mutation in mutations["MUTATIONS"]:
        count = tree.text(mutation.path).count(mutation.old) if mutation.path in tree.paths else 0
        if count != 1:
            yield f"{page}: {mutation.name}: its place in {mutation.path} is there {count} times, not once"


def machine_words(tree):
    """The tree must build on any machine: no paths of one, no hosts that packages came from."""
    words = (r"(?<![\w.~}])/(work|home|root)/|\b((deb|archive|security)\.(debian|ubuntu)\.(org|com)"
             r"|crates\.io|pypi\.org|registry\.npmjs|proxy\.golang\.org|docker\.io|quay\.io)\b")
    for path in tree.texts():
        for number, line in tree.lines(path):
            found = re.search(words, line)
            if found and not path.startswith("tests/lint/"):
                yield f"{path}:{number}: {found[0]}: belongs to one machine or one mirror"


RULES = (include_direction, one_door_includes, file_length, function_length, header_shape,
         unfinished_words, exceptions, front_door_tests, whitespace, file_names, links,
         promised_tests, mutations_apply, machine_words)


def problems(root):
    tree = Tree(root)
    return [f"{offence} [{rule.__name__}]" for rule in RULES for offence in rule(tree)]


if __name__ == "__main__":
    found = problems(sys.argv[1])
    print("\n".join(found) if found else "every rule holds")
    sys.exit(1 if found else 0)
