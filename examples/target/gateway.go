package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Gateway serves objects over HTTP:
//
//	GET    /o/?prefix=P&limit=N   the objects whose names begin with P
//	GET    /o/NAME                contents
//	PUT    /o/NAME                new contents; X-Owner and X-Attr-KEY set metadata
//	DELETE /o/NAME
type Gateway struct {
	handler  *Handler
	listener net.Listener
	server   *http.Server
	onAccess func(method, name string, status int, took time.Duration) // may be nil
}

func newGateway(h *Handler, listener net.Listener, mux *http.ServeMux) *Gateway {
	g := &Gateway{handler: h, listener: listener}
	mux.Handle("/o/", g)
	g.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return g
}

// serve answers until the server is closed.
func (g *Gateway) serve() error {
	err := g.server.Serve(g.listener)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	name := strings.TrimPrefix(r.URL.Path, "/o/")
	status := g.answer(w, r, name)
	if g.onAccess != nil {
		g.onAccess(r.Method, name, status, time.Since(begin))
	}
}

func (g *Gateway) answer(w http.ResponseWriter, r *http.Request, name string) int {
	request := &Request{object: name}
	switch {
	case r.Method == http.MethodGet && name == "":
		request.op, request.object, request.limit = OpList, r.URL.Query().Get("prefix"), 1000
		if text := r.URL.Query().Get("limit"); text != "" {
			limit, err := strconv.Atoi(text)
			if err != nil || limit < 1 {
				return fail(w, http.StatusBadRequest, errors.New("bad limit"))
			}
			request.limit = limit
		}
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		request.op = OpGet
	case r.Method == http.MethodPut:
		request.op = OpPut
		data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxContents))
		if err != nil {
			return fail(w, http.StatusBadRequest, err)
		}
		request.data, request.values = data, headerValues(r.Header)
	case r.Method == http.MethodDelete:
		request.op = OpDelete
	default:
		return fail(w, http.StatusMethodNotAllowed, errors.New("want GET, PUT or DELETE"))
	}
	answered := make(chan struct{})
	request.done = func(*Request) { close(answered) }
	if err := g.handler.submit(request); err != nil {
		return fail(w, statusOf(err), err)
	}
	select {
	case <-answered:
	case <-r.Context().Done():
		if g.handler.cancel(request) {
			return fail(w, http.StatusServiceUnavailable, r.Context().Err())
		}
		<-answered
	}
	if request.err != nil {
		return fail(w, statusOf(request.err), request.err)
	}
	switch request.op {
	case OpGet:
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(request.data)))
		w.Header().Set("Last-Modified", request.meta.mtime.Format(http.TimeFormat))
		w.Header().Set("X-Fid", request.meta.fid.String())
		w.Header().Set("X-Version", strconv.FormatUint(request.meta.version, 10))
		w.Write(request.data)
	case OpPut:
		writeJSON(w, map[string]interface{}{
			"name": name, "fid": request.meta.fid, "size": request.meta.size, "version": request.meta.version,
		})
	case OpDelete:
		w.WriteHeader(http.StatusNoContent)
		return http.StatusNoContent
	case OpList:
		writeJSON(w, map[string]interface{}{"objects": request.listed, "more": request.more})
	}
	return http.StatusOK
}

// headerValues takes the metadata of a PUT from its headers.
func headerValues(header http.Header) Values {
	values := Values{owner: header.Get("X-Owner"), mtime: time.Now().Round(0).UTC()}
	if values.owner == "" {
		values.owner = "http"
	}
	for key := range header {
		if attr, ok := cutPrefix(key, "X-Attr-"); ok && attr != "" {
			if values.attrs == nil {
				values.attrs = make(map[string]string)
			}
			values.attrs[strings.ToLower(attr)] = header.Get(key)
		}
	}
	return values
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, errNotFound):
		return http.StatusNotFound
	case errors.Is(err, errBadName), errors.Is(err, errBadText):
		return http.StatusBadRequest
	case errors.Is(err, errNoSpace):
		return http.StatusInsufficientStorage
	case errors.Is(err, errBusy), errors.Is(err, errStopping), errors.Is(err, errServiceDown):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// fail answers with an error, and returns the status.
func fail(w http.ResponseWriter, status int, err error) int {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
	return status
}

func writeJSON(w http.ResponseWriter, value interface{}) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		log.Printf("answer: %v", err)
	}
}

// perform does what a request asks for: what the workers of a store do.
func (s *Store) perform(r *Request) {
	switch r.op {
	case OpGet:
		r.data, r.meta, r.err = s.get(r.object)
	case OpPut:
		r.meta, r.err = s.put(r.object, r.data, r.values)
		r.data = nil
	case OpDelete:
		r.err = s.remove(r.object)
	case OpList:
		r.listed, r.more = s.list(r.object, r.limit)
	}
}
