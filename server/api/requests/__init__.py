"""One module a resource: what its requests must look like."""
