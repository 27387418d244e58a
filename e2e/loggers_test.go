package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ri/symbols/testprogram"
)

// The recipe log-level on each library that it knows: the program logs more, then less, then as before, also after
// collections of garbage.
func TestLogLevel(t *testing.T) {
	if !mayAttach() {
		t.Skip("processes may not be stopped here")
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(buildProgram(t, "loggers", "loggers"))
	cmd.Stderr = log
	in, answers := testprogram.Run(t, cmd)
	answer := func() {
		if _, err := answers.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	answer()
	read := 0
	say := func() string {
		in.Write([]byte("say\n"))
		answer()
		all, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		said := string(all[read:])
		read = len(all)
		return said
	}
	debugs := []string{"slog debug", "slog's default debug", "zap debug", "logrus debug", "logrus' own debug",
		"zerolog debug", "zerolog's own debug", "klog debug", "glog debug"}
	errors := []string{"slog error", "zap error", "logrus error", "zerolog error"}
	wants := func(when string, debug bool) {
		t.Helper()
		said := say()
		for _, line := range errors {
			if !strings.Contains(said, line) {
				t.Errorf("%s: %q is missing in\n%s", when, line, said)
			}
		}
		for _, line := range debugs {
			if strings.Contains(said, line) != debug {
				t.Errorf("%s: %q is there: %t, in\n%s", when, line, !debug, said)
			}
		}
	}
	pid, journal := strconv.Itoa(cmd.Process.Pid), filepath.Join(t.TempDir(), "journal.db")
	change := func(code int, args ...string) string {
		_, errs := runRi(t, code, append(args, "--write", "--yes", "--journal", journal)...)
		return errs
	}
	wants("at first", false)
	change(0, "run", "log-level", "level=debug", "-p", pid)
	wants("after level=debug", true)
	for range 3 {
		in.Write([]byte("gc\n"))
		answer()
	}
	wants("after collections", true)
	change(0, "undo", "1")
	wants("after the undo", false)
	change(0, "run", "log-level", "level=4", "logger=klog", "-p", pid)
	if said := say(); !strings.Contains(said, "klog debug") || strings.Contains(said, "glog debug") {
		t.Errorf("only klog was to be set:\n%s", said)
	}
	if errs := change(1, "run", "log-level", "level=debug", "logger=log4j", "-p", pid); !strings.Contains(errs,
		"is no kind that is known here: slog, zap") {
		t.Error(errs)
	}
	if errs := change(1, "run", "log-level", "level=loud", "-p", pid); !strings.Contains(errs,
		"no level that can be set or that is called loud") {
		t.Error(errs)
	}
}
