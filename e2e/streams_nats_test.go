package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// natsMayDiffer are the rules of what may differ in a NATS server's outputs, as docs/streams.md has them: times of
// JetStream, the numbers of what came at once, and how long a message is that has them.
const natsMayDiffer = `may-differ:
- json: client_id
- json: created
- json: ts
- json: first_ts
- json: last_ts
- json: seq
- pattern: '\$JS\.ACK\.\S+'
- pattern: '(?m)^H?MSG \S+ \S+ (?:\S+ )?(\d+)\r$'
`

// replayedStreams is what ri replay --json says.
type replayedStreams struct {
	Same                               bool
	Equal, Differing, Missing, Unknown int64
	ByRule                             int64 `json:"by_rule"`
	Unmatched                          int64
	Notes                              []string
	Exit                               int64
	Differences                        []struct{ Recorded, Replayed string }
	Rules                              []struct {
		Rule    string
		Outputs int64
	}
}

func replayStreams(t *testing.T, file string, flags ...string) (r replayedStreams) {
	t.Helper()
	said := riSaid(append([]string{"replay", file, "--json"}, flags...)...)
	var document struct{ Rows []replayedStreams }
	if err := json.Unmarshal([]byte(said.stdout), &document); err != nil || len(document.Rows) != 1 {
		t.Fatalf("%v\n%s%s", err, said.stdout, said.stderr)
	}
	if !document.Rows[0].Same {
		t.Log(said.stderr)
	}
	return document.Rows[0]
}

// TestStreamsNATS records a NATS server with JetStream from its start while 20 clients publish to it and take messages
// from it, all at once. Replayed without them, 99.5 % of its outputs are equal but for what rules say, and how often
// they did is told.
func TestStreamsNATS(t *testing.T) {
	exe := buildProgram(t, "nats-2.12", "github.com/nats-io/nats-server/v2")
	dir := t.TempDir()
	file, rules := filepath.Join(dir, "nats.streams"), filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(rules, []byte(natsMayDiffer), 0o600); err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(freePort(t))
	recordedProgram(t, file, []string{"--payload", "--sent"}, []string{exe, "-a", "127.0.0.1", "-p", port, "-js", "-sd",
		filepath.Join(dir, "store")}, "NOTHING=", func(addr string) {
		s := natsServer{client: addr}
		first := s.connect(t, "first", "", false)
		first.send("SUB answers.%p 1\r\n", first)
		first.request("$JS.API.STREAM.CREATE.ORDERS", `{"name":"ORDERS","subjects":["orders.>"],"storage":"file",
			"num_replicas":1,"retention":"limits"}`)
		var clients sync.WaitGroup
		for i := range 20 {
			clients.Go(func() {
				c := s.connect(t, fmt.Sprint("client ", i), "", false)
				c.send("SUB answers.%p 1\r\n", c)
				c.flush()
				c.request(fmt.Sprintf("$JS.API.CONSUMER.DURABLE.CREATE.ORDERS.d%d", i), fmt.Sprintf(`{"stream_name":"ORDERS",
					"config":{"durable_name":"d%d","ack_policy":"none","filter_subject":"orders.%d"}}`, i, i))
				for n := range 10 {
					c.request(fmt.Sprintf("orders.%d", i), fmt.Sprintf("order %d of %d", n, i))
					c.request(fmt.Sprintf("$JS.API.CONSUMER.MSG.NEXT.ORDERS.d%d", i), "1")
				}
				c.flush()
				c.conn.Close()
			})
		}
		clients.Wait()
		first.request("$JS.API.STREAM.INFO.ORDERS", "")
		first.conn.Close()
	})
	r := replayStreams(t, file, "--rules", rules)
	all := r.Equal + r.Differing + r.Missing + r.Unknown
	if all < 400 || float64(r.Equal) < 0.995*float64(all) || r.ByRule == 0 {
		t.Errorf("%+v", r)
	}
	t.Logf("%d of %d outputs are equal, %d of them but for what may differ", r.Equal, all, r.ByRule)
}
