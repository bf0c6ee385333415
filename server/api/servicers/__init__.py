"""One module a service of spec 4: each method parses, calls and renders."""
