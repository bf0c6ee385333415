"""The HTTP face: the guide's own paths, over the same use cases as gRPC."""
