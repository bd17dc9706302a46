"""How each kind of source is connected: the address it sends to, and the steps in the CRM. Pure.

The guides under ``docs/guides`` tell the same at length.
"""

from typing import Any, Final, NamedTuple

_MANUAL: Final = "Logins cannot be pushed: import them, `uptake import FILE --format {kind} --source {source}`, daily."


class Setup(NamedTuple):
    """The set-up of one kind. Texts may hold {base}, {source}, {url} and {secret}."""

    url: str
    steps: tuple[str, ...]
    logins: str

    def told(self, base: str, source: str, secret: str | None) -> dict[str, Any]:
        """Return the set-up of ``source``; ``secret`` None: the CRM makes it, and knows it."""
        shown = secret or "<the secret of the CRM>"
        url = self.url.replace("{base}", base).replace("{source}", source).replace("{secret}", shown)

        def filled(text: str) -> str:
            return text.replace("{url}", url).replace("{source}", source).replace("{secret}", shown)

        return {
            "url": url,
            "secret": secret,
            "steps": [filled(step) for step in self.steps],
            "logins": filled(self.logins),
        }


_HOOK: Final = "{base}/v1/hooks/{source}"

SETUPS: Final = {
    "dataverse": Setup(
        _HOOK,
        (
            (
                "Plug-in Registration Tool > Register > Register New Web Hook: Endpoint URL {url}, authentication "
                "HttpHeader, key x-uptake-secret, value {secret}."
            ),
            (
                "Register New Step for each message (Create, Update, Delete) and table that people work in: stage "
                "PostOperation, execution mode Asynchronous, so that an outage here never stops a save there."
            ),
            "For agents of the contact center, one more step: Update of msdyn_agentstatus.",
        ),
        _MANUAL.replace("{kind}", "dataverse-audit")
        + " Turn on auditing of user access, and export the audit rows with action 64.",
    ),
    "odoo": Setup(
        _HOOK + "/{rule}/{trigger}/{secret}",
        (
            (
                "Settings > Technical > Automation Rules > New: model Lead/Opportunity, trigger On save, action Send "
                "Webhook Notification, URL {url} with {rule} = lead-save and {trigger} = save."
            ),
            (
                "Fields of the notification: create_uid, write_uid, create_date, write_date, stage_id, user_id, and "
                "the fields a decision needs. Only whether they are filled is kept."
            ),
            "Repeat for the other models people work in, each with a {rule} of its own.",
        ),
        "A second rule on the model Users Log (res.users.log), trigger On create, fields create_uid and create_date, "
        "URL {url} with {rule} = logins and {trigger} = login.",
    ),
    "salesforce-outbound": Setup(
        _HOOK + "/{secret}",
        (
            "Setup > Outbound Messages > New: the object, endpoint URL {url}.",
            (
                "Fields to send: CreatedById, CreatedDate, LastModifiedById, LastModifiedDate, StageName, OwnerId. "
                "Leave Send Session ID off."
            ),
            "Setup > Flows > New record-triggered flow on create and update: action Outbound Message; activate it.",
        ),
        _MANUAL.replace("{kind}", "salesforce-login-history"),
    ),
    "salesforce-cdc": Setup(
        _HOOK,
        (
            "Setup > Change Data Capture: select the objects people work in.",
            "Setup > Event Relays > New: to Amazon EventBridge, one relay for each channel.",
            (
                "Amazon EventBridge > API destinations: endpoint {url}, connection of type API key, name x-api-key, "
                "value {secret}; a rule sends all events of the relay there."
            ),
        ),
        "With Event Monitoring, relay LoginEventStream as well. Else: " + _MANUAL.replace("{kind}", "salesforce-login"),
    ),
    "hubspot": Setup(
        _HOOK,
        (
            "Development > your app > Auth: copy the client secret into the secrets of this source.",
            (
                "Your app > Webhooks: target URL {url}; subscribe to creation, deletion, propertyChange and merge of "
                "contacts, companies, deals and tickets."
            ),
            "Set the option portal to your Hub ID, and public_url to the address exactly as HubSpot calls it.",
        ),
        _MANUAL.replace("{kind}", "hubspot-logins"),
    ),
    "pipedrive": Setup(
        _HOOK,
        (
            "As a top-level admin: Tools and apps > Webhooks > Create new webhook, event * on object *, version 2.0.",
            "Endpoint URL {url}; HTTP Auth username and password are the two halves of {secret}.",
        ),
        "Changes of users carry their last login. To be sure: " + _MANUAL.replace("{kind}", "pipedrive-users"),
    ),
    "zoho": Setup(
        _HOOK,
        (
            "POST /crm/v8/actions/watch with notify_url {url}, token {secret}, events Deals.all, Leads.all and so on.",
            "Set return_affected_field_values to true: only the values name who did it (Modified_By).",
            "Channels expire: renew the watch before channel_expiry, daily at best.",
        ),
        "Zoho tells of no logins: presence is what people do.",
    ),
    "okta": Setup(
        _HOOK,
        (
            (
                "Workflow > Event Hooks > Create Event Hook: endpoint URL {url}, authentication field Authorization, "
                "secret {secret}."
            ),
            "Subscribe to User single sign on to app (user.authentication.sso), then verify the endpoint.",
            "Set the option applications to the names or ids of the CRM's app instances.",
        ),
        "Each opening of the CRM through Okta is a login.",
    ),
    "standard-webhooks": Setup(
        _HOOK,
        (
            "Add the endpoint {url} in the sender, and copy its signing secret (whsec_…) into the secrets.",
            "Set the option mapping unless the sender's data has our neutral shape.",
        ),
        "Whatever the sender tells as crm.session.login.",
    ),
    "segment": Setup(
        "{base}",
        ("Give your SDK the host {url} and the write key {secret}; nothing else changes.",),
        "Events whose names stand in the option login_events.",
    ),
    "rudderstack": Setup(
        "{base}",
        ("Give your SDK the data plane URL {url} and the write key {secret}; nothing else changes.",),
        "Events whose names stand in the option login_events.",
    ),
    "posthog": Setup(
        "{base}",
        ("Give your SDK the host {url} and the project key {secret}; nothing else changes.",),
        "Events whose names stand in the option login_events.",
    ),
    "custom": Setup(
        _HOOK,
        (
            "Post JSON to {url} with the header x-uptake-secret: {secret} (or {url}/{secret} without a header).",
            "Declare in the option mapping where user, type, time, object, record and id stand.",
        ),
        "Whatever the option types maps to crm.session.login.",
    ),
}
