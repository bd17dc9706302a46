// Sends an event with each library, set up with a host and a key and nothing else, and prints what each says of it.
// Called with the base address of ingest and the keys as JSON; prints one JSON object on the last line.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const modules = createRequire(pathToFileURL(`${process.env.SDK_MODULES}/package.json`));
const [host, given] = process.argv.slice(2);
const keys = JSON.parse(given);

async function posthog() {
  const { PostHog } = modules("posthog-node");
  const client = new PostHog(keys.posthog, { host, fetchRetryCount: 0 });
  const told = { flushed: 0, errors: [] };
  client.on("flush", (events) => (told.flushed += events.length));
  client.on("error", (error) => told.errors.push(String(error)));
  client.capture({ distinctId: "node-posthog", event: "Deal Saved", properties: { title: "quite private" } });
  client.identify({ distinctId: "node-posthog", properties: { email: "quite private" } });
  client.capture({ distinctId: "node-posthog", event: "Signed In" });
  told.flags = await client.getAllFlags("node-posthog");
  await client.shutdown();
  return told;
}

async function segment() {
  const { Analytics } = modules("@segment/analytics-node");
  const client = new Analytics({ writeKey: keys.segment, host, maxRetries: 0 });
  const told = { delivered: 0, errors: [] };
  client.on("error", (error) => told.errors.push(JSON.stringify(error)));
  const done = (error) => (error ? told.errors.push(String(error)) : (told.delivered += 1));
  client.identify({ userId: "node-segment", traits: { email: "quite private" } }, done);
  client.track({ userId: "node-segment", event: "Signed In", properties: { title: "quite private" } }, done);
  client.page({ userId: "node-segment", name: "quite private" }, done);
  await client.closeAndFlush();
  return told;
}

async function rudderstack() {
  const RudderAnalytics = modules("@rudderstack/rudder-sdk-node");
  const client = new RudderAnalytics(keys.rudderstack, { dataPlaneUrl: host, retryCount: 0, logLevel: "error" });
  const told = { delivered: 0, errors: [] };
  const done = (error) => (error ? told.errors.push(String(error)) : (told.delivered += 1));
  client.identify({ userId: "node-rudder", traits: { email: "quite private" } }, done);
  client.track({ userId: "node-rudder", event: "Signed In", properties: { title: "quite private" } }, done);
  await client.flush();
  await new Promise((resolve) => setImmediate(resolve));
  clearTimeout(client.timer);
  clearTimeout(client.flushTimer);
  return told;
}

async function standardwebhooks() {
  const { Webhook } = modules("standardwebhooks");
  const now = new Date();
  const body = JSON.stringify({
    type: "crm.record.updated",
    timestamp: now.toISOString(),
    data: { user: "node-webhook", object: "deal", record: "7", fields: { title: "quite private" } },
  });
  const id = `msg_node_${now.getTime()}`;
  const headers = {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
    "webhook-signature": new Webhook(keys.standardwebhooks).sign(id, now, body),
  };
  const answer = await fetch(`${host}/v1/hooks/signed-tool`, { method: "POST", headers, body });
  return { status: answer.status, errors: [] };
}

const told = {};
for (const send of [posthog, segment, rudderstack, standardwebhooks]) {
  told[send.name] = await send();
}
console.log(JSON.stringify(told));
