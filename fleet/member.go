package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ri/ovsdb"
	"ri/ovsdb/client"
	"ri/serve/pki"
)

// Target is a process as an agent tells of it.
type Target struct {
	PID       int
	Start     uint64 // ticks since the machine came up: with the pid it names a process
	Name      string
	Module    string
	Version   string
	Go        string
	User      string
	Container string // its id; "": in none that is known
	Symbols   bool
}

// Member is an agent's place in the fleet: its rows in the database, and what comes to it that way. Its exported fields
// are set before Run.
type Member struct {
	Database Database
	Folder   string // the agent's, which keeps who it is
	Name     string // of the host
	Version  string
	Labels   map[string]string
	Methods  []string      // at which it may be called
	Identity *pki.Identity // nil: it signs nothing, and takes nothing from the database
	Scan     func() ([]Target, error)
	Connect  func(who pki.Holder) (net.Conn, error) // to the agent itself, as somebody
	Say      func(string)
	// Beside goes on for as long as the agent is in the fleet, and has its connection to the database; nil: nothing does.
	Beside func(context.Context, *client.Client)

	Every time.Duration    // between two scans; 0: 3 seconds
	Lease time.Duration    // for how long it is believed; 0: DefaultLease
	Now   func() time.Time // nil: the clock

	id     string
	client *client.Client
	host   ovsdb.Row
	known  map[string]ovsdb.Row // its targets, by id, as they were scanned last
	// scanned is what known was made of
	scanned []Target
	orders  *orders
}

// idFile in the agent's folder has who it is.
const idFile = "host-id"

// ID is who the agent is, the same for as long as it has its folder.
func (m *Member) ID() (string, error) {
	if m.id != "" {
		return m.id, nil
	}
	path := filepath.Join(m.Folder, idFile)
	text, err := os.ReadFile(path)
	if err == nil {
		if u, err := ovsdb.ParseUUID(strings.TrimSpace(string(text))); err == nil {
			m.id = u.String()
			return m.id, nil
		}
		return "", fmt.Errorf("%s: it has no UUID: take it away, and the agent is a new one", path)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if err := os.MkdirAll(m.Folder, 0o711); err != nil {
		return "", err
	}
	id := ovsdb.NewUUID().String()
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", err
	}
	m.id = id
	return id, nil
}

func (m *Member) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

// leaving is how long an agent that ends may take to say so.
const leaving = 2 * time.Second

// Run keeps the agent's rows in the database true until the context ends; then it takes them away.
func (m *Member) Run(ctx context.Context) error {
	if m.Every == 0 {
		m.Every = 3 * time.Second
	}
	if m.Lease == 0 {
		m.Lease = DefaultLease
	}
	if _, err := m.ID(); err != nil {
		return err
	}
	if err := m.describe(); err != nil {
		return err
	}
	life, end := context.WithCancel(context.Background()) // it has something to do after ctx
	defer end()
	var last atomic.Value
	tell := func(text string) {
		if last.Swap(text) != text && ctx.Err() == nil {
			m.Say("the fleet's database: " + text + "; trying again")
		}
	}
	var err error
	if m.client, err = m.Database.open(life, tell); err != nil {
		return err
	}
	if m.Beside != nil {
		var beside sync.WaitGroup
		beside.Go(func() { m.Beside(ctx, m.client) })
		defer beside.Wait()
	}
	var orders sync.WaitGroup
	defer orders.Wait()
	if m.Identity != nil && m.Connect != nil {
		orders.Go(func() { // what is under way goes on whatever becomes of the rows
			m.again(ctx, tell, m.follow)
			if m.orders != nil {
				m.orders.all.Wait()
			}
		})
	}
	m.again(ctx, tell, m.keep)
	going, stop := context.WithTimeout(life, leaving)
	defer stop()
	_, _ = m.client.Transact(going, remove(targetTable, is("host", m.id)), remove(hostTable, is("id", m.id)))
	return nil
}

// again does something that fails until the context ends. A database that fails is asked less and less often, and not
// by all agents at one time: a cluster drops connections when too many transactions wait, and is asked anew by all.
func (m *Member) again(ctx context.Context, tell func(string), do func(context.Context) error) {
	for pause := m.Every; ctx.Err() == nil; {
		began := time.Now()
		err := do(ctx)
		if ctx.Err() != nil {
			return
		}
		tell(err.Error())
		if time.Since(began) > m.Lease {
			pause = m.Every
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + time.Duration(rand.Int64N(int64(pause)))):
		}
		pause = min(2*pause, m.Lease/2)
	}
}

// follow does what is ordered, until something fails.
func (m *Member) follow(ctx context.Context) (err error) {
	if m.orders == nil {
		if m.orders, err = newOrders(m); err != nil {
			return err
		}
	}
	return m.orders.watch(ctx)
}

