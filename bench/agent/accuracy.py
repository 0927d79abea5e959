"""How many inputs of a labelled set a network classifies right.

A set comes in parts, so that neither memory nor the time between two checkpoints grows with it. A
part is an ``.npz``: ``images`` (n, channels, height, width) of bytes, ``labels`` (n,) of class
numbers, ``mean`` and ``std`` (channels,). The network sees ``(images / 255 - mean) / std``.
"""

from bench.agent.failure import Failure

TOP = 5


def count(path, infer, batch):
    """``{"images", "top1", "top5"}``: inputs of a part, and how many of them came out right.

    ``infer`` maps ``batch`` inputs to class scores (batch, classes), or more of them; a part that
    does not fill its last batch is filled up with its last input, which counts once.

    Raises:
        Failure: the part is not one, or the network does not give class scores for it.
    """
    import numpy

    with numpy.load(path, allow_pickle=False) as archive:
        images, labels = archive["images"], archive["labels"]
        mean, std = (archive[name].astype(numpy.float32)[:, None, None] for name in ("mean", "std"))
    ranks = []
    for first in range(0, len(images), batch):
        chunk = images[first : first + batch]
        filled = numpy.concatenate([chunk, numpy.repeat(chunk[-1:], batch - len(chunk), axis=0)])
        inputs = (filled.astype(numpy.float32) / numpy.float32(255) - mean) / std
        scores = numpy.asarray(infer(numpy.ascontiguousarray(inputs, dtype=numpy.float32)))
        wanted = labels[first : first + batch]
        if scores.ndim != 2 or len(scores) != batch or scores.shape[1] <= int(wanted.max()):
            text = "outputs of shape %s are no scores for %d inputs of the classes up to %d"
            shape = "x".join(map(str, scores.shape))
            raise Failure("unsupported", text % (shape, batch, int(wanted.max())))
        ranks.append(ranks_of(scores[: len(chunk)], wanted))
    ranks = numpy.concatenate(ranks)
    return {
        "images": len(ranks),
        "top1": int((ranks < 1).sum()),
        "top5": int((ranks < TOP).sum()),
    }


def ranks_of(scores, labels):
    """Place of the right class among the scores of each input, from 0 on; scores (n, classes).

    Of equal scores the lower class comes first, as argmax has it. An input with a score that is no
    number is wrong.
    """
    import numpy

    own = scores[numpy.arange(len(labels)), labels][:, None]
    earlier = numpy.arange(scores.shape[1])[None, :] < labels[:, None]
    before = (scores > own) | ((scores == own) & earlier)
    ranks = before.sum(axis=1)
    ranks[~numpy.isfinite(scores).all(axis=1)] = scores.shape[1]
    return ranks
