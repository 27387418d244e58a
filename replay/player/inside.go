//go:build linux && amd64

package player

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ri/record/streams"
	"ri/replay/sandbox"
)

// Inside tells that this process is a player in a sandbox: then RunInside is all that it does. The main function asks
// before anything else.
func Inside() bool { return sandbox.Inside() }

// RunInside plays, and gives the exit code.
func RunInside() int {
	out := json.NewEncoder(sandbox.Report())
	report, err := inside()
	if err != nil {
		out.Encode(map[string]any{"Error": err.Error(), "Kind": kindOf(err)})
		return 1
	}
	if err := out.Encode(map[string]any{"Report": report}); err != nil {
		return 1
	}
	return 0
}

func inside() (*Report, error) {
	text, files, err := sandbox.Job()
	if err != nil {
		return nil, err
	}
	var j job
	if err := json.Unmarshal(text, &j); err != nil {
		return nil, fmt.Errorf("the job: %w", err)
	}
	recording, err := openStreams(files(0), j.Size)
	if err != nil {
		return nil, err
	}
	plan, err := newPlan(recording, &j.Options)
	if err != nil {
		return nil, err
	}
	p := &player{plan: plan, opt: j.Options, lives: map[uint32]*live{}, heard: map[string]string{}, ahead: map[int]bool{},
		inside: map[string]*book{}, moves: map[string]uint16{},
		wake: make(chan struct{}, 1)}
	if recording.CutShort() {
		p.report.note("the recording is cut short: it is played as far as it goes")
	}
	p.clock = newClock(plan)
	if err := p.enter(recording, &j); err != nil {
		return nil, err
	}
	cmd, err := p.command(&j)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if p.prog, err = sandbox.Run(cmd, j.Path, p.answers()); err != nil {
		return nil, fmt.Errorf("%s: %w", j.Path, err)
	}
	if err := p.conduct(context.Background()); err != nil {
		return nil, err
	}
	p.report.Took = time.Since(began)
	p.end()
	p.drained()
	return p.sum(), nil
}

// enter makes what the program finds.
func (p *player) enter(recording *streams.Reader, j *job) error {
	process := &p.plan.header.Process
	places, err := p.plan.places()
	if err != nil {
		return err
	}
	root := &sandbox.Root{Binary: j.Binary, Path: j.Path, Addresses: places.addresses, Ports: places.ports,
		Number: true}
	if placeable(process.Dir) {
		root.Dir = process.Dir
	}
	if len(places.names) > 0 {
		root.Files = append(root.Files, sandbox.File{Path: "/etc/resolv.conf", Mode: 0o644,
			Write: func(w io.Writer) error {
				for _, name := range places.names {
					if _, err := fmt.Fprintf(w, "nameserver %s\n", name); err != nil {
						return err
					}
				}
				return nil
			}})
	}
	for i, f := range process.Files {
		if !placeable(f.Path) || f.Path == j.Path {
			p.report.note("the recording's file %q isn't put there: no place for one", f.Path)
			continue
		}
		root.Files = append(root.Files, sandbox.File{Path: f.Path, Mode: fs.FileMode(f.Mode) & 0o666,
			Write: func(w io.Writer) error { return recording.Content(i, w) }})
	}
	if p.authority, err = newAuthority(time.Unix(0, p.plan.walls(&p.plan.events[0]))); err != nil {
		return err
	}
	if err := p.trusted(root); err != nil {
		return err
	}
	if p.plan.dialsSecure() {
		root.Files = append(root.Files, sandbox.File{Path: authorityPath, Mode: 0o644,
			Write: func(w io.Writer) error { _, err := w.Write(p.authority.pem()); return err }})
	}
	notes, err := sandbox.Enter(root)
	p.report.Notes = append(p.report.Notes, notes...)
	return err
}

// trusted has the program trust the authority where it has a list of its own.
func (p *player) trusted(root *sandbox.Root) error {
	for _, path := range p.opt.Trust {
		if !filepath.IsAbs(path) {
			path = filepath.Join(p.plan.header.Process.Dir, path)
		}
		var content bytes.Buffer
		at := slices.IndexFunc(root.Files, func(f sandbox.File) bool { return f.Path == path })
		if at >= 0 {
			if err := root.Files[at].Write(&content); err != nil {
				return err
			}
			root.Files = slices.Delete(root.Files, at, at+1)
		} else if text, err := os.ReadFile(path); err == nil {
			content.Write(text)
		} else {
			return fmt.Errorf("certificates that the program trusts: %w", err)
		}
		if !bytes.Contains(content.Bytes(), []byte("-----BEGIN CERTIFICATE-----")) || !placeable(path) {
			return fmt.Errorf("%s has no certificates in PEM that the program could trust, or is in no place for them", path)
		}
		root.Files = append(root.Files, sandbox.File{Path: path, Mode: 0o644, Write: func(w io.Writer) error {
			_, err := w.Write(p.authority.trusting(content.Bytes()))
			return err
		}})
	}
	return nil
}

