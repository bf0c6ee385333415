"""The rules, as pure functions over plain records. Standard library only, no I/O, no clock."""
