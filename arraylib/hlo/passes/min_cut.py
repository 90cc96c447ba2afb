"""The cheapest cut between a source and a sink: Dinic's algorithm.

Dinic, "Algorithm for solution of a problem of maximum flow in networks with power estimation"
(1970).
"""

from __future__ import annotations

from collections import deque

NEVER = 1 << 62  # the capacity of an edge that no cut goes through


class Network:
    """Places, numbered from 0, and directed edges with capacities, which are integers."""

    def __init__(self) -> None:
        self._edges: list[list[int]] = []  # of each place, the numbers of the edges that leave it
        self._to: list[int] = []
        self._room: list[int] = []  # edge n ^ 1 is edge n the other way round

    def place(self) -> int:
        """A new place."""
        self._edges.append([])
        return len(self._edges) - 1

    def edge(self, start: int, end: int, capacity: int) -> None:
        """Going from `start` to `end` costs `capacity` to prevent."""
        for a, b, room in ((start, end, capacity), (end, start, 0)):
            self._edges[a].append(len(self._to))
            self._to.append(b)
            self._room.append(room)

    def near(self, source: int, sink: int) -> set[int]:
        """The places on the source's side of a cheapest cut; the edges out of them are the cut."""
        while (levels := self._levels(source))[sink] >= 0:
            following = [0] * len(self._edges)
            while self._push(source, sink, levels, following):
                pass
        return {place for place, level in enumerate(levels) if level >= 0}

    def _levels(self, source: int) -> list[int]:
        """How many edges with room lead to each place from the source; -1 if none do."""
        levels = [-1] * len(self._edges)
        levels[source] = 0
        waiting = deque([source])
        while waiting:
            place = waiting.popleft()
            for number in self._edges[place]:
                end = self._to[number]
                if self._room[number] and levels[end] < 0:
                    levels[end] = levels[place] + 1
                    waiting.append(end)
        return levels

    def _push(self, source: int, sink: int, levels: list[int], following: list[int]) -> bool:
        """Send as much as one more path down the levels has room for; False if there is none."""
        path: list[int] = []
        place = source
        while place != sink:
            number = self._step(place, levels, following)
            if number is not None:
                path.append(number)
                place = self._to[number]
            elif path:
                place = self._to[path.pop() ^ 1]
                following[place] += 1
            else:
                return False
        sent = min(self._room[number] for number in path)
        for number in path:
            self._room[number] -= sent
            self._room[number ^ 1] += sent
        return True

    def _step(self, place: int, levels: list[int], following: list[int]) -> int | None:
        """The next edge from here that has room and goes a level down."""
        edges = self._edges[place]
        while following[place] < len(edges):
            number = edges[following[place]]
            if self._room[number] and levels[self._to[number]] == levels[place] + 1:
                return number
            following[place] += 1
        return None
