"""The API service: Postgres in, HTTP out. It writes tenants, keys, the directory and waves; the rest it only reads."""
