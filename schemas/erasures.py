"""By what an erased person is recognised, so that nobody keeps who it was and yet nobody comes back."""

from typing import Final

KEY: Final = "erasure_key"
"""The name of the installation's key for marks, made with its tables."""

PERSON_MARK: Final = f"""sha256(convert_to(
  (select value from installation where name = '{KEY}') || chr(10) || {{tenant}} || chr(10) || {{user}}, 'UTF8'))"""
"""SQL of the mark of an identity of a tenant."""

ERASE: Final = "erase"
ANONYMISE: Final = "anonymise"
