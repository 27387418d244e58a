//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// outcome of one run of a tool.
type outcome struct {
	took   time.Duration // from the start of the process to its end
	first  time.Duration // to the line of the result that was waited for
	memory int64         // most that was resident, in bytes
	cpu    time.Duration // of all its threads, the kernel's share as well
	stdout string
	stderr string
	stop   time.Duration // as ri says, 0 for others
	stops  int           // as ri says
	read   string        // as ri says
}

// most that a tool may take, so that a benchmark ends.
const most = 10 * time.Minute

// tool runs a command. first, if not "", is what the line of the result contains.
func tool(ctx context.Context, first, stdin string, env []string, name string, args ...string) (*outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	o := &outcome{}
	var stdout strings.Builder
	lines := bufio.NewReaderSize(out, 1<<16)
	for {
		line, err := lines.ReadString('\n')
		if o.first == 0 && first != "" && strings.Contains(line, first) {
			o.first = time.Since(began)
		}
		if stdout.Len() < 1<<20 {
			stdout.WriteString(line)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	err = cmd.Wait()
	o.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	o.took, o.stdout, o.stderr = time.Since(began), stdout.String(), stderr.String()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		o.memory = usage.Maxrss << 10
	}
	if err != nil {
		return o, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, lastLine(o.stderr))
	}
	return o, nil
}

var stopped = regexp.MustCompile(`(?m)^stopped ([0-9.]+ [mun]?s) \((\d+) stops?\), read ([0-9.]+ \w+)`)

// runRi runs ri with the benchmark's own cache of symbols.
func (b *bench) runRi(ctx context.Context, first string, args ...string) (*outcome, error) {
	return b.runRiIn(ctx, b.cache, first, args...)
}

func (b *bench) runRiIn(ctx context.Context, cache, first string, args ...string) (*outcome, error) {
	o, err := tool(ctx, first, "", []string{"XDG_CACHE_HOME=" + cache}, b.ri, args...)
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 3) { // 3: it found something
		return o, err
	}
	m := stopped.FindStringSubmatch(o.stderr)
	if m == nil {
		return o, fmt.Errorf("ri %s said nothing of its stop: %s", strings.Join(args, " "), o.stderr)
	}
	o.stops, _ = strconv.Atoi(m[2])
	o.read = m[3]
	o.stop, err = time.ParseDuration(strings.ReplaceAll(m[1], " ", ""))
	return o, err
}

// runDlv attaches dlv with a file of commands and has it detach.
func (b *bench) runDlv(ctx context.Context, pid int, first, commands string) (*outcome, error) {
	// Left to themselves the last questions ("kill the process?") are answered with yes.
	return tool(ctx, first, "n\nn\n", nil, b.dlv, "attach", strconv.Itoa(pid), "--allow-non-terminal-interactive=true",
		"--init", b.script("dlv.init", commands+"\nquit\n"))
}

// runStarlark has dlv run a script. What is named main in it is called.
func (b *bench) runStarlark(ctx context.Context, pid int, source string) (*outcome, error) {
	return b.runDlv(ctx, pid, "", "source "+b.script("dlv.star", source))
}

// runGDB attaches gdb with one command.
func (b *bench) runGDB(ctx context.Context, pid int, commands ...string) (*outcome, error) {
	args := []string{"-nx", "-batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off", "-p",
		strconv.Itoa(pid)}
	for _, c := range commands {
		args = append(args, "-ex", c)
	}
	return tool(ctx, "$1 =", "", nil, b.gdb, args...)
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
