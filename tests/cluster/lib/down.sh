# cluster down: stops exactly what `up` started, cleans up after it, and fails if anything is left.

down() {
  local name
  if [ ! -e "$RUN/processes" ]; then
    say "no cluster is up in $STATE"
    return
  fi
  for name in kubelet kube-proxy kube-scheduler kube-controller-manager kube-apiserver etcd; do stop "$name"; done
  stop_pods
  stop containerd
  # labnet, ...
  # shellcheck disable=SC2013
  for name in $(awk '{print $3}' "$RUN/processes"); do stop "$name"; done
  remove_mounts
  remove_network
  remove_cgroups
  # shellcheck disable=SC2046
  [ ! -e "$RUN/sysctls" ] || sysctl -qw $(<"$RUN/sysctls")
  find /var/log/containers -lname "$RUN/podlogs/*" -delete 2>/dev/null
  rmdir /var/log/containers 2>/dev/null
  local left
  left=$(leftovers)
  [ -z "$left" ] || { echo "$left" >&2; die "the cluster is down, but this is left"; }
  rm -rf "$RUN" "$SOCKETS"
  say "down; bin, images and logs stay in $STATE"
}

stop_pods() { # our containerd's containers only: its socket is its own
  local id
  if running containerd; then
    for id in $(ctr task ls -q 2>/dev/null); do ctr task kill -s KILL "$id" 2>/dev/null; done
    for _ in $(seq 50); do
      ctr task ls 2>/dev/null | grep -q RUNNING || break
      sleep 0.1
    done
    for id in $(ctr task ls -q 2>/dev/null); do ctr task rm -f "$id" >/dev/null 2>&1; done
    for id in $(ctr container ls -q 2>/dev/null); do ctr container rm "$id" >/dev/null 2>&1; done
  fi
  # if containerd died before us, the pods and their shims live on; `up` made sure that no other kubelet's pods are here
  for id in $(pod_processes) $(shims); do kill -9 "$id" 2>/dev/null; done
  # a shim's socket lies in /run/containerd/s whatever containerd's own paths are, and outlives a killed shim
  cat "$SOCKETS"/containerd/io.containerd.runtime.v2.task/k8s.io/*/address 2>/dev/null | sed 's#unix://#\n#g' | grep '^/run/containerd/s/' |
    xargs -r rm -f
}

shims() { # PIDs of containerd's shims that serve our socket
  local file
  for file in /proc/[0-9]*/cmdline; do
    tr '\0' ' ' 2>/dev/null <"$file" | grep -q "^[^ ]*containerd-shim-runc-v2 .*-address $CONTAINERD " && basename "$(dirname "$file")"
  done
  true
}

mounts() { awk -v run="$RUN/" -v sockets="$SOCKETS/" 'index($2, run) == 1 || index($2, sockets) == 1 {print $2}' /proc/mounts; }

remove_mounts() {
  local path
  mounts | sort -r | while read -r path; do umount -l "$path"; done
}

pod_networks() { # the pods' network namespaces, from the results that the CNI plugins cached under our network's name
  grep -hso '/run/netns/cni-[0-9a-f-]*' /var/lib/cni/results/"$LAB"-* | sort -u | sed 's#.*/##'
}

remove_network() {
  local name file id
  for name in $(pod_networks); do
    [ ! -e "/var/run/netns/$name" ] || ip netns del "$name"
  done
  for file in /var/lib/cni/results/"$LAB"-*; do
    [ -e "$file" ] || continue
    id=${file##*/"$LAB"-}
    rm -f "$file" "/var/lib/cni/results/cni-loopback-${id%-eth0}-lo"
  done
  if [ -e "/var/run/netns/$LAB" ]; then
    for _ in $(seq 50); do [ -n "$(ip netns pids "$LAB")" ] || break; sleep 0.1; done
    name=$(ip netns pids "$LAB" | tr '\n' ' ')
    [ -z "$name" ] || die "not ours, but in the cluster's network namespace: end $name and run down again"
    ip netns del "$LAB"                   # takes eth0, cni0 and all of iptables with it
  fi
  for _ in $(seq 50); do [ -e "/sys/class/net/$LAB" ] || break; ip link del "$LAB" 2>/dev/null; sleep 0.1; done
}

remove_cgroups() {
  local root
  for root in $(kubepods); do find "$root" -depth -type d -exec rmdir {} \; 2>/dev/null; done
  true
}

leftovers() {
  local line
  while read -r line; do echo "process: $line"; done <"$RUN/processes"
  for line in $(pod_processes) $(shims); do echo "process: $line"; done
  for line in $(mounts); do echo "mount: $line"; done
  for line in "$LAB" $(pod_networks); do [ ! -e "/var/run/netns/$line" ] || echo "network namespace: $line"; done
  [ ! -e "/sys/class/net/$LAB" ] || echo "network device: $LAB"
  for line in $(kubepods); do echo "cgroup: $line"; done
}
