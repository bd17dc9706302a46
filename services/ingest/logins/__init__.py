"""Histories of logins as the CRMs give them out: one module for each format, the catalogue names them. Pure."""
