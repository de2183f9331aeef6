package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// api is the smallest client of the API server that DNS needs.
type api struct {
	server string
	client *http.Client
}

func newAPI(server, pki string) (*api, error) {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(pki, "admin.crt"), filepath.Join(pki, "admin.key"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(filepath.Join(pki, "ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("no certificate in %s/ca.crt", pki)
	}
	return &api{server: server, client: &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: pool},
			MaxIdleConnsPerHost: 8,
			ForceAttemptHTTP2:   true,
		},
	}}, nil
}

// call sends in as JSON and decodes the answer into out; either may be nil. It returns the HTTP status, 0 if none came.
func (a *api) call(method, path string, in, out any) (int, error) {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return 0, err
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequest(method, a.server+path, body)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if response.StatusCode >= 300 {
		return response.StatusCode, fmt.Errorf("%s %s: %d %.200s", method, path, response.StatusCode, answer)
	}
	if out != nil && err == nil {
		err = json.Unmarshal(answer, out)
	}
	return response.StatusCode, err
}

// addresses are where a Service is reached: its cluster IP, the addresses behind a headless one, or those of the
// Service an ExternalName points to.
func (a *api) addresses(namespace, name string) []net.IP {
	return a.resolve(namespace, name, 0)
}

func (a *api) resolve(namespace, name string, depth int) []net.IP {
	var service struct {
		Spec struct{ ClusterIP, ExternalName string }
	}
	if status, err := a.call("GET", "/api/v1/namespaces/"+namespace+"/services/"+name, nil, &service); err != nil {
		if status != http.StatusNotFound {
			log.Print(err)
		}
		return nil
	}
	if target := strings.Split(service.Spec.ExternalName, "."); len(target) >= 2 && depth < 4 {
		return a.resolve(target[1], target[0], depth+1)
	}
	if ip := net.ParseIP(service.Spec.ClusterIP); ip != nil {
		return []net.IP{ip}
	}
	var endpoints struct {
		Subsets []struct{ Addresses []struct{ IP string } }
	}
	if _, err := a.call("GET", "/api/v1/namespaces/"+namespace+"/endpoints/"+name, nil, &endpoints); err != nil {
		return nil
	}
	var found []net.IP
	for _, subset := range endpoints.Subsets {
		for _, address := range subset.Addresses {
			found = append(found, net.ParseIP(address.IP))
		}
	}
	return found
}
