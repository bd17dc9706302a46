// Loads each library for browsers into a page of another origin, set up with a host and a key and nothing else, and
// prints which of its requests the page has seen answered with what. The page is jsdom's: it asks before it sends to
// another origin, and reads no answer that does not allow it.
// Called with the base address of ingest and the keys as JSON; prints one JSON object on the last line.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const root = `${process.env.SDK_MODULES}/node_modules`;
const { JSDOM } = createRequire(pathToFileURL(`${process.env.SDK_MODULES}/package.json`))("jsdom");
const [host, given] = process.argv.slice(2);
const keys = JSON.parse(given);
const PATIENCE = 20_000;

function open() {
  const { window } = new JSDOM("<!doctype html><title>quite private</title><body></body>", {
    url: "https://crm.example.com/deals/7",
    runScripts: "outside-only",
    pretendToBeVisual: true,
  });
  const answers = [];
  const asked = window.XMLHttpRequest.prototype.open;
  window.XMLHttpRequest.prototype.open = function (method, url, ...more) {
    const path = new URL(url, host).pathname;
    this.addEventListener("loadend", () => answers.push(`${method.toUpperCase()} ${path} ${this.status}`));
    return asked.call(this, method, url, ...more);
  };
  window.TextEncoder = TextEncoder;
  window.TextDecoder = TextDecoder;
  return { window, answers };
}

function run(window, file, wrap = (text) => text) {
  return window.eval(wrap(readFileSync(join(root, file), "utf8")));
}

async function until(answers, count) {
  const end = Date.now() + PATIENCE;
  while (answers.length < count && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return answers.sort();
}

async function posthog() {
  const { window, answers } = open();
  run(window, "posthog-js/dist/array.full.no-external.js");
  window.posthog.init(keys.posthog, { api_host: host, capture_pageview: false, disable_session_recording: true });
  window.posthog.capture("Before anybody was identified");
  window.posthog.identify("browser-posthog", { email: "quite private" });
  window.posthog.capture("Signed In", { title: "quite private" });
  window.posthog.capture("$pageview");
  return until(answers, 4);
}

async function segment() {
  const { window, answers } = open();
  run(window, "@segment/analytics-next/dist/umd/index.js");
  const analytics = window.AnalyticsNext.AnalyticsBrowser.load({ writeKey: keys.segment, cdnURL: host });
  await analytics.page("Before anybody was identified");
  await analytics.identify("browser-segment", { email: "quite private" });
  await analytics.track("Signed In", { title: "quite private" });
  await analytics.page("quite private");
  return until(answers, 5);
}

async function rudderstack() {
  const { window, answers } = open();
  const { RudderAnalytics } = run(
    window,
    "@rudderstack/analytics-js/dist/npm/modern/bundled/cjs/index.cjs",
    (text) => `(() => { const module = { exports: {} }; const exports = module.exports; ${text}; return module.exports; })()`,
  );
  const analytics = new RudderAnalytics();
  // plugins: what jsdom lacks is not loaded from elsewhere; the queue is the one that the library always uses
  analytics.load(keys.rudderstack, host, {
    configUrl: host,
    logLevel: "NONE",
    plugins: ["XhrQueue"],
    polyfillIfRequired: false,
  });
  analytics.page("Before anybody was identified");
  analytics.identify("browser-rudder", { email: "quite private" });
  analytics.track("Signed In", { title: "quite private" });
  return until(answers, 4);
}

const told = {};
for (const browse of [posthog, segment, rudderstack]) {
  told[browse.name] = await browse();
}
console.log(JSON.stringify(told));
process.exit(0); // the libraries' timers run on
