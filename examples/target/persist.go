package main

import (
	"encoding/json"
	"fmt"
	"log"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Persister writes changed objects and metadata records to the journal, those
// in its queue at once, and others that are marked dirty at the next sweep.
// Without a journal it only clears the marks.
type Persister struct {
	store   *Store
	journal *Journal // nil if nothing is to outlive the process
	queue   chan Fid // objects changed
	flush   time.Duration
	stop    chan struct{}
	stopped chan struct{}

	written  atomic.Uint64
	refused  atomic.Uint64 // records not written because their checksum was wrong
	restored int           // journal records applied at the start
	dropped  int           // journal records that could not be
}

// record is one line of the journal: an object put, a metadata record changed,
// or an object deleted.
type record struct {
	Op   string        `json:"op"` // put, meta or delete
	Name string        `json:"name"`
	Fid  Fid           `json:"fid"`
	Data []byte        `json:"data,omitempty"` // put: the contents
	Meta *recordedMeta `json:"meta,omitempty"` // put, meta
}

type recordedMeta struct {
	Version  uint64            `json:"version"`
	Checksum uint32            `json:"checksum"`
	Owner    string            `json:"owner"`
	Size     int64             `json:"size"`
	Mtime    int64             `json:"mtime"` // nanoseconds since 1970
	Attrs    map[string]string `json:"attrs,omitempty"`
}

const (
	recordPut    = "put"
	recordMeta   = "meta"
	recordDelete = "delete"
)

// newPersister restores what is in the journal, if there is one, and starts.
func newPersister(s *Store, c *Config) (*Persister, error) {
	p := &Persister{
		store:   s,
		queue:   make(chan Fid, 1024),
		flush:   c.flush,
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	if c.data != "" {
		if err := p.restore(filepath.Join(c.data, "objects.journal")); err != nil {
			return nil, err
		}
	}
	s.persister = p
	s.onChange = append(s.onChange, func(_ string, fid Fid) {
		select {
		case p.queue <- fid:
		default: // the sweep will find it
		}
	})
	go p.run()
	return p, nil
}

// restore applies the journal to the store as the seed made it, and keeps of
// it only what is still of use.
func (p *Persister) restore(path string) error {
	latest := make(map[string]*record)
	var names []string
	sound, damage, err := readJournal(path, func(text []byte) error {
		r := new(record)
		if err := json.Unmarshal(text, r); err != nil {
			return err
		}
		old := latest[r.Name]
		if old == nil {
			names = append(names, r.Name)
		} else if r.Op == recordMeta && old.Op == recordPut && r.Fid == old.Fid {
			r.Op, r.Data = recordPut, old.Data
		}
		latest[r.Name] = r
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %v", path, err)
	}
	reportDamage(path, damage)
	var kept []interface{}
	for _, name := range names {
		r := latest[name]
		if err := p.store.apply(r); err != nil {
			log.Printf("%s: %q: %v; dropped", path, name, err)
			p.dropped++
			continue
		}
		p.restored++
		kept = append(kept, r)
	}
	p.store.settle()
	if sound > 0 || damage != nil {
		if err := rewriteJournal(path, kept); err != nil {
			return err
		}
	}
	sound, _, err = readJournal(path, func([]byte) error { return nil })
	if err != nil {
		return err
	}
	p.journal, err = openJournal(path, sound)
	return err
}

// apply does what a journal record says.
func (s *Store) apply(r *record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var object *Object
	if fid, err := s.lookup(r.Name); err == nil {
		object = s.objects[fid]
	}
	if r.Op == recordDelete {
		if object != nil {
			s.forget(object)
		}
		if r.Fid.Key >= s.nextKey {
			s.nextKey = r.Fid.Key + 1 // fids are never reused
		}
		return nil
	}
	if r.Meta == nil {
		return fmt.Errorf("a record %q without metadata", r.Op)
	}
	m := Metadata{
		fid:      r.Fid,
		version:  r.Meta.Version,
		checksum: r.Meta.Checksum,
		owner:    r.Meta.Owner,
		size:     r.Meta.Size,
		mtime:    time.Unix(0, r.Meta.Mtime).UTC(),
		attrs:    r.Meta.Attrs,
	}
	if sum := m.sum(); sum != m.checksum {
		return fmt.Errorf("metadata checksum is %08x, want %08x", m.checksum, sum)
	}
	switch r.Op {
	case recordPut:
		if int64(len(r.Data)) != m.size {
			return fmt.Errorf("%d bytes, the metadata say %d", len(r.Data), m.size)
		}
		if object != nil && object.fid != r.Fid {
			s.forget(object)
			object = nil
		}
		if object == nil {
			object = s.create(r.Name, r.Fid)
		}
		if err := s.writeContents(object, r.Data); err != nil {
			return err
		}
	case recordMeta:
		if object == nil || object.fid != r.Fid {
			return fmt.Errorf("no object %v", r.Fid)
		}
		if m.size != object.size {
			return fmt.Errorf("the metadata say %d bytes, the object has %d", m.size, object.size)
		}
	default:
		return fmt.Errorf("unknown operation %q", r.Op)
	}
	*s.metadata[object.fid] = m
	return nil
}

func (p *Persister) run() {
	defer close(p.stopped)
	timer := time.NewTimer(p.flush)
	defer timer.Stop()
	for {
		select {
		case <-p.stop:
			return
		case fid := <-p.queue:
			p.write(fid)
		case <-timer.C:
			begin := time.Now()
			p.sweep()
			if p.journal != nil {
				if err := p.journal.sync(); err != nil {
					log.Printf("%s: %v", p.journal.path, err)
				}
			}
			// A large store is swept less often, so as to take little of it.
			pause := p.flush
			if spent := time.Since(begin); 10*spent > pause {
				pause = 10 * spent
			}
			timer.Reset(pause)
		}
	}
}

// sweep writes out all dirty records. It lets others in between any two parts.
func (p *Persister) sweep() {
	const part = 2000
	start := ""
	for more := true; more; {
		var dirty []Fid
		more = false
		visited := 0
		p.store.mu.RLock()
		p.store.tree.scan(start, func(name string, fid Fid) bool {
			if visited == part {
				start, more = name, true
				return false
			}
			visited++
			if p.store.metadata[fid].dirty {
				dirty = append(dirty, fid)
			}
			return true
		})
		p.store.mu.RUnlock()
		for _, fid := range dirty {
			p.write(fid)
		}
	}
}

// write writes one record out, if it is dirty. The store is locked meanwhile,
// so that the journal's order is that of the changes.
func (p *Persister) write(fid Fid) {
	s := p.store
	s.mu.Lock()
	defer s.mu.Unlock()
	m, object := s.metadata[fid], s.objects[fid]
	if m == nil || object == nil || !m.dirty {
		return
	}
	if sum := m.sum(); sum != m.checksum {
		if p.refused.Add(1) == 1 {
			log.Printf("metadata %v: checksum is %08x, want %08x; not written out", fid, m.checksum, sum)
		}
		return
	}
	if p.journal != nil {
		if err := p.append(object, m); err != nil {
			log.Printf("object %v: not written out: %v", fid, err)
			return
		}
	}
	m.dirty, object.dirty = false, false
	p.written.Add(1)
}

func (p *Persister) append(object *Object, m *Metadata) error {
	r := &record{
		Op:   recordMeta,
		Name: object.name,
		Fid:  object.fid,
		Meta: &recordedMeta{m.version, m.checksum, m.owner, m.size, m.mtime.UnixNano(), m.attrs},
	}
	if object.dirty {
		data, err := p.store.readContents(object)
		if err != nil {
			return err
		}
		r.Op, r.Data = recordPut, data
	}
	return p.journal.append(r)
}

// removed records that an object was deleted. The caller holds Store.mu.
func (p *Persister) removed(name string, fid Fid) {
	if p.journal == nil {
		return
	}
	if err := p.journal.append(&record{Op: recordDelete, Name: name, Fid: fid}); err != nil {
		log.Printf("object %v: its deletion is not written out: %v", fid, err)
	}
}

// close writes out what is dirty, and ends.
func (p *Persister) close() error {
	close(p.stop)
	<-p.stopped
	p.sweep()
	if p.journal == nil {
		return nil
	}
	return p.journal.close()
}
