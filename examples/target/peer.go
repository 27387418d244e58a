package main

import (
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A gateway talks to its stores over TCP, one call after the other on each
// connection, gob-encoded: a peerCall, then a peerReply.

const peerTimeout = 5 * time.Second

type peerOp uint8

const (
	peerHello peerOp = iota + 1 // which services and devices are there?
	peerRead
	peerWrite
	peerRemove
)

type peerCall struct {
	Op       peerOp
	Cob      Fid
	Object   Fid
	Unit     int
	Device   int
	Contents []byte
}

type peerReply struct {
	Err       string
	Contents  []byte
	Bad       []int64
	BlockSize int
	Services  []peerService
}

type peerService struct {
	ID      int
	Name    string
	State   ServiceState
	Devices []int
}

// Peer is a store that a gateway talks to.
type Peer struct {
	address string

	mu      sync.Mutex
	conn    net.Conn // nil while there is none
	encoder *gob.Encoder
	decoder *gob.Decoder

	calls   atomic.Int64
	redials atomic.Int64
}

// call asks the store something. A broken connection is replaced once: all
// calls may be made twice.
func (p *Peer) call(c *peerCall) (*peerReply, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls.Add(1)
	fresh := p.conn == nil
	reply, err := p.try(c)
	if err != nil && !fresh {
		p.redials.Add(1)
		reply, err = p.try(c)
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: %v", p.address, err)
	}
	if reply.Err != "" {
		return nil, errors.New(reply.Err)
	}
	return reply, nil
}

func (p *Peer) try(c *peerCall) (*peerReply, error) {
	if p.conn == nil {
		conn, err := net.DialTimeout("tcp", p.address, peerTimeout)
		if err != nil {
			return nil, err
		}
		p.conn, p.encoder, p.decoder = conn, gob.NewEncoder(conn), gob.NewDecoder(conn)
	}
	reply := new(peerReply)
	err := p.conn.SetDeadline(time.Now().Add(peerTimeout))
	if err == nil {
		err = p.encoder.Encode(c)
	}
	if err == nil {
		err = p.decoder.Decode(reply)
	}
	if err != nil {
		p.conn.Close()
		p.conn = nil
		return nil, err
	}
	return reply, nil
}

// remoteVolume reaches devices in a store.
type remoteVolume struct {
	peer      *Peer
	blockSize int
}

func (v remoteVolume) write(cob *Cob, contents []byte) error {
	_, err := v.peer.call(&peerCall{Op: peerWrite, Cob: cob.fid, Object: cob.object, Unit: cob.unit, Device: cob.device.id,
		Contents: contents})
	if err == nil {
		cob.blocks = int64(len(contents) / v.blockSize)
	}
	return err
}

func (v remoteVolume) read(cob *Cob) ([]byte, []int64, error) {
	if cob.blocks == 0 {
		return nil, nil, nil
	}
	reply, err := v.peer.call(&peerCall{Op: peerRead, Cob: cob.fid})
	if err != nil {
		return nil, nil, err
	}
	return reply.Contents, reply.Bad, nil
}

func (v remoteVolume) remove(cob *Cob) error {
	_, err := v.peer.call(&peerCall{Op: peerRemove, Cob: cob.fid})
	return err
}

// addRemoteServices makes the services and devices of a gateway: those that
// the stores say they have.
func (s *Store) addRemoteServices(addresses []string) error {
	seen := make(map[int]string)
	for _, address := range addresses {
		peer := &Peer{address: address}
		hello, err := peer.call(&peerCall{Op: peerHello})
		if err != nil {
			return err
		}
		if hello.BlockSize != s.blockSize {
			return fmt.Errorf("store %s has blocks of %d bytes, want %d", address, hello.BlockSize, s.blockSize)
		}
		for _, there := range hello.Services {
			if other, ok := seen[there.ID]; ok {
				return fmt.Errorf("stores %s and %s both have a service %d: see -first-service", other, address, there.ID)
			}
			seen[there.ID] = address
			service := newService(there.ID, remoteVolume{peer: peer, blockSize: s.blockSize})
			service.name, service.address, service.state = there.Name, address, there.State
			for _, id := range there.Devices {
				d := newDevice(id, service, 0, s.blockSize, nil)
				service.devices = append(service.devices, d)
			}
			s.services = append(s.services, service)
		}
	}
	s.orderDevices()
	if len(s.devices) < s.units+1 {
		return fmt.Errorf("%d units and their parity need %d devices, the stores have %d", s.units, s.units+1, len(s.devices))
	}
	return nil
}
