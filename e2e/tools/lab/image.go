package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"time"
)

const (
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	ociConfig      = "application/vnd.oci.image.config.v1+json"
	ociLayer       = "application/vnd.oci.image.layer.v1.tar+gzip"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

var epoch = time.Unix(1, 0).UTC()

// file is an entry of a layer; link makes it a symbolic link.
type file struct {
	path string
	mode int64
	data []byte
	link string
}

// layer is a gzipped tar and the digest of the tar.
type layer struct {
	gz     []byte
	diffID string
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Variant      string `json:"variant,omitempty"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        *descriptor  `json:"config,omitempty"`
	Layers        []descriptor `json:"layers,omitempty"`
	Manifests     []descriptor `json:"manifests,omitempty"`
}

// runConfig is the part of an image's configuration that says how it runs.
type runConfig struct {
	User       string   `json:"User,omitempty"`
	Env        []string `json:"Env,omitempty"`
	Entrypoint []string `json:"Entrypoint,omitempty"`
	Cmd        []string `json:"Cmd,omitempty"`
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func describe(mediaType string, data []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: digest(data), Size: len(data)}
}

func newLayer(files []file) (layer, error) {
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	made := map[string]bool{}
	sort.Slice(files, func(a, b int) bool { return files[a].path < files[b].path })
	for _, f := range files {
		path := strings.TrimPrefix(f.path, "/")
		parts := strings.Split(path, "/")
		for i := 1; i < len(parts); i++ {
			if dir := strings.Join(parts[:i], "/") + "/"; dir != path && !made[dir] {
				made[dir] = true
				if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: epoch}); err != nil {
					return layer{}, err
				}
			}
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: f.mode, Size: int64(len(f.data)), ModTime: epoch}
		if f.link != "" {
			header = &tar.Header{Typeflag: tar.TypeSymlink, Name: path, Linkname: f.link, Mode: 0o777, ModTime: epoch}
		}
		if strings.HasSuffix(path, "/") {
			header = &tar.Header{Typeflag: tar.TypeDir, Name: path, Mode: f.mode, ModTime: epoch}
		}
		if err := w.WriteHeader(header); err != nil {
			return layer{}, err
		}
		if _, err := w.Write(f.data); err != nil {
			return layer{}, err
		}
	}
	if err := w.Close(); err != nil {
		return layer{}, err
	}
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	z.Write(plain.Bytes())
	if err := z.Close(); err != nil {
		return layer{}, err
	}
	return layer{gz: packed.Bytes(), diffID: digest(plain.Bytes())}, nil
}

func newConfig(p platform, run runConfig, layers []layer) ([]byte, error) {
	ids := []string{}
	for _, l := range layers {
		ids = append(ids, l.diffID)
	}
	return json.Marshal(map[string]any{
		"architecture": p.Architecture, "os": p.OS, "created": epoch, "config": run,
		"rootfs": map[string]any{"type": "layers", "diff_ids": ids},
	})
}

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// image writes a one-layer OCI archive from files of this machine, as `ctr images import` reads it.
func image(args []string) error {
	flags := flag.NewFlagSet("image", flag.ExitOnError)
	out := flags.String("o", "", "archive to write")
	name := flags.String("name", "", "name with tag")
	var contents, entrypoint, cmd, env list
	flags.Var(&contents, "file", "SOURCE:PATH[:MODE] (repeatable; MODE is octal, default 755)")
	flags.Var(&entrypoint, "entrypoint", "one word of it (repeatable)")
	flags.Var(&cmd, "cmd", "one word of it (repeatable)")
	flags.Var(&env, "env", "NAME=VALUE (repeatable)")
	flags.Parse(args)
	files := []file{{path: "tmp/", mode: 0o1777}}
	for _, c := range contents {
		parts := strings.Split(c, ":")
		f := file{path: parts[1], mode: 0o755}
		if len(parts) > 2 {
			mode, err := strconv.ParseInt(parts[2], 8, 64)
			if err != nil {
				return err
			}
			f.mode = mode
		}
		data, err := os.ReadFile(parts[0])
		if err != nil {
			return err
		}
		f.data = data
		files = append(files, f)
	}
	content, err := newLayer(files)
	if err != nil {
		return err
	}
	config, err := newConfig(platform{Architecture: runtime.GOARCH, OS: "linux"}, runConfig{Entrypoint: entrypoint, Cmd: cmd, Env: env}, []layer{content})
	if err != nil {
		return err
	}
	configDescriptor := describe(ociConfig, config)
	manifestBytes, err := json.Marshal(manifest{SchemaVersion: 2, MediaType: ociManifest, Config: &configDescriptor, Layers: []descriptor{describe(ociLayer, content.gz)}})
	if err != nil {
		return err
	}
	d := describe(ociManifest, manifestBytes)
	d.Annotations = map[string]string{"io.containerd.image.name": *name, "org.opencontainers.image.ref.name": (*name)[strings.LastIndex(*name, ":")+1:]}
	index, err := json.Marshal(manifest{SchemaVersion: 2, MediaType: ociIndex, Manifests: []descriptor{d}})
	if err != nil {
		return err
	}
	entries := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`), "index.json": index}
	for _, blob := range [][]byte{content.gz, config, manifestBytes} {
		entries["blobs/sha256/"+strings.TrimPrefix(digest(blob), "sha256:")] = blob
	}
	return writeTar(*out, entries)
}

func writeTar(path string, entries map[string][]byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	names := []string{}
	for n := range entries {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: n, Mode: int64(fs.FileMode(0o644)), Size: int64(len(entries[n])), ModTime: epoch}); err != nil {
			return err
		}
		if _, err := w.Write(entries[n]); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.Rename(path+".tmp", path)
}
