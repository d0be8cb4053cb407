package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// image is one tag of the answer; its blobs are the configuration and the layers.
type image struct {
	Tag    string       `json:"tag"`
	Digest string       `json:"digest"`
	Size   int64        `json:"size"`
	Blobs  []descriptor `json:"blobs"`
}

type repository struct {
	Name   string  `json:"name"`
	Images []image `json:"images"`
}

// answer is what a registry holds, so that a floor and a check need not ask the tool they judge.
type answer struct {
	Repositories []repository `json:"repositories"`
	Tags         int          `json:"tags"`
	UniqueBytes  int64        `json:"uniqueBytes"`
	TotalBytes   int64        `json:"totalBytes"`
}

func readAnswer(path string) (answer, error) {
	var a answer
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	return a, err
}

// recipe says what to make: the layers of every tag, by name; what has one name is one blob.
type ingredient struct {
	name string
	size int64
}

type plan struct {
	repository string
	tags       []string
	layers     func(tag int) []ingredient
}

// corpus writes the storage of a registry (distribution's filesystem layout), which is many times faster than pushing.
func corpus(args []string) error {
	flags := flag.NewFlagSet("corpus", flag.ExitOnError)
	shape := flags.String("shape", "shared", "shared, unshared, small or big")
	out := flags.String("out", "", "root directory of the registry's storage")
	answerFile := flags.String("answer", "", "file that gets what was written, as JSON")
	repositories := flags.Int("repositories", 30, "how many")
	tags := flags.Int("tags", 4, "how many in each repository")
	size := flags.Float64("size", 1, "factor for the size of layers; of shape big: its GiB")
	moved := flags.Int("moved", 0, "percentage of tags that have moved on since the corpus without this flag")
	flags.Parse(args)
	w := storage{root: filepath.Join(*out, "docker/registry/v2"), known: map[string]made{}}
	mib := func(n float64) int64 { return int64(n * *size * (1 << 20)) }
	var plans []plan
	for r := range *repositories {
		p := plan{repository: fmt.Sprintf("bench/app%03d", r)}
		for t := range *tags {
			p.tags = append(p.tags, fmt.Sprintf("1.%d.0", t))
		}
		generation := func(t int) int {
			if *moved > 0 && (r**tags+t)%(100 / *moved) == 0 {
				return 1
			}
			return 0
		}
		switch *shape {
		case "shared":
			// A distribution, a language on it, an application on that, a release on that.
			p.layers = func(t int) []ingredient {
				base := r % 3
				var all []ingredient
				for i, n := range []float64{28, 10, 5, 2, 0.5} {
					all = append(all, ingredient{fmt.Sprintf("base%d/%d", base, i), mib(n)})
				}
				return append(all,
					ingredient{fmt.Sprintf("app%d", r), mib(3)},
					ingredient{fmt.Sprintf("app%d/%d/%d", r, t, generation(t)), mib(1)})
			}
		case "unshared":
			p.layers = func(t int) []ingredient {
				own := fmt.Sprintf("own%d/%d/%d", r, t, generation(t))
				return []ingredient{{own + "/a", mib(8)}, {own + "/b", mib(2)}, {own + "/c", mib(0.5)}}
			}
		case "small":
			p.layers = func(t int) []ingredient {
				return []ingredient{{fmt.Sprintf("small%d", r), 4 << 10},
					{fmt.Sprintf("small%d/%d/%d", r, t, generation(t)), 2 << 10}}
			}
		case "big":
			p.layers = func(t int) []ingredient {
				var all []ingredient
				for i, n := range []float64{4. / 8, 2. / 8, 1. / 8, 0.5 / 8, 0.25 / 8, 0.25 / 8} {
					all = append(all, ingredient{fmt.Sprintf("big%d/%d/%d", r, t, i), mib(n * 1024)})
				}
				return all
			}
		default:
			return fmt.Errorf("no shape %q", *shape)
		}
		plans = append(plans, p)
	}
	var a answer
	for _, p := range plans {
		r := repository{Name: p.repository}
		for t, tag := range p.tags {
			i, err := w.image(p.repository, tag, p.layers(t))
			if err != nil {
				return err
			}
			r.Images = append(r.Images, i)
			a.Tags++
			a.TotalBytes += i.Size
			for _, b := range i.Blobs {
				a.TotalBytes += b.Size
			}
		}
		a.Repositories = append(a.Repositories, r)
	}
	a.UniqueBytes = w.written
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d tags in %d repositories, %d MiB, %d MiB of it unique\n",
		*shape, a.Tags, len(a.Repositories), a.TotalBytes>>20, a.UniqueBytes>>20)
	return os.WriteFile(*answerFile, data, 0o644)
}

