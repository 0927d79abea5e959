"""Whether the outputs on the board are those of the exported reference."""


def compare(names, outputs, expected, tolerance, classifier):
    """Compare lists of arrays; return the ``parity`` part of a journal record.

    An output agrees when every element satisfies |x - r| <= atol + rtol*max|r| and the cosine of
    the flattened arrays is at least ``tolerance["cosine"]``. Errors are relative to the largest
    |r| of the same output, since rounding errors scale with it and element-wise relative errors
    say nothing near zero; ``max_rel_error`` is the largest of them.
    ``top1_agreement`` (classifiers): share of rows with the same argmax.
    Over several outputs the worst figure counts.
    """
    results = [
        _compare_one(name, output, reference, tolerance, classifier)
        for name, output, reference in zip(names, outputs, expected)
    ]
    return {
        "passed": all(result["passed"] for result in results),
        "max_abs_error": _worst(max, results, "max_abs_error"),
        "max_rel_error": _worst(max, results, "max_rel_error"),
        "cosine": _worst(min, results, "cosine"),
        "top1_agreement": _worst(min, results, "top1_agreement"),
        "detail": "; ".join(result["detail"] for result in results if result["detail"]),
    }


def _compare_one(name, output, reference, tolerance, classifier):
    import numpy

    result = dict.fromkeys(("max_abs_error", "max_rel_error", "cosine", "top1_agreement"))
    result.update(passed=False, detail="")
    x, r = numpy.asarray(output), numpy.asarray(reference)
    if x.shape != r.shape:
        result["detail"] = "%s: shape %s, expected %s" % (name, x.shape, r.shape)
        return result
    x, r = x.astype(numpy.float64), r.astype(numpy.float64)
    for what, values in (("values", x), ("reference values", r)):
        bad = int(values.size - numpy.isfinite(values).sum())
        if bad:
            result["detail"] = "%s: %d of %d %s are not finite" % (name, bad, values.size, what)
            return result
    if not x.size:
        result["passed"] = True
        return result
    error = numpy.abs(x - r)
    max_abs_error, cosine = float(error.max()), _cosine(numpy, x.ravel(), r.ravel())
    scale = float(numpy.abs(r).max())
    result["max_abs_error"] = max_abs_error
    result["max_rel_error"] = max_abs_error / scale if scale > 0 else None
    result["cosine"] = cosine
    if classifier and x.ndim:
        result["top1_agreement"] = float((x.argmax(-1) == r.argmax(-1)).mean())
    outside = int((error > tolerance["atol"] + tolerance["rtol"] * scale).sum())
    problems = []
    if outside:
        problems.append(
            "%d of %d values differ by more than %g + %g*max|reference|, at most by %g"
            % (outside, x.size, tolerance["atol"], tolerance["rtol"], max_abs_error)
        )
    if cosine < tolerance["cosine"]:
        problems.append("cosine %.6f is below %g" % (cosine, tolerance["cosine"]))
    result["passed"] = not problems
    result["detail"] = "%s: %s" % (name, ", ".join(problems)) if problems else ""
    return result


def _cosine(numpy, a, b):
    norms = float(numpy.linalg.norm(a)) * float(numpy.linalg.norm(b))
    if norms == 0:
        return 1.0 if not a.any() and not b.any() else 0.0
    return float(a.dot(b)) / norms


def _worst(choose, results, key):
    values = [result[key] for result in results if result[key] is not None]
    return choose(values) if values else None
