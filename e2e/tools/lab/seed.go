package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"
)

// form is how an image is stored: which vocabulary, and with or without an index.
type form struct {
	index, manifest, config, layer string
	platforms                      []platform
}

var (
	amd64 = platform{Architecture: "amd64", OS: "linux"}
	arm64 = platform{Architecture: "arm64", OS: "linux"}
	armv7 = platform{Architecture: "arm", OS: "linux", Variant: "v7"}
	s390x = platform{Architecture: "s390x", OS: "linux"}
	host  = platform{Architecture: runtime.GOARCH, OS: "linux"}

	oci         = form{manifest: ociManifest, config: ociConfig, layer: ociLayer, platforms: []platform{host}}
	docker      = form{manifest: dockerManifest, config: dockerConfig, layer: dockerLayer, platforms: []platform{host}}
	ociMulti    = form{index: ociIndex, manifest: ociManifest, config: ociConfig, layer: ociLayer, platforms: []platform{amd64, arm64}}
	dockerMulti = form{index: dockerList, manifest: dockerManifest, config: dockerConfig, layer: dockerLayer, platforms: []platform{amd64, arm64, armv7, s390x}}
)

// repository is what the upstream holds under a name. Tags that the how-to's list selects carry a plus: the regular
// expressions ^kubic and ^opensuse/([^/]+)$ with the newest build of every version. A tag a=b is b under a second name.
type repository struct {
	name string
	form form
	tags string
}

var upstream = []repository{
	// The how-to's images: builds of versions, versions that float over their newest build, latest.
	{"kubic/demo", ociMulti, "+1.0 1.0-rev1-build1.1 +1.0-rev1-build1.2=1.0 +1.1 1.1-rev1-build2.9 +1.1-rev1-build2.10=1.1 +latest=1.1"},
	{"kubic/kube-apiserver", dockerMulti, "1.16.2-rev1-build2.9 1.16.2-rev1-build2.13 +1.16.2-rev1-build2.14 +1.16.2=1.16.2-rev1-build2.14 +1.17.0-rev1-build3.1 +1.17.0=1.17.0-rev1-build3.1 +latest=1.17.0-rev1-build3.1"},
	{"kubic/etcd", docker, "v3.3.15-1.1 v3.3.15-1.2 +v3.3.15-1.10 +v3.3.15=v3.3.15-1.10 v3.4.3-2.1 +v3.4.3-2.2 +v3.4.3=v3.4.3-2.2 +latest=v3.4.3-2.2"},
	{"kubic/coredns", oci, "0.9.0-2.1 +0.9.0-2.12 +0.9.0=0.9.0-2.12 +0.10.0-1.1 +0.10.0=0.10.0-1.1 +latest=0.10.0-1.1"},
	{"kubic/pause", docker, "+3.1-1.1 +3.1=3.1-1.1 +latest=3.1-1.1"},
	{"kubic/flannel", dockerMulti, "+0.11.0 +latest=0.11.0"},
	{"kubic/registry", ociMulti, "+2.7.1 +latest=2.7.1"},
	{"kubic/signed", ociMulti, "+1.0 +latest=1.0"},
	{"kubicctl", oci, "+0.9.0 +latest=0.9.0"},
	{"opensuse/leap", dockerMulti, "15.1-1.1 15.1-1.9 +15.1-1.10 +15.1=15.1-1.10 +15.2-2.1 +15.2=15.2-2.1 +latest=15.2-2.1"},
	{"opensuse/tumbleweed", ociMulti, "+latest"},
	{"opensuse/busybox", oci, "+1.35 +latest=1.35"},
	{"opensuse/nginx", docker, "+1.17 +1.17.5 +latest=1.17.5"},
	// Nothing of these is selected.
	{"opensuse/leap/toolchain", oci, "15.1 latest=15.1"},
	{"opensuse/sub/tool", docker, "1.0 latest=1.0"},
	{"opensuse/sub/deep/tool", oci, "1.0"},
	{"opensuse-old/leap", docker, "42.3 latest=42.3"},
	{"devel/kubic/demo", ociMulti, "1.0 latest=1.0"},
	{"home/alice/kubic", oci, "latest"},
	{"yast/head", docker, "latest"},
	{"tumbleweed/kubic/pause", docker, "latest"},
}

// signed names the repository and tag that carry a signature in cosign's manner: a tag sha256-<digest>.sig.
const signedRepository, signedTag = "kubic/signed", "1.0"

