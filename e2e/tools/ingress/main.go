// An Ingress controller for the lab, where none of the known ones can be built: it ends TLS with the Secret that the
// Ingress names, speaks TLS to the Service behind it when the annotation of ingress-nginx says so, and buffers nothing.
//
//	ingress -server URL -ca FILE -cert FILE -key FILE -listen ADDRESS
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"time"
)

type object struct {
	Metadata struct {
		Name, Namespace string
		Annotations     map[string]string
	}
}

type ingress struct {
	object
	Spec struct {
		TLS   []struct{ SecretName string }
		Rules []struct {
			Host string
			HTTP struct {
				Paths []struct {
					Backend struct {
						Service struct {
							Name string
							Port struct {
								Name   string
								Number int
							}
						}
					}
				}
			}
		}
	}
}

type secret struct{ Data map[string][]byte }

type service struct {
	Spec struct {
		ClusterIP string
		Ports     []struct {
			Name string
			Port int
		}
	}
}

type site struct {
	certificate tls.Certificate
	backend     *url.URL
}

type controller struct {
	server string
	client *http.Client
	lock   sync.RWMutex
	sites  map[string]site
}

func (c *controller) get(path string, into any) error {
	answer, err := c.client.Get(c.server + path)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

func (c *controller) read() error {
	var all struct{ Items []ingress }
	if err := c.get("/apis/networking.k8s.io/v1/ingresses", &all); err != nil {
		return err
	}
	sites := map[string]site{}
	for _, one := range all.Items {
		for _, rule := range one.Spec.Rules {
			if len(one.Spec.TLS) == 0 || len(rule.HTTP.Paths) == 0 {
				continue
			}
			var s secret
			var to service
			backend := rule.HTTP.Paths[0].Backend.Service
			prefix := "/api/v1/namespaces/" + one.Metadata.Namespace
			if err := c.get(prefix+"/secrets/"+one.Spec.TLS[0].SecretName, &s); err != nil {
				return err
			}
			if err := c.get(prefix+"/services/"+backend.Name, &to); err != nil {
				return err
			}
			pair, err := tls.X509KeyPair(s.Data["tls.crt"], s.Data["tls.key"])
			if err != nil {
				return err
			}
			scheme := "http"
			if one.Metadata.Annotations["nginx.ingress.kubernetes.io/backend-protocol"] == "HTTPS" {
				scheme = "https"
			}
			for _, port := range to.Spec.Ports {
				if port.Name == backend.Port.Name || port.Port == backend.Port.Number {
					sites[rule.Host] = site{pair, &url.URL{Scheme: scheme, Host: fmt.Sprintf("%s:%d", to.Spec.ClusterIP, port.Port)}}
				}
			}
		}
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	c.sites = sites
	return nil
}

func (c *controller) site(host string) (site, bool) {
	c.lock.RLock()
	defer c.lock.RUnlock()
	s, found := c.sites[host]
	return s, found
}

func main() {
	server := flag.String("server", "", "URL of the API server")
	ca := flag.String("ca", "", "its authority")
	cert := flag.String("cert", "", "certificate of a client that may read Ingresses, Services and Secrets")
	key := flag.String("key", "", "its key")
	listen := flag.String("listen", ":443", "address")
	flag.Parse()
	pem, err := os.ReadFile(*ca)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	own, err := tls.LoadX509KeyPair(*cert, *key)
	if err != nil {
		log.Fatal(err)
	}
	c := &controller{server: *server, client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}}}}}
	go func() {
		for {
			if err := c.read(); err != nil {
				log.Print(err)
			}
			time.Sleep(time.Second)
		}
	}()
	proxy := &httputil.ReverseProxy{
		// As ingress-nginx does unless told otherwise.
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 16},
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			s, _ := c.site(r.In.TLS.ServerName)
			r.SetURL(s.backend)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
	}
	front := &http.Server{Addr: *listen,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, found := c.site(r.TLS.ServerName); !found {
				http.Error(w, "no such host", http.StatusNotFound)
				return
			}
			proxy.ServeHTTP(w, r)
		}),
		TLSConfig: &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if s, found := c.site(hello.ServerName); found {
				return &s.certificate, nil
			}
			return nil, fmt.Errorf("no Ingress for %q", hello.ServerName)
		}}}
	log.Fatal(front.ListenAndServeTLS("", ""))
}
