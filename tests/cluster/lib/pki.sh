# Certificates and kubeconfigs, made once for each `up` with openssl alone.

make_pki() {
  mkdir -p "$PKI" "$KUBECONFIGS"
  chmod 700 "$PKI" "$KUBECONFIGS"
  authority ca lab-ca
  # a CA of its own: with the clients' CA here, any client certificate could claim to be the front proxy and be anyone
  authority front-proxy-ca lab-front-proxy-ca
  certificate apiserver ca /CN=kube-apiserver serverAuth \
    "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$NODE_IP,IP:$API_IP"
  certificate apiserver-kubelet ca /O=system:masters/CN=apiserver-kubelet clientAuth
  certificate front-proxy front-proxy-ca /CN=front-proxy-client clientAuth
  certificate kubelet-serving ca "/CN=$NODE" serverAuth "DNS:$NODE,IP:$NODE_IP"
  client admin /O=system:masters/CN=admin
  client controller-manager /CN=system:kube-controller-manager
  client scheduler /CN=system:kube-scheduler
  client proxy /CN=system:kube-proxy
  client kubelet "/O=system:nodes/CN=system:node:$NODE"
  openssl genrsa -out "$PKI/service-accounts.key" 2048 2>/dev/null
  openssl rsa -in "$PKI/service-accounts.key" -pubout -out "$PKI/service-accounts.pub" 2>/dev/null
}

authority() { # FILE NAME
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$PKI/$1.key" -out "$PKI/$1.crt" \
    -days 3650 -subj "/CN=$2" -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null || die "openssl could not make $1"
}

certificate() { # FILE AUTHORITY SUBJECT USAGE [ALTERNATIVE NAMES]
  local extensions="keyUsage=critical,digitalSignature,keyEncipherment"$'\n'"extendedKeyUsage=$4"
  [ -z "${5:-}" ] || extensions+=$'\n'"subjectAltName=$5"
  # shellcheck disable=SC2015
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$PKI/$1.key" -out "$PKI/$1.csr" -subj "$3" 2>/dev/null &&
    openssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/$2.crt" -CAkey "$PKI/$2.key" -CAcreateserial -out "$PKI/$1.crt" -days 3650 \
      -extfile <(echo "$extensions") 2>/dev/null || die "openssl could not make $1"
}

client() { # FILE SUBJECT: a certificate and a kubeconfig
  certificate "$1" ca "$2" clientAuth
  cat >"$KUBECONFIGS/$1" <<K
apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: "https://$NODE_IP:6443", certificate-authority: $PKI/ca.crt}}]
users: [{name: $1, user: {client-certificate: $PKI/$1.crt, client-key: $PKI/$1.key}}]
contexts: [{name: lab, context: {cluster: lab, user: $1}}]
current-context: lab
K
}
