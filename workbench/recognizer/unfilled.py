"""Building a network whose weights come from a file: without the random start that they would replace."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_RANDOM = {
    *(torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.erfinv_, torch.Tensor.exponential_),
    *(torch.nn.init.uniform_, torch.nn.init.normal_, torch.nn.init.kaiming_uniform_),
}
"""Functions that fill a tensor in place; the other initializers of torch call these."""


class Unfilled(TorchFunctionMode):  # type: ignore[misc]
    """Within it, tensors that would be filled with random numbers are left as they were allocated.

    Memory that nobody writes to is never given out by the system, so a network takes none until its weights
    are put in place. Only for networks whose every weight is then loaded: values are undefined until then.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _RANDOM:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))
