package proc

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPlaces has processes told by the control groups and files that systemd, container runtimes and the kubelet make.
func TestPlaces(t *testing.T) {
	id := func(c string) string { return strings.Repeat(c, 64) }
	const uid = "6f5d9a3e-0b7c-4f43-9c56-0123456789ab"
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	space := func(pid, name string) {
		t.Helper()
		dir := filepath.Join(root, "proc", pid, "ns")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("pid:["+name+"]", filepath.Join(dir, "pid")); err != nil {
			t.Fatal(err)
		}
	}
	put("proc/1/cgroup", "0::/system.slice/nats.service\n")
	put("proc/2/cgroup", "0::/system.slice/docker-"+id("a")+".scope\n")
	put("proc/3/cgroup", "12:cpuset:/docker/"+id("b")+"\n11:memory:/docker/"+id("b")+"\n")
	put("proc/4/cgroup", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"+
		strings.ReplaceAll(uid, "-", "_")+".slice/cri-containerd-"+id("c")+".scope\n")
	put("proc/5/cgroup", "1:cpu:/kubepods/burstable/pod"+uid+"/"+id("d")+"\n")
	put("proc/6/cgroup", "0::/default/by-hand\n")
	put("proc/7/cgroup", "0::/user.slice/libpod-"+id("e")+".scope/container\n")
	put("proc/8/cgroup", "0::/\n")
	space("self", "1")
	space("8", "2")
	space("9", "2") // its group can't be read
	space("10", "1")
	put("run/runc/bare/state.json", `{"init_process_pid": 8}`)
	put("run/crun/shared/status", `{"pid": 10}`)
	put("var/lib/docker/containers/"+id("a")+"/config.v2.json", `{"ID": "`+id("a")+`", "Name": "/web"}`)
	put("var/lib/containers/storage/overlay-containers/containers.json", `[{"id": "`+id("e")+`", "names": ["db"]}]`)
	put("var/log/pods/shop_front-0_"+uid+"/x", "")
	put("var/log/containers/front-0_shop_nginx-"+id("c")+".log", "")
	put("var/log/containers/front-0_shop_log-"+id("d")+".log", "")
	put("run/runc/odd/state.json", `{"init_process_pid": "eight"`)

	pids := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	for text, want := range map[string][]int{
		"unit:nats": {1}, "unit:nats.service": {1}, "unit:nat": nil,
		"container:web": {2}, "container:" + id("a"): {2}, "container:" + id("b")[:12]: {3}, "container:bbbb": nil,
		"container:by-hand": {6}, "container:db": {7}, "container:bare": {8, 9}, "container:shared": nil,
		"container:odd":    nil,
		"pod:shop/front-0": {4, 5}, "pod:shop/front-0/nginx": {4}, "pod:shop/front-0/log": {5}, "pod:shop/front-0/x": nil,
	} {
		in, err := place{root}.of(text)
		if err != nil || in == nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []int
		for _, pid := range pids {
			if in(pid) {
				got = append(got, pid)
			}
		}
		if len(got) != len(want) || len(want) > 0 && (got[0] != want[0] || got[len(got)-1] != want[len(want)-1]) {
			t.Errorf("%s: %v, not %v", text, got, want)
		}
	}
	for _, text := range []string{"pod:front", "pod:a/b/c/d", "pod:/x", "pod:shop/other"} {
		if _, err := (place{root}).of(text); !errors.Is(err, ErrNone) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"nats", "unit:", "http:x"} {
		if in, err := (place{root}).of(text); in != nil || err != nil {
			t.Errorf("%s is taken for a place: %v", text, err)
		}
	}
}

func TestNames(t *testing.T) {
	p := GoProcess{Name: "nats-server", Executable: "/usr/bin/nats (deleted)", CommandLine: []string{"./mine", "-x"},
		Module: "github.com/nats-io/server/v2"}
	for name, want := range map[string]bool{"nats-server": true, "nats": true, "mine": true, "server": true, "v2": false,
		"nat": false, "-x": false, "": false} {
		if p.is(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// TestOwnName: of several programs of a module, the one that has the name itself is meant.
func TestOwnName(t *testing.T) {
	own := GoProcess{PID: 1, Name: "frontdoor", Executable: "/srv/frontdoor", Module: "example.com/frontdoor"}
	other := GoProcess{PID: 2, Name: "loadgen", Executable: "/srv/loadgen", Module: "example.com/frontdoor"}
	for _, test := range []struct {
		text string
		list []GoProcess
		want []int
	}{
		{"frontdoor", []GoProcess{own, other}, []int{1}},
		{"frontdoor", []GoProcess{other}, []int{2}},
		{"frontdoor", []GoProcess{own, own}, []int{1, 1}},
		{"loadgen", []GoProcess{own, other}, []int{2}},
		{"nothing", []GoProcess{own, other}, nil},
	} {
		var got []int
		for _, p := range called(test.list, test.text) {
			got = append(got, p.PID)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.text, got, test.want)
		}
	}
}
