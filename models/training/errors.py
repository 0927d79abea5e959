"""What can be wrong with a training; every message is one line that names the thing and the fix."""


class TrainingError(Exception):
    """What was asked for cannot be trained; nothing was changed."""


class DataError(TrainingError):
    """A data set is missing, has another layout than its name says, or is cut short."""


class CheckpointError(TrainingError):
    """A checkpoint cannot be read, or is of another network, scheme or training."""


class Diverged(TrainingError):
    """The loss is not a number any more; the state after the last good epoch is kept."""