type made struct {
	descriptor descriptor
	diffID     string
}

type storage struct {
	root    string
	known   map[string]made
	written int64
}

func (w *storage) image(name, tag string, layers []ingredient) (image, error) {
	var all []made
	for _, l := range layers {
		m, ok := w.known[l.name]
		if !ok {
			var err error
			if m, err = w.layer(l); err != nil {
				return image{}, err
			}
			w.known[l.name] = m
		}
		all = append(all, m)
	}
	ids := []string{}
	for _, m := range all {
		ids = append(ids, m.diffID)
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{"Labels": map[string]string{"image": name + ":" + tag}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": ids},
	})
	if err != nil {
		return image{}, err
	}
	c, err := w.blob(configType, config)
	if err != nil {
		return image{}, err
	}
	descriptors := []descriptor{c}
	layerDescriptors := []descriptor{}
	for _, m := range all {
		layerDescriptors = append(layerDescriptors, m.descriptor)
	}
	descriptors = append(descriptors, layerDescriptors...)
	data, err := json.MarshalIndent(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": c, "layers": layerDescriptors}, "", "  ")
	if err != nil {
		return image{}, err
	}
	m, err := w.blob(manifestType, data)
	if err != nil {
		return image{}, err
	}
	repo := filepath.Join(w.root, "repositories", name)
	links := map[string]string{
		path(repo, "_manifests/revisions", m.Digest):                m.Digest,
		filepath.Join(repo, "_manifests/tags", tag, "current/link"): m.Digest,
		path(repo, "_manifests/tags/"+tag+"/index", m.Digest):       m.Digest,
	}
	for _, d := range descriptors {
		links[path(repo, "_layers", d.Digest)] = d.Digest
	}
	for file, text := range links {
		if err := write(file, []byte(text)); err != nil {
			return image{}, err
		}
	}
	return image{Tag: tag, Digest: m.Digest, Size: m.Size, Blobs: descriptors}, nil
}

func path(repo, kind, digest string) string {
	return filepath.Join(repo, kind, "sha256", strings.TrimPrefix(digest, "sha256:"), "link")
}

func write(file string, data []byte) error {
	if _, err := os.Stat(file); err == nil && !strings.HasSuffix(file, "current/link") {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

func (w *storage) data(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	return filepath.Join(w.root, "blobs/sha256", hex[:2], hex, "data")
}

func (w *storage) blob(mediaType string, data []byte) (descriptor, error) {
	sum := sha256.Sum256(data)
	d := descriptor{mediaType, "sha256:" + hex.EncodeToString(sum[:]), int64(len(data))}
	w.written += d.Size
	return d, write(w.data(d.Digest), data)
}

type tee struct {
	hash.Hash
	to    io.Writer
	count int64
}

func (t *tee) Write(data []byte) (int, error) {
	t.Hash.Write(data)
	t.count += int64(len(data))
	return t.to.Write(data)
}

func (t *tee) digest() string { return "sha256:" + hex.EncodeToString(t.Sum(nil)) }

// layer writes a tar with one file that cannot be compressed, in gzip's clothes: what copiers look at is there.
func (w *storage) layer(l ingredient) (made, error) {
	if err := os.MkdirAll(filepath.Join(w.root, "blobs"), 0o755); err != nil {
		return made{}, err
	}
	file, err := os.CreateTemp(filepath.Join(w.root, "blobs"), "new")
	if err != nil {
		return made{}, err
	}
	defer file.Close()
	buffered := bufio.NewWriterSize(file, 1<<20)
	packed := &tee{Hash: sha256.New(), to: buffered}
	z, err := gzip.NewWriterLevel(packed, gzip.NoCompression)
	if err != nil {
		return made{}, err
	}
	plain := &tee{Hash: sha256.New(), to: z}
	t := tar.NewWriter(plain)
	if err := t.WriteHeader(&tar.Header{Name: "opt/content", Mode: 0o644, Size: l.size, ModTime: time.Unix(1, 0)}); err != nil {
		return made{}, err
	}
	if _, err := io.CopyN(t, rand.NewChaCha8(sha256.Sum256([]byte(l.name))), l.size); err != nil {
		return made{}, err
	}
	for _, c := range []io.Closer{t, z} {
		if err := c.Close(); err != nil {
			return made{}, err
		}
	}
	if err := buffered.Flush(); err != nil {
		return made{}, err
	}
	m := made{descriptor{layerType, packed.digest(), packed.count}, plain.digest()}
	w.written += packed.count
	place := w.data(m.descriptor.Digest)
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return made{}, err
	}
	return m, os.Rename(file.Name(), place)
}

// verify compares the storage of a registry with the answer: every tag, link and byte.
func verify(args []string) error {
	flags := flag.NewFlagSet("verify", flag.ExitOnError)
	root := flags.String("root", "", "root directory of the registry's storage")
	answerFile := flags.String("answer", "", "what must be there")
	flags.Parse(args)
	a, err := readAnswer(*answerFile)
	if err != nil {
		return err
	}
	w := storage{root: filepath.Join(*root, "docker/registry/v2")}
	hashed := map[string]bool{}
	whole := func(digest string, size int64) error {
		if hashed[digest] {
			return nil
		}
		hashed[digest] = true
		file, err := os.Open(w.data(digest))
		if err != nil {
			return err
		}
		defer file.Close()
		h := sha256.New()
		n, err := io.CopyBuffer(struct{ io.Writer }{h}, file, make([]byte, 1<<20))
		if err != nil || n != size || "sha256:"+hex.EncodeToString(h.Sum(nil)) != digest {
			return fmt.Errorf("%s has %d of %d bytes, or others (%v)", digest, n, size, err)
		}
		return nil
	}
	link := func(file, want string) error {
		data, err := os.ReadFile(file)
		if err == nil && !bytes.Equal(data, []byte(want)) {
			err = fmt.Errorf("%s is %s, not %s", file, data, want)
		}
		return err
	}
	for _, r := range a.Repositories {
		repo := filepath.Join(w.root, "repositories", r.Name)
		for _, i := range r.Images {
			if err := link(filepath.Join(repo, "_manifests/tags", i.Tag, "current/link"), i.Digest); err != nil {
				return err
			}
			if err := link(path(repo, "_manifests/revisions", i.Digest), i.Digest); err != nil {
				return err
			}
			if err := whole(i.Digest, i.Size); err != nil {
				return err
			}
			for _, b := range i.Blobs {
				if err := link(path(repo, "_layers", b.Digest), b.Digest); err != nil {
					return err
				}
				if err := whole(b.Digest, b.Size); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// list prints what an answer holds: repositories, or REPOSITORY TAG lines.
func list(args []string) error {
	flags := flag.NewFlagSet("list", flag.ExitOnError)
	answerFile := flags.String("answer", "", "what to list")
	tags := flags.Bool("tags", false, "one line for each tag")
	flags.Parse(args)
	a, err := readAnswer(*answerFile)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for _, r := range a.Repositories {
		if !*tags {
			fmt.Fprintln(out, r.Name)
			continue
		}
		for _, i := range r.Images {
			fmt.Fprintln(out, r.Name, i.Tag)
		}
	}
	return nil
}
