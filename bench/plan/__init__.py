"""What was asked for, turned into cases and a procedure before any board is contacted."""
