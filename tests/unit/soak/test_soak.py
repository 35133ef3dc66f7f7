"""The soak keeps the last result of every part, and says honestly how a part ended."""

from __future__ import annotations

import sys

import pytest

from tests.soak.__main__ import PAGE
from tests.soak.parts import PARTS, SEEDS, drawn_seeds, run_part
from tests.soak.result import BEGIN, END, Result, with_results

EMPTY = f"# Soak\n\n{BEGIN}\n{END}\n\nafter\n"


def result(part: str, *, held: bool = True, said: str = "all well") -> Result:
    return Result(part, f"python -m {part}", "2026-11-22", "abc1234", 12.4, held, said)


def test_a_result_takes_the_place_of_the_former_one_of_its_part_and_leaves_the_others() -> None:
    page = with_results(EMPTY, [result("fuzz"), result("simulation")])
    page = with_results(page, [result("fuzz", held=False, said="crash | here")])
    assert page.count("| fuzz |") == 1
    assert "| fuzz | **failed** | 2026-11-22 | `abc1234` | 12 | crash / here | `python -m fuzz` |" in page
    assert "| simulation | held |" in page
    assert page.startswith("# Soak")
    assert page.endswith("after\n")


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks"):
        with_results("# Soak\n", [result("fuzz")])


def test_the_page_of_the_repository_takes_results() -> None:
    for part in PARTS:
        assert f"| {part} | held |" in with_results(PAGE.read_text(), [result(part)])


@pytest.mark.parametrize(("code", "held"), [(0, True), (1, False)])
def test_a_part_holds_when_its_command_says_so_and_its_last_line_is_told(code: int, held: bool) -> None:
    script = f"import sys; print('first'); print('last'); print(); sys.exit({code})"
    ended = run_part("fuzz", [sys.executable, "-c", script], "abc1234")
    assert (ended.held, ended.last_line, ended.commit) == (held, "last", "abc1234")


def test_drawn_seeds_lie_beyond_the_fixed_ones_and_differ() -> None:
    ranges = [tuple(map(int, drawn_seeds(500).split(".."))) for _ in range(5)]
    assert all(last - first == 500 and first >= SEEDS for first, last in ranges)
    assert len(set(ranges)) > 1


def test_every_part_names_a_command_of_this_repository() -> None:
    for part in PARTS.values():
        command = part(10, 10)
        module = command[command.index("-m") + 1 :]
        named = module[1] if module[0] == "pytest" else module[0].replace(".", "/")
        root = PAGE.parents[1] / named
        assert root.is_file() or root.is_dir() or root.with_suffix(".py").is_file()
