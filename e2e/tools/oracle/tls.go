package main

import (
	"net/http"

	"github.com/containerd/containerd/v2/core/remotes/docker"
)

// skips tells whether certificates of a host are not verified.
func skips(host docker.RegistryHost) bool {
	transport := host.Client.Transport
	if transport, ok := transport.(*http.Transport); ok {
		return transport.TLSClientConfig != nil && transport.TLSClientConfig.InsecureSkipVerify
	}
	return transport != nil // the fall-back to http, which is only made where TLS was configured
}
