// Command labnet is the cluster's DNS: it answers A queries for <service>.<namespace>.svc.cluster.local by asking the
// API server. Every other name does not exist, so no query leaves the machine.
//
// It runs on the node, beside the kubelet, with the administrator's certificate.
package main

import (
	"flag"
	"log"
)

func main() {
	server := flag.String("api", "", "URL of the API server")
	pki := flag.String("pki", "", "directory with ca.crt, admin.crt and admin.key")
	dnsAddress := flag.String("dns", "", "UDP address to answer DNS on")
	flag.Parse()

	api, err := newAPI(*server, *pki)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(serveDNS(api, *dnsAddress))
}
