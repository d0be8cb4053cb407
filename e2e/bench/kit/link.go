package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// link is a line between two network namespaces with a delay and a rate, for kernels without netem: a TUN device on
// either side, whose packets this process hands over when they are due. Segmentation stays the kernel's (the devices
// take packets of up to 64 KiB together with the size they are to be cut to), so that a gigabit costs little CPU, and
// TCP behaves as over a line with an MTU of 1500.
func link(args []string) error {
	flags := flag.NewFlagSet("link", flag.ExitOnError)
	a := flags.String("a", "", "NETNS:DEVICE:ADDRESS/LENGTH of one end")
	b := flags.String("b", "", "of the other")
	delay := flags.Duration("delay", 20*time.Millisecond, "one way")
	rate := flags.Int("mbit", 1000, "Mbit/s each way")
	queue := flags.Int("queue", 16<<20, "bytes that may wait for the line each way; more are lost")
	flags.Parse(args)
	ends := []*os.File{}
	for _, end := range []string{*a, *b} {
		file, err := tun(end)
		if err != nil {
			return fmt.Errorf("%s: %w", end, err)
		}
		ends = append(ends, file)
	}
	failed := make(chan error, 2)
	go func() { failed <- forward(ends[0], ends[1], *delay, *rate, *queue) }()
	go func() { failed <- forward(ends[1], ends[0], *delay, *rate, *queue) }()
	fmt.Println("up")
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	select {
	case err := <-failed:
		return err
	case <-signals:
		return nil
	}
}

// tun makes a device in a namespace; the thread that went there ends with its goroutine.
func tun(end string) (*os.File, error) {
	parts := strings.SplitN(end, ":", 3)
	if len(parts) != 3 {
		return nil, errors.New("not NETNS:DEVICE:ADDRESS")
	}
	type result struct {
		file *os.File
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread()
		file, err := tunHere(parts[0], parts[1])
		done <- result{file, err}
	}()
	r := <-done
	if r.err != nil {
		return nil, r.err
	}
	for _, command := range [][]string{
		{"addr", "add", parts[2], "dev", parts[1]},
		{"link", "set", parts[1], "mtu", "1500", "txqueuelen", "10000", "up"},
	} {
		if out, err := exec.Command("ip", append([]string{"-n", parts[0]}, command...)...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ip %v: %w: %s", command, err, out)
		}
	}
	return r.file, nil
}

func tunHere(netns, name string) (*os.File, error) {
	ns, err := os.Open("/run/netns/" + netns)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	if _, _, e := syscall.RawSyscall(setns, ns.Fd(), syscall.CLONE_NEWNET, 0); e != 0 {
		return nil, e
	}
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	const iffTun, iffNoPI, iffVnetHdr = 0x1, 0x1000, 0x4000
	var request [40]byte
	copy(request[:15], name)
	binary.NativeEndian.PutUint16(request[16:], iffTun|iffNoPI|iffVnetHdr)
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), 0x400454ca, uintptr(unsafe.Pointer(&request))); e != 0 {
		return nil, fmt.Errorf("TUNSETIFF: %w", e)
	}
	const checksum, tso4, tso6 = 1, 2, 4
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), 0x400454d0, checksum|tso4|tso6); e != 0 {
		return nil, fmt.Errorf("TUNSETOFFLOAD: %w", e)
	}
	return os.NewFile(uintptr(fd), name), nil
}

type packet struct {
	data []byte
	due  time.Time
}

func forward(from, to *os.File, delay time.Duration, mbit, queue int) error {
	buffers := sync.Pool{New: func() any { return make([]byte, 10+65536) }}
	line := make(chan packet, 1<<16)
	failed := make(chan error, 1)
	go func() {
		for p := range line {
			if wait := time.Until(p.due); wait > 0 {
				time.Sleep(wait)
			}
			if _, err := to.Write(p.data); err != nil && !errors.Is(err, syscall.EIO) {
				failed <- err
				return
			}
			buffers.Put(p.data[:cap(p.data)])
		}
	}()
	var free time.Time
	perByte := 8000 / float64(mbit) // ns
	for {
		buffer := buffers.Get().([]byte)
		n, err := from.Read(buffer)
		if err != nil {
			return err
		}
		now := time.Now()
		if free.Before(now) {
			free = now
		}
		if waiting := int(float64(free.Sub(now)) / perByte); waiting > queue {
			buffers.Put(buffer)
			continue
		}
		// Every segment has its headers, and an Ethernet frame around it.
		size := n - 10
		if segment := int(binary.NativeEndian.Uint16(buffer[4:])); segment > 0 {
			size += (size / segment) * (52 + 38)
		}
		free = free.Add(time.Duration(float64(size+38) * perByte))
		select {
		case line <- packet{buffer[:n], free.Add(delay)}:
		case err := <-failed:
			return err
		}
	}
}
