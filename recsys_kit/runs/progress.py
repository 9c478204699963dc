"""How a run looks while it goes: one live line per chapter on a terminal, plain lines everywhere else."""

from __future__ import annotations

import os
import shutil
import sys
import time

SPIN = "|/-\\"


class Progress:
    """Tells how the chapters of a run are doing.

    On a terminal each chapter has a line that is rewritten in place; in a file, a pipe or under CI each chapter gets one
    plain line when it starts and one when it ends. ``names`` are the chapters' names in order.
    """

    def __init__(self, names: list[str], stream=None):
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"
        self.wide = max(map(len, names), default=0)
        self.lines = {name: "waiting" for name in names}
        self.began: dict[str, float] = {}
        self.cells: dict[str, tuple[int, int]] = {}
        self.drawn = False

    def start(self, name: str) -> None:
        """The chapter ``name`` starts now."""
        self.began[name] = time.monotonic()
        self.lines[name] = None
        if not self.live:
            self._plain(name, "starts")

    def at(self, name: str, cell: int, cells: int) -> None:
        """The chapter is at code cell ``cell`` of ``cells``; past the last one its page is being written."""
        self.cells[name] = (cell, cells)

    def end(self, name: str, text: str) -> None:
        """The chapter has ended, as ``text`` says."""
        self.lines[name] = text
        if not self.live:
            self._plain(name, text)

    def draw(self) -> None:
        """Bring the terminal up to date; does nothing where lines are plain."""
        if not self.live:
            return
        width = shutil.get_terminal_size().columns - 1
        up = f"\x1b[{len(self.lines)}A" if self.drawn else ""
        lines = [f"  {name:<{self.wide}}  {text or self._running(name)}" for name, text in self.lines.items()]
        self.stream.write(up + "".join(f"\r\x1b[2K{line[:width]}\n" for line in lines))
        self.stream.flush()
        self.drawn = True

    def _running(self, name: str) -> str:
        seconds = time.monotonic() - self.began[name]
        cell, cells = self.cells.get(name, (0, 0))
        filled = round(20 * (cell - 1) / cells) if cells else 0
        place = "its page" if cell > cells else f"cell {cell:>2}/{cells}" if cells else "starting"
        return f"{SPIN[int(seconds * 5) % 4]} [{'#' * filled}{'.' * (20 - filled)}] {place:<11} {seconds:4.0f} s"

    def _plain(self, name: str, text: str) -> None:
        print(f"  {name:<{self.wide}}  {text}", file=self.stream, flush=True)
