package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"time"
)

// Admin tells the truth about each structure under /admin/, as JSON, taken
// under the locks that guard it.
type Admin struct {
	config    *Config
	store     *Store       // nil in role client
	blocks    *BlockServer // nil but in role store
	load      *Load        // nil without load
	heartbeat *Heartbeat
	trouble   *Trouble
	started   time.Time
}

// query answers one endpoint: with a value, or an error.
type query func(r *http.Request) (interface{}, error)

var errNoParameter = errors.New("parameter is missing")

func (a *Admin) register(mux *http.ServeMux) {
	get := map[string]query{"heartbeat": a.getHeartbeat, "stats": a.getStats}
	post := a.trouble.actions()
	if a.store != nil {
		for name, q := range map[string]query{
			"object": a.getObject, "cobs": a.getCobs, "cob": a.getCob, "extents": a.getExtents,
			"node": a.getNode, "path": a.getPath, "tree": a.getTree,
			"metadata": a.getMetadata, "requests": a.getRequests, "sessions": a.getSessions,
			"services": a.getServices, "devices": a.getDevices, "free": a.getFree,
			"quarantine": a.getQuarantine,
			"verify":     func(*http.Request) (interface{}, error) { return a.store.verify(), nil },
		} {
			get[name] = q
		}
		post["service"] = a.postService
		post["admit"] = a.postAdmit
	}
	for name, q := range get {
		mux.Handle("/admin/"+name, answer(http.MethodGet, q))
	}
	for name, q := range post {
		mux.Handle("/admin/"+name, answer(http.MethodPost, q))
	}
}

func answer(method string, q query) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			fail(w, http.StatusMethodNotAllowed, fmt.Errorf("want %s", method))
			return
		}
		value, err := q(r)
		switch {
		case errors.Is(err, errNotFound):
			fail(w, http.StatusNotFound, err)
		case err != nil:
			fail(w, http.StatusBadRequest, err)
		default:
			writeJSON(w, value)
		}
	}
}

// parameter reads a parameter that has to be there.
func parameter(r *http.Request, name string) (string, error) {
	if value := r.URL.Query().Get(name); value != "" {
		return value, nil
	}
	return "", fmt.Errorf("%s: %w", name, errNoParameter)
}

// intParameter reads a parameter that may be left out.
func intParameter(r *http.Request, name string, otherwise int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	return strconv.ParseInt(text, 10, 64)
}

// object finds the object that the parameter name, or else fid, says. The
// caller holds store.mu.
func (a *Admin) object(r *http.Request) (*Object, error) {
	name, err := parameter(r, "name")
	if err != nil {
		text, e := parameter(r, "fid")
		if e != nil {
			return nil, err
		}
		fid, e := parseFid(text)
		if e != nil {
			return nil, e
		}
		if object := a.store.objects[fid]; object != nil {
			return object, nil
		}
		return nil, fmt.Errorf("%v: %w", fid, errNotFound)
	}
	fid, ok := a.store.tree.lookup(name)
	if !ok {
		return nil, fmt.Errorf("%q: %w", name, errNotFound)
	}
	return a.store.objects[fid], nil
}

// cob finds the component object that a parameter says. The caller holds
// store.mu.
func (a *Admin) cob(r *http.Request, name string) (*Cob, error) {
	text, err := parameter(r, name)
	if err != nil {
		return nil, err
	}
	fid, err := parseFid(text)
	if err != nil {
		return nil, err
	}
	cob := a.store.cobs[fid]
	if cob == nil {
		return nil, fmt.Errorf("cob %v: %w", fid, errNotFound)
	}
	return cob, nil
}

