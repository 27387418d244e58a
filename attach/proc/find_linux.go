package proc

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Errors that callers test for.
var (
	// ErrNone: no Go process here has that name.
	ErrNone = errors.New("no Go process here is it")
	// ErrSeveral: more than one has.
	ErrSeveral = errors.New("several Go processes are")
)

// Find gives the pid of the Go process that a text names: a number; a name, which is that of its executable, of its
// thread group (comm), of what it was started as, or the last part of its module's path; "unit:NAME", a unit of
// systemd; "container:ID", a container's ID, the beginning of it, or its name; "pod:NAMESPACE/NAME", with
// "/CONTAINER" one of Kubernetes. A number is not looked for. Errors: ErrNone, ErrSeveral.
func Find(text string) (int, error) {
	if pid, err := strconv.Atoi(text); err == nil {
		return pid, nil
	}
	list, err := List()
	if err != nil {
		return 0, err
	}
	in, err := place{"/"}.of(text)
	if err != nil {
		return 0, err
	}
	var found, near []GoProcess
	for _, p := range list.Go {
		switch {
		case in != nil && in(p.PID):
			found = append(found, p)
		case in == nil && !p.is(text) && slices.ContainsFunc(p.names(), func(name string) bool {
			return strings.Contains(name, text)
		}):
			near = append(near, p)
		}
	}
	if in == nil {
		found = called(list.Go, text)
	}
	if len(found) == 1 {
		return found[0].PID, nil
	}
	if len(found) > 1 {
		return 0, fmt.Errorf("%w %s: %s; name one by its pid", ErrSeveral, text, describe(found))
	}
	err = fmt.Errorf("%w: %s", ErrNone, text)
	if len(near) > 0 {
		err = fmt.Errorf("%w; is one of these meant? %s", err, describe(near))
	}
	if advice := list.Advice(); advice != "" {
		err = fmt.Errorf("%w; %s", err, advice)
	}
	return 0, err
}

// names are those by which people know a process.
func (p *GoProcess) names() []string {
	names := []string{p.Name, strings.TrimSuffix(filepath.Base(p.Executable), " (deleted)")}
	if len(p.CommandLine) > 0 {
		names = append(names, filepath.Base(p.CommandLine[0]))
	}
	last := filepath.Base(p.Module)
	if major.MatchString(last) { // example.com/server/v2
		last = filepath.Base(filepath.Dir(p.Module))
	}
	return append(names, last)
}

var major = regexp.MustCompile(`^v[0-9]+$`)

// called gives the processes that have a name. A module's name is that of all its programs: those that have the name
// themselves come before.
func called(list []GoProcess, name string) (out []GoProcess) {
	var own []GoProcess
	for _, p := range list {
		if p.is(name) {
			out = append(out, p)
		}
		if names := p.names(); slices.Contains(names[:len(names)-1], name) {
			own = append(own, p)
		}
	}
	if len(own) > 0 {
		return own
	}
	return out
}

func (p *GoProcess) is(name string) bool { return slices.Contains(p.names(), name) }

// describe lists some processes.
func describe(list []GoProcess) string {
	const most = 8
	var parts []string
	for i, p := range list {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more (ri ps lists them)", len(list)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%d (%s, %s)", p.PID, p.Name, p.User))
	}
	return strings.Join(parts, ", ")
}

// place is where /proc and the like lie: "/".
type place struct{ root string }

func (at place) path(parts ...string) string {
	return filepath.Join(append([]string{at.root}, parts...)...)
}

// of gives what tells the processes of a unit, container or pod; nil if the text names none of these.
func (at place) of(text string) (func(pid int) bool, error) {
	kind, name, ok := strings.Cut(text, ":")
	if !ok || name == "" {
		return nil, nil
	}
	switch kind {
	case "unit":
		return func(pid int) bool {
			return slices.ContainsFunc(at.groups(pid), func(s string) bool {
				return s == name || s == name+".service" || s == name+".scope"
			})
		}, nil
	case "container":
		return at.container(name), nil
	case "pod":
		return at.pod(name)
	}
	return nil, nil
}

