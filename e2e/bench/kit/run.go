package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// run measures a command with all its children: seconds of wall and CPU, the largest resident set in MiB, and the exit
// code, appended as one line with tabs.
func run(args []string) error {
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	out := flags.String("o", "", "file to append to")
	log := flags.String("log", "", "file for what the command prints")
	limit := flags.Duration("timeout", time.Hour, "when it is killed")
	flags.Parse(args)
	output, err := os.OpenFile(*log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer output.Close()
	command := exec.Command(flags.Arg(0), flags.Args()[1:]...)
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	start := time.Now()
	if err := command.Start(); err != nil {
		return err
	}
	kill := func() { syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	timer := time.AfterFunc(*limit, kill)
	go func() {
		<-signals
		kill()
	}()
	err = command.Wait()
	wall := time.Since(start)
	timer.Stop()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	usage := command.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	file, err := os.OpenFile(*out, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = fmt.Fprintf(file, "%.3f\t%.3f\t%d\t%d\n", wall.Seconds(), cpu.Seconds(), usage.Maxrss>>10, command.ProcessState.ExitCode())
	return err
}
