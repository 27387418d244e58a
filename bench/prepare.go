//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	dlvModule  = "github.com/go-delve/delve/cmd/dlv"
	dlvVersion = "v1.27.2"

	prometheusModule  = "github.com/prometheus/prometheus"
	prometheusVersion = "v0.315.0"
)

// prepare finds or builds all that the measures need.
func (b *bench) prepare(ctx context.Context, match *regexp.Regexp) (err error) {
	for _, path := range []*string{&b.ri, &b.dir} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	if _, err := os.Stat(b.ri); err != nil {
		return fmt.Errorf("%w: run `make build` first", err)
	}
	if b.scripts, err = os.MkdirTemp("", "ri-bench"); err != nil {
		return err
	}
	b.cache = filepath.Join(b.scripts, "cache")
	b.target = filepath.Join(b.dir, "target")
	if err := command(ctx, ".", nil, "go", "build", "-o", b.target, "./bench/target"); err != nil {
		return err
	}
	if b.noPeers {
		return nil
	}
	b.dlv = filepath.Join(b.dir, "dlv")
	if out, err := exec.CommandContext(ctx, b.dlv, "version").Output(); err != nil ||
		!strings.Contains(string(out), strings.TrimPrefix(dlvVersion, "v")) {
		fmt.Fprintf(os.Stderr, "installing %s@%s...\n", dlvModule, dlvVersion)
		if err := command(ctx, ".", []string{"GOBIN=" + b.dir, "GOFLAGS="}, "go", "install",
			dlvModule+"@"+dlvVersion); err != nil {
			return err
		}
	}
	b.gdb, _ = exec.LookPath("gdb")
	return nil
}

// prometheus gives the path of an executable of 140 MB: the one that BENCH_PROMETHEUS names, else built from the module
// proxy.
func (b *bench) prometheus(ctx context.Context) (string, error) {
	if path := os.Getenv("BENCH_PROMETHEUS"); path != "" {
		return path, nil
	}
	path := filepath.Join(b.dir, "prometheus-"+prometheusVersion)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintf(os.Stderr, "building %s@%s, which takes some minutes...\n", prometheusModule, prometheusVersion)
	dir, err := os.MkdirTemp("", "ri-bench-prometheus")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	for _, args := range [][]string{
		{"mod", "init", "example.org/bench"},
		{"get", prometheusModule + "/cmd/prometheus@" + prometheusVersion},
		{"build", "-o", path + ".new", prometheusModule + "/cmd/prometheus"},
	} {
		if err := command(ctx, dir, []string{"GOFLAGS=-mod=mod", "GOWORK=off"}, "go", args...); err != nil {
			return "", err
		}
	}
	return path, os.Rename(path+".new", path)
}

// printPrometheus builds Prometheus for others, the tests of its pack, and says where it is.
func (b *bench) printPrometheus(ctx context.Context) error {
	dir, err := filepath.Abs(b.dir)
	if err != nil {
		return err
	}
	b.dir = dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path, err := b.prometheus(ctx)
	if err == nil {
		fmt.Println(path)
	}
	return err
}

func command(ctx context.Context, dir string, env []string, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// script writes a file for this run and gives its path.
func (b *bench) script(name, text string) string {
	path := filepath.Join(b.scripts, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		panic(err) // the directory is ours, made a moment ago
	}
	return path
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
