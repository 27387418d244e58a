package wire

import "sync"

// news is whether some monitor has something to tell. Who tells is there only as long: of thousands of connections most
// have nothing to be told.
type news struct {
	mu          sync.Mutex
	told, again bool // somebody is telling; there is more since
	over        bool // nobody is to be told any more
}

// tell is what monitors call. It doesn't block.
func (s *session) tell() {
	n := &s.news
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.again = n.told; n.told || n.over {
		return
	}
	n.told = true
	s.all.Go(func() {
		for {
			if s.send(nil) != nil {
				s.cancel()
				return
			}
			n.mu.Lock()
			more := n.again
			n.told, n.again = more, false
			n.mu.Unlock()
			if !more {
				return
			}
		}
	})
}
