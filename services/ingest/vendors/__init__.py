"""One pure file per CRM: what it sends, how it proves who it is, and what it must be told."""
