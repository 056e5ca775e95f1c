"scripts/house.py sees what it must refuse"
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]/"scripts"))
import house  # noqa: E402


def cell(source):
    return dict(cell_type="code", source=source.splitlines(keepends=True), outputs=[])


def test_names_defined_twice():
    "The second definition would silently replace the first one on export"
    cells = [cell("#| export\nFAULTS = 1\ndef f(): pass"), cell("f()"), cell("#| export\nFAULTS = 2"), cell("FAULTS = 3")]
    assert list(house.faults("x", cells)) == ["x: FAULTS is defined in two export cells"]


def test_wide_lines_and_large_cells():
    wide = cell("x = 1 # " + "-"*120)
    large = cell("#| export\ndef f():\n" + "    g()\n"*50)
    table = cell("#| export\nGLYPHS = '''\n" + "a\n"*90 + "'''")
    found = list(house.faults("x", [wide, large, table]))
    assert len(found) == 2 and "128 columns" in found[0] and "52 lines" in found[1]


def test_counts():
    "Two export cells with logic, one of them followed by what shows it; imports are no logic"
    cells = [cell("#| export\nimport os"), cell("#| export\ndef f(): return 1"), cell("f()"), cell("#| export\ndef g(): return 2")]
    counts = house.count(cells)
    assert (counts.cells, counts.exports, counts.shown) == (4, 2, 0.5)


def test_the_house_stands():
    assert [fault for name, cells in house.notebooks() for fault in house.faults(name, cells)] == []
