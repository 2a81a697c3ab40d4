"""Weights rounded so that what comes out changes least, not each weight by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["rounded"]

# Added to the diagonal, as a share of its mean: directions that were hardly seen.
_DAMPING = 0.01
_BLOCK = 128


def rounded(
    weights: NDArray[np.float32], gram: NDArray[np.float32], most: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Whole numbers and one scale per column: weights are about their product.

    Each row is rounded in turn, and the rows after it make up for the error as far as
    the inputs allow (Frantar et al. 2022, GPTQ, arXiv 2210.17323).

    Args:
        weights: Inputs by outputs.
        gram: Mean outer product of the inputs.
        most: The largest absolute value of a whole number.
    """
    left = weights.astype(np.float64)
    scale = np.abs(left).max(0) / most
    scale[scale == 0] = 1.0
    # The weights are divided by what is stored, which has fewer digits.
    scale = scale.astype(np.float32).astype(np.float64)
    damped = gram.astype(np.float64)
    damped += np.eye(len(damped)) * max(_DAMPING * np.diag(damped).mean(), 1e-12)
    # Upper triangular, and its product with its transpose from the left is the inverse.
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T
    found = np.zeros(left.shape)
    for start in range(0, len(left), _BLOCK):
        end = min(start + _BLOCK, len(left))
        errors = np.zeros((end - start, left.shape[1]))
        for row in range(start, end):
            found[row] = np.clip(np.round(left[row] / scale), -most, most)
            error = (left[row] - found[row] * scale) / factor[row, row]
            left[row + 1 : end] -= np.outer(factor[row, row + 1 : end], error)
            errors[row - start] = error
        left[end:] -= factor[start:end, end:].T @ errors
    return found.astype(np.int8), scale.astype(np.float32)
