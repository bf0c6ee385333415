"""gRPC: requests parsed, use cases called, answers rendered, errors mapped. The only users of generated code."""
