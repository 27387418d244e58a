package boundary

import "testing"

func TestParts(t *testing.T) {
	for _, c := range []struct{ fn, pkg, receiver, name string }{
		{"main.main", "main", "", "main"},
		{"net/http.(*conn).serve", "net/http", "conn", "serve"},
		{"net/http.(*conn).serve.func1", "net/http", "conn", "serve.func1"},
		{"net/http.HandlerFunc.ServeHTTP", "net/http", "HandlerFunc", "ServeHTTP"},
		{"main.run.func2.1", "main", "", "run.func2.1"},
		{"gopkg.in/yaml%2ev3.Unmarshal", "gopkg.in/yaml%2ev3", "", "Unmarshal"},
		{"gopkg.in/yaml.v3.Unmarshal", "gopkg.in/yaml.v3", "", "Unmarshal"},
		{"gopkg.in/yaml.v3.(*Node).Decode", "gopkg.in/yaml.v3", "Node", "Decode"},
		{"gopkg.in/yaml.v3.Node.IsZero", "gopkg.in/yaml.v3", "Node", "IsZero"},
		{"github.com/nats-io/nats.go.(*Conn).Publish", "github.com/nats-io/nats.go", "Conn", "Publish"},
		{"github.com/x/y.v1x.Get", "github.com/x/y", "v1x", "Get"},
		{"main.Map[example.com/a/b.T]", "main", "", "Map[example.com/a/b.T]"},
		{"main.(*List[go.shape.int]).Push", "main", "List[go.shape.int]", "Push"},
		{"main.Pair[int,example.com/x.Y].Swap", "main", "Pair[int,example.com/x.Y]", "Swap"},
		{"go.etcd.io/raft/v3.(*node).Tick", "go.etcd.io/raft/v3", "node", "Tick"},
	} {
		if pkg, receiver, name := Parts(c.fn); pkg != c.pkg || receiver != c.receiver || name != c.name {
			t.Errorf("Parts(%q) = %q, %q, %q", c.fn, pkg, receiver, name)
		}
	}
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"a/b.(*T).*", "a/b.(*T).Do", true}, {"a/b.(*T).*", "a/b.(*U).Do", false}, {"*.String", "x/y.T.String", true},
		{"a/b.F", "a/b.F", true}, {"[", "[", true}, {"F", "a/b.F", false},
	} {
		if got := Fits(c.pattern, c.name); got != c.want {
			t.Errorf("Fits(%q, %q) = %v", c.pattern, c.name, got)
		}
	}
}
