package main

import (
	"errors"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"target/internal/lru"
)

var (
	errNotFound = errors.New("no such object")
	errBadName  = errors.New("a name has 1 to 512 bytes")
	errBadText  = errors.New("names, owners and attributes are UTF-8")
)

// Store is the object store of this process: the objects and where they are.
//
// mu guards the tree, the maps and all that is reached through them, metadata
// and the contents of objects included: whoever changes an object holds it for
// writing. A device's free list and blocks have the device's own lock, a
// service's state the service's. Locks are taken in this order: Store.mu,
// Service.mu or Device.mu. The handler's lock is never held with them.
type Store struct {
	mu       sync.RWMutex
	tree     *Tree             // name to fid
	objects  map[Fid]*Object   // by fid
	cobs     map[Fid]*Cob      // by fid
	metadata map[Fid]*Metadata // by fid of the object
	nextKey  uint64            // key of the next object's fid

	units     int // data units in a parity group
	blockSize int

	services   []*Service // by id, ascending
	devices    []*Device  // of all services, in the order in which objects use them
	quarantine Quarantine
	names      *lru.Cache[string, Fid] // names looked up of late

	handler   *Handler
	sessions  *SessionTable
	persister *Persister

	onChange   []func(name string, fid Fid) // called with mu held
	degraded   atomic.Int64                 // blocks read by way of parity
	rolledBack atomic.Int64                 // writes undone because a unit failed
}

// Object is one object: its units' component objects hold its contents.
type Object struct {
	name  string
	fid   Fid
	size  int64
	cobs  []*Cob // by unit; the last is the parity
	dirty bool   // the contents changed since they were written out
}

// Values are the parts of a metadata record that users choose.
type Values struct {
	owner string
	mtime time.Time
	attrs map[string]string
}

// valid says whether all text is UTF-8, which the journal relies on.
func (v Values) valid() bool {
	for key, value := range v.attrs {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return false
		}
	}
	return utf8.ValidString(v.owner)
}

// newStore makes an empty store without services.
func newStore(c *Config) *Store {
	return &Store{
		tree:      newTree(c.fanout),
		objects:   make(map[Fid]*Object, c.objects),
		cobs:      make(map[Fid]*Cob, c.objects*(c.units+1)),
		metadata:  make(map[Fid]*Metadata, c.objects),
		nextKey:   mix(c.seed, 1<<63)&0xffff<<32 + 1,
		units:     c.units,
		blockSize: c.blockSize,
		names:     lru.New[string, Fid](c.cacheSize),
	}
}

// addLocalServices makes the services and devices of this process.
func (s *Store) addLocalServices(c *Config) {
	capacity := c.deviceBlocks
	if capacity == 0 {
		// Objects have 1.5 groups on average; leave about as much free.
		total := int64(c.objects) * int64(c.units+1) * 3
		capacity = 256 + total/int64(c.services*c.devices)
	}
	for i := 0; i < c.services; i++ {
		service := newService(c.firstService+i, localVolume{blockSize: c.blockSize})
		for j := 0; j < c.devices; j++ {
			id := service.id*c.devices + j
			bad := seedBadBlocks(c.seed, id, capacity)
			d := newDevice(id, service, capacity, c.blockSize, bad)
			service.devices = append(service.devices, d)
			for _, b := range bad {
				s.quarantine.add(d, b, "bad sector")
			}
		}
		service.change(ServiceStarting)
		service.change(ServiceOnline)
		s.services = append(s.services, service)
	}
	s.orderDevices()
}

// orderDevices lists the first devices of all services, then the second ones,
// and so on, so that devices that follow each other are in different services.
func (s *Store) orderDevices() {
	s.devices = nil
	for j := 0; ; j++ {
		before := len(s.devices)
		for _, service := range s.services {
			if j < len(service.devices) {
				s.devices = append(s.devices, service.devices[j])
			}
		}
		if len(s.devices) == before {
			return
		}
	}
}

