import itertools
import random

import numpy as np
import pytest
from optuna._hypervolume import compute_hypervolume

from reports.analysis.pareto import as_losses, dominates, front, ranks
from reports.analysis.volume import hypervolume, hypervolume_contribution

Point = tuple[float, ...]


def random_points(n: int, objectives: int, seed: int, grid: int | None = None) -> list[Point]:
    rng = random.Random(seed)
    draw = (lambda: rng.randrange(grid) / grid) if grid else rng.random
    return [tuple(draw() for _ in range(objectives)) for _ in range(n)]


def volume_on_grid(points: list[Point], reference: Point, grid: int) -> float:
    """Counts the cells of a grid that some point dominates: exact where points lie on the grid."""
    cells = itertools.product(range(grid), repeat=len(reference))
    hit = sum(any(all(x * grid <= c + 1e-9 for x, c in zip(p, cell, strict=True)) for p in points) for cell in cells)
    return hit / grid ** len(reference)


def test_maximised_values_change_sign() -> None:
    assert as_losses((0.8, 3.0), ("maximize", "minimize")) == (-0.8, 3.0)


def test_equal_points_do_not_dominate_each_other() -> None:
    assert not dominates((1.0, 2.0), (1.0, 2.0))
    assert dominates((1.0, 2.0), (1.0, 3.0))
    assert not dominates((1.0, 2.0), (0.5, 3.0))


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("grid", [None, 4])
def test_ranks_peel_the_points_front_by_front(objectives: int, grid: int | None) -> None:
    points = random_points(60, objectives, seed=objectives, grid=grid)
    expected, left, rank = {}, set(range(60)), 0
    while left:
        best = {i for i in left if not any(dominates(points[j], points[i]) for j in left)}
        expected |= dict.fromkeys(best, rank)
        left, rank = left - best, rank + 1
    assert ranks(points) == [expected[i] for i in range(60)]


def test_the_front_of_nothing_is_empty() -> None:
    assert front([]) == []
    assert hypervolume([], (1.0, 1.0, 1.0)) == 0.0


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_hypervolume_equals_optunas_on_random_points(objectives: int, seed: int) -> None:
    points = random_points(40, objectives, seed)
    reference = (0.9,) * objectives
    inside = np.array([p for p in points if max(p) <= 0.9])
    assert hypervolume(points, reference) == pytest.approx(compute_hypervolume(inside, np.array(reference)), rel=1e-12)


@pytest.mark.parametrize(("objectives", "grid"), [(1, 16), (2, 12), (3, 8), (4, 5)])
def test_hypervolume_equals_counted_grid_cells(objectives: int, grid: int) -> None:
    points = random_points(12, objectives, seed=3, grid=grid)
    expected = volume_on_grid(points, (1.0,) * objectives, grid)
    assert hypervolume(points, (1.0,) * objectives) == pytest.approx(expected, abs=1e-12)


def test_points_beyond_the_reference_add_nothing() -> None:
    assert hypervolume([(0.5, 0.5), (0.1, 1.0), (0.1, 7.0)], (1.0, 1.0)) == 0.25


@pytest.mark.parametrize("objectives", [2, 3])
def test_contributions_add_up_to_the_hypervolume(objectives: int) -> None:
    points, reference = random_points(30, objectives, seed=1), (1.0,) * objectives
    total = sum(hypervolume_contribution(p, points[:i], reference) for i, p in enumerate(points))
    assert total == pytest.approx(hypervolume(points, reference), rel=1e-12)
