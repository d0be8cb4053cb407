// Command oracle tells what the real readers of a node's configuration make of it: go.podman.io/image (CRI-O, podman)
// and containerd's host directories. It reads cases as JSON lines and answers each with one line:
//
//	{"files": {"containers/registries.conf": "...", "certs.d/host/hosts.toml": "..."}, "root": "DIR", "images": ["host/repo:tag"]}
//	{"library": {"error": "", "images": [{"error": "", "asks": ["..."]}]}, "containerd": {"errors": ["..."], "images": [...]}}
//
// Files are written to a directory of memory for each case; with "root", a directory that exists already is read instead,
// laid out as a node's /etc (containers/, containerd/certs.d/).
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/log"
	distribution "github.com/distribution/reference"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"
)

type question struct {
	Files  map[string]string `json:"files"`
	Root   string            `json:"root"`
	Images []string          `json:"images"`
}

type image struct {
	Error string   `json:"error"`
	Asks  []string `json:"asks"`
}

type library struct {
	Error  string   `json:"error"`
	Images []image  `json:"images"`
	Search []string `json:"search"`
	Mode   string   `json:"mode"`
}

type containerd struct {
	Errors []string `json:"errors"`
	Images []image  `json:"images"`
}

type answer struct {
	Library    library    `json:"library"`
	Containerd containerd `json:"containerd"`
}

func main() {
	scratch, err := os.MkdirTemp(memory(), "oracle-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
	defer os.RemoveAll(scratch)
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 && err == io.EOF {
			return
		}
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			fmt.Fprintln(os.Stderr, "oracle: no question:", err)
			os.Exit(2)
		}
		root := q.Root
		if root == "" {
			root = filepath.Join(scratch, "etc")
			os.RemoveAll(root)
			if err := lay(root, q.Files); err != nil {
				fmt.Fprintln(os.Stderr, "oracle:", err)
				os.Exit(1)
			}
		}
		text, err := json.Marshal(answer{askLibrary(root, q.Images), askContainerd(root, q.Images)})
		if err != nil {
			fmt.Fprintln(os.Stderr, "oracle:", err)
			os.Exit(1)
		}
		out.Write(append(text, '\n'))
		out.Flush()
	}
}

func memory() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

func lay(root string, files map[string]string) error {
	for _, directory := range []string{"containers/registries.conf.d", "containerd/certs.d"} {
		if err := os.MkdirAll(filepath.Join(root, directory), 0o755); err != nil {
			return err
		}
	}
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// askLibrary does what docker_image_src.go does before it connects anywhere.
func askLibrary(root string, names []string) library {
	main := filepath.Join(root, "containers/registries.conf")
	if _, err := os.Stat(main); err != nil {
		main = "/dev/null"
	}
	sys := &types.SystemContext{
		SystemRegistriesConfPath:    main,
		SystemRegistriesConfDirPath: filepath.Join(root, "containers/registries.conf.d"),
	}
	sysregistriesv2.InvalidateCache()
	if _, err := sysregistriesv2.GetRegistries(sys); err != nil {
		return library{Error: err.Error(), Images: []image{}}
	}
	found := library{Images: []image{}}
	found.Search, _ = sysregistriesv2.UnqualifiedSearchRegistries(sys)
	if mode, err := sysregistriesv2.GetShortNameMode(sys); err == nil {
		found.Mode = map[types.ShortNameMode]string{
			types.ShortNameModeDisabled: "disabled", types.ShortNameModePermissive: "permissive", types.ShortNameModeEnforcing: "enforcing",
		}[mode]
	}
	for _, name := range names {
		found.Images = append(found.Images, askLibraryFor(sys, name))
	}
	return found
}

func askLibraryFor(sys *types.SystemContext, name string) image {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return image{Error: err.Error()}
	}
	ref = reference.TagNameOnly(ref)
	if tagged, ok := ref.(reference.NamedTagged); ok {
		if canonical, ok := ref.(reference.Canonical); ok { // docker.ParseReference refuses both; podman drops the tag
			_ = tagged
			if ref, err = reference.WithDigest(reference.TrimNamed(ref), canonical.Digest()); err != nil {
				return image{Error: err.Error()}
			}
		}
	}
	registry, err := sysregistriesv2.FindRegistry(sys, ref.Name())
	if err != nil {
		return image{Error: err.Error()}
	}
	if registry == nil {
		registry = &sysregistriesv2.Registry{Prefix: ref.String(), Endpoint: sysregistriesv2.Endpoint{Location: ref.String()}}
	}
	sources, err := registry.PullSourcesFromReference(ref)
	if err != nil {
		return image{Error: err.Error()}
	}
	found := image{Asks: []string{}}
	for _, source := range sources {
		ask := source.Reference.String()
		if source.Endpoint.Insecure {
			ask += " (insecure)"
		}
		// newDockerClientFromRef looks the place up again, by its own name.
		physical, err := sysregistriesv2.FindRegistry(sys, source.Reference.Name())
		if err != nil {
			return image{Error: err.Error()}
		}
		if physical != nil && physical.Blocked {
			ask += " (blocked)"
		}
		found.Asks = append(found.Asks, ask)
	}
	return found
}

// complaints collects what containerd would write to its log and pass over.
type complaints struct{ lines []string }

func (c *complaints) Write(line []byte) (int, error) {
	c.lines = append(c.lines, strings.TrimSpace(string(line)))
	return len(line), nil
}

func askContainerd(root string, names []string) containerd {
	directory := filepath.Join(root, "containerd/certs.d")
	said := &complaints{}
	logger := log.L.Logger
	logger.SetOutput(said)
	logger.SetLevel(4 - 2) // errors
	found := containerd{Errors: []string{}, Images: []image{}}
	hosts := config.ConfigureHosts(context.Background(), config.HostOptions{HostDir: config.HostDirFromRoot(directory)})
	for _, name := range names {
		found.Images = append(found.Images, askContainerdFor(hosts, name))
	}
	// Files that none of the images leads to are to be readable too.
	entries, _ := os.ReadDir(directory)
	for _, entry := range entries {
		if entry.IsDir() {
			whole := config.ConfigureHosts(context.Background(), config.HostOptions{
				HostDir: func(string) (string, error) { return filepath.Join(directory, entry.Name()), nil },
			})
			if _, err := whole("any.example"); err != nil {
				said.lines = append(said.lines, entry.Name()+": "+err.Error())
			}
		}
	}
	found.Errors = append(found.Errors, said.lines...)
	return found
}

func askContainerdFor(hosts docker.RegistryHosts, name string) image {
	ref, err := distribution.ParseNormalizedNamed(name)
	if err != nil {
		return image{Error: err.Error()}
	}
	ref = distribution.TagNameOnly(ref)
	wanted := docker.HostCapabilityResolve
	if _, ok := ref.(distribution.Canonical); ok {
		wanted = docker.HostCapabilityPull
	}
	candidates, err := hosts(distribution.Domain(ref))
	if err != nil {
		return image{Error: err.Error()}
	}
	found := image{Asks: []string{}}
	for _, host := range candidates {
		if host.Capabilities.Has(wanted) {
			ask := host.Scheme + "://" + host.Host + host.Path + "/" + distribution.Path(ref)
			if skips(host) {
				ask += " (insecure)"
			}
			found.Asks = append(found.Asks, ask)
		}
	}
	return found
}
