"""Boards that hang off other machines: places of a labgrid coordinator."""
