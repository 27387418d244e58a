package serve

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"ri/ovsdb"
	"ri/ovsdb/wire"
	"ri/serve/request"
)

// Each Go process is a database of OVSDB: what is asked of it is done by workers (ri ps, ri tables), with the rights of
// who asks. Who never says hello is known all the same: by the socket, or the certificate.

// databases is what an agent has of processes as databases.
type databases struct {
	secret [32]byte // of the keys of viewers' tokens

	mu      sync.Mutex
	schemas map[string]any // by process and caller
	watches map[string]*watch
}

// maxSchemas is of how many processes and callers schemas are kept.
const maxSchemas = 1000

func (d *databases) begin() {
	d.schemas, d.watches = map[string]any{}, map[string]*watch{}
	_, _ = rand.Read(d.secret[:]) // it never fails
}

// ovsdbMethods are those of RFC 7047 and ovsdb-server(7), by which a connection may begin.
var ovsdbMethods = []string{"list_dbs", "get_schema", "transact", "cancel", "monitor", "monitor_cond",
	"monitor_cond_since", "monitor_cond_change", "monitor_cancel", "lock", "steal", "unlock", "get_server_id",
	"set_db_change_aware", "convert"}

// introduce finds out who asks, of a connection that speaks OVSDB alone.
func (s *session) introduce() error {
	caller, err := s.agent.identify(s.conn)
	if err != nil {
		s.agent.note(Entry{Request: "ovsdb", From: s.from(), Why: err.Error(), Code: refused})
		return err
	}
	s.mu.Lock()
	s.caller = caller
	s.mu.Unlock()
	return nil
}

// process is one as a database.
type process struct {
	agent  *Agent
	caller *caller
	from   string
	good   func() error // says why the caller isn't to be served any more
	pid    string
	name   string
}

// command is a command about the process.
func (p *process) command(flags ...string) *request.Request {
	r := &request.Request{Command: []string{"tables"}, Folder: "/", Flags: []request.Flag{{Name: "pid", Value: p.pid},
		{Name: "database", Value: p.name}}}
	for i := 0; i < len(flags); i += 2 {
		r.Flags = append(r.Flags, request.Flag{Name: flags[i], Value: flags[i+1]})
	}
	return r
}

// id tells a process from another that has its pid later, and one caller from another.
func (p *process) id() string {
	return fmt.Sprintf("%s %s %s %s %v", p.pid, started(p.pid), p.caller.name, p.caller.role, p.caller.local)
}

// started is when a process was started, as the kernel counts it; "" if there is none.
func started(pid string) string {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}

// key is that of the tokens which the caller sees of the process: always the same, so that rows can be compared.
func (p *process) key() string {
	mac := hmac.New(sha256.New, p.agent.databases.secret[:])
	mac.Write([]byte(p.id()))
	return hex.EncodeToString(mac.Sum(nil))
}

// failure is an error for who speaks OVSDB.
func failure(err error) error {
	var known *ovsdb.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, request.ErrNotAllowed):
		return ovsdb.Errorf("not allowed", "%s", ovsdb.CleanString(err.Error()))
	}
	return ovsdb.Errorf("I/O error", "%s", ovsdb.CleanString(err.Error()))
}

// ask has a worker do a command, and gives what it printed.
func (p *process) ask(ctx context.Context, asked *request.Request, charged charge, quiet bool) ([]byte, time.Duration,
	error) {
	a := p.agent
	err := p.good()
	if err == nil {
		err = asked.Allowed(p.caller.role)
	}
	if err == nil && len(asked.Flags) > 1 { // ps, without a process, is of all
		err = asked.Within(a.Only)
	}
	target := asked.Target()
	if err == nil && target != "" {
		err = charged.check(cmp.Or(charged.caller, p.caller.name), target)
	}
	if err != nil {
		a.note(Entry{Caller: p.caller.name, Role: p.caller.role.String(), From: p.from, Request: asked.Text(), Code: refused,
			Why: err.Error()})
		return nil, 0, failure(err)
	}
	kept := &kept{most: maxKept}
	one := newRun(ctx, &session{agent: a, caller: p.caller, where: p.from}, 0, asked)
	one.kept, one.charged, one.quiet = kept, charged, quiet
	if target != "" {
		one.key = p.key()
	}
	ending, err := one.do(ctx)
	if err == nil && kept.over {
		err = fmt.Errorf("the answer has more than %d MiB, which is the most: ask for less", maxKept>>20)
	}
	if err == nil && ending.Code != 0 {
		why := strings.TrimPrefix(strings.TrimSpace(kept.err.String()), "ri: ")
		if ending.Why != "" {
			why = ending.Why
		}
		err = errors.New(why)
	}
	return kept.out.Bytes(), one.stopped, failure(err)
}

// maxKept is how many bytes an answer may have.
const maxKept = 256 << 20

// kept is what a worker printed, where the agent itself reads it.
type kept struct {
	most     int
	mu       sync.Mutex
	out, err bytes.Buffer
	over     bool
}

