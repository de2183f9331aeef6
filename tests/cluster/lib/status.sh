# cluster status: 0 up and well, 1 something is wrong, 3 down.

status() {
  local pid born name wrong=0
  if [ ! -e "$RUN/processes" ]; then
    echo "down (built: $([ -x "$BIN/kubelet" ] && echo yes || echo no), in $STATE)"
    return 3
  fi
  printf '%-26s %8s %10s\n' PROCESS PID MEMORY
  while read -r pid born name; do
    if alive "$pid" "$born"; then
      printf '%-26s %8s %6d MiB\n' "$name" "$pid" "$(($(awk '/^VmRSS/{print $2}' "/proc/$pid/status") / 1024))"
    else
      printf '%-26s %8s %10s\n' "$name" "$pid" dead
      wrong=1
    fi
  done <"$RUN/processes"
  echo
  if running kube-apiserver; then
    node_ready || { echo "the node is not Ready"; wrong=1; }
    for name in keda/keda-operator keda/keda-metrics-apiserver keda/keda-admission knative-serving/{webhook,autoscaler,controller,activator}; do
      kubectl --request-timeout=5s -n "${name%/*}" get deployment "${name#*/}" >/dev/null 2>&1 || continue
      is_available "${name%/*}" "${name#*/}" || { echo "$name is not available"; wrong=1; }
    done
    kubectl --request-timeout=5s get nodes,pods -A || wrong=1
  fi
  echo
  echo "KUBECONFIG=$KUBECONFIGS/admin   (reaches the cluster from this machine)"
  echo "ingress of Knative: http://$INGRESS   logs: $LOGS"
  return $wrong
}
