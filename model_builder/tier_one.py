"""The tier-1 measures of whole frames as one ONNX graph, so that a device takes them of many pictures at once.

It returns the sums that the measures are made of; `services/scorer/vision/frame.py` finishes them with the same
functions as the measures that run on one picture. Sums that those take in whole numbers are taken in whole
numbers here too.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from onnx import TensorProto, helper

from model_builder.graph import Graph

TILE: Final = 16
DARK: Final = 5
BRIGHT: Final = 250
STEP_MAX: Final = 24
HIGHLIGHT_SHARE: Final = 0.98
THINNING_ROWS: Final = 512
_END: Final = 2**31 - 1


def build() -> bytes:
    """Return the model; its input is ``grey``, ``(n, H, W) uint8`` with sides of at least 64."""
    grey = helper.make_tensor_value_info("grey", TensorProto.UINT8, ["n", "height", "width"])
    plan = Measures(Graph("tier_one", grey))
    return plan.graph.finish(
        {
            "energies": (plan.energies(), ["n", 4, 2]),
            "tenengrad": (plan.tenengrad(), ["n"]),
            "steps_across": (plan.steps(2), ["n", "columns"]),
            "steps_across_capped": (plan.steps(2, STEP_MAX), ["n", "columns"]),
            "steps_down": (plan.steps(1), ["n", "rows"]),
            "steps_down_capped": (plan.steps(1, STEP_MAX), ["n", "rows"]),
            "tones": (plan.tones(), ["n", 4]),
            **{name: (output, ["n", f"{name}_tiles"]) for name, output in plan.noise_tiles().items()},
        }
    )


class Measures:
    """Adds the measures to a graph; every method returns names of outputs."""

    def __init__(self, graph: Graph) -> None:
        """Begin with the picture in floats, whole numbers 0..255."""
        self.graph = graph
        self._grey = graph.node("Cast", ["grey"], to=TensorProto.FLOAT)
        shape = graph.node("Shape", ["grey"])
        self._height, self._width = (graph.node("Gather", [shape, self._whole(axis)]) for axis in (1, 2))

    def energies(self) -> str:
        """Return the mean energies of first and second differences in four directions, as in ``direction_energies``."""
        inner, low, high = (1, -1), (0, -2), (2, _END)
        above, level, below = (
            self._thinned(self._along(self._grey, 1, *rows), self._height) for rows in (low, inner, high)
        )
        views = [
            ((level, low), (level, inner), (level, high)),
            ((above, None), (level, None), (below, None)),
            ((above, low), (level, inner), (below, high)),
            ((above, high), (level, inner), (below, low)),
        ]
        found = []
        for view in views:
            a, b, c = (self._cut(rows, None, columns) for rows, columns in view)
            first = self._mean(self._squared(self._times(self._minus(c, a), 0.5)))
            second = self._mean(self._squared(self._minus(self._plus(a, c), self._times(b, 2.0))))
            pair = [
                self.graph.node("Unsqueeze", [difference, self._axes(1, 2)]) for difference in (first, second)
            ]
            found.append(self.graph.node("Concat", pair, axis=2))
        return self.graph.node("Concat", found, axis=1)

    def tenengrad(self) -> str:
        """Return the mean magnitude of the Sobel gradient, mirrored at the border without repeating it."""
        pads = self.graph.weight(np.array([0, 1, 1, 0, 1, 1], np.int64))
        wide = self.graph.node("Pad", [self._grey, pads], mode="reflect")
        low, inner, high = (0, -2), (1, -1), (2, _END)
        columns = [self._cut(wide, None, side) for side in (low, high)]
        across = self._minus(columns[1], columns[0])
        rows = [self._cut(wide, side, None) for side in (low, high)]
        down = self._minus(rows[1], rows[0])
        smooth = [
            self._plus(
                self._plus(self._cut(axis, *before), self._cut(axis, *after)),
                self._times(self._cut(axis, *here), 2.0),
            )
            for axis, before, here, after in (
                (across, (low, None), (inner, None), (high, None)),
                (down, (None, low), (None, inner), (None, high)),
            )
        ]
        energy = self._plus(self._squared(smooth[0]), self._squared(smooth[1]))
        return self._mean(self.graph.node("Sqrt", [energy]))

    def steps(self, axis: int, at_most: int = 255) -> str:
        """Return the mean step between neighbours along an axis, for each position on it.

        Larger steps count as ``at_most``.

        Across, of the rows that are looked at; down, of all rows: which of them count is chosen in `frame.py`.
        """
        half_height = self.graph.node("Div", [self._height, self._whole(2)])
        seen = self._thinned(self._grey, half_height) if axis == 2 else self._grey
        windows = [(0, -1), (1, _END)]
        before, after = (
            self._cut(seen, *((window, None) if axis == 1 else (None, window))) for window in windows
        )
        step = self.graph.node("Abs", [self._minus(after, before)])
        if at_most < 255:
            step = self.graph.node("Min", [step, self._number(at_most)])
        return self.graph.node("ReduceMean", [step], axes=[3 - axis], keepdims=0)

    def tones(self) -> str:
        """Return highlight (98th percentile), mean, and shares of dark and bright pixels, of the rows that are looked at."""
        twice = self.graph.node("Mul", [self._height, self._whole(2)])
        seen = self._thinned(self._grey, twice)
        dark = self._share(seen, "LessOrEqual", self._number(DARK))
        bright = self._share(seen, "GreaterOrEqual", self._number(BRIGHT))
        # The percentile is the smallest level that enough pixels reach, found bit by bit.
        highlight = self._times(self._column(dark), 0.0)
        for bit in (128, 64, 32, 16, 8, 4, 2, 1):
            tried = self._plus(highlight, self._number(bit - 1))
            level = self.graph.node("Unsqueeze", [tried, self._axes(2)])
            below = self._column(self._share(seen, "LessOrEqual", level))
            is_less = self.graph.node("Less", [below, self._number(HIGHLIGHT_SHARE)])
            step = self._times(self.graph.node("Cast", [is_less], to=TensorProto.FLOAT), float(bit))
            highlight = self._plus(highlight, step)
        tones = [self._column(share) for share in (self._mean(seen), dark, bright)]
        return self.graph.node("Concat", [highlight, *tones], axis=1)

    def noise_tiles(self) -> dict[str, str]:
        """Return strength and level of each tile at full, half and quarter size, as `grain` reads them."""
        found: dict[str, str] = {}
        picture, sides = self._grey, (self._height, self._width)
        for size in ("full", "half", "quarter"):
            found[f"strength_{size}"], found[f"level_{size}"] = self._tiles(picture, *sides)
            picture, sides = self._halved(picture, *sides)
        return found

    def _halved(self, picture: str, height: str, width: str) -> tuple[str, tuple[str, str]]:
        """Average by two with rounding up, without an odd last row or column."""
        half = [self.graph.node("Div", [side, self._whole(2)]) for side in (height, width)]
        corner = self._shape(*(self.graph.node("Mul", [side, self._whole(2)]) for side in half))
        even = self.graph.node("Slice", [picture, self._axes(0, 0), corner, self._axes(1, 2)])
        pairs = self.graph.node("Reshape", [even, self._shape(0, half[0], 2, half[1], 2)])
        sums = self.graph.node("ReduceSum", [pairs, self._axes(2, 4)], keepdims=0)
        mean = self._times(self._plus(sums, self._number(2)), 0.25)
        return self.graph.node("Floor", [mean]), (half[0], half[1])

    def _tiles(self, picture: str, height: str, width: str) -> tuple[str, str]:
        """Return mean strength (mixed second derivative, doubled, at most 255) and mean level of each tile."""
        graph = self.graph
        whole_height, whole_width = self._floored(height), self._floored(width)
        corner = self._shape(whole_height, whole_width)
        whole = graph.node("Slice", [picture, self._axes(0, 0), corner, self._axes(1, 2)])
        rows = graph.node("Reshape", [whole, self._shape(0, -1, TILE, whole_width)])
        tiles = self._thinned(rows, height)
        cuts = [self._along(tiles, 2, start, end) for start, end in ((0, -2), (1, -1), (2, _END))]
        vertical = self._second(cuts)
        pads = graph.weight(np.array([0, 0, 0, 1, 0, 0, 0, 1], np.int64))
        wide = graph.node("Pad", [vertical, pads], mode="reflect")
        mixed = self._second(
            [self._along(wide, 3, start, end) for start, end in ((0, -2), (1, -1), (2, _END))]
        )
        strength = graph.node("Min", [self._times(graph.node("Abs", [mixed]), 2.0), self._number(255)])
        # A tile's first and last line have no neighbour in it: they repeat the next.
        lines = [self._along(strength, 2, 0, 1), strength, self._along(strength, 2, -1, _END)]
        repeated = graph.node("Concat", lines, axis=2)
        return self._tile_means(repeated), self._tile_means(tiles)

    def _tile_means(self, tiles: str) -> str:
        """Average 16-pixel tiles as pictures are reduced: by two with rounding up, then by eight to the nearest even."""
        graph = self.graph
        halves = graph.node("Reshape", [tiles, graph.weight(np.array([0, 0, 8, 2, -1, 2], np.int64))])
        sums = self._plus(graph.node("ReduceSum", [halves, self._axes(3, 5)], keepdims=0), self._number(2))
        half = graph.node("Floor", [self._times(sums, 0.25)])
        eighths = graph.node("Reshape", [half, graph.weight(np.array([0, 0, 8, -1, 8], np.int64))])
        total = graph.node("ReduceSum", [eighths, self._axes(2, 4)], keepdims=0)
        means = graph.node("Round", [self._times(total, 1 / 64)])
        return graph.node("Reshape", [means, graph.weight(np.array([0, -1], np.int64))])

    def _thinned(self, source: str, height: str) -> str:
        """Take of the second axis what is looked at in a picture of that height, as `sampling.row_step` says."""
        pairs = self.graph.node("Div", [height, self._whole(THINNING_ROWS)])
        odd = self.graph.node("Add", [self.graph.node("Mul", [pairs, self._whole(2)]), self._whole(1)])
        steps = self.graph.node("Unsqueeze", [odd, self._axes(0)])
        return self.graph.node("Slice", [source, self._axes(0), self._axes(_END), self._axes(1), steps])

    def _share(self, source: str, compared: str, level: str) -> str:
        found = self.graph.node("Cast", [self.graph.node(compared, [source, level])], to=TensorProto.FLOAT)
        return self._mean(found)

    def _mean(self, source: str) -> str:
        # Line by line first: one long sum of floats would lose its last digits.
        lines = self.graph.node("ReduceMean", [source], axes=[2], keepdims=0)
        return self.graph.node("ReduceMean", [lines], axes=[1], keepdims=0)

    def _second(self, three: list[str]) -> str:
        return self._minus(self._plus(three[0], three[2]), self._times(three[1], 2.0))

    def _cut(self, source: str, rows: tuple[int, int] | None, columns: tuple[int, int] | None) -> str:
        for axis, window in ((1, rows), (2, columns)):
            if window is not None:
                source = self._along(source, axis, *window)
        return source

    def _along(self, source: str, axis: int, start: int, end: int) -> str:
        return self.graph.node("Slice", [source, self._axes(start), self._axes(end), self._axes(axis)])

    def _floored(self, side: str) -> str:
        tiles = self.graph.node("Div", [side, self._whole(TILE)])
        return self.graph.node("Mul", [tiles, self._whole(TILE)])

    def _shape(self, *sides: int | str) -> str:
        parts = [
            self._axes(side) if isinstance(side, int) else self.graph.node("Unsqueeze", [side, self._axes(0)])
            for side in sides
        ]
        return self.graph.node("Concat", parts, axis=0)

    def _column(self, source: str) -> str:
        return self.graph.node("Unsqueeze", [source, self._axes(1)])

    def _squared(self, source: str) -> str:
        return self.graph.node("Mul", [source, source])

    def _plus(self, left: str, other: str) -> str:
        return self.graph.node("Add", [left, other])

    def _minus(self, left: str, other: str) -> str:
        return self.graph.node("Sub", [left, other])

    def _times(self, source: str, factor: float) -> str:
        return self.graph.node("Mul", [source, self._number(factor)])

    def _number(self, value: float) -> str:
        return self.graph.scalar(np.float32(value))

    def _whole(self, value: int) -> str:
        return self.graph.scalar(np.int64(value))

    def _axes(self, *axes: int) -> str:
        return self.graph.weight(np.array(axes, np.int64))
