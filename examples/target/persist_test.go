package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// reopen makes a store with a persister over a directory.
func reopen(t *testing.T, dir string) *Store {
	t.Helper()
	c := testConfig(t, "-objects", "50", "-seed", "3", "-data", dir, "-flush", "5ms")
	if err := claimData(c); err != nil {
		t.Fatal(err)
	}
	s := newStore(c)
	s.addLocalServices(c)
	if err := seedStore(s, c.seed, c.objects); err != nil {
		t.Fatal(err)
	}
	if _, err := newPersister(s, c); err != nil {
		t.Fatal(err)
	}
	return s
}

// contents is all that is to outlive a process, as text.
func contents(t *testing.T, s *Store) string {
	t.Helper()
	var text bytes.Buffer
	objects, _ := s.list("", 1000000)
	for _, o := range objects {
		data, m, err := s.get(o.Name)
		fmt.Fprintf(&text, "%s %x %s %08x %v\n", o.Name, data, m.canonical(), m.checksum, err)
	}
	return text.String()
}

// firstDifference finds the first line that differs.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i == len(w) || g[i] != w[i] {
			return fmt.Sprintf("line %d of %d: %q; want %d lines", i, len(g), g[i], len(w))
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// waitClean waits until nothing is dirty.
func waitClean(t *testing.T, s *Store) {
	t.Helper()
	for i := 0; i < 1000; i++ {
		dirty := 0
		s.mu.RLock()
		for _, m := range s.metadata {
			if m.dirty {
				dirty++
			}
		}
		s.mu.RUnlock()
		if dirty == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("records stay dirty")
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	names := func(i int) string { return seedName(3, i) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name   string
		change func(s *Store)
	}{
		{"nothing", func(s *Store) {}},
		{"puts", func(s *Store) {
			for i := 0; i < 20; i++ {
				_, err := s.put(fmt.Sprintf("new-%d", i), make([]byte, 50*i), Values{owner: "a b", mtime: time.Now().Round(0)})
				must(err)
			}
		}},
		{"overwrite what the seed made", func(s *Store) {
			_, err := s.put(names(7), []byte("other"), Values{attrs: map[string]string{"k": "v\n\u00e9"}})
			must(err)
		}},
		{"delete", func(s *Store) {
			must(s.remove(names(9)))
			must(s.remove("new-3"))
			must(s.remove("new-4"))
		}},
		{"put what was deleted", func(s *Store) {
			_, err := s.put("new-4", []byte("again"), Values{})
			must(err)
			_, err = s.put(names(9), []byte("again"), Values{})
			must(err)
		}},
		{"metadata only, marked dirty in place", func(s *Store) {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, name := range []string{names(1), names(7), "new-5"} {
				fid, err := s.lookup(name)
				must(err)
				m := s.metadata[fid]
				m.owner = "somebody"
				m.version++
				m.checksum = m.sum()
				m.dirty = true
			}
		}},
	} {
		s := reopen(t, dir)
		step.change(s)
		waitClean(t, s)
		want := contents(t, s)
		next := s.nextKey
		if step.name == "delete" { // ends in good order now and then
			if err := s.persister.close(); err != nil {
				t.Error(err)
			}
		}
		s = reopen(t, dir)
		if got := contents(t, s); got != want {
			t.Errorf("%s: after a restart: %s", step.name, firstDifference(got, want))
		}
		if s.nextKey != next || s.persister.dropped != 0 {
			t.Errorf("%s: next key %d, want %d; %d dropped", step.name, s.nextKey, next, s.persister.dropped)
		}
		wantSound(t, s)
	}
}

func TestWrongChecksumIsNotWritten(t *testing.T) {
	s := reopen(t, t.TempDir())
	s.mu.Lock()
	for _, m := range s.metadata {
		m.owner += "x"
		m.dirty = true
	}
	s.mu.Unlock()
	s.persister.sweep()
	if s.persister.refused.Load() < 50 || s.persister.written.Load() != 0 {
		t.Errorf("refused %d, written %d", s.persister.refused.Load(), s.persister.written.Load())
	}
}

// TestDamagedJournal cuts and flips bytes of a journal: what is before the
// damage is there after a restart, and the journal goes on behind it.
func TestDamagedJournal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "objects.journal")
	s := reopen(t, dir)
	for i := 0; i < 5; i++ {
		if _, err := s.put(fmt.Sprint("new-", i), []byte("contents"), Values{}); err != nil {
			t.Fatal(err)
		}
		waitClean(t, s)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut <= len(whole); cut += 1 + len(whole)/40 {
		for _, flip := range []bool{false, true} {
			damaged := append([]byte(nil), whole[:cut]...)
			if flip && cut > 0 {
				damaged = append(append(damaged[:cut-1], damaged[cut-1]^1), whole[cut:]...)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "objects.journal"), damaged, 0o644); err != nil {
				t.Fatal(err)
			}
			s := reopen(t, dir)
			sound := bytes.Count(whole[:cut], []byte("\n"))
			if flip && cut > 0 && whole[cut-1] == '\n' {
				sound--
			}
			if s.persister.restored != sound || s.persister.dropped != 0 {
				t.Errorf("cut at %d, flip %v: %d restored, want %d", cut, flip, s.persister.restored, sound)
			}
			if _, err := s.put("later", []byte("later"), Values{}); err != nil {
				t.Error(err)
			}
			waitClean(t, s)
			if s := reopen(t, dir); s.persister.restored != sound+1 {
				t.Errorf("cut at %d, flip %v: then %d restored, want %d", cut, flip, s.persister.restored, sound+1)
			}
		}
	}
}

func TestOtherGeometryIsRefused(t *testing.T) {
	dir := t.TempDir()
	reopen(t, dir)
	if err := claimData(testConfig(t, "-objects", "50", "-seed", "4", "-data", dir)); err == nil {
		t.Error("another seed is accepted")
	}
}
