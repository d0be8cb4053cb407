// The registry of go-containerregistry, which shares no line with distribution: no mounts, no sparse indexes, and
// referrers if they are asked for.
//
//	ggcr ADDRESS CERTIFICATE KEY [referrers]
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	handler := registry.New(registry.WithReferrersSupport(len(os.Args) > 4 && os.Args[4] == "referrers"))
	log.Fatal(http.ListenAndServeTLS(os.Args[1], os.Args[2], os.Args[3], handler))
}