func (a *Admin) getHeartbeat(*http.Request) (interface{}, error) {
	ticks, gap, period := a.heartbeat.report()
	return map[string]interface{}{
		"ticks": ticks, "max_gap_ms": milliseconds(gap), "period_ms": milliseconds(period),
	}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (a *Admin) getStats(*http.Request) (interface{}, error) {
	stats := map[string]interface{}{
		"pid":        os.Getpid(),
		"role":       a.config.role,
		"seed":       a.config.seed,
		"go":         runtime.Version(),
		"goroutines": runtime.NumGoroutine(),
		"uptime_ms":  milliseconds(time.Since(a.started)),
	}
	if s := a.store; s != nil {
		s.mu.RLock()
		stats["objects"], stats["cobs"] = len(s.objects), len(s.cobs)
		stats["nodes"], stats["height"] = len(s.tree.nodes), s.tree.height
		dirty := 0
		for _, m := range s.metadata {
			if m.dirty {
				dirty++
			}
		}
		s.mu.RUnlock()
		stats["dirty"] = dirty
		stats["degraded_blocks"], stats["rolled_back"] = s.degraded.Load(), s.rolledBack.Load()
		length, hits, misses := s.names.Stats()
		stats["names"] = map[string]interface{}{"length": length, "hits": hits, "misses": misses}
		if h := s.handler; h != nil {
			h.mu.Lock()
			stats["handler"] = map[string]interface{}{
				"admitting": h.admitting, "stalled": h.stalled, "workers": len(h.workers),
				"run_queue": h.runQueue.length, "wait_queue": h.waitQueue.Len(),
				"served": h.served.Load(), "failed": h.failed.Load(), "busy": h.busy.Load(),
			}
			h.mu.Unlock()
		}
		if t := s.sessions; t != nil {
			stats["sessions"] = map[string]interface{}{
				"open": t.open.Load(), "ended": t.ended.Load(), "broken": t.broken.Load(),
			}
		}
		if p := s.persister; p != nil {
			stats["persister"] = map[string]interface{}{
				"journal": p.journal != nil, "written": p.written.Load(), "refused": p.refused.Load(),
				"queue": len(p.queue), "restored": p.restored, "dropped": p.dropped,
			}
		}
	}
	if a.blocks != nil {
		stats["gateways"] = a.blocks.gateways.Load()
	}
	if a.load != nil {
		stats["load"] = a.loadStats()
	}
	return stats, nil
}

func (a *Admin) loadStats() interface{} {
	type clientStats struct {
		Name    string `json:"name"`
		Session uint64 `json:"session"`
		Sent    uint64 `json:"sent"`
		OK      uint64 `json:"ok"`
		Failed  uint64 `json:"failed"`
		Lost    uint64 `json:"lost"`
		Redials uint64 `json:"redials"`
	}
	var clients []clientStats
	for _, c := range a.load.clients {
		clients = append(clients, clientStats{
			c.name, c.session.Load(), c.sent.Load(), c.ok.Load(), c.failed.Load(), c.lost.Load(), c.redials.Load(),
		})
	}
	return map[string]interface{}{
		"frozen": a.load.frozen.Load(), "outstanding": a.load.outstanding(), "clients": clients,
	}
}

func (a *Admin) postService(r *http.Request) (interface{}, error) {
	id, err := intParameter(r, "id", -1)
	if err != nil {
		return nil, err
	}
	name, err := parameter(r, "state")
	if err != nil {
		return nil, err
	}
	state, err := parseServiceState(name)
	if err != nil {
		return nil, err
	}
	for _, s := range a.store.services {
		if int64(s.id) == id {
			if err := s.change(state); err != nil {
				return nil, err
			}
			return serviceShape(s), nil
		}
	}
	return nil, fmt.Errorf("no service %d", id)
}

func (a *Admin) postAdmit(r *http.Request) (interface{}, error) {
	on, err := strconv.ParseBool(r.URL.Query().Get("on"))
	if err != nil {
		return nil, errors.New("on: want true or false")
	}
	if a.store.handler == nil {
		return nil, errNoHandler
	}
	a.store.handler.setAdmitting(on)
	return map[string]bool{"admitting": on}, nil
}

var errNoHandler = errors.New("this role handles no requests")
