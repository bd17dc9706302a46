"""By what equal e-mails are recognised, so that one that belongs to nobody known need not be kept itself."""

from typing import Final

MAIL_MARK: Final = "md5(({tenant} || chr(10)) || lower(btrim({mail})))::uuid"
"""SQL of the mark of an e-mail. Each tenant has marks of its own."""
