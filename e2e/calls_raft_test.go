package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCallsRaft records the calls of three nodes of go.etcd.io/raft, as it comes from the module proxy, and replays
// them: as they were, many times, and on mutants.
func TestCallsRaft(t *testing.T) {
	r := recordLibrary(t, "raft", "- keep: {type: go.etcd.io/raft/v3/raftpb.ConfState}\n", []string{"raft.RawNode"}, "20")
	own := r.own(t)
	storage := int64(0)
	for name, n := range r.ended.Calls {
		if strings.HasPrefix(name, "main.(*disk).") {
			storage += n
		}
	}
	const node = "go.etcd.io/raft/v3.(*RawNode)."
	for name, got := range map[string]int64{"step": r.ended.Calls[node+"Step"], "ready": r.ended.Calls[node+"Ready"],
		"advance": r.ended.Calls[node+"Advance"], "propose": r.ended.Calls[node+"Propose"],
		"tick": r.ended.Calls[node+"Tick"], "storage": storage} {
		if got != own[name] {
			t.Errorf("%s: %d calls are recorded, the program made %d", name, got, own[name])
		}
	}
	if r.ended.Lost != 0 || r.ended.Refused != 0 {
		t.Errorf("not whole: %+v", r.ended)
	}
	r.replays(t) // in a copy, as the cache of modules can't be written
	library := r.ownCopy(t, "go.etcd.io/raft/v3")
	r.manyTimes(t, "go.etcd.io/raft/v3")
	r.mutants(t, library, "raft.go", raftMutants)
}

var raftMutants = []mutant{
	{"r.heartbeatElapsed = 0\n\t\tif err := r.Step", "r.heartbeatElapsed = -1\n\t\tif err := r.Step", "HasReady"},
	{"r.raftLog.commitTo(m.Commit)\n\tr.send", "r.send", "(*RawNode).Ready|(*disk).LastIndex"},
	{"index: r.trk.Committed()})", "index: r.trk.Committed() - 1})", "(*RawNode).HasReady|(*disk).FirstIndex"},
	{"Type: pb.MsgHeartbeatResp, Context", "Type: pb.MsgHeartbeatResp, Commit: 1, Context", "(*RawNode).Ready"},
	{"Type: pb.MsgAppResp, Index: mlastIndex}", "Type: pb.MsgAppResp, Index: mlastIndex - 1}", "(*RawNode).Ready"},
	{"emptyEnt := pb.Entry{Data: nil}", "emptyEnt := pb.Entry{Data: []byte{0}}", "(*RawNode).Ready"},
	{"r.heartbeatElapsed >= r.heartbeatTimeout", "r.heartbeatElapsed > r.heartbeatTimeout", "HasReady"},
	{"RejectHint: hintIndex", "RejectHint: hintIndex + 1", "(*RawNode).Ready"},
}

// ownCopy has the program use a copy of a module, without its tests.
func (r *recordedLibrary) ownCopy(t *testing.T, module string) (dir string) {
	t.Helper()
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module)
	list.Dir = r.dir
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	from, dir := strings.TrimSpace(string(out)), filepath.Join(t.TempDir(), "library")
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(from, path)
		if err != nil || strings.HasSuffix(rel, "_test.go") {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(dir, rel), 0o700)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	edit := exec.Command("go", "mod", "edit", "-replace", module+"="+dir)
	edit.Dir = r.dir
	if out, err := edit.CombinedOutput(); err != nil {
		t.Fatalf("go mod edit: %v\n%s", err, out)
	}
	return dir
}
