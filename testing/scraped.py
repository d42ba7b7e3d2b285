"""Reads the metrics of a scrape."""

from prometheus_client.parser import text_string_to_metric_families


class Scraped:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        self._samples = [sample for family in families for sample in family.samples]

    @property
    def names(self) -> set[str]:
        """The names of the samples, `_bucket` and the like included."""
        return {sample.name for sample in self._samples}

    def sum(self, name: str, **labels: str) -> float:
        """Of all samples of this name that have these labels."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def values(self, name: str, label: str) -> set[str]:
        """All values that a label of this name has."""
        return {sample.labels[label] for sample in self._samples if sample.name == name}
