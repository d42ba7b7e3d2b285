"""The parts of a directed graph in which each node reaches each other one (Tarjan). Pure."""

from collections.abc import Collection, Iterator, Mapping

Graph = Mapping[str, Collection[str]]


def components(graph: Graph) -> list[list[str]]:
    """The strongly connected components, those that are pointed at first.

    >>> components({"a": ["b"], "b": ["c"], "c": ["b"]})
    [['c', 'b'], ['a']]
    """
    search = _Search(graph)
    for node in graph:
        if node not in search.low:
            search.run(node)
    return search.found


class _Search:
    def __init__(self, graph: Graph) -> None:
        self.found: list[list[str]] = []
        self.low: dict[str, int] = {}
        self._graph = graph
        self._open: list[str] = []
        self._is_open: set[str] = set()

    def run(self, start: str) -> None:
        path: list[tuple[str, int, Iterator[str]]] = [self._enter(start)]
        while path:
            node, number, targets = path[-1]
            target = next(targets, None)
            if target is None:
                path.pop()
                if path:
                    self._lower(path[-1][0], self.low[node])
                if self.low[node] == number:
                    self._close(node)
            elif target not in self.low:
                path.append(self._enter(target))
            elif target in self._is_open:
                self._lower(node, self.low[target])

    def _enter(self, node: str) -> tuple[str, int, Iterator[str]]:
        number = self.low[node] = len(self.low)
        self._open.append(node)
        self._is_open.add(node)
        return node, number, iter(self._graph[node])

    def _lower(self, node: str, low: int) -> None:
        self.low[node] = min(self.low[node], low)

    def _close(self, node: str) -> None:
        part: list[str] = []
        while not part or part[-1] != node:
            part.append(self._open.pop())
            self._is_open.discard(part[-1])
        self.found.append(part)
