// Raft has three nodes of go.etcd.io/raft agree in one process, on one goroutine: so many proposals, with messages that
// are lost, and another leader halfway. It says how often it called, and ends.
package main

import (
	"fmt"
	"os"
	"strconv"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// disk is a node's storage.
type disk struct {
	mem   *raft.MemoryStorage
	calls int
}

//go:noinline
func (d *disk) InitialState() (pb.HardState, pb.ConfState, error) {
	d.calls++
	return d.mem.InitialState()
}

//go:noinline
func (d *disk) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	d.calls++
	return d.mem.Entries(lo, hi, maxSize)
}

//go:noinline
func (d *disk) Term(i uint64) (uint64, error) {
	d.calls++
	return d.mem.Term(i)
}

//go:noinline
func (d *disk) LastIndex() (uint64, error) {
	d.calls++
	return d.mem.LastIndex()
}

//go:noinline
func (d *disk) FirstIndex() (uint64, error) {
	d.calls++
	return d.mem.FirstIndex()
}

//go:noinline
func (d *disk) Snapshot() (pb.Snapshot, error) {
	d.calls++
	return d.mem.Snapshot()
}

type member struct {
	*raft.RawNode
	disk    *disk
	applied int
}

type cluster struct {
	nodes                    map[uint64]*member
	steps, readies, advances int
	sent                     int
}

// settle passes messages until there are none. Each seventh is lost if lossy.
func (c *cluster) settle(lossy bool) {
	for busy := true; busy; {
		busy = false
		for id := uint64(1); id <= 3; id++ {
			n := c.nodes[id]
			for n.HasReady() {
				busy = true
				c.readies++
				rd := n.Ready()
				must(n.disk.mem.Append(rd.Entries))
				if !raft.IsEmptyHardState(rd.HardState) {
					must(n.disk.mem.SetHardState(rd.HardState))
				}
				n.applied += len(rd.CommittedEntries)
				c.advances++
				n.Advance(rd)
				for _, m := range rd.Messages {
					if c.sent++; lossy && c.sent%7 == 0 {
						continue
					}
					c.steps++
					_ = c.nodes[m.To].Step(m)
				}
			}
		}
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	proposals, err := strconv.Atoi(os.Args[1])
	must(err)
	c := &cluster{nodes: map[uint64]*member{}}
	for id := uint64(1); id <= 3; id++ {
		d := &disk{mem: raft.NewMemoryStorage()}
		must(d.mem.ApplySnapshot(pb.Snapshot{Metadata: pb.SnapshotMetadata{Index: 1, Term: 1,
			ConfState: pb.ConfState{Voters: []uint64{1, 2, 3}}}}))
		n, err := raft.NewRawNode(&raft.Config{ID: id, ElectionTick: 10, HeartbeatTick: 1, Storage: d,
			MaxSizePerMsg: 1 << 16, MaxInflightMsgs: 16})
		must(err)
		c.nodes[id] = &member{RawNode: n, disk: d}
	}
	must(c.nodes[1].Campaign())
	c.settle(false)
	leader, ticks := c.nodes[1], 0
	for i := range proposals {
		if i == proposals/2 {
			leader = c.nodes[2]
			must(leader.Campaign())
			c.settle(false)
		}
		must(leader.Propose([]byte("value " + strconv.Itoa(i))))
		c.settle(i%3 == 1)
		leader.Tick()
		ticks++
		c.settle(false)
	}
	disks, applied := 0, 0
	for _, n := range c.nodes {
		disks, applied = disks+n.disk.calls, applied+n.applied
	}
	fmt.Printf("step=%d ready=%d advance=%d propose=%d tick=%d storage=%d applied=%d\n", c.steps, c.readies, c.advances,
		proposals, ticks, disks, applied)
}