// truth is what was put where, so that a test need not ask the tool it tests.
type truth struct {
	Repository string            `json:"repository"`
	Tag        string            `json:"tag"`
	Digest     string            `json:"digest"`
	MediaType  string            `json:"mediaType"`
	Selected   bool              `json:"selected"`
	Platforms  map[string]string `json:"platforms"` // os/arch[/variant] -> digest of its manifest
}

type pusher struct {
	base   string
	client *http.Client
}

// seed fills a registry with the upstream's content and writes what it put there as JSON.
func seed(args []string) error {
	flags := flag.NewFlagSet("seed", flag.ExitOnError)
	to := flags.String("to", "", "URL of the registry")
	ca := flags.String("ca", "", "file with its authority")
	busybox := flags.String("busybox", "/bin/busybox", "a static busybox for the images that can run")
	truthFile := flags.String("truth", "", "file that gets the list of what was pushed")
	flags.Parse(args)
	pool := x509.NewCertPool()
	if *ca != "" {
		pem, err := os.ReadFile(*ca)
		if err != nil {
			return err
		}
		pool.AppendCertsFromPEM(pem)
	}
	p := pusher{strings.TrimSuffix(*to, "/"), &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 16}}}
	tools, err := userland(*busybox)
	if err != nil {
		return err
	}
	var all []truth
	var lock sync.Mutex
	errs := make(chan error, len(upstream))
	for _, r := range upstream {
		go func() {
			pushed, err := p.repository(r, tools)
			lock.Lock()
			all = append(all, pushed...)
			lock.Unlock()
			errs <- err
		}()
	}
	for range upstream {
		if err := <-errs; err != nil {
			return err
		}
	}
	sort.Slice(all, func(a, b int) bool {
		return all[a].Repository+":"+all[a].Tag < all[b].Repository+":"+all[b].Tag
	})
	selected := 0
	for _, t := range all {
		if t.Selected {
			selected++
		}
	}
	fmt.Printf("%d repositories, %d tags, %d of them selected by the how-to's list\n", len(upstream), len(all), selected)
	data, err := json.MarshalIndent(all, "", " ")
	if err != nil || *truthFile == "" {
		return err
	}
	return os.WriteFile(*truthFile, data, 0o644)
}

