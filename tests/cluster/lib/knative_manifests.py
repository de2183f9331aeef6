#!/usr/bin/env python3
"""knative_manifests.py FILE...: prints Knative's own manifests, made to fit this cluster.

- ko://knative.dev/serving/cmd/X becomes localhost/kn-X:1, in Deployments and in queue-sidecar-image alike, and
  ko://knative.dev/eventing/cmd/X becomes localhost/kn-eventing-X:1.
- The seven programs of Eventing ask for little, are looked at early, and are borne with when the machine is busy.
- A few ConfigMaps get settings. They go directly under `data:`, not into `_example`, which Knative only checksums.
"""
import re
import sys

SETTINGS = {
    "config-network": {"ingress-class": "lab.ingress.networking.knative.dev"},  # tools/apps/labnet
    "config-domain": {"example.com": ""},
    # No registry can tell an image's digest here. That of a name without a dot, such as localhost/jetlag/order, is this one.
    "config-deployment": {"registries-skipping-tag-resolving": "index.docker.io"},
    "config-autoscaler": {"stable-window": "6s", "scale-to-zero-grace-period": "6s"},  # 60s and 30s are too slow to test with
}

# What is changed in the Deployments of Eventing.
EVENTING = [
    (r"cpu: 100m", "cpu: 10m"),
    (r"memory: (?:100|50)Mi", "memory: 32Mi"),
    (r"cpu: 200m", "cpu: 2000m"),  # the webhook's limit
    (r"initialDelaySeconds: 20", "initialDelaySeconds: 1"),
    (r"timeoutSeconds: 1\b", "timeoutSeconds: 10"),
    # upstream nobody asks this one whether it is ready
    (r"( +)(image: localhost/kn-eventing-mtchannel_broker:1\n)", r"\1\2\1readinessProbe: {httpGet: {path: /readiness, port: 8080}, periodSeconds: 1}\n"),
]

text = "\n---\n".join(open(path).read() for path in sys.argv[1:])
text = re.sub(r"ko://knative\.dev/serving/cmd/([a-z]+)", r"localhost/kn-\1:1", text)
text = re.sub(r"ko://knative\.dev/eventing/cmd/(?:[a-z_]+/)?([a-z_]+)", r"localhost/kn-eventing-\1:1", text)
found = set()
for document in re.split(r"(?m)^---\s*$", text):
    if not re.search(r"(?m)^kind:", document):
        continue
    name = re.search(r"(?m)^kind: ConfigMap", document) and re.search(r"(?m)^  name: (\S+)", document)
    if name and name[1] in SETTINGS:
        lines = "".join(f'  {key}: "{value}"\n' for key, value in SETTINGS[name[1]].items())
        document, count = re.subn(r"(?m)^data:\n", "data:\n" + lines, document)
        if count != 1:
            raise SystemExit(f"knative_manifests: no data: in {name[1]}")
        found.add(name[1])
    if "image: localhost/kn-eventing-" in document:
        for pattern, instead in EVENTING:
            document = re.sub(pattern, instead, document)
    print("---")
    print(document.strip("\n"))
if found and found != set(SETTINGS):
    raise SystemExit(f"knative_manifests: not found: {set(SETTINGS) - found}")
