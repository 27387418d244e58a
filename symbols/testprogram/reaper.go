package testprogram

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// Variables of the environment: by the first all that tests start is known, also what that starts; with the second this
// program is what ends them.
const (
	mark   = "RI_TESTS"
	reaper = "RI_TESTS_REAPER"
)

func init() {
	if os.Getenv(reaper) != "" {
		reap()
	}
}

// Reap has what these tests start end with them, and folders go, also where the tests end by their time, by a panic or
// by a signal: no cleanup runs then, and a program that is left behind may spin for hours.
func Reap(folders ...string) {
	reaping.Do(func() {
		id := fmt.Sprintf("%d-%d", os.Getpid(), os.Getppid())
		if stat, err := os.ReadFile("/proc/self/stat"); err == nil { // the number is used again, the start isn't
			if fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]); len(fields) > 19 {
				id += "-" + string(fields[19])
			}
		}
		if err := os.Setenv(mark, id); err != nil {
			panic(err)
		}
	})
	end, alive, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command("/proc/self/exe", folders...)
	cmd.Env = append(os.Environ(), reaper+"=1")
	cmd.Stdin = end
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is for the tests
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	end.Close()
	held = append(held, alive)
}

var (
	reaping sync.Once
	once    = sync.OnceFunc(func() { Reap() })
	held    []*os.File // open as long as the tests
)

// reap waits for the tests' end, and ends what they started.
func reap() {
	io.Copy(io.Discard, os.Stdin)
	own := []byte(mark + "=" + os.Getenv(mark) + "\x00")
	for range 3 { // what was starting something else
		all, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, path := range all {
			env, err := os.ReadFile(path)
			if err != nil || !bytes.Contains(append([]byte{0}, env...), append([]byte{0}, own...)) ||
				bytes.Contains(env, []byte(reaper+"=")) {
				continue
			}
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && pid != os.Getpid() {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	for _, folder := range os.Args[1:] {
		os.RemoveAll(folder)
	}
	os.Exit(0)
}