// userland is the layer that makes an image run: a static busybox with a few names.
func userland(busybox string) (layer, error) {
	data, err := os.ReadFile(busybox)
	if err != nil {
		return layer{}, fmt.Errorf("%w (Debian: apt-get install -y busybox-static)", err)
	}
	files := []file{{path: "bin/busybox", mode: 0o755, data: data}, {path: "tmp/", mode: 0o1777},
		{path: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/:/bin/sh\n")}}
	for _, name := range []string{"sh", "cat", "echo", "ls", "sleep", "true", "uname", "wget", "nslookup", "hostname", "env"} {
		files = append(files, file{path: "bin/" + name, link: "busybox"})
	}
	return newLayer(files)
}

func (p pusher) repository(r repository, tools layer) ([]truth, error) {
	byTag := map[string]truth{}
	var all []truth
	for _, word := range strings.Fields(r.tags) {
		tag, selected := strings.CutPrefix(word, "+")
		tag, alias, isAlias := strings.Cut(tag, "=")
		var t truth
		var err error
		if isAlias {
			t = byTag[alias]
			if t.Digest == "" { // The alias comes first in the list: push the content under its name now.
				return nil, fmt.Errorf("%s: %s is an alias of %s, which is not known yet", r.name, tag, alias)
			}
			t.Tag = tag
			err = p.copyTag(r.name, t.Digest, t.MediaType, tag)
		} else {
			t, err = p.build(r, tag, tools)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%s: %w", r.name, tag, err)
		}
		t.Selected = selected
		byTag[tag] = t
		all = append(all, t)
	}
	if r.name == signedRepository {
		t, err := p.sign(r.name, byTag[signedTag])
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

func (p pusher) build(r repository, tag string, tools layer) (truth, error) {
	t := truth{Repository: r.name, Tag: tag, Platforms: map[string]string{}}
	index := manifest{SchemaVersion: 2, MediaType: r.form.index}
	for _, target := range r.form.platforms {
		name := target.OS + "/" + target.Architecture
		if target.Variant != "" {
			name += "/" + target.Variant
		}
		text := fmt.Sprintf("%s:%s for %s\n", r.name, tag, name)
		own, err := newLayer([]file{{path: "etc/image", mode: 0o644, data: []byte(text)}})
		if err != nil {
			return t, err
		}
		layers := []layer{own}
		if target == host {
			layers = []layer{tools, own}
		}
		config, err := newConfig(target, runConfig{User: "65532:65532", Env: []string{"PATH=/bin"},
			Cmd: []string{"/bin/sh", "-c", "trap 'exit 0' TERM INT; cat /etc/image; while :; do sleep 3600 & wait $!; done"}}, layers)
		if err != nil {
			return t, err
		}
		m := manifest{SchemaVersion: 2, MediaType: r.form.manifest}
		c := describe(r.form.config, config)
		m.Config = &c
		if err := p.blob(r.name, config); err != nil {
			return t, err
		}
		for _, l := range layers {
			m.Layers = append(m.Layers, describe(r.form.layer, l.gz))
			if err := p.blob(r.name, l.gz); err != nil {
				return t, err
			}
		}
		data, err := json.Marshal(m)
		if err != nil {
			return t, err
		}
		reference := digest(data)
		t.Platforms[name] = reference
		if r.form.index == "" {
			t.Digest, t.MediaType, reference = reference, r.form.manifest, tag
		}
		if err := p.manifest(r.name, reference, r.form.manifest, data); err != nil {
			return t, err
		}
		d := describe(r.form.manifest, data)
		d.Platform = &target
		index.Manifests = append(index.Manifests, d)
	}
	if r.form.index != "" {
		// Indented on purpose: who parses and writes a manifest again changes its digest.
		data, err := json.MarshalIndent(index, "", "   ")
		if err != nil {
			return t, err
		}
		t.Digest, t.MediaType = digest(data), r.form.index
		if err := p.manifest(r.name, tag, r.form.index, data); err != nil {
			return t, err
		}
	}
	return t, nil
}

// sign attaches a signature as cosign does; its bytes are made up, its shape is not.
func (p pusher) sign(repository string, subject truth) (truth, error) {
	payload, _ := json.Marshal(map[string]any{"critical": map[string]any{
		"identity": map[string]string{"docker-reference": "registry.opensuse.org/" + repository},
		"image":    map[string]string{"docker-manifest-digest": subject.Digest}, "type": "cosign container image signature"}, "optional": nil})
	config := []byte(`{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":["` + digest(payload) + `"]}}`)
	for _, blob := range [][]byte{payload, config} {
		if err := p.blob(repository, blob); err != nil {
			return truth{}, err
		}
	}
	l := describe("application/vnd.dev.cosign.simplesigning.v1+json", payload)
	l.Annotations = map[string]string{"dev.cosignproject.cosign/signature": "MEUCIQDemoSignatureOfNoOne=="}
	c := describe(ociConfig, config)
	data, err := json.Marshal(manifest{SchemaVersion: 2, MediaType: ociManifest, Config: &c, Layers: []descriptor{l}})
	if err != nil {
		return truth{}, err
	}
	tag := strings.Replace(subject.Digest, ":", "-", 1) + ".sig"
	return truth{Repository: repository, Tag: tag, Digest: digest(data), MediaType: ociManifest, Selected: true, Platforms: map[string]string{}},
		p.manifest(repository, tag, ociManifest, data)
}

func (p pusher) do(method, target string, body []byte, header map[string]string, want ...int) (*http.Response, []byte, error) {
	request, err := http.NewRequest(method, target, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for k, v := range header {
		request.Header.Set(k, v)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, nil, err
	}
	for _, status := range want {
		if response.StatusCode == status {
			return response, answer, nil
		}
	}
	return nil, nil, fmt.Errorf("%s %s: %s: %s", method, target, response.Status, answer)
}

func (p pusher) blob(repository string, data []byte) error {
	id := digest(data)
	response, _, err := p.do("HEAD", p.base+"/v2/"+repository+"/blobs/"+id, nil, nil, 200, 404)
	if err != nil || response.StatusCode == 200 {
		return err
	}
	response, _, err = p.do("POST", p.base+"/v2/"+repository+"/blobs/uploads/", nil, nil, 202)
	if err != nil {
		return err
	}
	location, err := response.Location()
	if err != nil {
		return err
	}
	query := location.Query()
	query.Set("digest", id)
	location.RawQuery = query.Encode()
	_, _, err = p.do("PUT", location.String(), data, map[string]string{"Content-Type": "application/octet-stream"}, 201)
	return err
}

func (p pusher) manifest(repository, reference, mediaType string, data []byte) error {
	_, _, err := p.do("PUT", p.base+"/v2/"+repository+"/manifests/"+url.PathEscape(reference), data, map[string]string{"Content-Type": mediaType}, 201)
	return err
}

func (p pusher) copyTag(repository, id, mediaType, tag string) error {
	_, data, err := p.do("GET", p.base+"/v2/"+repository+"/manifests/"+id, nil, map[string]string{"Accept": mediaType}, 200)
	if err != nil {
		return err
	}
	return p.manifest(repository, tag, mediaType, data)
}
