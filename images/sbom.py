#!/usr/bin/env python3
"""sbom.py PACKAGE TARGET: prints what is linked into a package's program, as CycloneDX 1.6 JSON.

The packages are those that `cargo metadata` resolves for the target, without build and development dependencies;
versions and hashes are those of Cargo.lock. Same input, same bytes: there is no time and no random number in it.
"""
import json
import pathlib
import re
import subprocess
import sys
import uuid

TIME_LIMIT_S = 120


def metadata(target):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=TIME_LIMIT_S).stdout)


def linked(packages, nodes, root):
    """The ids of everything that is linked into `root`, `root` left out; procedural macros run in the compiler."""
    seen, todo = set(), [root]
    while todo:
        for dependency in nodes[todo.pop()]["deps"]:
            name, kinds = dependency["pkg"], {kind["kind"] for kind in dependency["dep_kinds"]}
            is_macro = any("proc-macro" in target["kind"] for target in packages[name]["targets"])
            if None in kinds and not is_macro and name not in seen:
                seen.add(name)
                todo.append(name)
    return seen


def checksums(lock):
    """{(name, version): sha256} of Cargo.lock."""
    found = {}
    for block in lock.read_text().split("[[package]]")[1:]:
        field = dict(re.findall(r'^(name|version|checksum) = "([^"]+)"', block, re.M))
        found[field["name"], field["version"]] = field.get("checksum")
    return found


def component(package, checksum, kind="library"):
    name, version = package["name"], package["version"]
    reference = f"pkg:cargo/{name}@{version}"
    described = {"type": kind, "bom-ref": reference, "name": name, "version": version, "purl": reference}
    if checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["license"]:
        # crates of old separate two licences by a slash, which is no SPDX
        described["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return described


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    name, target = sys.argv[1:]
    found = metadata(target)
    packages = {package["id"]: package for package in found["packages"]}
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    root = next((id for id in found["workspace_members"] if packages[id]["name"] == name), None)
    if root is None:
        raise SystemExit(f"sbom: the workspace has no package {name}")
    sums = checksums(pathlib.Path(found["workspace_root"], "Cargo.lock"))
    inside = linked(packages, nodes, root)
    described = {id: component(packages[id], sums.get((packages[id]["name"], packages[id]["version"])),
                               "application" if id == root else "library") for id in inside | {root}}
    document = {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": described[root], "properties": [{"name": "target", "value": target}]},
        "components": sorted((described[id] for id in inside), key=lambda each: each["bom-ref"]),
        "dependencies": sorted(({
            "ref": described[id]["bom-ref"],
            "dependsOn": sorted(described[to["pkg"]]["bom-ref"] for to in nodes[id]["deps"] if to["pkg"] in inside),
        } for id in described), key=lambda each: each["ref"]),
    }
    document["serialNumber"] = "urn:uuid:" + str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True)))
    print(json.dumps(document, indent=1, sort_keys=True))


main()