// groups are the parts of the paths of a process's control groups (cgroups(7)).
func (at place) groups(pid int) (parts []string) {
	data, err := os.ReadFile(at.path("proc", strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.SplitN(strings.TrimSpace(line), ":", 3); len(fields) == 3 {
			parts = append(parts, strings.Split(strings.Trim(fields[2], "/"), "/")...)
		}
	}
	return parts
}

// containerGroup matches the group of a container, as runtimes name it: the ID alone (runc, containerd, Docker with
// cgroupfs), or docker-ID.scope, cri-containerd-ID.scope, crio-ID.scope, libpod-ID.scope, nerdctl-ID.scope.
var containerGroup = regexp.MustCompile(`^(?:[a-z-]+-)?([0-9a-f]{64})(?:\.scope)?$`)

// container tells the processes of one, by its ID, the beginning of that (12 characters at least), or its name.
func (at place) container(name string) func(pid int) bool {
	ids := at.containers(name)
	is := func(id string) bool {
		return id == name || slices.Contains(ids, id) || len(name) >= 12 && strings.HasPrefix(id, name)
	}
	spaces := at.namespaces(is)
	return func(pid int) bool {
		for _, part := range at.groups(pid) {
			if m := containerGroup.FindStringSubmatch(part); m != nil && is(m[1]) || part == name {
				return true
			}
		}
		space, err := os.Readlink(at.path("proc", strconv.Itoa(pid), "ns/pid"))
		return err == nil && spaces[space]
	}
}

// containers are the IDs of those that have a name, as Docker and Podman write it down.
func (at place) containers(name string) (ids []string) {
	for _, file := range at.files("var/lib/docker/containers/*/config.v2.json") {
		var c struct{ ID, Name string }
		if read(file, &c) && strings.TrimPrefix(c.Name, "/") == name {
			ids = append(ids, c.ID)
		}
	}
	for _, pattern := range []string{"var/lib/containers/storage/overlay-containers/containers.json",
		"home/*/.local/share/containers/storage/overlay-containers/containers.json"} {
		for _, file := range at.files(pattern) {
			var list []struct {
				ID    string
				Names []string
			}
			if !read(file, &list) {
				continue
			}
			for _, c := range list {
				if slices.Contains(c.Names, name) {
					ids = append(ids, c.ID)
				}
			}
		}
	}
	return ids
}

// namespaces are the pid namespaces of containers, as their runtimes write down: it is by these that processes are told
// where there are no groups. One that is this process's own, too, says nothing.
func (at place) namespaces(is func(id string) bool) map[string]bool {
	out := map[string]bool{}
	own, _ := os.Readlink(at.path("proc/self/ns/pid"))
	for _, pattern := range []string{"run/runc/*/state.json", "run/containerd/runc/*/*/state.json",
		"run/docker/runtime-runc/moby/*/state.json", "run/crun/*/status"} {
		for _, file := range at.files(pattern) {
			var state struct {
				Runc int `json:"init_process_pid"`
				Crun int `json:"pid"`
			}
			if !is(filepath.Base(filepath.Dir(file))) || !read(file, &state) {
				continue
			}
			space, err := os.Readlink(at.path("proc", strconv.Itoa(max(state.Runc, state.Crun)), "ns/pid"))
			if err == nil && space != own {
				out[space] = true
			}
		}
	}
	return out
}

// pod tells the processes of a pod of Kubernetes, or of one container of it. The kubelet names the folders of pods'
// logs NAMESPACE_NAME_UID, and links CONTAINER-...-ID.log to them; the pod's group has the UID.
func (at place) pod(text string) (func(pid int) bool, error) {
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return nil, fmt.Errorf("pod:%s: a pod is named pod:NAMESPACE/NAME, a container of it pod:NAMESPACE/NAME/CONTAINER: "+
			"%w", text, ErrNone)
	}
	prefix := parts[0] + "_" + parts[1] + "_"
	var groups, ids []string
	for _, folder := range at.files("var/log/pods/*") {
		if uid, ok := strings.CutPrefix(filepath.Base(folder), prefix); ok {
			groups = append(groups, "pod"+uid, "pod"+strings.ReplaceAll(uid, "-", "_"))
		}
	}
	if len(groups) == 0 {
		return nil, fmt.Errorf("%w: pod:%s: the kubelet's logs (/var/log/pods) know no such pod on this host", ErrNone, text)
	}
	if len(parts) == 3 {
		start := parts[1] + "_" + parts[0] + "_" + parts[2] + "-"
		for _, file := range at.files("var/log/containers/*.log") {
			if rest, ok := strings.CutPrefix(filepath.Base(file), start); ok {
				ids = append(ids, strings.TrimSuffix(rest, ".log"))
			}
		}
	}
	return func(pid int) bool {
		inPod, inContainer := false, len(parts) == 2
		for _, part := range at.groups(pid) {
			// kubepods-burstable-podUID.slice (systemd), or podUID (cgroupfs)
			bare := strings.TrimSuffix(part, ".slice")
			inPod = inPod || slices.ContainsFunc(groups, func(g string) bool {
				return bare == g || strings.HasSuffix(bare, "-"+g)
			})
			m := containerGroup.FindStringSubmatch(part)
			inContainer = inContainer || m != nil && slices.Contains(ids, m[1])
		}
		return inPod && inContainer
	}, nil
}

func (at place) files(pattern string) []string {
	list, _ := filepath.Glob(at.path(pattern))
	return list
}

// read reads a file of a runtime's, if it is there and small enough to be one.
func read(path string, into any) bool {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > 16<<20 {
		return false
	}
	data, err := os.ReadFile(path)
	return err == nil && json.Unmarshal(data, into) == nil
}
