"""Exports as the CRMs publish them, one of each format, and what they must come to."""

import json
from typing import Any

ELF_COLUMNS = (  # noqa: SIM905 - as the file has them
    "EVENT_TYPE,TIMESTAMP,REQUEST_ID,ORGANIZATION_ID,USER_ID,RUN_TIME,CPU_TIME,URI,SESSION_KEY,LOGIN_KEY,USER_TYPE,"
    "REQUEST_STATUS,DB_TOTAL_TIME,LOGIN_TYPE,BROWSER_TYPE,API_TYPE,API_VERSION,USER_NAME,TLS_PROTOCOL,CIPHER_SUITE,"
    "AUTHENTICATION_METHOD_REFERENCE,LOGIN_SUB_TYPE,TIMESTAMP_DERIVED,USER_ID_DERIVED,CLIENT_IP,URI_ID_DERIVED,"
    "LOGIN_STATUS,SOURCE_IP"
).split(",")
CHROME = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_6) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/51.0 Safari/537.36"
)


def elf(**changes: str) -> dict[str, str]:
    """Return a row of an EventLogFile of Salesforce: a person who came by the login page."""
    row = dict.fromkeys(ELF_COLUMNS, "") | {
        "EVENT_TYPE": "Login",
        "TIMESTAMP": "20260302081530.65",
        "REQUEST_ID": "4u6LyuMrDvb_G-l1cJIQk-",
        "ORGANIZATION_ID": "00D5j00000DgAYG",
        "USER_ID": "0055j00000AT6I1",
        "URI": "/index.jsp",
        "LOGIN_KEY": "bY5Wfv8t/Ith7WVE",
        "LOGIN_TYPE": "A",
        "BROWSER_TYPE": CHROME,
        "API_VERSION": "9998.0",
        "USER_NAME": "ada@example.com",
        "TIMESTAMP_DERIVED": "2026-03-02T08:15:30.650Z",
        "USER_ID_DERIVED": "0055j00000AT6I1AAL",
        "CLIENT_IP": "103.108.207.58",
        "LOGIN_STATUS": "LOGIN_NO_ERROR",
        "SOURCE_IP": "103.108.207.58",
    }
    return row | changes


def history(**changes: str) -> dict[str, Any]:
    """Return a row of LoginHistory."""
    row = {
        "attributes": {"type": "LoginHistory", "url": "/services/data/v61.0/sobjects/LoginHistory/0Ya5j00000AbCdE"},
        "Id": "0Ya5j00000AbCdEFGH",
        "UserId": "0055j00000AT6I1AAL",
        "LoginTime": "2026-03-02T08:15:30.000+0000",
        "LoginType": "Application",
        "Status": "Success",
        "Application": "Browser",
        "SourceIp": "103.108.207.58",
    }
    return row | changes


def audit(**changes: Any) -> dict[str, Any]:
    """Return a row of Dataverse's audits."""
    row = {
        "@odata.etag": 'W/"1"',
        "auditid": "5B2B0C3C-1111-4222-8333-444455556666",
        "createdon": "2026-03-02T08:15:30Z",
        "action": 64,
        "operation": 4,
        "_objectid_value": "2f3c8ecd-0d3a-ed11-9db0-000d3a5c5f55",
        "_userid_value": "2f3c8ecd-0d3a-ed11-9db0-000d3a5c5f55",
        "_callinguserid_value": None,
        "useradditionalinfo": "Ada Lovelace",
    }
    return row | changes


def hubspot(**changes: Any) -> dict[str, Any]:
    """Return a row of HubSpot's login history."""
    row = {
        "id": 9_876_543_210,
        "loginAt": "2026-03-02T08:15:30.123Z",
        "loginSucceeded": True,
        "userId": 1234,
        "email": "ada@example.com",
        "ipAddress": "103.108.207.58",
        "countryCode": "fr",
        "location": "paris",
        "userAgent": CHROME,
    }
    return row | changes


def odoo(**changes: Any) -> dict[str, Any]:
    """Return a record of res.users.log as search_read gives it."""
    return {"id": 51, "create_uid": [7, "Ada Lovelace"], "create_date": "2026-03-02 08:15:30"} | changes


def pipedrive(**changes: Any) -> dict[str, Any]:
    """Return a user of Pipedrive."""
    row = {
        "id": 11_001,
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "last_login": "2026-03-02 08:15:30",
        "active_flag": True,
        "phone": "+33 1 23 45",
    }
    return row | changes


def login(**changes: str) -> dict[str, str]:
    """Return a row of any list."""
    return {"user": "ada", "time": "2026-03-02T09:15:30+01:00", "email": "ada@example.com", "id": "a-1"} | changes


ROWS = {
    "salesforce-login": elf,
    "salesforce-login-history": history,
    "dataverse-audit": audit,
    "hubspot-logins": hubspot,
    "odoo-logins": odoo,
    "pipedrive-users": pipedrive,
    "csv": login,
}
"""A good row of each format."""
USERS = {
    "salesforce-login": "0055j00000AT6I1AAL",
    "salesforce-login-history": "0055j00000AT6I1AAL",
    "dataverse-audit": "2f3c8ecd-0d3a-ed11-9db0-000d3a5c5f55",
    "hubspot-logins": "1234",
    "odoo-logins": "7",
    "pipedrive-users": "11001",
    "csv": "ada",
}
LISTS = {
    "salesforce-login-history": "records",
    "dataverse-audit": "value",
    "hubspot-logins": "results",
    "pipedrive-users": "data",
}
TABLES = {"salesforce-login", "csv"}
"""What comes as CSV."""


def quoted(value: object) -> str:
    return '"' + ("" if value is None else str(value)).replace('"', '""') + '"'


def table(*rows: dict[str, Any], separator: str = ",", end: str = "\n", quote: Any = quoted) -> str:
    """Return ``rows`` as CSV."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    return end.join(separator.join(quote(cell) for cell in line) for line in lines) + end


def export(form: str, *rows: dict[str, Any]) -> bytes:
    """Return ``rows`` as the CRM gives them out."""
    given = rows or (ROWS[form](),)
    if form in TABLES:
        return table(*given).encode()
    return json.dumps({LISTS[form]: list(given), "paging": {}} if form in LISTS else list(given)).encode()
