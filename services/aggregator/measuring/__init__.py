"""Measuring: what people and records contribute to the weeks of a tenant, and what follows for the groups.

Each part runs in a transaction that holds the tenant's row of ``measured``, see ``services.aggregator.measurer``.
"""
