package wire

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"ri/ovsdb"
	"ri/ovsdb/engine"
)

// mirror is a database that stands for one in memory.
type mirror struct {
	db       *engine.DB
	lost     chan struct{}
	released chan bool
	hold     chan bool // transactions wait for it, if it isn't nil
}

func (m *mirror) Take(context.Context, *Request) bool     { return false }
func (m *mirror) End()                                    {}
func (m *mirror) Names(context.Context) ([]string, error) { return []string{"ordinals"}, nil }
func (m *mirror) Schema(context.Context) (any, error)     { return m.db.Schema().JSON(), nil }
func (m *mirror) Watch(_ context.Context, _ any) (*Watch, error) {
	return &Watch{DB: m.db, Lost: m.lost, Release: func() { m.released <- true }}, nil
}

func (m *mirror) Database(_ context.Context, name string) (Database, error) {
	if name != "ordinals" {
		return nil, nil
	}
	return m, nil
}

func (m *mirror) Transact(ctx context.Context, params []any, owns func(string) bool) ([]any, error) {
	if m.hold != nil {
		select {
		case <-m.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return m.db.Transact(&engine.Request{Params: any(params), Owns: owns}).Results, nil
}

// TestElsewhere has a connection speak to databases of its own: requests are answered in their order, beside others;
// monitors hear of what is loaded, and end when what they follow does.
func TestElsewhere(t *testing.T) {
	m := &mirror{db: open(t, ordinals), lost: make(chan struct{}), released: make(chan bool, 2), hold: make(chan bool)}
	server, err := NewServer()
	if err != nil {
		t.Fatal(err)
	}
	server.More = func(net.Conn, *Peer) Methods { return m }
	at := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- server.Serve(ctx, l) }()
	defer func() { cancel(); <-ended }()
	p := dial(t, at)
	p.ask(`{"id":0,"method":"list_dbs","params":[]}`, `{"error":null,"id":0,"result":["ordinals"]}`)
	p.say(`{"id":1,"method":"transact","params":["ordinals",{"op":"select","table":"ordinals","where":[]}]}`)
	p.say(`{"id":2,"method":"transact","params":["ordinals",{"op":"comment","comment":"c"}]}`)
	p.ask(`{"id":"e","method":"echo","params":[]}`, `{"error":null,"id":"e","result":[]}`)
	p.say(`{"id":null,"method":"cancel","params":[1]}`)
	p.hear(`{"error":"canceled","id":1,"result":null}`)
	m.hold <- true
	p.hear(`{"error":null,"id":2,"result":[{}]}`)
	p.ask(`{"id":3,"method":"transact","params":["none"]}`, `{"error":{"details":"transact request specifies unknown `+
		`database none","error":"unknown database","syntax":"[\"none\"]"},"id":3,"result":null}`)
	p.ask(`{"id":4,"method":"convert","params":["ordinals",{}]}`, `{"error":{"details":"this database has the schema of `+
		`what it stands for","error":"not supported"},"id":4,"result":null}`)
	first := ovsdb.UUID{1}
	load := func(n int64) {
		t.Helper()
		row := ovsdb.Row{"number": ovsdb.Scalar(n)}
		if err := m.db.Load(map[string]map[ovsdb.UUID]ovsdb.Row{"ordinals": {first: row}}); err != nil {
			t.Fatal(err)
		}
	}
	load(1)
	p.ask(`{"id":5,"method":"monitor","params":["ordinals","m",{"ordinals":{"columns":["number"]}}]}`,
		`{"error":null,"id":5,"result":{"ordinals":{"<0>":{"new":{"number":1}}}}}`)
	load(1) // which is no change
	load(2)
	p.hear(`{"id":null,"method":"update","params":["m",{"ordinals":{"<0>":{"new":{"number":2},"old":{"number":1}}}}]}`)
	p.ask(`{"id":6,"method":"monitor_cancel","params":["m"]}`, `{"error":null,"id":6,"result":{}}`)
	<-m.released
	p.ask(`{"id":7,"method":"set_db_change_aware","params":[true]}`, `{"error":null,"id":7,"result":{}}`)
	p.ask(`{"id":8,"method":"monitor_cond","params":["ordinals","n",{"ordinals":{"columns":["number"]}}]}`,
		`{"error":null,"id":8,"result":{"ordinals":{"<0>":{"initial":{"number":2}}}}}`)
	close(m.lost)
	p.hear(`{"id":null,"method":"monitor_canceled","params":["n"]}`)
	<-m.released
}
