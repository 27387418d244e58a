package fleet

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"ri/ovsdb"
	"ri/ovsdb/client"
	"ri/serve/method"
	"ri/serve/pki"
)

// Database is where the database is.
type Database struct {
	Servers  []method.Method
	Cluster  *ovsdb.UUID   // of several clusters, this one
	Identity *pki.Identity // for TLS; nil: none

	patience time.Duration // 0: patience
}

// ParseDatabase reads a list of methods, with cid:UUID among them for one cluster of several.
func ParseDatabase(text string) (Database, error) {
	var db Database
	for one := range strings.SplitSeq(text, ",") {
		one = strings.TrimSpace(one)
		if id, ok := strings.CutPrefix(one, "cid:"); ok {
			u, err := ovsdb.ParseUUID(id)
			if err != nil {
				return db, fmt.Errorf("%q: %w; a cluster's id is a UUID, as ovs-appctl cluster/cid prints it", one, err)
			}
			db.Cluster = &u
			continue
		}
		m, err := method.Parse(one)
		if err != nil {
			return db, err
		}
		if m.Passive {
			return db, fmt.Errorf("%q listens, and the database is called: unix:FILE, ssl:HOST[:PORT] or tcp:HOST[:PORT]", one)
		}
		db.Servers = append(db.Servers, m)
	}
	if len(db.Servers) == 0 {
		return db, errors.New("the database's place names no server")
	}
	return db, nil
}

// patience is how long a server may take to answer, else the next is tried.
const patience = 15 * time.Second

func (db Database) patient() time.Duration { return cmp.Or(db.patience, patience) }

// insisting is for how long is tried what must be done: a server may forget a transaction that it handed to another
// which died, which only its silence tells, and the next that is asked may have to be found first.
func (db Database) insisting() time.Duration { return 2*db.patient() + 5*time.Second }

// open begins to look for a server, until the context ends.
func (db Database) open(ctx context.Context, tell func(string)) (*client.Client, error) {
	config := client.Config{Database: Name, Cluster: db.Cluster, Patience: db.patient(), Tell: tell}
	for _, m := range db.Servers {
		if m.TLS && db.Identity == nil {
			return nil, fmt.Errorf("%s: TLS needs a certificate that says who you are (ri pki issue makes one; --tls FILE, "+
				"RI_TLS or ~/.config/ri/tls.pem)", m)
		}
		config.Remotes = append(config.Remotes, client.Remote{Name: m.String(),
			Dial: func(ctx context.Context) (net.Conn, error) {
				return m.Dial(ctx, func(host string) *tls.Config { return db.Identity.Config(pki.IsAgent, host) })
			}})
	}
	return client.New(ctx, config)
}

// reach is how long who asks waits for a server.
const reach = 15 * time.Second

// ask opens the database for a command, and says at once if it can't be reached or is another one.
func (db Database) ask(ctx context.Context, tables ...string) (*client.Client, error) {
	c, err := db.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	waiting, stop := context.WithTimeoutCause(ctx, reach, errors.New("it took too long"))
	defer stop()
	schema, err := c.Schema(waiting)
	if err == nil {
		err = checkSchema(schema, append(tables, ownTables...)...)
	}
	if err != nil {
		return nil, fmt.Errorf("the fleet's database: %w", err)
	}
	return c, nil
}

// read gives the rows of tables as they are now.
func read(ctx context.Context, c *client.Client, tables map[string]client.Watch) (map[string][]ovsdb.Row, error) {
	m, err := c.Monitor(ctx, tables)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	out := map[string][]ovsdb.Row{}
	for name := range tables {
		for _, r := range m.Rows(name) {
			out[name] = append(out[name], r)
		}
	}
	return out, nil
}
