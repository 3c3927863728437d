"""What benchmarks.structure counts, on small graphs and files, and that the functions it walks exist."""

import grimp
import pytest

from benchmarks.structure import PACKAGES, Walk, arrows, circles, function, largest_folder, levels, main, parser


@pytest.mark.parametrize(
    ("imports", "depth", "rings"),
    [
        ({("a", "b"), ("b", "c"), ("a", "c")}, 3, 0),
        ({("a", "b"), ("b", "a"), ("b", "c")}, 2, 1),
        ({("a", "b"), ("c", "d")}, 2, 0),
    ],
)
def test_levels_are_the_longest_chain_and_a_circle_is_one_member(imports, depth, rings):
    assert (levels(imports), circles(imports)) == (depth, rings)


def test_arrows_between_folders_count_once_and_imports_within_a_folder_not_at_all():
    graph = grimp.ImportGraph()
    for module in ("p", "p.a", "p.a.x", "p.a.y", "p.b", "p.b.z"):
        graph.add_module(module)
    for importer, imported in (("p.a.x", "p.b.z"), ("p.a.y", "p.b.z"), ("p.a.x", "p.a.y")):
        graph.add_import(importer=importer, imported=imported)
    assert arrows(graph, "p") == {("p.a", "p.b")}


def test_entries_are_modules_and_folders_that_hold_modules(tmp_path):
    for file in ("__init__.py", "a.py", "b.py", "deep/__init__.py", "page/style.css"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert largest_folder(tmp_path) == (tmp_path, 3)


ONE = """
def start(): helper(); helper(); other(); last(); end(); never()
def other(): pass
def last(): list(range(1)); return None
def never(): pass
"""
TWO = """
def helper(): return [0 for _ in "1"]
def end(): raise AssertionError
"""


def test_walk_counts_first_calls_from_its_start_to_its_end(tmp_path):
    """start in one.py, helper in two.py, other and last in one.py, then the end: two files, three stays, one return.

    Without helper and other, whose bodies are one statement, all is in one.py.
    """
    names: dict = {}
    for file, text in (("one.py", ONE), ("two.py", TWO)):
        (tmp_path / file).write_text(text)
        exec(compile(text, str(tmp_path / file), "exec"), names)
    walk = Walk((str(tmp_path),), names["start"].__code__, names["end"].__code__)
    walk.run(lambda: (names["other"](), names["start"]()))
    assert walk.row("name", str(tmp_path)) == "| name | 4 | 2 | 3 | 1 | 0 |"


def test_walk_leaves_out_what_a_skipped_function_calls(tmp_path):
    names: dict = {}
    text = "def start(): skipped(); after()\ndef skipped(): inner()\ndef inner(): pass\ndef after(): pass\n"
    (tmp_path / "one.py").write_text(text)
    exec(compile(text, str(tmp_path / "one.py"), "exec"), names)
    walk = Walk((str(tmp_path),), names["start"].__code__, skip=names["skipped"].__code__)
    walk.run(lambda: names["start"]())
    assert [code.co_name for code in walk.visits] == ["start", "skipped", "after"]


def test_functions_that_are_walked_exist():
    options = parser().parse_args([])
    for name in (options.load_space, options.resume, options.training):
        found = function(name)
        assert f"{found.__module__}:{found.__name__}" == name  # a re-export would hide the file that defines it


def test_command_measures_packages_and_walks(capfd):
    with pytest.raises(SystemExit, match="0"):
        main([])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capfd.readouterr().out.splitlines()]
    circles_of = {row[0]: row[4] for row in rows if len(row) == 5 and row[0] in PACKAGES}
    assert circles_of == dict.fromkeys(PACKAGES, "0 of folders, 0 of modules")
    files = {row[0]: int(row[2]) for row in rows if len(row) == 6 and row[0].endswith("in search")}
    assert files["load_space, in search"] > 5
    assert files["resume, in search"] > 20
