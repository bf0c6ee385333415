"""The specification's sections 5, 6, 7, 9 and 10 as tests of the pure domain."""
