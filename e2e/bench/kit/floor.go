package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"sync"
	"time"
)

// floor copies as only somebody can who knows the answer: it asks nothing, checks nothing, moves each byte once, mounts
// the rest, and keeps n connections to each registry busy. With -check it asks once for every tag, and that is all.
func floor(args []string) error {
	flags := flag.NewFlagSet("floor", flag.ExitOnError)
	source := flags.String("source", "", "URL of the registry to read")
	target := flags.String("target", "", "URL of the registry to fill")
	answerFile := flags.String("answer", "", "what the source holds")
	before := flags.String("before", "", "what the target holds already")
	n := flags.Int("n", 32, "requests at once")
	check := flags.Bool("check", false, "only ask for every tag")
	flags.Parse(args)
	a, err := readAnswer(*answerFile)
	if err != nil {
		return err
	}
	f := &mover{source: *source, target: *target, busy: make(chan bool, *n), home: map[string]string{}, there: map[string]bool{},
		client: &http.Client{Timeout: 30 * time.Minute, Transport: &http.Transport{
			MaxIdleConnsPerHost: 2 * *n, MaxIdleConns: 0, DisableCompression: true,
			ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10}}}
	if *before != "" {
		b, err := readAnswer(*before)
		if err != nil {
			return err
		}
		for _, r := range b.Repositories {
			for _, i := range r.Images {
				f.there[r.Name+":"+i.Tag+"@"+i.Digest] = true
				for _, d := range i.Blobs {
					f.there[r.Name+"@"+d.Digest] = true
					f.home[d.Digest] = r.Name
				}
			}
		}
	}
	if *check {
		return f.check(a)
	}
	return f.copy(a)
}

type mover struct {
	source, target string
	client         *http.Client
	busy           chan bool
	home           map[string]string
	there          map[string]bool
	wait           sync.WaitGroup
	lock           sync.Mutex
	failure        error
}

func (f *mover) check(a answer) error {
	for _, r := range a.Repositories {
		for _, i := range r.Images {
			f.later(func() error { return f.do("HEAD", f.source+"/v2/"+r.Name+"/manifests/"+i.Tag, nil, 200, nil) })
		}
	}
	f.wait.Wait()
	return f.failure
}

// blob is one blob on its way: who needs it once it is there.
type blob struct {
	descriptor
	repositories []string
	images       []*pending
}

type pending struct {
	repository string
	image      image
	missing    sync.WaitGroup
}

func (f *mover) copy(a answer) error {
	blobs := map[string]*blob{}
	var images []*pending
	for _, r := range a.Repositories {
		wanted := map[string]bool{}
		for _, i := range r.Images {
			if f.there[r.Name+":"+i.Tag+"@"+i.Digest] {
				continue
			}
			p := &pending{repository: r.Name, image: i}
			images = append(images, p)
			for _, d := range i.Blobs {
				if f.there[r.Name+"@"+d.Digest] {
					continue
				}
				b := blobs[d.Digest]
				if b == nil {
					b = &blob{descriptor: d}
					blobs[d.Digest] = b
				}
				if !wanted[d.Digest] {
					wanted[d.Digest] = true
					b.repositories = append(b.repositories, r.Name)
				}
				p.missing.Add(1)
				b.images = append(b.images, p)
			}
		}
	}
	var order []*blob
	for _, b := range blobs {
		order = append(order, b)
	}
	sort.Slice(order, func(i, j int) bool { return order[i].Size > order[j].Size })
	for _, p := range images {
		var data []byte
		f.wait.Add(1)
		ready := make(chan bool)
		f.later(func() error {
			defer close(ready)
			return f.do("GET", f.source+"/v2/"+p.repository+"/manifests/"+p.image.Digest, nil, 200, func(r *http.Response) error {
				var err error
				data, err = io.ReadAll(r.Body)
				return err
			})
		})
		go func() {
			defer f.wait.Done()
			<-ready
			p.missing.Wait()
			f.later(func() error {
				return f.put(f.target+"/v2/"+p.repository+"/manifests/"+p.image.Tag, bytes.NewReader(data), int64(len(data)), manifestType)
			})
		}()
	}
	for _, b := range order {
		f.later(func() error {
			home, known := f.home[b.Digest]
			rest := b.repositories
			if !known {
				home, rest = rest[0], rest[1:]
				if err := f.move(home, b.descriptor); err != nil {
					return err
				}
			}
			for _, r := range rest {
				f.wait.Add(1)
				go func() {
					defer f.wait.Done()
					f.busy <- true
					f.fail(f.do("POST", f.target+"/v2/"+r+"/blobs/uploads/?mount="+b.Digest+"&from="+url.QueryEscape(home), nil, 201, nil))
					<-f.busy
					f.arrived(b, r)
				}()
			}
			if !known {
				f.arrived(b, home)
			}
			return nil
		})
	}
	f.wait.Wait()
	return f.failure
}

func (f *mover) arrived(b *blob, repository string) {
	for _, p := range b.images {
		if p.repository == repository {
			p.missing.Done()
		}
	}
}

// later does something when one of the n is free.
func (f *mover) later(action func() error) {
	f.wait.Add(1)
	go func() {
		defer f.wait.Done()
		f.busy <- true
		defer func() { <-f.busy }()
		f.fail(action())
	}()
}

func (f *mover) fail(err error) {
	f.lock.Lock()
	defer f.lock.Unlock()
	if err != nil && f.failure == nil {
		f.failure = err
	}
}

func (f *mover) move(repository string, d descriptor) error {
	var location *url.URL
	err := f.do("POST", f.target+"/v2/"+repository+"/blobs/uploads/", nil, 202, func(r *http.Response) error {
		var err error
		location, err = r.Location()
		return err
	})
	if err != nil {
		return err
	}
	query := location.Query()
	query.Set("digest", d.Digest)
	location.RawQuery = query.Encode()
	return f.do("GET", f.source+"/v2/"+repository+"/blobs/"+d.Digest, nil, 200, func(r *http.Response) error {
		return f.put(location.String(), r.Body, d.Size, "application/octet-stream")
	})
}

func (f *mover) put(target string, body io.Reader, size int64, mediaType string) error {
	request, err := http.NewRequest("PUT", target, body)
	if err != nil {
		return err
	}
	request.ContentLength = size
	request.Header.Set("Content-Type", mediaType)
	return f.send(request, 201, nil)
}

func (f *mover) do(method, target string, body io.Reader, want int, read func(*http.Response) error) error {
	request, err := http.NewRequest(method, target, body)
	if err != nil {
		return err
	}
	if strings.Contains(target, "/manifests/") {
		request.Header.Set("Accept", manifestType)
	}
	return f.send(request, want, read)
}

func (f *mover) send(request *http.Request, want int, read func(*http.Response) error) error {
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != want {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		return fmt.Errorf("%s %s: %s: %s", request.Method, request.URL, response.Status, text)
	}
	if read != nil {
		return read(response)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
