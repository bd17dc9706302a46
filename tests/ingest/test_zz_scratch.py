import json, os, subprocess
from tests.ingest.service import on_the_log
from tests.builders import SHARDS
from tests.ingest.vendors import samples_posthog, samples_rudderstack, samples_segment

async def test_x(house, house_broker):
    keys = {"posthog": samples_posthog.KEY, "segment": samples_segment.KEY, "rudderstack": samples_rudderstack.KEY}
    done = subprocess.run(["node", "/tmp/analytics/browser/browser.mjs", house.url, json.dumps(keys)], env={"ONLY":"1","PATH": os.environ["PATH"], "SDK_MODULES": "/tmp/analytics/browser"}, capture_output=True, text=True, timeout=100)
    print(done.stdout[-6000:], done.stderr[-6000:])
    for r in await on_the_log(house_broker.address, partitions=SHARDS, containing=b"/hooks/"):
        print(r.value.decode())
    print(house.log[-3000:])
