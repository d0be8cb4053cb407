package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// pki writes what a gateway and a bare registry with TLS need: tls.crt, tls.key, keys.json.
func pki(args []string) error {
	flags := flag.NewFlagSet("pki", flag.ContinueOnError)
	out := flags.String("out", "", "directory")
	if err := flags.Parse(args); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "bench"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), BasicConstraintsValid: true, IsCA: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		return err
	}
	private, err := key.Bytes()
	if err != nil {
		return err
	}
	b64 := base64.RawURLEncoding.EncodeToString
	jwks, err := json.Marshal(map[string]any{"keys": []any{map[string]any{"kty": "EC", "crv": "P-256", "use": "sig",
		"kid": "bench", "iat": now.Unix(), "x": b64(public[1:33]), "y": b64(public[33:]), "d": b64(private)}}})
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"tls.crt":   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		"tls.key":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		"keys.json": jwks,
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(*out, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// port prints a free one.
func port([]string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	return nil
}

type loader struct {
	base, user, password string
	client               *http.Client
	tls                  *tls.Config
	mutex                sync.Mutex
	tokens               map[string]string
}

// load sends one kind of load to a registry and prints a line of figures.
func load(args []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	base := flags.String("base", "", "https://HOST:PORT")
	ca := flags.String("ca", "", "PEM file")
	user := flags.String("user", "", "NAME:PASSWORD for a gateway, none for a registry without authentication")
	kind := flags.String("kind", "pull", "put, push, pull, head, token, crowd")
	known := flags.String("digest", "", "pull: what to pull, instead of a blob that is pushed first")
	size := flags.Int64("size", 256<<20, "bytes of a blob")
	count := flags.Int("n", 1, "how many transfers or requests, all connections together")
	conns := flags.Int("conns", 1, "connections at once")
	idle := flags.Int("idle", 500, "crowd: idle connections")
	slow := flags.Int("slow", 200, "crowd: slow readers")
	rate := flags.Int64("rate", 128<<10, "crowd: bytes a second of a slow reader")
	hold := flags.Duration("hold", 60*time.Second, "crowd: how long it lasts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pemBytes, err := os.ReadFile(*ca)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pemBytes)
	l := &loader{base: *base, tokens: map[string]string{}, tls: &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}}}
	l.user, l.password, _ = strings.Cut(*user, ":")
	l.client = &http.Client{Transport: &http.Transport{TLSClientConfig: l.tls, MaxIdleConnsPerHost: 1024,
		ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}}
	switch *kind {
	case "push":
		return l.parallel(*kind, *count, *conns, *size, func(i int) error { _, err := l.push(*size, int64(i)); return err })
	case "put":
		digest, err := l.push(*size, 1<<43)
		fmt.Println("digest=" + digest)
		return err
	case "pull":
		digest := *known
		if digest == "" {
			if digest, err = l.push(*size, 1<<40); err != nil {
				return err
			}
		}
		return l.parallel(*kind, *count, *conns, *size, func(int) error { return l.pull(digest, *size) })
	case "head":
		digest, err := l.push(4096, 1<<41)
		if err != nil {
			return err
		}
		if err := l.manifest(digest, 4096); err != nil {
			return err
		}
		return l.parallel(*kind, *count, *conns, 0, func(int) error {
			return l.simple(http.MethodHead, "/v2/bench/a/manifests/v1", "repository:bench/a:pull", 200)
		})
	case "token":
		return l.parallel(*kind, *count, *conns, 0, func(int) error {
			return l.simple(http.MethodGet, "/auth/token?service=bench&scope=repository:bench/a:pull", "", 200)
		})
	case "crowd":
		return l.crowd(*size, *idle, *slow, *rate, *hold)
	}
	return fmt.Errorf("no such kind: %s", *kind)
}

