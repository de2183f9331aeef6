#!/usr/bin/env python3
"""pack.py ARCHIVE NAME:TAG BINARY [FILE | FILE=/PATH/INSIDE | LABEL:KEY=VALUE]...

Packs one static program, and any files it needs, as a container image without Docker: an archive that is both an OCI
image layout and a docker-archive, so that `docker load`, `skopeo`, `crane`, `podman load` and `ctr image import` take it.
The program lies at /ITS-NAME and is the entry point. Nothing else is inside but /tmp, /etc/passwd and /var/run.
Same input, same bytes: no time, no owner and no order of files gets in. Prints the image's digest.
"""
import hashlib
import io
import json
import os
import re
import struct
import sys
import tarfile

USER = "65532"  # a number: runAsNonRoot cannot judge a name
ARCHITECTURES = {62: "amd64", 183: "arm64"}  # by the machine that the ELF file names
EPOCH = "1970-01-01T00:00:00Z"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
NAME = r"[a-z0-9][a-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*"


def machine_and_loader(program):
    """The architecture of an ELF file, and the dynamic loader it asks for, or None if it is static."""
    if program[:4] != b"\x7fELF" or program[4] != 2:
        raise SystemExit("pack: the program is no 64-bit ELF file")
    machine, = struct.unpack_from("<H", program, 18)
    if machine not in ARCHITECTURES:
        raise SystemExit(f"pack: the program is for machine {machine}, and only amd64 and arm64 are known")
    header_offset, = struct.unpack_from("<Q", program, 32)
    header_size, header_count = struct.unpack_from("<HH", program, 54)
    for i in range(header_count):
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", program, header_offset + i * header_size)
        if kind == 3:  # PT_INTERP
            return ARCHITECTURES[machine], program[offset:offset + size].rstrip(b"\0").decode()
    return ARCHITECTURES[machine], None


def tar_of(write):
    """A tar file of what write(directory, file) adds, with the directories it needs."""
    buffer, made = io.BytesIO(), set()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        def directory(path, mode=0o755):
            path = path.strip("/")
            if not path or path in made:
                return
            directory(os.path.dirname(path))
            made.add(path)
            entry = tarfile.TarInfo(path)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)

        def file(path, contents, mode=0o644):
            directory(os.path.dirname(path))
            entry = tarfile.TarInfo(path.strip("/"))
            entry.size, entry.mode = len(contents), mode
            tar.addfile(entry, io.BytesIO(contents))

        write(directory, file)
    return buffer.getvalue()


def layer_of(files):
    """The only layer: {path inside: (contents, mode)} and what every program may expect."""
    def write(directory, file):
        directory("tmp", 0o1777)
        directory("var/run")
        file("etc/passwd", f"root:x:0:0::/:/none\nnonroot:x:{USER}:{USER}::/tmp:/none\n".encode())
        for path, (contents, mode) in sorted(files.items()):
            file(path, contents, mode)
    return tar_of(write)


def encoded(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def image(name, entry_point, architecture, files, labels):
    """The archive's bytes and the digest of the image's manifest."""
    blobs = {}

    def blob(kind, contents):
        digest = hashlib.sha256(contents).hexdigest()
        blobs[digest] = contents
        return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(contents)}

    layer = blob(LAYER, layer_of(files))
    config = blob(CONFIG, encoded({
        "architecture": architecture, "os": "linux", "created": EPOCH,
        "config": {"User": f"{USER}:{USER}", "Entrypoint": [entry_point], "Env": ["PATH=/"], "WorkingDir": "/",
                   "Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        "history": [{"created": EPOCH, "created_by": "images/pack.py"}],
    }))
    manifest = blob(MANIFEST, encoded({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}))
    path = {what["digest"]: "blobs/" + what["digest"].replace(":", "/") for what in (layer, config)}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        # containerd takes the name from the first, other tools from the second
        dict(manifest, annotations={"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}),
    ]}

    def write(_, file):
        file("manifest.json", encoded([{
            "Config": path[config["digest"]], "RepoTags": [name], "Layers": [path[layer["digest"]]]}]))
        file("oci-layout", encoded({"imageLayoutVersion": "1.0.0"}))
        file("index.json", encoded(index))
        for digest, contents in sorted(blobs.items()):
            file("blobs/sha256/" + digest, contents)

    return tar_of(write), manifest["digest"], layer["size"]


def read(arguments, entry_point):
    """The files {path inside: (contents, mode)} and the labels that the command line names."""
    files, labels = {}, {}
    for item in arguments:
        if item.startswith("LABEL:"):
            key, _, value = item[len("LABEL:"):].partition("=")
            labels[key] = value
            continue
        source, _, inside = item.partition("=")
        try:
            with open(source, "rb") as file:
                is_program = inside == entry_point or os.access(source, os.X_OK)
                files["/" + (inside or os.path.basename(source)).lstrip("/")] = (file.read(), 0o755 if is_program else 0o644)
        except OSError as error:
            raise SystemExit(f"pack: {error}")
    return files, labels


def main():
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    archive, name, program, *more = sys.argv[1:]
    if not re.fullmatch(NAME, name) or name.endswith(":latest"):
        raise SystemExit(f"pack: {name}: a name and a fixed tag are needed, as in localhost/thing:1 (not latest)")
    entry_point = "/" + os.path.basename(program)
    files, labels = read([program + "=" + entry_point, *more], entry_point)
    architecture, loader = machine_and_loader(files[entry_point][0])
    if loader and loader not in files:
        raise SystemExit(f"pack: {program} is not static: it needs {loader} and its libraries. Build it static "
                         f"(CGO_ENABLED=0, a musl target), or pack them too, as FILE={loader}")
    packed, digest, size = image(name, entry_point, architecture, files, labels)
    try:
        with open(archive, "rb") as old:
            if old.read() == packed:  # leave the file's time alone
                return print(f"{digest} {size} {name} (unchanged)")
    except OSError:
        pass
    with open(archive + ".new", "wb") as new:
        new.write(packed)
    os.rename(archive + ".new", archive)
    print(f"{digest} {size} {name}")


main()
