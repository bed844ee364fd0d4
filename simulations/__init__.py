"""The worlds that ship with the package: one scenario file each, its expected results beside it."""
