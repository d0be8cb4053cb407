// Command kit is what the bench is made of, without dependencies: it writes registries full of images, copies them as
// only somebody can who knows the answer, checks copies, and measures commands.
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{
		"corpus": corpus, "floor": floor, "verify": verify, "run": run, "list": list, "link": link,
		"load": load, "pki": pki, "port": port,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: kit corpus|floor|verify|run|list|link|load|pki|port ...")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "kit %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
