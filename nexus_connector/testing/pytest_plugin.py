"""The pytest plugin: refuses stray network."""
