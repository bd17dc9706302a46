"""Adoption as Prometheus gauges, read in the background so that a scrape never asks Postgres."""

from services.api.gauges.families import Collector
from services.api.gauges.owning import Adoption

__all__ = ["Adoption", "Collector"]
