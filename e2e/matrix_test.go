package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestBuilds has the field operations answered from targets that were built in different ways, by different releases.
func TestBuilds(t *testing.T) {
	for _, how := range versions([]string{"go1.22.5", "go1.24.6", "go1.27.3", "pie", "static", "external", "unoptimised"},
		"go1.25.3", "pie-go1.22", "trimpath") {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			if how == "external" {
				if _, err := exec.LookPath("gcc"); err != nil {
					t.Skip("no C compiler")
				}
			}
			fields(t, "BUILD="+how)
		})
	}
}

// TestSizes has them answered from stores of other shapes.
func TestSizes(t *testing.T) {
	for _, flags := range []string{
		"-seed 1 -objects 100",
		"-seed 99 -objects 20000",
		"-seed 5 -objects 2000 -fanout 4",
		"-seed 6 -objects 500 -units 4",
		"-seed 7 -objects 500 -units 1 -services 1 -devices 2 -block-size 16 -fanout 3",
		"-seed 18446744073709551615 -objects 300",
	} {
		t.Run(flags, func(t *testing.T) {
			t.Parallel()
			fields(t, "FLAGS="+flags)
		})
	}
}

func fields(t *testing.T, variables ...string) {
	runScripts(t, testscript.Params{Files: []string{"testdata/fields.txt"}}, variables...)
}

// TestEveryObject asks for objects all over a tree, and all their component objects.
func TestEveryObject(t *testing.T) {
	needAttach(t)
	p := startTarget(t, "local", "-objects", "1000", "-seed", "111", "-fanout", "5", "-units", "3")
	pid := fmt.Sprint(p.pid)
	answer := func(what string, to any) {
		t.Helper()
		body, err := request("GET", p.admin(what))
		if err == nil {
			err = json.Unmarshal(body, to)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	rows := func(to any, args ...string) {
		t.Helper()
		out, _ := runRi(t, 0, append(args, "-p", pid, "--json")...)
		if err := json.Unmarshal([]byte(out), &struct{ Rows any }{to}); err != nil {
			t.Fatal(err)
		}
	}
	var all []struct{ Name, Fid string }
	rows(&all, "exec", "-e", "for f, o in ri.pairs(main.store.objects) do ri.emit{name = o.name, fid = "+
		"string.format('<%s:%s>', ri.hex(f.Container):sub(3), ri.hex(f.Key):sub(3))} end")
	if len(all) != 1000 {
		t.Fatalf("there are %d objects, want 1000", len(all))
	}
	for i := 0; i < len(all); i += len(all) / 7 {
		var want struct {
			Name, Fid string
			Size      int64
			Cobs      []string
		}
		answer("object?name="+all[i].Name, &want)
		if want.Fid != all[i].Fid {
			t.Errorf("%s has the fid %s, want %s", all[i].Name, all[i].Fid, want.Fid)
		}
		got := []struct {
			Name, Fid string
			Size      int64
			Cobs      []string
		}{}
		rows(&got, "run", "object-fid", "name="+all[i].Name)
		if fmt.Sprint(got) != fmt.Sprintf("[%v]", want) {
			t.Errorf("object-fid says %v, want %v", got, want)
		}
		type extent struct{ Offset, Start, Length int64 }
		cob := want.Cobs[i%len(want.Cobs)]
		var wantBlocks struct{ Extents []extent }
		answer("extents?cob="+cob, &wantBlocks)
		var blocks []extent
		rows(&blocks, "run", "cob-extents", "fid="+cob)
		if fmt.Sprint(blocks) != fmt.Sprint(wantBlocks.Extents) {
			t.Errorf("cob-extents of %s says %v, want %v", cob, blocks, wantBlocks.Extents)
		}
	}
}
