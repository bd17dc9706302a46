"""What a key may see of alerts and groups: the one answer for the API, for feeds and for what is sent out."""

from services.sight.looking import Household, curtain, curtain_of, sight
from services.sight.shape import NAMES, Curtain, Sight, named, sees, told

__all__ = ["NAMES", "Curtain", "Household", "Sight", "curtain", "curtain_of", "named", "sees", "sight", "told"]