func (k *kept) write(stream int, b []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	to := &k.out
	if stream != request.Stdout {
		to = &k.err
	}
	if to.Len()+len(b) > k.most {
		k.over = true
		return
	}
	to.Write(b)
}

// Names implements wire.Databases: the processes that the caller can look at.
func (s *session) Names(ctx context.Context) ([]string, error) {
	found, err := s.processes(ctx)
	return slices.Sorted(maps.Keys(found)), err
}

// processes are the databases, with their pids.
func (s *session) processes(ctx context.Context) (map[string]string, error) {
	p := s.process("", "")
	text, _, err := p.ask(ctx, &request.Request{Command: []string{"ps"}, Folder: "/",
		Flags: []request.Flag{{Name: "json", Value: "true"}}}, charge{budget: &s.agent.budget}, true)
	if err != nil {
		return nil, err
	}
	var list []struct {
		PID  int           `json:"pid"`
		Name request.Bytes `json:"name"` // which may be anything
	}
	if err := json.Unmarshal(text, &struct{ Rows any }{&list}); err != nil {
		return nil, failure(fmt.Errorf("the list of processes: %w", err))
	}
	found := map[string]string{}
	for _, one := range list {
		pid := strconv.Itoa(one.PID)
		if one.PID == os.Getpid() || ours(pid) {
			continue
		}
		if only := s.agent.Only; len(only) == 0 || slices.Contains(only, pid) || slices.Contains(only, string(one.Name)) {
			found[ovsdb.Name(string(one.Name))+"_"+pid] = pid
		}
	}
	s.mu.Lock()
	s.found = found
	s.mu.Unlock()
	return found, nil
}

// ours says whether a process is a worker of the agent, or one that a worker has started.
func ours(pid string) bool {
	up := parent(pid)
	return up == os.Getpid() || up > 1 && parent(strconv.Itoa(up)) == os.Getpid()
}

// parent is the pid of a process's parent; 0: it is gone.
func parent(pid string) int {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1])
	return n
}

func (s *session) process(pid, name string) *process {
	return &process{agent: s.agent, caller: s.caller, from: s.from(), good: s.stillGood, pid: pid, name: name}
}

// Database implements wire.Databases.
func (s *session) Database(ctx context.Context, name string) (wire.Database, error) {
	s.mu.Lock()
	pid := s.found[name]
	s.mu.Unlock()
	if pid == "" || started(pid) == "" {
		found, err := s.processes(ctx)
		if err != nil {
			return nil, err
		}
		if pid = found[name]; pid == "" {
			return nil, nil
		}
	}
	return s.process(pid, name), nil
}

// Schema implements wire.Database.
func (p *process) Schema(ctx context.Context) (any, error) {
	d := &p.agent.databases
	id := p.id()
	d.mu.Lock()
	schema := d.schemas[id]
	d.mu.Unlock()
	if schema != nil {
		return schema, nil
	}
	text, _, err := p.ask(ctx, p.command(), charge{budget: &p.agent.budget}, false)
	if err != nil {
		return nil, err
	}
	if err := ovsdb.Decode(text, &schema); err != nil {
		return nil, failure(fmt.Errorf("the schema: %w", err))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.schemas) >= maxSchemas {
		clear(d.schemas)
	}
	d.schemas[id] = schema
	return schema, nil
}

// Transact implements wire.Database: each is one worker, and one look at most.
func (p *process) Transact(ctx context.Context, params []any, owns func(string) bool) ([]any, error) {
	flags := []string{"transact", ovsdb.Text(params)}
	var locks []string
	patience := time.Duration(0) // of a "wait" that doesn't hold
	for _, param := range params {
		op, _ := param.(map[string]any)
		switch op["op"] {
		case "assert":
			if lock, ok := op["lock"].(string); ok && ovsdb.ID(lock) && owns(lock) {
				locks = append(locks, lock)
			}
		case "update", "mutate":
			if p.caller.role >= request.Operator && !slices.Contains(flags, "write") {
				flags = append(flags, "write", "true")
			}
		case "wait":
			most := time.Duration(1<<63 - 1)
			if n, ok := op["timeout"].(json.Number); ok {
				ms, _ := n.Int64()
				most = time.Duration(min(max(ms, 0), int64(most/time.Millisecond))) * time.Millisecond
			}
			if patience == 0 || most < patience {
				patience = most
			}
		}
	}
	if locks != nil {
		flags = append(flags, "owns", strings.Join(locks, ","))
	}
	for begun := time.Now(); ; {
		text, _, err := p.ask(ctx, p.command(flags...), charge{budget: &p.agent.budget}, false)
		if err != nil {
			return nil, err
		}
		var results []any
		if err := ovsdb.Decode(text, &results); err != nil {
			return nil, failure(fmt.Errorf("the answer: %w", err))
		}
		left := patience - time.Since(begun)
		if p.agent.Monitor == 0 || left <= 0 || !slices.ContainsFunc(results, timedOut) {
			return results, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(min(p.agent.Monitor, left)):
		}
	}
}

// timedOut tells whether an operation is a "wait" that doesn't hold.
func timedOut(result any) bool {
	e, ok := result.(map[string]any)
	return ok && e["error"] == "timed out"
}
