# What every script shares: names, addresses, places, and the two ways to speak. Sourced by `cluster`.

# Everything that is written goes under STATE; nothing is ever written beside the scripts.
STATE=$(realpath -m "${CLUSTER_STATE:-${HOME:?set HOME or CLUSTER_STATE}/.cache/jetlag-cluster}")
BIN=$(realpath -m "${CLUSTER_BIN:-$STATE/bin}")            # the built programs
IMAGES=$(realpath -m "${CLUSTER_IMAGES:-$STATE/images}")   # the packed images
LOGS=$(realpath -m "${CLUSTER_LOGS:-$STATE/logs}")         # one file for each process
RENDERED=$STATE/manifests                                  # KEDA's and Knative's manifests, rendered by `build`
RUN=$STATE/run                                             # the running cluster: data, certificates, list of processes
PKI=$RUN/pki
KUBECONFIGS=$RUN/kubeconfig

LAB=jetlag-lab                              # network namespace, host's end of the cable, name of the CNI network
SOCKETS=/run/$LAB                           # not under STATE: a unix socket's path may have 108 bytes at most
CONTAINERD=$SOCKETS/containerd.sock

# The manifests name NODE_IP and DNS_IP too: change them together.
NODE=lab-node
NODE_IP=10.200.0.1
HOST_IP=10.200.0.254
POD_CIDR=10.244.0.0/24
SERVICE_CIDR=10.96.0.0/16
API_IP=10.96.0.1
DNS_IP=10.96.0.10
INGRESS=$NODE_IP:8880                      # Knative's, of labnet
WATCHER=$NODE_IP:8881                      # where the driver is sent events by Knative's broker

# The same as cli/src/broker/pinned.rs; the hashes are those of the wheels for Linux on amd64 and arm64.
NATS_VERSION=2.15.1
NATS_HASHES="8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79 06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb"
GO_NEEDED=1.26
# What renders keda/chart; .ci/run takes the same.
HELM_VERSION=v3.20.2
# Of its module only the definition of PodMonitor is used.
PROMETHEUS_OPERATOR_VERSION=v0.85.0
PROMETHEUS_OPERATOR_HASH=h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=

# The programs of Knative Eventing, as its module names them.
EVENTING="controller webhook mtchannel_broker ingress filter channel_controller channel_dispatcher"

die() { echo "cluster: $*" >&2; exit 1; }

STARTED=${EPOCHREALTIME/[.,]/}
say() { # TEXT: with the seconds since the command began
  local us=$((${EPOCHREALTIME/[.,]/} - STARTED))
  printf '%5d.%ds  %s\n' $((us / 1000000)) $((us / 100000 % 10)) "$*"
}

# the paths end up unquoted in YAML, TOML and the mount table
[[ $STATE =~ ^/[A-Za-z0-9._/+-]+$ ]] || die "CLUSTER_STATE may hold letters, digits and ._/+- only: $STATE"

need_root() { [ "$(id -u)" = 0 ] || die "'$1' needs root: it makes network namespaces and mounts"; }

only_one() { # the commands that change things run one at a time on one STATE
  mkdir -p "$STATE"
  exec 9>"$STATE/lock"
  flock -n 9 || die "another cluster command is at work on $STATE"
}

in_netns() { # COMMAND...
  # not `ip netns exec`: that also makes a mount namespace with a fresh /sys, and the kubelet loses /sys/fs/cgroup
  nsenter --net="/var/run/netns/$LAB" "$@"
}

kubectl() { in_netns "$BIN/kubectl" --kubeconfig "$KUBECONFIGS/admin" "$@"; }

ctr() { timeout 120 ctr -a "$CONTAINERD" -n k8s.io "$@"; }
