package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"ri/ovsdb"
	"ri/ovsdb/wire"
)

// Op is an operation of a transaction, as RFC 7047 section 5.2 has it.
type Op map[string]any

// Result is what an operation gives.
type Result struct {
	UUID  ovsdb.UUID       // of an insert
	Count int64            // of an update, a mutate or a delete
	Rows  []map[string]any // of a select, as the protocol has them (with json.Number)
}

// Wait is a guard: the transaction is done only if the rows of a table that a condition finds have these values in some
// columns.
func Wait(table string, where []any, columns []string, rows ...map[string]any) Op {
	list := make([]any, len(rows))
	for i, row := range rows {
		list[i] = row
	}
	if where == nil {
		where = []any{}
	}
	return Op{"op": "wait", "timeout": 0, "table": table, "where": where, "columns": columns, "until": "==", "rows": list}
}

// OpError is an error of a transaction, none of which was done then.
type OpError struct {
	At  int    // which operation it was, from 0; the number of operations: the whole
	Op  string // its name
	Err *ovsdb.Error
}

func (e *OpError) Error() string {
	if e.Op == "" {
		return "the transaction: " + e.Err.Error()
	}
	return fmt.Sprintf("operation %d of the transaction (%s): %v", e.At+1, e.Op, e.Err)
}

// Unwrap gives the server's error.
func (e *OpError) Unwrap() error { return e.Err }

// Guarded tells whether a transaction was not done because a guard (Wait) didn't hold.
func Guarded(err error) bool {
	var e *OpError
	return errors.As(err, &e) && e.Op == "wait" && e.Err.Tag == "timed out"
}

// Transact makes a transaction at the first server that will do. It is sent once: if the connection ends before the
// answer the error is ErrUnknown. Errors of the server are of type *OpError; nothing was done then.
func (c *Client) Transact(ctx context.Context, ops ...Op) ([]Result, error) {
	var gone *session
	for {
		s, err := c.connected(ctx, gone)
		if err != nil {
			return nil, err
		}
		results, sent, err := c.send(ctx, s, ops)
		if err == nil || sent && !errors.Is(err, errReadOnly) {
			return results, err
		}
		gone = s // nothing was done, so it may be sent elsewhere
		s.end(err)
	}
}

// Once makes a transaction that inserts a row with a name that nobody else chooses: value in a column of a table. It is
// sent, to one server after the other, until an answer says how it ended, and is done once: each time it is guarded by
// there being no such row. again tells that an earlier sending had done it; then there are no results. ErrTaken: the
// row was there before. It is on the disk when Once returns.
func (c *Client) Once(ctx context.Context, table, column, value string, ops ...Op) (results []Result, again bool,
	err error) {
	guard := Wait(table, []any{[]any{column, "==", value}}, []string{column})
	results, unknown, err := c.persist(ctx, append(append([]Op{guard}, ops...), Op{"op": "commit", "durable": true}))
	var e *OpError
	switch {
	case err == nil:
		return results[1 : 1+len(ops)], false, nil
	case errors.As(err, &e) && e.At == 0 && Guarded(err) && unknown:
		return nil, true, nil
	case e != nil && e.At == 0 && Guarded(err):
		return nil, false, fmt.Errorf("%s %q in %s: %w", column, value, table, ErrTaken)
	}
	return nil, false, err
}

// Repeat makes a transaction that comes to the same when it is done twice: one that reads, or deletes, or sets. It is
// sent, to one server after the other, until an answer says how it ended, or the context ends.
func (c *Client) Repeat(ctx context.Context, ops ...Op) ([]Result, error) {
	results, _, err := c.persist(ctx, ops)
	return results, err
}

