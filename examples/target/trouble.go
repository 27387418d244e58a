package main

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"sync"
	"time"
)

// Trouble makes trouble on request: POST /admin/trouble/KIND.
type Trouble struct {
	store *Store // nil in role client
	load  *Load  // nil without load

	// ledger and audit guard nothing: they are there to be locked in the
	// wrong order.
	ledger sync.Mutex
	audit  sync.Mutex
}

func (t *Trouble) actions() map[string]query {
	actions := map[string]query{
		"trouble/leak":  t.leak,
		"trouble/panic": t.panic,
		"trouble/hog":   t.hog,
	}
	add := func(name string, q query) { actions["trouble/"+name] = q }
	if t.load != nil {
		add("freeze", t.freeze)
		add("unfreeze", t.unfreeze)
	}
	if t.store != nil {
		add("stall", func(*http.Request) (interface{}, error) { return t.stall(true) })
		add("unstall", func(*http.Request) (interface{}, error) { return t.stall(false) })
		add("deadlock", t.deadlock)
		add("corrupt-list", t.corruptList)
		add("tear", t.tear)
	}
	return actions
}

// stall has the workers hold the requests that they take, or go on.
func (t *Trouble) stall(on bool) (interface{}, error) {
	if t.store.handler == nil {
		return nil, errNoHandler
	}
	t.store.handler.setStalled(on)
	return map[string]bool{"stalled": on}, nil
}

// freeze stops the load, so that the structures rest, and reports how many
// requests it is still waiting for.
func (t *Trouble) freeze(*http.Request) (interface{}, error) {
	outstanding := t.load.freeze(time.Second)
	if t.store != nil && t.store.persister != nil {
		t.store.persister.sweep()
	}
	return map[string]interface{}{"frozen": true, "outstanding": outstanding}, nil
}

func (t *Trouble) unfreeze(*http.Request) (interface{}, error) {
	t.load.frozen.Store(false)
	return map[string]bool{"frozen": false}, nil
}

// deadlock has two goroutines wait for each other for ever: over two locks
// that nobody else needs or, with hard=1, over those of two devices.
func (t *Trouble) deadlock(r *http.Request) (interface{}, error) {
	first, second := &t.ledger, &t.audit
	if r.URL.Query().Get("hard") == "1" {
		if len(t.store.devices) < 2 {
			return nil, errors.New("there are no two devices")
		}
		first, second = &t.store.devices[0].mu, &t.store.devices[1].mu
	} else if !first.TryLock() {
		return nil, errors.New("they are in deadlock already")
	} else {
		first.Unlock()
	}
	var both sync.WaitGroup
	both.Add(2)
	go lockInOrder(first, second, &both)
	go lockInOrder(second, first, &both)
	both.Wait()
	return map[string]bool{"deadlock": true}, nil
}

// lockInOrder takes one lock and, when its opposite has taken the other, that
// too.
func lockInOrder(first, second *sync.Mutex, both *sync.WaitGroup) {
	first.Lock()
	defer first.Unlock()
	both.Done()
	both.Wait()
	second.Lock()
	defer second.Unlock()
	log.Print("no deadlock after all")
}

// leak starts n goroutines that wait for what nobody can send.
func (t *Trouble) leak(r *http.Request) (interface{}, error) {
	n, err := intParameter(r, "n", 10)
	if err != nil || n < 1 || n > 1000000 {
		return nil, errors.New("n: want 1 to 1000000")
	}
	for i := int64(0); i < n; i++ {
		go awaitReply(make(chan struct{}))
	}
	return map[string]int64{"leaked": n}, nil
}

func awaitReply(reply <-chan struct{}) { <-reply }

// corruptList damages the list of quarantined blocks: how=cycle, length or
// wild.
func (t *Trouble) corruptList(r *http.Request) (interface{}, error) {
	how := r.URL.Query().Get("how")
	if how == "" {
		how = "cycle"
	}
	if err := t.store.quarantine.corrupt(how); err != nil {
		return nil, err
	}
	return map[string]string{"corrupted": "quarantine", "how": how}, nil
}

// tear overwrites a part of one block, as a torn write would, so that neither
// its checksum nor the parity match: block= of the component object cob=, or
// of unit= of the object name=.
func (t *Trouble) tear(r *http.Request) (interface{}, error) {
	block, err := intParameter(r, "block", 0)
	if err != nil {
		return nil, err
	}
	s := t.store
	s.mu.Lock()
	defer s.mu.Unlock()
	admin := &Admin{store: s}
	var cob *Cob
	if r.URL.Query().Get("cob") != "" {
		if cob, err = admin.cob(r, "cob"); err != nil {
			return nil, err
		}
	} else {
		object, err := admin.object(r)
		if err != nil {
			return nil, err
		}
		unit, err := intParameter(r, "unit", 0)
		if err != nil || unit < 0 || unit >= int64(len(object.cobs)) {
			return nil, fmt.Errorf("unit: want 0 to %d", len(object.cobs)-1)
		}
		cob = object.cobs[unit]
	}
	at, ok := cob.deviceBlock(block)
	if !ok {
		return nil, fmt.Errorf("cob %v has no block %d in this process", cob.fid, block)
	}
	d := cob.device
	d.mu.Lock()
	defer d.mu.Unlock()
	contents := d.block(at)
	for i := range contents[:len(contents)/2] {
		contents[i] ^= 0xa5
	}
	return map[string]interface{}{
		"object": cob.object, "cob": cob.fid, "unit": cob.unit, "block": block,
		"device": d.id, "device_block": at,
	}, nil
}

// panic ends the process a moment after the answer.
func (t *Trouble) panic(*http.Request) (interface{}, error) {
	go func() {
		time.Sleep(50 * time.Millisecond)
		panic("trouble: asked to panic")
	}()
	return map[string]bool{"panic": true}, nil
}

// hog keeps n processors busy for some seconds.
func (t *Trouble) hog(r *http.Request) (interface{}, error) {
	n, err := intParameter(r, "n", 1)
	if err != nil || n < 1 || n > 1000 {
		return nil, errors.New("n: want 1 to 1000")
	}
	seconds, err := intParameter(r, "seconds", 10)
	if err != nil || seconds < 1 || seconds > 3600 {
		return nil, errors.New("seconds: want 1 to 3600")
	}
	until := time.Now().Add(time.Duration(seconds) * time.Second)
	for i := int64(0); i < n; i++ {
		go spin(until)
	}
	return map[string]int64{"hogs": n, "seconds": seconds}, nil
}

func spin(until time.Time) {
	for x := uint64(1); time.Now().Before(until); {
		for i := 0; i < 1000000; i++ {
			x = mix(x, 1)
		}
	}
}
