"""Trains the networks of the table under every scheme. Importing this does not import torch.

:mod:`models.training.datasets` reads labelled images (numpy only), :mod:`models.training.loop`
trains on them, :mod:`models.training.checkpoint` keeps and restores what was trained.
"""
