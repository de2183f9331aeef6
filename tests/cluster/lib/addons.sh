# What the options of `up` install; repeatable. Another addon is another function install_NAME, and its option in `cluster`.
# --server-side: KEDA's ScaledJob CRD (667 KB) does not fit into the annotation that a client-side apply writes.

install_keda() {
  local name
  import_images keda-operator keda-adapter keda-webhooks
  kubectl apply --server-side --force-conflicts -f "$RENDERED/keda.yaml" >/dev/null || die "could not apply KEDA's manifests"
  # the operator makes the secret kedaorg-certs that the other two mount: a FailedMount and a restart at first are normal
  for name in keda-operator keda-metrics-apiserver keda-admission; do rollout keda "$name"; done
  kubectl wait --for=condition=Available apiservice/v1beta1.external.metrics.k8s.io --timeout=120s >/dev/null ||
    die "KEDA's external metrics API did not become available"
  say "KEDA's external metrics API available"
}

install_knative() {
  local name
  import_images knative-{activator,autoscaler,controller,queue,webhook}
  kubectl apply --server-side --force-conflicts -f "$RENDERED/knative-crds.yaml" >/dev/null || die "could not apply Knative's CRDs"
  kubectl wait --for=condition=Established crd --all --timeout=60s >/dev/null || die "the CRDs were not accepted"
  kubectl apply --server-side --force-conflicts -f "$RENDERED/knative.yaml" -f "$HERE/manifests/ingress.yaml" >/dev/null ||
    die "could not apply Knative's manifests"
  for name in webhook autoscaler controller activator; do rollout knative-serving "$name"; done
}

install_eventing() {
  local name
  # shellcheck disable=SC2086
  import_images $(printf 'eventing-%s ' $EVENTING)
  kubectl apply --server-side --force-conflicts -f "$RENDERED/eventing-crds.yaml" >/dev/null || die "could not apply the CRDs of Knative Eventing"
  kubectl wait --for=condition=Established crd --all --timeout=60s >/dev/null || die "the CRDs were not accepted"
  kubectl apply --server-side --force-conflicts -f "$RENDERED/eventing.yaml" >/dev/null || die "could not apply the manifests of Knative Eventing"
  for name in eventing-webhook eventing-controller imc-controller imc-dispatcher mt-broker-controller mt-broker-ingress mt-broker-filter; do
    rollout knative-eventing "$name"
  done
}

# Only the kind, of which nobody makes anything: the operator is not here.
install_podmonitor() {
  kubectl apply --server-side -f "$RENDERED/podmonitor.yaml" >/dev/null || die "could not apply the definition of PodMonitor"
  kubectl wait --for=condition=Established crd/podmonitors.monitoring.coreos.com --timeout=60s >/dev/null ||
    die "the API server does not serve PodMonitor"
  say "PodMonitor is known"
}

rollout() { # NAMESPACE DEPLOYMENT
  kubectl -n "$1" rollout status "deployment/$2" --timeout=180s >/dev/null ||
    die "$1/$2 did not become available; look at: cluster kubectl -n $1 describe pods"
  say "$1/$2 available"
}

is_available() { # NAMESPACE DEPLOYMENT
  [ "$(kubectl --request-timeout=5s -n "$1" get deployment "$2" -o 'jsonpath={.status.availableReplicas}' 2>/dev/null)" = 1 ]
}