// command is what is started.
func (p *player) command(j *job) (*exec.Cmd, error) {
	process := &p.plan.header.Process
	args := process.Args
	if len(args) == 0 {
		args = []string{j.Path}
	}
	if j.Args != nil {
		args = append(args[:1:1], j.Args...)
	}
	cmd := &exec.Cmd{Path: j.Path, Args: args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Dir: "/"}
	if len(j.Exec) > 0 {
		path, err := exec.LookPath(j.Exec[0])
		if err != nil {
			return nil, fmt.Errorf("--exec: %w (it is looked for inside, where /tmp and /run are empty)", err)
		}
		cmd.Path, cmd.Args = path, append(append(slices.Clone(j.Exec), j.Path), args[1:]...)
		if filepath.Base(path) == "dlv" && len(args) > 1 {
			cmd.Args = append(append(slices.Clone(j.Exec), j.Path, "--"), args[1:]...)
		}
	}
	if placeable(process.Dir) {
		cmd.Dir = process.Dir
	}
	for _, e := range process.Env { // nothing that a loader takes code from
		if !strings.HasPrefix(e, "LD_") && strings.Contains(e, "=") && !strings.ContainsRune(e, 0) {
			cmd.Env = append(cmd.Env, e)
		}
	}
	if p.plan.dialsSecure() {
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+authorityPath)
	}
	if len(j.Exec) > 0 {
		cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"), "TERM="+os.Getenv("TERM"))
	}
	return cmd, nil
}

func (p *player) answers() (a sandbox.Answers) {
	if !p.opt.FreeTime {
		a.Now = p.clock.wall
	}
	a.Elsewhere, a.PID = p.elsewhere, p.plan.pid()
	if !p.opt.FreeRandom {
		a.Random = p.clock.fill
		a.Boot = new([16]byte)
		if boot := p.plan.header.Process.Boot; len(boot) == len(a.Boot) {
			copy(a.Boot[:], boot)
		} else {
			rand.NewChaCha8([32]byte{1}).Read(a.Boot[:])
		}
	}
	return a
}

// pid is the program's as it saw it.
func (p *plan) pid() int {
	if own := p.header.Process.OwnPID; own > 0 {
		return own
	}
	return p.header.Process.PID
}

// end ends the program as the recording did: by itself, or by a signal.
func (p *player) end() {
	process := &p.plan.header.Process
	p.report.Exit = -1
	ended := func() bool {
		select {
		case <-p.prog.Ended:
			return true
		default:
			return false
		}
	}
	if process.Exit != nil {
		p.await(ended, leastPatience)
	}
	sig := unix.SIGTERM
	if process.Exit != nil && *process.Exit > 128 && *process.Exit < 128+32 {
		sig = unix.Signal(*process.Exit - 128)
	}
	if !ended() {
		p.prog.Signal(sig)
		if !p.await(ended, p.mostPatience()) && !ended() {
			p.report.note("the program didn't end by a signal (%v) and was killed", sig)
			p.prog.Signal(unix.SIGKILL)
			<-p.prog.Ended
		}
	}
	p.report.Exit = p.prog.Exit
	p.report.RecordedExit = process.Exit
}

// drained waits until all is read that the program wrote before it ended. A process that it left behind may hold its
// connections.
func (p *player) drained() {
	read := make(chan bool)
	go func() {
		p.receivers.Wait()
		close(read)
	}()
	select {
	case <-read:
	case <-time.After(time.Second):
	}
}

// sum counts what came of it.
func (p *player) sum() *Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &p.report
	r.Events, r.Recorded, r.Asked = len(p.plan.events), p.plan.length(), p.prog.Asked()
	p.tellStrays()
	p.tellUnmatched()
	for _, c := range p.plan.order {
		if c.self {
			continue
		}
		if l := p.lives[c.id]; l != nil {
			l.finish()
			if r.Extra += l.extra; c.reset && l.extra > 0 {
				r.Extra -= l.extra
				p.plan.notes["connections whose peer went away, on which the program wrote more until it noticed"]++
			}
		}
		for _, o := range c.outs {
			if o.end {
				continue
			}
			switch o.state {
			case equal:
				if o.moved {
					r.Moved++
				} else {
					r.Equal++
				}
				if len(o.by) > 0 {
					r.ByRule++
				}
				if o.own {
					p.plan.notes["outputs that are equal but for secrets of the program's own making, for which the recording has "+
						"tokens"]++
				}
			case unknown:
				r.Unknown++
			case differs:
				r.Differing++
				p.tell(c, o)
			default:
				r.Missing++
				p.tell(c, o)
			}
		}
	}
	for n, rule := range p.plan.loose.rules {
		r.Passed = append(r.Passed, Passed{Rule: rule.String(), Outputs: p.plan.loose.passed[n]})
	}
	if len(r.Passed) > 0 && !p.plan.header.Asked.Sent {
		r.note("rules of what may differ need the bytes of outputs: a recording with --sent")
	}
	slices.SortFunc(r.Differences, func(a, b Difference) int { return int(int64(a.Event) - int64(b.Event)) })
	r.Differences = r.Differences[:min(len(r.Differences), maxTold)]
	if err := p.prog.Err(); err != nil {
		r.note("%v", err)
	}
	if n := p.prog.Refused(); n > 0 {
		r.note("Unix sockets of this host that the program wanted to reach, and couldn't: %d", n)
	}
	for what, n := range p.plan.notes {
		r.note("%s: %d", what, n)
	}
	slices.Sort(r.Notes)
	return r
}

func (p *player) tell(c *conn, o *output) {
	id := c.id
	if by, ok := p.plan.carried[id]; ok {
		id = by
	}
	d := Difference{Event: o.seq, Conn: id, With: c.peer, Size: o.size, Offset: o.offset, Missing: o.state != differs,
		At: time.Duration(o.at - p.plan.events[0].Mono), Sent: len(o.data) > 0,
		Recorded: excerpt(o.data, o.offset), Replayed: excerpt(o.came, o.offset)}
	if len(p.report.Differences) < 4096 {
		p.report.Differences = append(p.report.Differences, d)
	}
}
