"""From a board out of its box to one that measures: adding, providing, examining."""
