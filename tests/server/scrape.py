"""What Prometheus would read."""

import asyncio
from collections.abc import Callable
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families


class Scrape:
    def __init__(self, text: str) -> None:
        self.text = text
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        """The value of one series; None where there is none."""
        return self._samples.get((name, frozenset(labels.items())))

    def all(self, name: str, label: str) -> dict[str, float]:
        """Of a metric with one label, those above 0, by its value."""
        found = {dict(labels).get(label): value for (each, labels), value in self._samples.items() if each == name}
        return {str(key): value for key, value in found.items() if value}


def scrape(port: int | None) -> Scrape:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return Scrape(answer.read().decode())


async def scraped_until(port: int | None, true: Callable[[Scrape], object]) -> Scrape:
    async with asyncio.timeout(20):
        while not true(found := await asyncio.to_thread(scrape, port)):
            await asyncio.sleep(0.02)
    return found
