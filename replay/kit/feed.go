package kit

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
)

// feed sends what was received, or closes the channel.
func (r *riReplay) feed(e *riEvent) {
	id := strconv.Itoa(e.Chan)
	r.mu.Lock()
	c, ok := r.channels[id]
	if !ok {
		r.early[id] = append(r.early[id], e) // until somebody has it
	}
	r.mu.Unlock()
	if ok {
		r.send(c, e)
	}
}

func (r *riReplay) send(c reflect.Value, e *riEvent) {
	if c.Type().ChanDir()&reflect.SendDir == 0 {
		return // it is the library's, which sends to itself
	}
	r.mu.Lock()
	again := e.Closed && r.closed[e.Chan] // each who receives is told
	r.closed[e.Chan] = e.Closed
	r.fed++
	r.mu.Unlock()
	if e.Closed {
		if !again {
			c.Close()
		}
		return
	}
	v := reflect.New(c.Type().Elem()).Elem()
	if len(e.Values) > 0 {
		d := r.decoder()
		d.at = d.at.within(v.Type())
		if err := d.into(v, e.Values[0], "values[0]"); err != nil {
			r.fail(e.Seq, "the library has changed: channel %d doesn't take what was received from it: %v", e.Chan, err)
			return
		}
		r.lacks(e, d)
	}
	if !c.TrySend(v) {
		go c.Send(v) // somebody comes for it
	}
}

// fetched tells of what was received when it was recorded, and isn't now. It is called while all goroutines wait.
func (r *riReplay) fetched(e *riEvent) {
	r.mu.Lock()
	c, ok := r.channels[strconv.Itoa(e.Chan)]
	r.mu.Unlock()
	if ok && !e.Closed && c.Len() > 0 && c.Cap() == riRoom {
		r.fail(e.Seq, "channel %d, %s: what was received from it when it was recorded isn't now", e.Chan,
			r.named(e.Chan))
	}
}

func (r *riReplay) named(channel int) string {
	for _, c := range slices.Concat(r.rec.header.Boundary.Receives, r.rec.header.Boundary.Sends) {
		if c.Chan == channel {
			return c.Where
		}
	}
	return "of " + fmt.Sprint(channel)
}

// riRoom is the room of the channels that are made here: nobody waits to send.
const riRoom = 1024

// channel is a channel by its number.
func (r *riReplay) channel(t reflect.Type, id string) reflect.Value {
	both := reflect.ChanOf(reflect.BothDir, t.Elem())
	r.mu.Lock()
	c, ok := r.channels[id]
	if !ok || !c.Type().ConvertibleTo(t) {
		c = reflect.MakeChan(both, riRoom)
		r.channels[id] = c
	}
	r.mu.Unlock()
	r.late(id, c)
	return c.Convert(t)
}

// bind notes a channel of the library's own, which it gave away.
func (r *riReplay) bind(id string, c reflect.Value) {
	r.mu.Lock()
	_, ok := r.channels[id]
	if !ok {
		r.channels[id] = c
	}
	r.mu.Unlock()
	if !ok {
		r.late(id, c)
	}
}

// late sends what came before anybody had the channel.
func (r *riReplay) late(id string, c reflect.Value) {
	n, _ := strconv.Atoi(id)
	r.mu.Lock()
	early, seq := r.early[id], r.unknown[n]
	delete(r.early, id)
	r.mu.Unlock()
	if seq != 0 {
		r.fail(seq, "channel %d, %s: something was sent when it was recorded, before the channel is known now", n, r.named(n))
	}
	for _, e := range early {
		r.send(c, e)
	}
}
