package looks

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"ri/attach"
	"ri/instruments/host"
	"ri/values"
)

// neighbours are what a plan's script may know of other processes.
func (s *Session) neighbours(p *Plan) (attach.Related, func(pid int) (map[int]host.Waiting, error)) {
	related, _ := s.Target.(attach.Related)
	if p.Look.Alone {
		return related, nil
	}
	return related, s.elsewhere
}

// elsewhere tells which goroutines of another Go program on this machine wait for which descriptors, by a look at its
// live memory: it isn't stopped. What was found is remembered for the session, as scripts run more than once.
func (s *Session) elsewhere(pid int) (waits map[int]host.Waiting, err error) {
	if found, ok := s.others[pid]; ok {
		return found, nil
	}
	if s.others == nil {
		s.others = map[int]map[int]host.Waiting{}
	}
	s.others[pid] = nil
	other, err := OpenSession(TargetChoice{PID: strconv.Itoa(pid)})
	if err != nil {
		return nil, err
	}
	defer other.Close()
	view, err := other.Target.View(context.Background(), attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		return nil, err
	}
	defer view.Close()
	space := other.Space(view)
	polled, err := space.PollDescs()
	if err != nil {
		return nil, err
	}
	waits = map[int]host.Waiting{}
	for _, v := range polled {
		fd, err := number(v, "fd")
		if err != nil {
			continue
		}
		for _, end := range []string{"rg", "wg"} {
			at, err := number(v, end)
			if err != nil || at <= 2 { // nobody, ready, about to wait
				continue
			}
			if g, err := space.GoroutineAt(at); err == nil && g != nil {
				waits[int(fd)] = host.Waiting{Goroutine: g.ID, Func: ownFunc(g)}
				break
			}
		}
	}
	s.others[pid] = waits
	return waits, nil
}

// number is an integer field, atomic or not.
func number(v values.Value, name string) (uint64, error) {
	f, err := v.Field(name)
	if err != nil {
		return 0, err
	}
	if inner, offset, ok := v.Space().Atomic(f.Type); ok {
		f = v.Space().At(f.Addr+uint64(offset), inner)
	}
	if n, err := f.Uint(); err == nil {
		return n, nil
	}
	n, err := f.Int()
	return uint64(n), err
}

// plumbing are packages that wait on behalf of others.
var plumbing = []string{"net", "io", "bufio", "bytes", "crypto/tls", "os", "syscall"}

// ownFunc is the function on whose behalf a goroutine waits.
func ownFunc(g *values.Goroutine) string {
	frames, _ := g.Stack(64)
	for _, f := range frames {
		slash := strings.LastIndexByte(f.Func, '/') + 1
		name, _, _ := strings.Cut(f.Func[slash:], ".")
		pkg := f.Func[:slash] + name
		if !strings.HasPrefix(pkg, "runtime") && !strings.HasPrefix(pkg, "internal/") && !slices.Contains(plumbing, pkg) {
			return f.Func
		}
	}
	return g.Start.Func
}
