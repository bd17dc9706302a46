"""All SQL of the API: plain functions that take a connection. Every statement names the tenant it reads or writes."""
