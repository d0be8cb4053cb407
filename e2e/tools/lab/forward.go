package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// forward listens here and connects inside a network namespace. A socket stays in the namespace it was made in: so it
// listens first, and then runs itself again under nsenter with the listening socket as file 3.
func forward(args []string) error {
	flags := flag.NewFlagSet("forward", flag.ExitOnError)
	netns := flags.String("netns", "", "path of the network namespace to connect in")
	listen := flags.String("listen", "127.0.0.1:0", "where to listen")
	to := flags.String("to", "", "where to connect")
	addressFile := flags.String("address-file", "", "file that gets the address listened on")
	inside := flags.Bool("inside", false, "(internal) the second run")
	flags.Parse(args)
	if !*inside {
		listener, err := net.Listen("tcp", *listen)
		if err != nil {
			return err
		}
		if err := os.WriteFile(*addressFile, []byte(listener.Addr().String()+"\n"), 0o644); err != nil {
			return err
		}
		file, err := listener.(*net.TCPListener).File()
		if err != nil {
			return err
		}
		self, err := os.Executable()
		if err != nil {
			return err
		}
		nsenter, err := exec.LookPath("nsenter")
		if err != nil {
			return err
		}
		if err := syscall.Dup2(int(file.Fd()), 3); err != nil {
			return err
		}
		return syscall.Exec(nsenter, []string{"nsenter", "--net=" + *netns, self, "forward", "-inside", "-to", *to}, os.Environ())
	}
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return fmt.Errorf("file 3 is no listener: %w", err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer client.Close()
			server, err := net.Dial("tcp", *to)
			if err != nil {
				return
			}
			defer server.Close()
			var both sync.WaitGroup
			for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
				both.Add(1)
				go func() {
					defer both.Done()
					io.Copy(pair[0], pair[1])
					pair[0].(*net.TCPConn).CloseWrite()
				}()
			}
			both.Wait()
		}()
	}
}
