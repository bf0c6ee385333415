"""The use cases, over the ports: one module a resource, and what they share."""
