"""The demonstration: tells the simulated rollout to a running stack, and shows what the product found in it.

It knows the product only from outside, over HTTP, as every client does.
"""

from services.demo.show import tell
from services.demo.stack import DemoError

__all__ = ["DemoError", "tell"]