// lookup finds the fid of a name. The caller holds mu.
func (s *Store) lookup(name string) (Fid, error) {
	if fid, ok := s.names.Get(name); ok {
		return fid, nil
	}
	fid, ok := s.tree.lookup(name)
	if !ok {
		return Fid{}, fmt.Errorf("%q: %w", name, errNotFound)
	}
	s.names.Put(name, fid)
	return fid, nil
}

// create makes an object without contents. The caller holds mu.
func (s *Store) create(name string, fid Fid) *Object {
	object := &Object{name: name, fid: fid, cobs: make([]*Cob, s.units+1)}
	start := mix(fid.Key, 0) % uint64(len(s.devices))
	for u := range object.cobs {
		d := s.devices[(start+uint64(u))%uint64(len(s.devices))]
		cob := &Cob{fid: cobFid(fid, u), object: fid, unit: u, service: d.service, device: d}
		object.cobs[u] = cob
		s.cobs[cob.fid] = cob
	}
	s.objects[fid] = object
	s.metadata[fid] = &Metadata{fid: fid}
	s.tree.insert(name, fid)
	if fid.Key >= s.nextKey {
		s.nextKey = fid.Key + 1
	}
	return object
}

// forget takes an object and its component objects out. The caller holds mu.
func (s *Store) forget(object *Object) {
	for _, cob := range object.cobs {
		if err := cob.service.volume.remove(cob); err != nil {
			log.Printf("cob %v: %v", cob.fid, err)
		}
		delete(s.cobs, cob.fid)
	}
	delete(s.objects, object.fid)
	delete(s.metadata, object.fid)
	s.names.Remove(object.name)
	s.tree.remove(object.name)
}

// put makes an object, or gives one that is there other contents. It returns
// a copy of its metadata.
func (s *Store) put(name string, data []byte, values Values) (Metadata, error) {
	if len(name) < 1 || len(name) > 512 {
		return Metadata{}, errBadName
	}
	if !values.valid() || !utf8.ValidString(name) {
		return Metadata{}, errBadText
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var object *Object
	fid, err := s.lookup(name)
	fresh := err != nil
	if fresh {
		object = s.create(name, Fid{Container: objectContainer, Key: s.nextKey})
	} else {
		object = s.objects[fid]
	}
	if err := s.writeContents(object, data); err != nil {
		if fresh {
			s.forget(object)
		}
		return Metadata{}, err
	}
	m := s.metadata[object.fid]
	m.owner, m.mtime, m.attrs = values.owner, values.mtime, values.attrs
	m.size = object.size
	m.touch()
	s.changed(object)
	return *m, nil
}

// changed tells those who want to know. The caller holds mu.
func (s *Store) changed(object *Object) {
	for _, notify := range s.onChange {
		notify(object.name, object.fid)
	}
}

// get reads an object, and returns a copy of its metadata too.
func (s *Store) get(name string) ([]byte, Metadata, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	fid, err := s.lookup(name)
	if err != nil {
		return nil, Metadata{}, err
	}
	data, err := s.readContents(s.objects[fid])
	return data, *s.metadata[fid], err
}

// remove deletes an object.
func (s *Store) remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fid, err := s.lookup(name)
	if err != nil {
		return err
	}
	s.forget(s.objects[fid])
	if s.persister != nil {
		s.persister.removed(name, fid)
	}
	return nil
}

// Listed is one line of a list of objects.
type Listed struct {
	Name string `json:"name"`
	Fid  Fid    `json:"fid"`
	Size int64  `json:"size"`
}

// list returns the objects whose names begin with prefix, up to a limit, and
// whether there are more.
func (s *Store) list(prefix string, limit int) (objects []Listed, more bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	objects = []Listed{}
	s.tree.scanPrefix(prefix, func(name string, fid Fid) bool {
		if len(objects) == limit {
			more = true
			return false
		}
		objects = append(objects, Listed{Name: name, Fid: fid, Size: s.objects[fid].size})
		return true
	})
	return objects, more
}

// settle declares all that is there persistent: it can be made again from the
// seed or was just read from disk.
func (s *Store) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for fid, m := range s.metadata {
		m.dirty = false
		s.objects[fid].dirty = false
	}
}
