"""The same figures at several sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sgsim.bench.measure import core_figures
from sgsim.bench.results import Point, Sweep
from sgsim.bench.subject import Subject, generated, of_environment
from sgsim.generate import Shape, Traffic
from sgsim.model import Environment

__all__ = ["shaped", "sweep_environment", "sweep_shape"]


def sweep_shape(by: str, sizes: list[int], shape: Shape, traffic: Traffic, seed: int, runs: int) -> Sweep:
    """Generated environments that differ in one thing. Raises ModelError."""

    def subject(size: int) -> Subject:
        changed, flows = shaped(by, size, shape, traffic)
        return generated(changed, flows, seed)

    return _swept(by, sizes, subject, runs)


def shaped(by: str, size: int, shape: Shape, traffic: Traffic) -> tuple[Shape, Traffic]:
    """The shape with another size: more groups bring their rules with them, few rules make few groups."""
    match by:
        case "rules":
            return replace(shape, rules=size, groups=min(shape.groups, size)), traffic
        case "groups":
            return replace(shape, groups=size, rules=max(size * shape.rules // shape.groups, size)), traffic
        case "interfaces":
            return replace(shape, interfaces=size), traffic
        case _:
            return shape, replace(traffic, flows=size)


def sweep_environment(
    sizes: list[int], environment: Environment, traffic: Traffic, seed: int, runs: int, source: str
) -> Sweep:
    """The user's environment with different numbers of flows. Raises ModelError."""
    return _swept("flows", sizes, lambda n: of_environment(environment, replace(traffic, flows=n), seed, source), runs)


def _swept(by: str, sizes: list[int], subject: Callable[[int], Subject], runs: int) -> Sweep:
    points = []
    for at in sizes:
        size, figures = core_figures(subject(at), runs)
        points.append(Point(at=at, size=size, figures=figures))
    return Sweep(by=by, points=tuple(points))
