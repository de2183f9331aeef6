# cluster up: one node in a network namespace. The order is that of the functions below.

up() {
  local addon
  if is_up; then
    say "the cluster is up already"
  else
    check_machine
    prepare
    start_network
    start_containerd
    start_control_plane
    start_node
    start_dns
  fi
  for addon in "$@"; do "install_$addon"; done
}

is_up() { running kube-apiserver && running kubelet && running containerd; }

check_machine() {
  # shellcheck disable=SC2015
  [ -x "$BIN/kubelet" ] && [ -e "$RENDERED/eventing-crds.yaml" ] || die "nothing built in $STATE; run: cluster build"
  [ ! -e "$RUN/processes" ] || die "a cluster that is no longer whole is still there (see: cluster status); run: cluster down"
  [ ! -e "/var/run/netns/$LAB" ] ||
    die "the network namespace $LAB exists: a cluster with another CLUSTER_STATE is up, take that one down"
  grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || die "this kernel has no overlayfs (module overlay)"
  [ -d /proc/sys/net/bridge ] || modprobe br_netfilter 2>/dev/null || die "this kernel has no br_netfilter, which Services need"
  [ -z "$(pod_processes)" ] || die "another kubelet runs pods on this machine (there are processes under a kubepods cgroup)"
}

pod_processes() { # PIDs in the kubelet's cgroups
  local root
  for root in $(kubepods); do find "$root" -name cgroup.procs -exec cat {} + 2>/dev/null; done | sort -un
}

kubepods() { find /sys/fs/cgroup -maxdepth 2 -type d -name kubepods; } # one on cgroup v2, one for each controller on v1

# the kubelet sets these for the whole machine; `down` puts them back
KUBELET_SYSCTLS="vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes"

prepare() {
  local key
  mkdir -p "$RUN" "$LOGS" "$SOCKETS"
  : >"$RUN/processes"                     # from here on `down` has work to do
  for key in $KUBELET_SYSCTLS; do echo "$key=$(sysctl -n "$key")"; done >"$RUN/sysctls"
  make_pki
  say "certificates made"
}

start_network() {
  ip netns add "$LAB"
  # a cable to the host and not a dummy device, which small kernels lack; the host reaches the node by it and forwards nothing
  ip link add "$LAB" type veth peer name eth0 netns "$LAB"
  ip addr add "$HOST_IP/24" dev "$LAB"
  ip link set "$LAB" up
  ip -n "$LAB" link set lo up
  ip -n "$LAB" addr add "$NODE_IP/24" dev eth0
  ip -n "$LAB" link set eth0 up
  ip -n "$LAB" route add default via "$HOST_IP"
  # bridge-nf-call-iptables: without it a pod that calls a Service and is itself the answer gets no reply (see also hairpinMode)
  in_netns sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
}