// describe makes the row of the host, but for its lease.
func (m *Member) describe() error {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	m.host = row("id", m.id, "name", m.Name, "labels", m.Labels, "version", m.Version, "methods", m.Methods,
		"boot", strings.TrimSpace(string(boot)), "since", m.now().UnixMilli(), "lease", int64(0), "certificate", "",
		"signature", "")
	if m.Identity == nil {
		return nil
	}
	return sign(m.Identity, hostTable, m.host)
}

// keep holds the rows to what is so, until something fails.
func (m *Member) keep(ctx context.Context) error {
	schema, err := m.client.Schema(ctx)
	if err == nil {
		err = checkSchema(schema, ownTables...)
	}
	if err != nil {
		return err
	}
	rows, err := m.client.Monitor(ctx, map[string]client.Watch{hostTable: {Where: is("id", m.id)},
		targetTable: {Where: is("host", m.id)}})
	if err != nil {
		return err
	}
	defer rows.Close()
	following, stop := context.WithCancel(ctx)
	defer stop()
	changed := rows.Changed(following)
	scan := time.NewTicker(m.Every)
	defer scan.Stop()
	m.scan()
	renewed := time.Time{}
	for news := true; ; {
		now := m.now()
		renew := now.Sub(renewed) >= m.Lease/3
		if renew {
			// Agents that were started together don't stay together.
			renewed = now.Add(time.Duration(rand.Int64N(int64(m.Lease/6 + 1))))
			m.host["lease"] = ovsdb.Scalar(now.Add(m.Lease).UnixMilli())
		}
		if news || renew { // a look that found what was so before is to cost next to nothing
			if err := m.settle(ctx, rows, renew); err != nil {
				return err
			}
		}
		news = true
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-changed:
			if err != nil {
				return err
			}
		case <-scan.C:
			news = m.scan()
		}
	}
}

// scan looks at what runs here, and tells whether that is news. What can't be looked at stays as it was.
func (m *Member) scan() (news bool) {
	if m.Scan == nil {
		return false
	}
	all, err := m.Scan()
	if err != nil {
		m.Say("which processes are here can't be told: " + err.Error())
		return false
	}
	if m.known != nil && slices.Equal(all, m.scanned) {
		return false
	}
	m.scanned, m.known = all, map[string]ovsdb.Row{}
	for _, t := range all {
		r := m.targetRow(t)
		m.known[r["id"].Text()] = r
	}
	return true
}

func (m *Member) targetRow(t Target) ovsdb.Row {
	clean := ovsdb.CleanString
	return row("id", m.targetID(t.PID, t.Start), "host", m.id, "pid", t.PID, "start", int64(t.Start), "name",
		clean(t.Name), "module", clean(t.Module), "version", clean(t.Version), "go", clean(t.Go), "user", clean(t.User),
		"container", clean(t.Container), "symbols", t.Symbols)
}

func (m *Member) targetID(pid int, start uint64) string {
	return m.id + "/" + strconv.Itoa(pid) + "/" + strconv.FormatUint(start, 10)
}

// settle makes the rows in the database those that they should be, in one transaction, if they aren't.
func (m *Member) settle(ctx context.Context, rows *client.Monitor, renew bool) error {
	var ops []client.Op
	there := ovsdb.Row(nil)
	for _, r := range rows.Rows(hostTable) {
		there = r
	}
	switch {
	case there == nil:
		ops = append(ops, insert(hostTable, m.host)...)
	case renew || !agrees(m.host, there, "lease"):
		ops = append(ops, update(hostTable, m.host, "name", "labels", "version", "methods", "boot", "since", "lease",
			"certificate", "signature"))
	}
	has := map[string]bool{}
	for _, r := range rows.Rows(targetTable) {
		id := r["id"].Text()
		want := m.known[id]
		has[id] = true
		if want == nil {
			ops = append(ops, remove(targetTable, is("id", id)))
		} else if !agrees(want, r, "") {
			ops = append(ops, update(targetTable, want, "pid", "start", "name", "module", "version", "go", "user", "container",
				"symbols"))
		}
	}
	for id, r := range m.known {
		if !has[id] {
			ops = append(ops, insert(targetTable, r)...)
		}
	}
	if len(ops) == 0 {
		return nil
	}
	asking, stop := context.WithTimeoutCause(ctx, 2*m.Database.patient(), errors.New("a transaction isn't answered"))
	defer stop()
	_, err := m.client.Transact(asking, ops...)
	if client.Guarded(err) { // what was done before comes with the monitor
		return nil
	}
	return err
}

// agrees tells whether a row has what another has, but for a column.
func agrees(want, has ovsdb.Row, but string) bool {
	for name, d := range want {
		if name != but && d.Compare(has[name]) != 0 {
			return false
		}
	}
	return true
}
