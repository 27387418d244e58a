//go:build linux && amd64

package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// insideName is how this executable is called inside.
const insideName = "ri: replay"

// Descriptors of the process inside, besides the standard ones.
const (
	jobFD    = 3 // what is to be done; at its end, whoever started us is gone
	reportFD = 4 // what was done
	firstFD  = 5 // the files that Start was given
)

// ErrNotAllowed tells that this user can't have such namespaces here. The error's text says what is missing.
var ErrNotAllowed = errors.New("namespaces can't be made here")

// Process is what Start started, seen from outside.
type Process struct {
	// Report is what the process inside writes to its Report.
	Report io.ReadCloser
	cmd    *exec.Cmd
	job    *os.File
	ended  chan error
}

// Start starts this executable again, as the first process of new namespaces; its main function has to ask Inside
// first. It has job on its Job, and the files. With the context's end, and with ours, all processes in there die.
func Start(ctx context.Context, job []byte, stdin io.Reader, stdout, stderr io.Writer, files ...*os.File) (*Process,
	error) {
	jobRead, jobWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer jobRead.Close()
	reportRead, reportWrite, err := os.Pipe()
	if err != nil {
		jobWrite.Close()
		return nil, err
	}
	defer reportWrite.Close()
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{insideName}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	cmd.WaitDelay = time.Second
	cmd.ExtraFiles = append([]*os.File{jobRead, reportWrite}, files...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET |
			syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig: syscall.SIGKILL,
	}
	if err := mapIDs(cmd.SysProcAttr); err != nil {
		jobWrite.Close()
		reportRead.Close()
		return nil, err
	}
	p := &Process{Report: reportRead, cmd: cmd, job: jobWrite, ended: make(chan error, 1)}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: Pdeathsig goes by the thread that started it
		err := cmd.Start()
		failed <- err
		if err == nil {
			p.ended <- cmd.Wait()
		}
	}()
	if err := <-failed; err != nil {
		jobWrite.Close()
		reportRead.Close()
		return nil, explain(err)
	}
	go func() {
		length := fmt.Sprintf("%d\n", len(job))
		io.WriteString(jobWrite, length+string(job)) // a process that died reads nothing: Wait says so
	}()
	return p, nil
}

// Wait waits for its end. It may be called once.
func (p *Process) Wait() error {
	err := <-p.ended
	p.job.Close()
	return err
}

// mapIDs has root be everybody that there is, and anybody else be root.
func mapIDs(attr *syscall.SysProcAttr) error {
	if os.Geteuid() != 0 {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
		return nil
	}
	var err error
	if attr.UidMappings, err = ownIDs("/proc/self/uid_map"); err != nil {
		return err
	}
	attr.GidMappings, err = ownIDs("/proc/self/gid_map")
	attr.GidMappingsEnableSetgroups = true
	return err
}

// ownIDs maps the IDs of our user namespace to themselves (user_namespaces(7)).
func ownIDs(path string) (all []syscall.SysProcIDMap, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		var inside, outside, size int
		if _, err := fmt.Sscan(line, &inside, &outside, &size); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", path, line, err)
		}
		all = append(all, syscall.SysProcIDMap{ContainerID: inside, HostID: inside, Size: size})
	}
	return all, nil
}

// explain says why namespaces can't be made, and what would help.
func explain(err error) error {
	why := ""
	switch {
	case setting("/proc/sys/user/max_user_namespaces") == "0":
		why = "; user.max_user_namespaces is 0: sysctl user.max_user_namespaces=10000 as root allows them"
	case setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" && os.Geteuid() != 0:
		why = "; kernel.unprivileged_userns_clone is 0: run ri as root, or set it to 1"
	case errors.Is(err, unix.EPERM):
		why = "; in a container, its seccomp profile or missing capabilities may forbid it"
	case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EUSERS):
		why = "; the limits of /proc/sys/user/max_*_namespaces are reached"
	}
	return fmt.Errorf("%w: %w%s", ErrNotAllowed, err, why)
}

func setting(path string) string {
	text, _ := os.ReadFile(path)
	return strings.TrimSpace(string(text))
}

// Inside tells that this process was started by Start.
func Inside() bool { return os.Getpid() == 1 && len(os.Args) == 1 && os.Args[0] == insideName }

// Job is what Start was given. Once it is read, the process ends when whoever started it does.
func Job() (job []byte, files func(n int) *os.File, err error) {
	for fd := jobFD; fd < firstFD; fd++ {
		unix.CloseOnExec(fd)
	}
	r := bufio.NewReader(os.NewFile(jobFD, "job"))
	var size int
	if _, err := fmt.Fscanf(r, "%d\n", &size); err != nil || size < 0 {
		return nil, nil, fmt.Errorf("the job's size: %w", err)
	}
	job = make([]byte, size)
	if _, err := io.ReadFull(r, job); err != nil {
		return nil, nil, fmt.Errorf("the job: %w", err)
	}
	go func() {
		r.ReadByte()
		os.Exit(1)
	}()
	return job, func(n int) *os.File {
		unix.CloseOnExec(firstFD + n)
		return os.NewFile(uintptr(firstFD+n), "file")
	}, nil
}

// Report is where the process inside says what it did.
func Report() *os.File { return os.NewFile(reportFD, "report") }