start_containerd() {
  mkdir -p "$RUN/cni"
  cat >"$RUN/containerd.toml" <<K
version = 2
root = "$RUN/containerd"
state = "$SOCKETS/containerd"
[grpc]
  address = "$CONTAINERD"
[plugins."io.containerd.internal.v1.opt"]
  path = "$RUN/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  disable_apparmor = true
  # where CAP_SYS_RESOURCE is missing runc cannot lower oom_score_adj and every pod fails with
  # "runc create failed: unable to start container process: can't get final child's PID from pipe: EOF"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "$SOCKETS/runc"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$RUN/cni"
K
  cat >"$RUN/cni/10-lab.conflist" <<K
{"cniVersion": "0.4.0", "name": "$LAB", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$RUN/cni-ipam", "ranges": [[{"subnet": "$POD_CIDR"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
K
  start containerd containerd -c "$RUN/containerd.toml"
}

start_control_plane() {
  start etcd "$BIN/etcd" --data-dir "$RUN/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster default=http://127.0.0.1:2380
  # the --requestheader and --proxy-client flags and aggregator routing are what KEDA's external metrics API (an APIService) needs
  start kube-apiserver "$BIN/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
    --service-cluster-ip-range="$SERVICE_CIDR" --secure-port=6443 --advertise-address="$NODE_IP" \
    --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" --client-ca-file="$PKI/ca.crt" --cert-dir="$RUN/apiserver-certs" \
    --service-account-key-file="$PKI/service-accounts.pub" --service-account-signing-key-file="$PKI/service-accounts.key" \
    --service-account-issuer=https://kubernetes.default.svc \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --kubelet-client-certificate="$PKI/apiserver-kubelet.crt" --kubelet-client-key="$PKI/apiserver-kubelet.key" \
    --kubelet-certificate-authority="$PKI/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group --requestheader-username-headers=X-Remote-User \
    --proxy-client-cert-file="$PKI/front-proxy.crt" --proxy-client-key-file="$PKI/front-proxy.key" --enable-aggregator-routing=true
  wait_for 120 "the API server" kubectl --request-timeout=5s get --raw /readyz
  say "API server ready"
  local file=$KUBECONFIGS/controller-manager
  start kube-controller-manager "$BIN/kube-controller-manager" --kubeconfig="$file" --authentication-kubeconfig="$file" --authorization-kubeconfig="$file" \
    --client-ca-file="$PKI/ca.crt" --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" --root-ca-file="$PKI/ca.crt" \
    --service-account-private-key-file="$PKI/service-accounts.key" --use-service-account-credentials --leader-elect=false \
    --cert-dir="$RUN/controller-manager-certs" --horizontal-pod-autoscaler-sync-period="${CLUSTER_HPA_SYNC:-5s}" # 15s is the default
  file=$KUBECONFIGS/scheduler
  start kube-scheduler "$BIN/kube-scheduler" --kubeconfig="$file" --authentication-kubeconfig="$file" --authorization-kubeconfig="$file" \
    --leader-elect=false --cert-dir="$RUN/scheduler-certs"
}

start_node() {
  wait_for 30 containerd ctr --connect-timeout 2s version
  import_images pause
  cat >"$RUN/kubelet.yaml" <<K
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/kubelet-serving.crt
tlsPrivateKeyFile: $PKI/kubelet-serving.key
cgroupDriver: cgroupfs        # there is no systemd to ask
failCgroupV1: false           # the kubelet refuses cgroup v1 since 1.35 unless told not to
failSwapOn: false
containerRuntimeEndpoint: unix://$CONTAINERD
resolvConf: ""                # nothing of the host's DNS gets into a pod
clusterDNS: [$DNS_IP]
clusterDomain: cluster.local
podLogsDir: $RUN/podlogs
volumePluginDir: $RUN/volume-plugins
syncFrequency: 10s
fileCheckFrequency: 0s
registryPullQPS: 0
serializeImagePulls: false
imageGCHighThresholdPercent: 100   # a collected image could not be pulled again
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
K
  start kubelet "$BIN/kubelet" --config="$RUN/kubelet.yaml" --kubeconfig="$KUBECONFIGS/kubelet" --hostname-override="$NODE" \
    --node-ip="$NODE_IP" --root-dir="$RUN/kubelet" --cert-dir="$RUN/kubelet-certs"
  # conntrack: all 0 means "leave the kernel's settings alone"; they are the machine's, and often read-only
  cat >"$RUN/kube-proxy.yaml" <<K
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: $KUBECONFIGS/proxy}
clusterCIDR: $POD_CIDR
hostnameOverride: $NODE
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s, udpTimeout: 0s, udpStreamTimeout: 0s}
iptables: {minSyncPeriod: 0s, syncPeriod: 30s}
K
  start kube-proxy "$BIN/kube-proxy" --config="$RUN/kube-proxy.yaml"
  wait_for 120 "the node" node_ready
  say "node Ready"
}

node_ready() {
  kubectl --request-timeout=5s get node "$NODE" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' | grep -qx True
}

start_dns() {
  start labnet "$BIN/labnet" -api "https://$NODE_IP:6443" -pki "$PKI" -dns "$NODE_IP:53" -http "$INGRESS"
  kubectl apply --server-side -f "$HERE/manifests/dns.yaml" >/dev/null
  wait_for 30 "labnet" in_netns grep -q "^ *[0-9]*: [0-9A-F]*:0035 " /proc/net/udp
  say "DNS up"
}

import_images() { # ARCHIVE NAMES...
  local name
  for name in "$@"; do
    ctr image import "$IMAGES/$name.tar" >/dev/null || die "containerd could not import $IMAGES/$name.tar"
  done
}