// persist sends a transaction until an answer says how it ended. unknown: an earlier sending may have done it.
func (c *Client) persist(ctx context.Context, ops []Op) (results []Result, unknown bool, err error) {
	var gone *session
	for {
		s, err := c.connected(ctx, gone)
		if err != nil {
			if unknown {
				err = fmt.Errorf("%w: %w", ErrUnknown, err)
			}
			return nil, unknown, err
		}
		// A follower can forget what it handed on to a leader that died (ovsdb-server 3.1): it never answers.
		patience, stop := context.WithTimeoutCause(ctx, c.config.Patience, errSilent)
		results, sent, err := c.send(patience, s, ops)
		stop()
		var e *OpError
		only := errors.Is(err, errReadOnly)
		if err == nil || errors.As(err, &e) && !undecided(e.Err) && !only {
			return results, unknown, err
		}
		unknown = unknown || sent && !only
		if ctx.Err() != nil {
			if unknown {
				return nil, unknown, fmt.Errorf("%w: %w", ErrUnknown, context.Cause(ctx))
			}
			return nil, unknown, context.Cause(ctx)
		}
		if e == nil || only {
			gone = s
			s.end(err)
		} else if err := pause(ctx, c.config.Pause); err != nil {
			return nil, unknown, fmt.Errorf("%w: %w", ErrUnknown, err)
		}
	}
}

// errReadOnly: the server is the backup of another, which takes transactions.
var errReadOnly = fmt.Errorf("it takes no changes, being another's backup: %w", ErrUnfit)

// readOnly tells whether a server refuses any change (ovsdb/execution.c of Open vSwitch).
func readOnly(e *ovsdb.Error) bool {
	return e.Tag == "not allowed" && strings.Contains(e.Details, "read only mode")
}

var errSilent = errors.New("the transaction isn't answered")

// undecided: a cluster doesn't know how a transaction ended ("lost leadership"), or will do it at another time ("not
// leader").
func undecided(e *ovsdb.Error) bool { return e.Tag == "cluster error" || e.Tag == "not leader" }

// send makes a transaction at one server. sent: it may have been done.
func (c *Client) send(ctx context.Context, s *session, ops []Op) (results []Result, sent bool, err error) {
	params := []any{c.config.Database}
	for _, op := range ops {
		params = append(params, op)
	}
	answer, err := s.peer.Begin("transact", params...)
	if err != nil {
		return nil, false, err
	}
	j, err := answer(ctx)
	var refused *wire.Failure
	switch {
	case errors.As(err, &refused):
		return nil, true, fmt.Errorf("%s refuses the transaction: %w", s.name, err)
	case err != nil:
		return nil, true, fmt.Errorf("%w: %s: %w", ErrUnknown, s.name, err)
	}
	list, ok := j.([]any)
	if !ok {
		return nil, true, fmt.Errorf("%w: %s answers %s", ErrUnknown, s.name, short(j))
	}
	results, err = read(list, ops)
	return results, true, err
}

// read reads the results of a transaction. One more than there are operations is about the whole.
func read(list []any, ops []Op) ([]Result, error) {
	out := make([]Result, len(ops))
	for i, j := range list {
		members, _ := j.(map[string]any)
		if tag, failed := members["error"].(string); failed {
			e := &ovsdb.Error{Tag: tag}
			e.Details, _ = members["details"].(string)
			e.Syntax, _ = members["syntax"].(string)
			if readOnly(e) {
				return nil, errReadOnly
			}
			failure := &OpError{At: i, Err: e}
			if i < len(ops) {
				failure.Op, _ = ops[i]["op"].(string)
			}
			return nil, failure
		}
		if i >= len(ops) {
			continue
		}
		if id, ok := members["uuid"].([]any); ok && len(id) == 2 {
			text, _ := id[1].(string)
			out[i].UUID, _ = ovsdb.ParseUUID(text)
		}
		if n, ok := members["count"].(json.Number); ok {
			out[i].Count, _ = n.Int64()
		}
		rows, _ := members["rows"].([]any)
		for _, r := range rows {
			if row, ok := r.(map[string]any); ok {
				out[i].Rows = append(out[i].Rows, row)
			}
		}
	}
	if len(list) < len(ops) {
		return nil, fmt.Errorf("%w: %d results for %d operations", ErrUnknown, len(list), len(ops))
	}
	return out, nil
}
