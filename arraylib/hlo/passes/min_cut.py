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

    def edge(self, start: int, end: int, capacity: int) -> int:
        """Going from `start` to `end` costs `capacity` to prevent; the number of the edge."""
        number = len(self._to)
        for a, b, room in ((start, end, capacity), (end, start, 0)):
            self._edges[a].append(len(self._to))
            self._to.append(b)
            self._room.append(room)
        return number

    def widen(self, number: int, more: int) -> None:
        """Let an edge cost more to prevent. What flows already stays, so that the next cut is
        found from this one on."""
        self._room[number] += more

    def near(self, source: int, sink: int) -> set[int]:
        """The places on the source's side of a cheapest cut; the edges out of them are the cut."""
        while (levels := self._levels(source, sink))[sink] >= 0:
            self._fill(source, sink, levels)
        return {place for place, level in enumerate(levels) if level >= 0}

    def _levels(self, source: int, sink: int) -> list[int]:
        """How many edges with room lead to each place from the source, up to the sink's level; -1
        if none do."""
        levels = [-1] * len(self._edges)
        levels[source] = 0
        edges, to, room = self._edges, self._to, self._room
        waiting = deque([source])
        while waiting and levels[sink] < 0:
            place = waiting.popleft()
            following = levels[place] + 1
            for number in edges[place]:
                if room[number]:
                    end = to[number]
                    if levels[end] < 0:
                        levels[end] = following
                        waiting.append(end)
        return levels

    def _fill(self, source: int, sink: int, levels: list[int]) -> None:
        """Send as much as paths down the levels have room for.

        After each, the search goes on at the first edge that has no more room.
        """
        room, to = self._room, self._to
        following = [0] * len(self._edges)
        path: list[int] = []
        place = source
        while True:
            if place == sink:
                sent = min([room[number] for number in path])
                for number in path:
                    room[number] -= sent
                    room[number ^ 1] += sent
                full = next(i for i, number in enumerate(path) if not room[number])
                place = to[path[full] ^ 1]
                del path[full:]
            number = self._step(place, levels, following)
            if number >= 0:
                path.append(number)
                place = to[number]
            elif path:
                place = to[path.pop() ^ 1]
                following[place] += 1
            else:
                return

    def _step(self, place: int, levels: list[int], following: list[int]) -> int:
        """The next edge from here that has room and goes a level down; -1 if there is none."""
        edges, to, room = self._edges[place], self._to, self._room
        level = levels[place] + 1
        for i in range(following[place], len(edges)):
            number = edges[i]
            if room[number] and levels[to[number]] == level:
                following[place] = i
                return number
        following[place] = len(edges)
        return -1
