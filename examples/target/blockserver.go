package main

import (
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"path/filepath"
	"sync/atomic"
)

// BlockServer answers gateways in a store.
type BlockServer struct {
	store    *Store
	listener net.Listener
	journal  *Journal // nil if nothing is to outlive the process
	gateways atomic.Int64
}

// cobRecord is one line of a store's journal: what a component object is now.
type cobRecord struct {
	Cob      Fid    `json:"cob"`
	Object   Fid    `json:"object"`
	Unit     int    `json:"unit"`
	Device   int    `json:"device"`
	Contents []byte `json:"contents,omitempty"`
	Removed  bool   `json:"removed,omitempty"`
}

func newBlockServer(s *Store, c *Config) (*BlockServer, error) {
	b := &BlockServer{store: s}
	if c.data != "" {
		if err := b.restore(filepath.Join(c.data, "cobs.journal")); err != nil {
			return nil, err
		}
	}
	listener, err := net.Listen("tcp", c.block)
	if err != nil {
		return nil, err
	}
	b.listener = listener
	go b.accept()
	return b, nil
}

func (b *BlockServer) restore(path string) error {
	latest := make(map[Fid]*cobRecord)
	_, damage, err := readJournal(path, func(text []byte) error {
		r := new(cobRecord)
		if err := json.Unmarshal(text, r); err != nil {
			return err
		}
		latest[r.Cob] = r
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %v", path, err)
	}
	reportDamage(path, damage)
	var kept []interface{}
	for _, r := range latest {
		if r.Removed {
			continue
		}
		call := &peerCall{Op: peerWrite, Cob: r.Cob, Object: r.Object, Unit: r.Unit, Device: r.Device, Contents: r.Contents}
		if _, err := b.answer(call); err != nil {
			return fmt.Errorf("%s: %v", path, err)
		}
		kept = append(kept, r)
	}
	if err := rewriteJournal(path, kept); err != nil {
		return err
	}
	sound, _, err := readJournal(path, func([]byte) error { return nil })
	if err != nil {
		return err
	}
	b.journal, err = openJournal(path, sound)
	return err
}

func (b *BlockServer) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.converse(conn)
	}
}

// converse answers one gateway until it hangs up.
func (b *BlockServer) converse(conn net.Conn) {
	defer conn.Close()
	b.gateways.Add(1)
	defer b.gateways.Add(-1)
	encoder, decoder := gob.NewEncoder(conn), gob.NewDecoder(conn)
	for {
		call := new(peerCall)
		if err := decoder.Decode(call); err != nil {
			if !errors.Is(err, io.EOF) {
				log.Printf("gateway %v: %v", conn.RemoteAddr(), err)
			}
			return
		}
		reply, err := b.answer(call)
		if err != nil {
			reply = &peerReply{Err: err.Error()}
		}
		if err := encoder.Encode(reply); err != nil {
			log.Printf("gateway %v: %v", conn.RemoteAddr(), err)
			return
		}
	}
}

func (b *BlockServer) answer(call *peerCall) (*peerReply, error) {
	s := b.store
	s.mu.Lock()
	defer s.mu.Unlock()
	cob := s.cobs[call.Cob]
	switch call.Op {
	case peerHello:
		return b.hello(), nil
	case peerRead:
		if cob == nil {
			return nil, fmt.Errorf("no cob %v", call.Cob)
		}
		if err := cob.service.available(); err != nil {
			return nil, err
		}
		contents, bad, err := cob.service.volume.read(cob)
		cob.service.reads.Add(1)
		return &peerReply{Contents: contents, Bad: bad}, err
	case peerWrite:
		if len(call.Contents)%s.blockSize != 0 {
			return nil, fmt.Errorf("cob %v: %d bytes are no whole blocks", call.Cob, len(call.Contents))
		}
		if cob == nil {
			d := s.device(call.Device)
			if d == nil {
				return nil, fmt.Errorf("no device %d", call.Device)
			}
			cob = &Cob{fid: call.Cob, object: call.Object, unit: call.Unit, service: d.service, device: d}
		}
		if err := cob.service.available(); err != nil {
			return nil, err
		}
		if err := cob.service.volume.write(cob, call.Contents); err != nil {
			return nil, err
		}
		s.cobs[cob.fid] = cob
		cob.service.writes.Add(1)
	case peerRemove:
		if cob == nil {
			return &peerReply{}, nil
		}
		if err := cob.service.volume.remove(cob); err != nil {
			return nil, err
		}
		delete(s.cobs, cob.fid)
	default:
		return nil, fmt.Errorf("unknown operation %d", call.Op)
	}
	if b.journal == nil {
		return &peerReply{}, nil
	}
	return &peerReply{}, b.journal.append(&cobRecord{
		Cob: cob.fid, Object: cob.object, Unit: cob.unit, Device: cob.device.id,
		Contents: call.Contents, Removed: call.Op == peerRemove,
	})
}

func (b *BlockServer) hello() *peerReply {
	reply := &peerReply{BlockSize: b.store.blockSize}
	for _, s := range b.store.services {
		s.mu.Lock()
		there := peerService{ID: s.id, Name: s.name, State: s.state}
		s.mu.Unlock()
		for _, d := range s.devices {
			there.Devices = append(there.Devices, d.id)
		}
		reply.Services = append(reply.Services, there)
	}
	return reply
}

// device finds a device by its id; nil if there is none.
func (s *Store) device(id int) *Device {
	for _, d := range s.devices {
		if d.id == id {
			return d
		}
	}
	return nil
}

func (b *BlockServer) close() error {
	b.listener.Close()
	if b.journal == nil {
		return nil
	}
	return b.journal.close()
}
