"""Contracts: one module per domain, with its values, its facades and what an adapter implements."""
