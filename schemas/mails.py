"""What an e-mail address is, and by what equal ones are recognised, so that a stranger's need not be kept itself."""

import re
from typing import Final

MAIL_MARK: Final = "md5(({tenant} || chr(10)) || lower(btrim({mail})))::uuid"
"""SQL of the mark of an e-mail. Each tenant has marks of its own."""

_PART: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
ADDRESS: Final = re.compile(rf"{_PART}@{_PART}")
"""An address that every mail server takes: nothing beyond ASCII, nothing quoted."""
