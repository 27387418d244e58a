//go:build linux && amd64

package player

// book finds, for what the program sends to a peer, the output of the recording that it is.
type book struct {
	conns  []*conn
	keys   map[string][]*unit // by the first bytes
	sizes  map[int64][]*unit  // of those whose bytes aren't there
	asks   map[string][]*unit // questions to a name server
	logs   bool               // it is a PostgreSQL, which the program logs in to
	begun  int                // connections whose greeting was given
	digest bool
}

// keySize is how much of an output finds it.
const keySize = 24

func newBook(conns []*conn) *book {
	b := &book{conns: conns, keys: map[string][]*unit{}, sizes: map[int64][]*unit{}, asks: map[string][]*unit{}}
	for _, c := range conns {
		for n, u := range c.units {
			if n <= 1 && pgStartup(u.out.data) == len(u.out.data) && len(u.out.data) > 0 {
				b.logs = true
				sortParameters(u.out.data[8:])
			}
			if int64(len(u.out.data)) < u.out.size {
				b.sizes[u.out.size] = append(b.sizes[u.out.size], u)
				b.digest = true
				continue
			}
			if asked, size, _ := overTCP(u.out.data); asked != "" && int64(size) == u.out.size {
				b.asks[asked] = append(b.asks[asked], u)
			}
			key := string(u.out.data[:u.out.certain()])
			b.keys[key] = append(b.keys[key], u)
		}
	}
	return b
}

// greet gives the next connection of the recording that nobody had, for one that the program begins. nil: there was no
// such connection any more.
func (b *book) greet() *unit {
	for b.begun < len(b.conns) {
		c := b.conns[b.begun]
		b.begun++
		if c.greeting.used == nil {
			return c.greeting
		}
	}
	return nil
}

// find looks what the bytes that came on a connection are: an output of the recording that wasn't played yet, the next
// one on the connection that this one follows if that fits, or else the first that does. more tells that they may be
// the beginning of one.
func (b *book) find(l *live) (found *unit, more bool) {
	if next := l.next(); next != nil && next.used == nil {
		if next.fits(l.buf) {
			return next, false
		}
		more = int64(len(l.buf)) < next.out.size && next.out.begins(next.conn, l.buf)
	}
	// Longer keys first: of two outputs that fit, the longer one is meant.
	for n := min(keySize, len(l.buf)); n >= 0 && found == nil; n-- {
		list := b.keys[string(l.buf[:n])]
		for len(list) > 0 && list[0].used != nil { // what was played is let go
			list = list[1:]
			b.keys[string(l.buf[:n])] = list
		}
		for _, u := range list {
			if u.used != nil {
				continue
			}
			if u.fits(l.buf) {
				found = u
				break
			}
			more = more || u.out.begins(u.conn, l.buf)
		}
	}
	if found == nil && len(b.asks) > 0 {
		var maybe bool
		found, maybe = b.findQuestion(l)
		more = more || maybe
	}
	if found == nil && b.digest {
		found = b.findDigest(l.buf)
	}
	if more && found != nil && l.next() != nil && l.next().used == nil && l.next().out.begins(l.next().conn, l.buf) {
		return nil, true // more of what this connection says next may come
	}
	return found, more
}

// findQuestion looks for a question to a name server, which has another ID each time.
func (b *book) findQuestion(l *live) (found *unit, more bool) {
	asked, size, more := overTCP(l.buf)
	for _, u := range b.asks[asked] {
		if u.used == nil && int64(size) == u.out.size {
			u.rewrite, u.asked = withID(2, l.buf[2:]), true
			return u, false
		}
	}
	return nil, more
}

// findDigest looks among outputs of which the recording has digests. An output that others are told from by its size
// only is looked at once for each size that there is.
func (b *book) findDigest(buf []byte) *unit {
	for size, list := range b.sizes {
		if size > int64(len(buf)) {
			continue
		}
		for _, u := range list {
			if u.used == nil && u.fits(buf) {
				return u
			}
		}
	}
	return nil
}

// certain is how many of the output's first bytes find it: those that may not differ.
func (o *output) certain() int {
	n := min(keySize, len(o.data))
	if o.loose != nil {
		for _, s := range o.loose.spans(nil, o.data) {
			n = min(n, s.from)
		}
	}
	return n
}

// fits tells that bytes begin with the output.
func (u *unit) fits(buf []byte) bool {
	_, v, more := u.out.take(u.conn, buf, false)
	return !more && v.state == equal
}

// likest is the output that was to be expected in place of what came.
func (b *book) likest(l *live) *unit {
	if u := l.next(); u != nil && u.used == nil {
		return u
	}
	var best *unit
	most := -1
	for _, c := range b.conns {
		for _, u := range c.units {
			if u.used != nil {
				continue
			}
			if n := firstDifference(u.out.data, l.buf); n > most {
				best, most = u, n
			}
		}
	}
	return best
}
