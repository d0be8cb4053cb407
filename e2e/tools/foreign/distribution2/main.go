// Distribution 2.8 as a library, with the parts that tests configure: upstream's own program needs modules that are
// not to be had any more.
//
//	distribution2 CONFIG
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/docker/distribution/configuration"
	"github.com/docker/distribution/context"
	_ "github.com/docker/distribution/registry/auth/htpasswd"
	"github.com/docker/distribution/registry/handlers"
	_ "github.com/docker/distribution/registry/storage/driver/filesystem"
)

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	config, err := configuration.Parse(file)
	if err != nil {
		log.Fatal(err)
	}
	app := handlers.NewApp(context.Background(), config)
	server := &http.Server{Addr: config.HTTP.Addr, Handler: app}
	if config.HTTP.TLS.Certificate == "" {
		log.Fatal(server.ListenAndServe())
	}
	log.Fatal(server.ListenAndServeTLS(config.HTTP.TLS.Certificate, config.HTTP.TLS.Key))
}
