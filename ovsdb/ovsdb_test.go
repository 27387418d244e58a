package ovsdb

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func schemaForTest(t testing.TB) *Schema {
	t.Helper()
	s, err := ParseSchema([]byte(testSchema))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// garden makes a file with a bed and two plants, in two transactions.
func garden(t *testing.T) (path string, bed UUID) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "garden.db")
	f, err := Open(path, schemaForTest(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bed = NewUUID()
	a, b := NewUUID(), NewUUID()
	first := NewTransaction("dug it \"over\" \x00 \xff")
	first.Put("Plant", a, Row{"name": Scalar("leek <é\n>"), "years": Set[int64](3, 1<<62, -5)})
	first.Put("Plant", b, Row{"name": Scalar("rue")})
	first.Put("Bed", bed, Row{"name": Scalar("south"), "depth": Scalar(int64(40)), "wet": Scalar(true),
		"acid": Scalar(6.5), "state": Scalar("dug"),
		"notes": Map(map[string]string{"soil": "loam", "sun": "noon"}), "plants": Set(a, b)})
	if err := f.Append(first); err != nil {
		t.Fatal(err)
	}
	second := NewTransaction("let it rest")
	second.Put("Bed", bed, Row{"state": Scalar("fallow"), "depth": Datum{}, "plants": Set(a)})
	if err := f.Append(second); err != nil {
		t.Fatal(err)
	}
	return path, bed
}

func ovsdbTool(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("ovsdb-tool"); err != nil {
		t.Skip("ovsdb-tool isn't here: apt-get install openvswitch-common")
	}
	out, err := exec.Command("ovsdb-tool", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ovsdb-tool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestOpenVSwitchReadsWhatWeWrite(t *testing.T) {
	path, _ := garden(t)
	log := ovsdbTool(t, "show-log", "-mm", path)
	for _, want := range []string{`record 0: "garden" schema, version="1.2.0", cksum="0 0"`, `"dug it "over"`,
		`"let it rest"`,
		`name="leek <é\n>"`, `years=[-5, 3, 4611686018427387904]`, `notes={soil=loam, sun=noon}`, `state=fallow`} {
		if !strings.Contains(log, want) {
			t.Errorf("ovsdb-tool show-log does not say %s:\n%s", want, log)
		}
	}
	rows := ovsdbTool(t, "query", path,
		`["garden",{"op":"select","table":"Bed","where":[],"columns":["name","depth","state","wet","acid"]},
			{"op":"select","table":"Plant","where":[]}]`)
	for _, want := range []string{`"depth":["set",[]]`, `"state":"fallow"`, `"wet":true`, `"acid":6.5`,
		`"name":"leek`} {
		if !strings.Contains(rows, want) {
			t.Errorf("ovsdb-tool query does not give %s:\n%s", want, rows)
		}
	}
	if strings.Contains(rows, `"rue"`) {
		t.Errorf("a plant that no bed has is still there:\n%s", rows)
	}
}

func TestWeReadWhatOpenVSwitchWrites(t *testing.T) {
	path, bed := garden(t)
	for _, ops := range []string{
		`{"op":"mutate","table":"Bed","where":[],"mutations":[["notes","insert",["map",[["hedge","yew"]]]],
			["notes","delete",["set",["sun"]]]]}`,
		`{"op":"update","table":"Bed","where":[],"row":{"depth":7,"acid":7}},{"op":"comment","comment":"limed"}`,
		`{"op":"update","table":"Bed","where":[],"row":{"depth":8}}`,
		`{"op":"mutate","table":"Plant","where":[],"mutations":[["years","insert",["set",[9]]],["years","delete",3]]}`,
	} {
		ovsdbTool(t, "transact", path, `["garden",`+ops+`]`)
	}
	check := func(when string) {
		t.Helper()
		f, err := Read(path, schemaForTest(t))
		if err != nil || f.Damage != nil {
			t.Fatalf("%s: %v, %v", when, err, f.Damage)
		}
		row := f.Rows("Bed")[bed]
		notes := row["notes"].Strings()
		if row["depth"].Int() != 8 || row["acid"].Keys[0] != 7.0 || row["state"].Text() != "fallow" ||
			len(notes) != 2 || notes["hedge"] != "yew" || notes["soil"] != "loam" {
			t.Errorf("%s: %v", when, row)
		}
		for _, plant := range f.Rows("Plant") {
			if years := plant["years"].Keys; len(years) != 3 || years[1] != int64(9) {
				t.Errorf("%s: years %v", when, years)
			}
		}
	}
	check("as a log")
	ovsdbTool(t, "compact", path)
	check("compacted by ovsdb-tool")
	f, err := Open(path, schemaForTest(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Compact("by us"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	check("compacted by us")
	if log := ovsdbTool(t, "show-log", "-m", path); !strings.Contains(log, `"by us"`) ||
		strings.Contains(log, "record 2") {
		t.Errorf("compacted by us:\n%s", log)
	}
}

// What is left of a compaction whose process was killed is gone when the file is opened again, or compacted.
func TestCompactionCutShort(t *testing.T) {
	path, _ := garden(t)
	for _, begin := range []func(*File) error{
		func(*File) error { return nil },
		func(f *File) error {
			if err := os.WriteFile(compacted(path), []byte("half"), 0o600); err != nil {
				return err
			}
			_, _, err := f.Compact("by us")
			return err
		},
	} {
		if err := os.WriteFile(compacted(path), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, schemaForTest(t), 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := begin(f); err != nil {
			t.Error(err)
		}
		f.Close()
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*new*")); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
		if again, err := Read(path, schemaForTest(t)); err != nil || again.Damage != nil {
			t.Error(err, again.Damage)
		}
	}
}

func TestDamagedTailIsCutOffAtTheNextWrite(t *testing.T) {
	path, bed := garden(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tail := range []string{"OVSDB JSON 100 00", "garbage",
		"OVSDB JSON 3 0000000000000000000000000000000000000000\n{}\n",
		"OVSDB JSON 99999999999 0000000000000000000000000000000000000000\n",
		string(appendRecord(nil, []byte(`{"Bed":{"x":null}}`)))} {
		if err := os.WriteFile(path, append(whole[:len(whole):len(whole)], tail...), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Read(path, schemaForTest(t))
		if err != nil || f.Damage == nil || f.Damage.Offset != int64(len(whole)) ||
			f.Rows("Bed")[bed]["state"].Text() != "fallow" {
			t.Fatalf("%q: %v, %v", tail, err, f)
		}
		if f, err = Open(path, schemaForTest(t), 0); err != nil || f.Cut != int64(len(tail)) {
			t.Fatalf("%q: cut %d, %v", tail, f.Cut, err)
		}
		if err := f.Append(NewTransaction("after the damage")); err != nil {
			t.Fatal(err)
		}
		f.Close()
		ovsdbTool(t, "show-log", path)
	}
	// Without its schema nothing can be trusted, and nothing is touched.
	broken := append([]byte("X"), whole...)
	if err := os.WriteFile(path, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, schemaForTest(t), 0); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a damaged schema record: %v", err)
	}
	if now, _ := os.ReadFile(path); string(now) != string(broken) {
		t.Error("the damaged file was changed")
	}
}

func TestOneWriterAtATime(t *testing.T) {
	path, _ := garden(t)
	f, err := Open(path, schemaForTest(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, schemaForTest(t), 0); !errors.Is(err, ErrLocked) {
		t.Errorf("a second writer: %v", err)
	}
	out, err := exec.Command("ovsdb-tool", "compact", path).CombinedOutput()
	if err == nil && exec.Command("ovsdb-tool", "--version").Run() == nil {
		t.Errorf("ovsdb-tool compacted a file whose lock we hold:\n%s", out)
	}
	f.Close()
	ovsdbTool(t, "compact", path)
}

// ovsdb-server serves a file while nobody writes it, and keeps us from writing it meanwhile.
func TestServerServesIt(t *testing.T) {
	server, err := exec.LookPath("ovsdb-server")
	if err != nil {
		t.Skip("ovsdb-server isn't here: apt-get install openvswitch-switch")
	}
	path, _ := garden(t)
	dir := filepath.Dir(path)
	socket := filepath.Join(dir, "sock")
	control := filepath.Join(dir, "ctl")
	cmd := exec.Command(server, "--remote=punix:"+socket, "--unixctl="+control, "--log-file="+filepath.Join(dir, "log"),
		"--pidfile="+filepath.Join(dir, "pid"), "--no-chdir", "--detach", path)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil { // it returns when the server is ready
		t.Fatalf("%v\n%s", err, out)
	}
	defer func() {
		if out, err := exec.Command("ovs-appctl", "-t", control, "exit").CombinedOutput(); err != nil {
			t.Errorf("the server doesn't end: %v\n%s", err, out)
		}
	}()
	if _, err := Open(path, schemaForTest(t), 0); !errors.Is(err, ErrLocked) {
		t.Errorf("writing while a server has it: %v", err)
	}
	out, err := exec.Command("ovsdb-client", "dump", "unix:"+socket, "garden").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "fallow") {
		t.Errorf("ovsdb-client dump: %v\n%s", err, out)
	}
}

func TestChecksumIsTheOneOfOpenVSwitch(t *testing.T) {
	text, err := os.ReadFile("/usr/share/openvswitch/vswitch.ovsschema")
	if err != nil {
		t.Skip("no schema of Open vSwitch here: apt-get install openvswitch-switch")
	}
	s, err := ParseSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckChecksum(); err != nil {
		t.Error(err)
	}
	s, _ = ParseSchema([]byte(testSchema))
	if err := s.CheckChecksum(); !errors.Is(err, ErrSchema) {
		t.Errorf("a wrong checksum: %v", err)
	}
}

func TestWhatOVSDBDoesNotTake(t *testing.T) {
	path, bed := garden(t)
	f, err := Open(path, schemaForTest(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, row := range map[string]Row{
		"NUL":              {"name": Scalar("a\x00b")},
		"invalid UTF-8":    {"name": Scalar("\xff")},
		"no such column":   {"colour": Scalar("red")},
		"another type":     {"name": Scalar(int64(5))},
		"not in the enum":  {"state": Scalar("paved")},
		"two of one":       {"name": Set("a", "b")},
		"a set for a map":  {"notes": Set("a")},
		"an unsigned word": {"depth": Scalar(uint64(1) << 63)},
	} {
		tx := NewTransaction(name)
		tx.Put("Bed", bed, row)
		size := f.Size()
		if err := f.Append(tx); err == nil {
			t.Errorf("%s was taken", name)
		}
		if f.Size() != size {
			t.Errorf("%s: the file grew", name)
		}
	}
}

func FuzzLog(f *testing.F) {
	s, err := ParseSchema([]byte(testSchema))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(appendRecord(appendRecord(nil, []byte(testSchema)),
		[]byte(`{"_is_diff":true,"Bed":{"015c6c82-c2a6-4d54-9fa0-84f501450400":{"notes":["map",[["a","b"]]],`+
			`"depth":["set",[]]}}}`)))
	f.Add([]byte("OVSDB CLUSTER 3 0\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		// As the file, and as the JSON of a record with a right checksum.
		for _, file := range [][]byte{data, appendRecord(appendRecord(nil, []byte(testSchema)), data),
			appendRecord(nil, data)} {
			db := &File{Database: NewDatabase(s), Path: "fuzz"}
			if db.load(file) != nil {
				continue
			}
			if text, err := db.everything("all").json(s); err == nil {
				if _, err := parseTransaction(s, text); err != nil {
					t.Fatalf("what was read can't be read again: %v", err)
				}
			}
		}
	})
}

// Damage in the middle cuts off what comes after, too; that is kept.
func TestWhatIsCutOffIsKept(t *testing.T) {
	path, _ := garden(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, at, err := nextRecord(whole, 0)
	if err != nil {
		t.Fatal(err)
	}
	whole = appendRecord(appendRecord(whole, []byte(`{"_comment":"one"}`)), []byte(`{"_comment":"two"}`))
	whole[at+60] ^= 1
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path, schemaForTest(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	kept, err := os.ReadFile(f.Aside)
	if err != nil || string(kept) != string(whole[at:]) || f.Cut != int64(len(kept)) {
		t.Errorf("cut off %d bytes, kept %d in %q: %v", f.Cut, len(kept), f.Aside, err)
	}
}

// A device has no end, a pipe no beginning.
func TestNoRegularFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, "/dev/zero", "/dev/full", t.TempDir()} {
		if _, err := Read(path, schemaForTest(t)); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("reading %s: %v", path, err)
		}
	}
	for _, path := range []string{pipe, t.TempDir()} {
		if _, err := Open(path, schemaForTest(t), 0); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("opening %s: %v", path, err)
		}
	}
}
