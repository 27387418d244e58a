// Chain has four nodes of SmartBFT's naive chain agree in one process: so many transactions, of which the last third
// comes after the leader was cut off from all others, which then agree on another. It says how often the library was
// called, and ends.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	naive "github.com/hyperledger-labs/SmartBFT/examples/naive_chain"
	smart "github.com/hyperledger-labs/SmartBFT/pkg/api"
	"github.com/hyperledger-labs/SmartBFT/pkg/metrics/disabled"
	bft "github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/pkg/wal"
	"google.golang.org/protobuf/proto"
)

const nodes = 4

// quiet is a log that nobody reads, but for how much is in it.
type quiet struct{ lines atomic.Int64 }

//go:noinline
func (q *quiet) Debugf(string, ...any) { q.lines.Add(1) }

//go:noinline
func (q *quiet) Infof(string, ...any) { q.lines.Add(1) }

//go:noinline
func (q *quiet) Warnf(string, ...any) { q.lines.Add(1) }

//go:noinline
func (q *quiet) Errorf(string, ...any) { q.lines.Add(1) }

//go:noinline
func (q *quiet) Panicf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// network passes messages between nodes, but not from and to one that is cut off.
type network struct {
	cut       atomic.Int64
	forwarded atomic.Int64 // requests that a node passed to the leader, which submits them, too
}

func (n *network) pipe(from, to int) (chan<- proto.Message, <-chan proto.Message) {
	in, out := make(chan proto.Message, 1024), make(chan proto.Message, 1024)
	go func() {
		for m := range in {
			if cut := int(n.cut.Load()); cut != from && cut != to {
				if _, is := m.(*naive.FwdMessage); is {
					n.forwarded.Add(1)
				}
				out <- m
			}
		}
	}()
	return in, out
}

func main() {
	transactions, err := strconv.Atoi(os.Args[1])
	must(err)
	dir, err := os.MkdirTemp("", "chain-")
	must(err)
	defer os.RemoveAll(dir)
	bft.DefaultConfig.LeaderHeartbeatTimeout = 2 * time.Second
	bft.DefaultConfig.DecisionsPerLeader = 1000
	bft.DefaultConfig.RequestForwardTimeout = 20 * time.Second
	var net network
	in, out := map[int]naive.Ingress{}, map[int]naive.Egress{}
	for id := 1; id <= nodes; id++ {
		in[id], out[id] = naive.Ingress{}, naive.Egress{}
	}
	for from := 1; from <= nodes; from++ {
		for to := 1; to <= nodes; to++ {
			out[from][to], in[to][from] = net.pipe(from, to)
		}
	}
	chains := map[int]*naive.Chain{}
	none := &disabled.Provider{}
	for id := 1; id <= nodes; id++ {
		chains[id] = naive.NewChain(uint64(id), in[id], out[id], &quiet{}, wal.NewMetrics(none, "label"),
			smart.NewMetrics(none, "label"),
			naive.NetworkOptions{NumNodes: nodes, BatchSize: 1, BatchTimeout: time.Second}, dir)
	}
	first, submitted, delivered := 1, 0, 0
	for n := range transactions {
		if n == transactions*2/3 {
			time.Sleep(200 * time.Millisecond) // nothing is under way
			net.cut.Store(1)                   // it leads
			first = 2
		}
		for id := first; id <= nodes; id++ {
			submitted++
			must(chains[id].Order(naive.Transaction{ClientID: "alice", ID: fmt.Sprint("tx", n)}))
		}
		for id := first; id <= nodes; id++ {
			block := chains[id].Listen()
			if len(block.Transactions) != 1 || block.Transactions[0].ID != fmt.Sprint("tx", n) {
				panic(fmt.Sprintf("node %d delivers %+v instead of transaction %d", id, block, n))
			}
			delivered++
		}
	}
	fmt.Printf("submitted=%d delivered=%d forwarded=%d\n", submitted, delivered, net.forwarded.Load())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