func (l *loader) parallel(kind string, count, conns int, size int64, one func(int) error) error {
	var next atomic.Int64
	var failures atomic.Int64
	var first atomic.Value
	times := make([][]time.Duration, conns)
	var group sync.WaitGroup
	begin := time.Now()
	for c := range conns {
		group.Go(func() {
			for i := next.Add(1); i <= int64(count); i = next.Add(1) {
				start := time.Now()
				if err := one(int(i)); err != nil {
					failures.Add(1)
					first.CompareAndSwap(nil, err.Error())
				}
				times[c] = append(times[c], time.Since(start))
			}
		})
	}
	group.Wait()
	wall := time.Since(begin).Seconds()
	var all []time.Duration
	for _, t := range times {
		all = append(all, t...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	at := func(q float64) float64 { return all[min(len(all)-1, int(q*float64(len(all))))].Seconds() * 1000 }
	fmt.Printf("kind=%s seconds=%.3f mib_s=%.1f req_s=%.1f p50_ms=%.2f p99_ms=%.2f failures=%d\n", kind, wall,
		float64(size)*float64(count)/wall/(1<<20), float64(count)/wall, at(0.5), at(0.99), failures.Load())
	if failures.Load() > 0 {
		return fmt.Errorf("%d failed, the first: %v", failures.Load(), first.Load())
	}
	return nil
}

func (l *loader) token(scope string) (string, error) {
	if l.user == "" {
		return "", nil
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if token := l.tokens[scope]; token != "" {
		return token, nil
	}
	request, err := http.NewRequest(http.MethodGet, l.base+"/auth/token?service=bench&scope="+url.QueryEscape(scope), nil)
	if err != nil {
		return "", err
	}
	request.SetBasicAuth(l.user, l.password)
	answer, err := l.client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var body struct{ Token string }
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return "", err
	}
	l.tokens[scope] = body.Token
	return body.Token, nil
}

func (l *loader) request(method, target, scope string, body io.Reader) (*http.Request, error) {
	if strings.HasPrefix(target, "/") {
		target = l.base + target
	}
	request, err := http.NewRequest(method, target, body)
	if err != nil {
		return nil, err
	}
	if scope != "" {
		token, err := l.token(scope)
		if err != nil {
			return nil, err
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
	}
	request.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
	return request, nil
}

func (l *loader) simple(method, path, scope string, status int) error {
	request, err := l.request(method, path, scope, nil)
	if err != nil {
		return err
	}
	answer, err := l.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != status {
		return fmt.Errorf("%s %s: %s", method, path, answer.Status)
	}
	return nil
}

// push uploads random bytes that the seed determines, unless they are there.
func (l *loader) push(size, seed int64) (string, error) {
	block := make([]byte, 1<<20)
	source := mrand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 40), byte(size >> 20), byte(time.Now().UnixNano())})
	_, _ = source.Read(block)
	content := func() io.Reader { return io.LimitReader(&repeat{block: block}, size) }
	hash := sha256.New()
	if _, err := io.Copy(hash, content()); err != nil {
		return "", err
	}
	digest := fmt.Sprintf("sha256:%x", hash.Sum(nil))
	const scope = "repository:bench/a:pull,push"
	request, err := l.request(http.MethodPost, "/v2/bench/a/blobs/uploads/", scope, nil)
	if err != nil {
		return "", err
	}
	answer, err := l.client.Do(request)
	if err != nil {
		return "", err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		return "", errors.New("POST: " + answer.Status)
	}
	target := answer.Header.Get("Location") + "&digest=" + digest
	request, err = l.request(http.MethodPut, target, scope, content())
	if err != nil {
		return "", err
	}
	request.ContentLength = size
	answer, err = l.client.Do(request)
	if err != nil {
		return "", err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		return "", errors.New("PUT: " + answer.Status)
	}
	return digest, nil
}

type repeat struct {
	block []byte
	at    int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.block[r.at:])
	r.at = (r.at + n) % len(r.block)
	return n, nil
}

func (l *loader) pull(digest string, size int64) error {
	request, err := l.request(http.MethodGet, "/v2/bench/a/blobs/"+digest, "repository:bench/a:pull", nil)
	if err != nil {
		return err
	}
	answer, err := l.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	n, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{answer.Body}, make([]byte, 256<<10))
	if err != nil {
		return err
	}
	if answer.StatusCode != 200 || n != size {
		return fmt.Errorf("pull: %s, %d bytes", answer.Status, n)
	}
	return nil
}

