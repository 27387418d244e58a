package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"testing"
	"time"
)

// The damage that tests do would fill the log.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// testConfig is what the flags given make of the defaults.
func testConfig(t *testing.T, flags ...string) *Config {
	t.Helper()
	c, err := parseFlags("test", flags)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// testStore makes a store as main does, without persister and handler.
func testStore(t *testing.T, flags ...string) *Store {
	t.Helper()
	c := testConfig(t, flags...)
	s := newStore(c)
	s.addLocalServices(c)
	if err := seedStore(s, c.seed, c.objects); err != nil {
		t.Fatal(err)
	}
	return s
}

func wantSound(t *testing.T, s *Store) {
	t.Helper()
	if v := s.verify(); v.Result != "ok" || len(v.Violations) > 0 {
		t.Errorf("verify: %s %v", v.Result, v.Violations)
	}
}

func TestSeededStores(t *testing.T) {
	for _, flags := range []string{
		"-objects 0",
		"-objects 1",
		"-objects 100 -seed 2",
		"-objects 1000 -seed 3 -units 4 -devices 3",
		"-objects 500 -seed 4 -units 1 -services 1 -devices 2",
		"-objects 300 -seed 5 -services 7 -devices 1 -block-size 512 -fanout 3",
		"-objects 300 -seed 6 -services 3 -devices 1 -block-size 9 -units 2",
		"-objects 20000 -seed 18446744073709551615",
	} {
		t.Run(flags, func(t *testing.T) {
			s := testStore(t, strings.Fields(flags)...)
			wantSound(t, s)
			c := testConfig(t, strings.Fields(flags)...)
			if len(s.objects) != c.objects || len(s.cobs) != c.objects*(c.units+1) {
				t.Errorf("%d objects, %d cobs", len(s.objects), len(s.cobs))
			}
			for i := 0; i < c.objects; i += 1 + c.objects/50 {
				want := make([]byte, seedSize(c.seed, i, c.units, c.blockSize))
				fill(want, mix(c.seed, uint64(i)*4+2))
				data, m, err := s.get(seedName(c.seed, i))
				if err != nil || !bytes.Equal(data, want) || m.size != int64(len(want)) || m.dirty {
					t.Errorf("object %d: %v, %d bytes, want %d", i, err, len(data), len(want))
				}
				object := s.objects[m.fid]
				devices := make(map[*Device]bool)
				for _, cob := range object.cobs {
					devices[cob.device] = true
				}
				if len(devices) != len(object.cobs) {
					t.Errorf("object %d: two units on one device", i)
				}
			}
		})
	}
}

func TestSeedIsDeterministic(t *testing.T) {
	list := func(flags ...string) string {
		s := testStore(t, flags...)
		objects, _ := s.list("", 1000)
		text := fmt.Sprint(objects)
		for _, o := range objects {
			text += fmt.Sprint(s.metadata[o.Fid].checksum, s.objects[o.Fid].cobs[0].device.id)
		}
		return text
	}
	one := list("-seed", "1", "-objects", "200")
	if list("-seed", "1", "-objects", "200") != one {
		t.Error("the same seed makes different stores")
	}
	if list("-seed", "2", "-objects", "200") == one {
		t.Error("different seeds make the same store")
	}
}

func TestPutGetRemove(t *testing.T) {
	s := testStore(t, "-objects", "50")
	values := Values{owner: "test", mtime: time.Unix(1, 5).UTC(), attrs: map[string]string{"a": "b"}}
	for version, size := range []int{0, 1, 128, 129, 5000, 64, 0, 640} {
		data := bytes.Repeat([]byte{byte(version + 1)}, size)
		m, err := s.put("new", data, values)
		if err != nil || m.version != uint64(version)+1 || m.checksum != m.sum() || !m.dirty {
			t.Errorf("put %d bytes: %v, %+v", size, err, m)
		}
		got, _, err := s.get("new")
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("get %d bytes: %v, %d", size, err, len(got))
		}
		wantSound(t, s)
	}
	if err := s.remove("new"); err != nil {
		t.Error(err)
	}
	if err := s.remove("new"); !errors.Is(err, errNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	if _, _, err := s.get("new"); !errors.Is(err, errNotFound) {
		t.Errorf("get: %v", err)
	}
	for _, name := range []string{"", strings.Repeat("x", 513)} {
		if _, err := s.put(name, nil, values); !errors.Is(err, errBadName) {
			t.Errorf("put %q: %v", name, err)
		}
	}
	for _, v := range []Values{{owner: "\xff"}, {attrs: map[string]string{"\xff": ""}},
		{attrs: map[string]string{"a": "\xff"}}} {
		if _, err := s.put("text", nil, v); !errors.Is(err, errBadText) {
			t.Errorf("put %v: %v", v, err)
		}
	}
	wantSound(t, s)
}

func TestMetadataCanonical(t *testing.T) {
	m := Metadata{
		fid: Fid{objectContainer, 0x2a}, version: 3, owner: "alice", size: 1024,
		mtime: seedEpoch, attrs: map[string]string{"z": "1", "color": "blue"},
	}
	want := "<7000000000000001:2a> 3 alice 1024 1577836800000000000 color=blue z=1"
	if got := string(m.canonical()); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNoSpace(t *testing.T) {
	s := testStore(t, "-objects", "0", "-device-blocks", "20")
	var err error
	names := 0
	for ; err == nil; names++ {
		_, err = s.put(fmt.Sprint(names), make([]byte, 600), Values{})
	}
	if !errors.Is(err, errNoSpace) || names < 3 {
		t.Fatalf("after %d: %v", names, err)
	}
	wantSound(t, s)
	if _, _, err := s.get(fmt.Sprint(names - 1)); !errors.Is(err, errNotFound) {
		t.Errorf("the one that had no space: %v", err)
	}
	if _, err := s.put("0", make([]byte, 1<<16), Values{}); !errors.Is(err, errNoSpace) {
		t.Errorf("grown: %v", err)
	}
	if data, _, err := s.get("0"); err != nil || len(data) != 600 {
		t.Errorf("the old contents: %d, %v", len(data), err)
	}
	wantSound(t, s)
}

// TestLosses damages stores in ways that reads must survive, or must not.
func TestLosses(t *testing.T) {
	data := make([]byte, 1000)
	fill(data, 1)
	tear := func(o *Object, unit int, block int64) {
		at, ok := o.cobs[unit].deviceBlock(block)
		if !ok {
			t.Fatalf("no block %d", block)
		}
		o.cobs[unit].device.block(at)[0] ^= 1
	}
	for _, test := range []struct {
		name     string
		damage   func(o *Object)
		readable bool
		found    int // violations
	}{
		{"none", func(o *Object) {}, true, 0},
		{"data block", func(o *Object) { tear(o, 0, 3) }, true, 2},
		{"parity block", func(o *Object) { tear(o, 2, 0) }, true, 2},
		{"two groups", func(o *Object) { tear(o, 0, 0); tear(o, 1, 1) }, true, 4},
		// Two equal flips in one group cancel out in the parity.
		{"one group twice", func(o *Object) { tear(o, 0, 0); tear(o, 2, 0) }, false, 2},
		{"service", func(o *Object) { o.cobs[1].service.change(ServiceFailed) }, true, 0},
		{"service and block", func(o *Object) { o.cobs[1].service.change(ServiceFailed); tear(o, 0, 0) }, false, 2},
		{"degraded service", func(o *Object) { o.cobs[1].service.change(ServiceDegraded) }, true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := testStore(t, "-objects", "20")
			m, err := s.put("x", data, Values{})
			if err != nil {
				t.Fatal(err)
			}
			test.damage(s.objects[m.fid])
			got, _, err := s.get("x")
			if test.readable != (err == nil && bytes.Equal(got, data)) {
				t.Errorf("get: %v, %d bytes", err, len(got))
			}
			if v := s.verify(); len(v.Violations) != test.found {
				t.Errorf("violations %v, want %d", v.Violations, test.found)
			}
		})
	}
}

func TestPutToFailedService(t *testing.T) {
	s := testStore(t, "-objects", "20")
	if _, err := s.put("x", []byte("old"), Values{}); err != nil {
		t.Fatal(err)
	}
	s.services[0].change(ServiceFailed)
	if _, err := s.put("x", []byte("newer"), Values{}); !errors.Is(err, errServiceDown) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.put("y", []byte("new"), Values{}); !errors.Is(err, errServiceDown) {
		t.Errorf("put: %v", err)
	}
	if data, m, err := s.get("x"); string(data) != "old" || m.version != 1 || err != nil {
		t.Errorf("get: %q, %v", data, err)
	}
	s.services[0].change(ServiceStarting)
	s.services[0].advance()
	wantSound(t, s)
}

func TestVerifyFinds(t *testing.T) {
	any := func(s *Store) *Object {
		objects, _ := s.list("", 1000)
		for _, o := range objects {
			if o.Size > 200 {
				return s.objects[o.Fid]
			}
		}
		return nil
	}
	for name, damage := range map[string]func(*Store){
		"metadata checksum": func(s *Store) { s.metadata[any(s).fid].owner += "x" },
		"metadata size":     func(s *Store) { m := s.metadata[any(s).fid]; m.size++; m.touch() },
		"metadata lost":     func(s *Store) { delete(s.metadata, any(s).fid) },
		"name lost":         func(s *Store) { s.tree.remove(any(s).name) },
		"object lost":       func(s *Store) { delete(s.objects, any(s).fid) },
		"extent overlaps":   func(s *Store) { any(s).cobs[0].extents.start++ },
		"extent is wild":    func(s *Store) { any(s).cobs[0].extents.length = 2; any(s).cobs[0].blocks = 1 << 20 },
		"block lost":        func(s *Store) { d := s.devices[0]; d.free = d.free.next },
		"free list cycle":   func(s *Store) { d := s.devices[0]; d.free.next = d.free },
		"free count":        func(s *Store) { s.devices[0].freeBlocks-- },
		"quarantine":        func(s *Store) { s.quarantine.corrupt("cycle") },
		"checksum":          func(s *Store) { s.devices[0].checksums[any(s).cobs[0].extents.start]++; tearAny(any(s)) },
		"cob of another":    func(s *Store) { any(s).cobs[0].unit = 1 },
	} {
		s := testStore(t, "-objects", "100")
		damage(s)
		if v := s.verify(); v.Result != "violated" || len(v.Violations) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}

func tearAny(o *Object) { o.cobs[0].device.block(o.cobs[0].extents.start)[0]++ }