func (l *loader) manifest(digest string, size int64) error {
	body := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%d},"layers":[]}`, digest, size)
	request, err := l.request(http.MethodPut, "/v2/bench/a/manifests/v1", "repository:bench/a:pull,push", bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	answer, err := l.client.Do(request)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		return errors.New("manifest: " + answer.Status)
	}
	return nil
}

// crowd keeps idle connections and slow readers at once; afterwards every idle one must still answer, and no reader
// may have been dropped. Now and then a quick client pulls 1 MiB by range.
func (l *loader) crowd(size int64, idle, slow int, rate int64, hold time.Duration) error {
	digest, err := l.push(size, 1<<42)
	if err != nil {
		return err
	}
	token, err := l.token("repository:bench/a:pull")
	if err != nil {
		return err
	}
	host := strings.TrimPrefix(l.base, "https://")
	header := ""
	if token != "" {
		header = "Authorization: Bearer " + token + "\r\n"
	}
	ping := func(conn *tls.Conn) error {
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := fmt.Fprintf(conn, "GET /v2/ HTTP/1.1\r\nHost: %s\r\n%s\r\n", host, header); err != nil {
			return err
		}
		buffer := make([]byte, 4096)
		n, err := conn.Read(buffer)
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(buffer[:n], []byte("HTTP/1.1 200")) {
			return fmt.Errorf("%.40q", buffer[:n])
		}
		return nil
	}
	var idlers []*tls.Conn
	lost := 0
	for range idle {
		conn, err := tls.Dial("tcp", host, l.tls)
		if err == nil {
			err = ping(conn)
		}
		if err != nil {
			lost++
			continue
		}
		idlers = append(idlers, conn)
	}
	var dropped, read, started atomic.Int64
	var reason atomic.Value
	end := time.Now().Add(hold)
	var group sync.WaitGroup
	for range slow {
		group.Go(func() {
			err := func() error {
				plain, err := (&net.Dialer{}).Dial("tcp", host)
				if err != nil {
					return err
				}
				defer plain.Close()
				_ = plain.(*net.TCPConn).SetReadBuffer(128 << 10)
				conn := tls.Client(plain, &tls.Config{RootCAs: l.tls.RootCAs, ServerName: "127.0.0.1", NextProtos: []string{"http/1.1"}})
				if _, err := fmt.Fprintf(conn, "GET /v2/bench/a/blobs/%s HTTP/1.1\r\nHost: %s\r\n%s\r\n", digest, host, header); err != nil {
					return err
				}
				buffer := make([]byte, 16<<10)
				pause := time.Duration(int64(len(buffer)) * int64(time.Second) / rate)
				got := int64(0)
				for time.Now().Before(end) {
					_ = conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
					n, err := conn.Read(buffer)
					if got == 0 && n > 0 {
						if !bytes.HasPrefix(buffer[:n], []byte("HTTP/1.1 200")) {
							return fmt.Errorf("%.40q", buffer[:n])
						}
						started.Add(1)
					}
					got += int64(n)
					read.Add(int64(n))
					if err != nil && got < size {
						return err
					}
					time.Sleep(pause)
				}
				return nil
			}()
			if err != nil {
				dropped.Add(1)
				reason.CompareAndSwap(nil, err.Error())
			}
		})
	}
	quick, worst, failed := 0, time.Duration(0), 0
	for time.Now().Before(end) {
		time.Sleep(2 * time.Second)
		begin := time.Now()
		request, err := l.request(http.MethodGet, "/v2/bench/a/blobs/"+digest, "repository:bench/a:pull", nil)
		if err != nil {
			return err
		}
		request.Header.Set("Range", "bytes=0-1048575")
		answer, err := l.client.Do(request)
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}
		if err != nil {
			failed++
		}
		quick++
		worst = max(worst, time.Since(begin))
	}
	group.Wait()
	for _, conn := range idlers {
		if err := ping(conn); err != nil {
			lost++
		}
		_ = conn.Close()
	}
	fmt.Printf("kind=crowd idle=%d idle_lost=%d slow=%d started=%d dropped=%d read_mib=%d quick=%d quick_failed=%d quick_worst_ms=%d reason=%v\n",
		idle, lost, slow, started.Load(), dropped.Load(), read.Load()>>20, quick, failed, worst.Milliseconds(), reason.Load())
	if lost > 0 || dropped.Load() > 0 || failed > 0 {
		return errors.New("somebody was dropped")
	}
	return nil
}
