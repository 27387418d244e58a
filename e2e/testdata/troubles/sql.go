package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"sync"
	"time"
)

func init() {
	troubles["sql"] = func() {
		db := sql.OpenDB(source{})
		db.SetMaxOpenConns(2)
		for range [2]int{} {
			rows, err := db.Query("all")
			if err != nil {
				panic(err)
			}
			rows.Next() // and no Close
			kept = append(kept, rows)
		}
		kept = append(kept, db)
		for range [3]int{} {
			go query(db)
		}
		time.Sleep(2 * waits)
	}
	troubles["sql-behind"] = func() { // a transaction is forgotten, and the pool's waiters hold what others need
		db := sql.OpenDB(source{})
		db.SetMaxOpenConns(1)
		tx, err := db.Begin()
		if err != nil {
			panic(err)
		}
		go forget(tx)
		s := &stock{db: db}
		go s.count()
		time.Sleep(waits)
		for range [3]int{} {
			go s.order()
		}
		for range [2]int{} {
			s.workers.Add(1)
			go s.work()
		}
		go s.wait()
		time.Sleep(2 * waits)
	}
	troubles["sql-lost"] = func() { // nobody has the transaction any more, and only those who wait have the pool
		db := sql.OpenDB(source{})
		db.SetMaxOpenConns(1)
		lose(db)
		for range [4]int{} {
			go query(db)
		}
		time.Sleep(2 * waits)
	}
	troubles["healthy-sql"] = func() {
		db := sql.OpenDB(source{})
		db.SetMaxOpenConns(2)
		for range [6]int{} {
			go func() {
				for {
					query(db)
				}
			}()
		}
	}
}

//go:noinline
func lose(db *sql.DB) {
	if _, err := db.Begin(); err != nil {
		panic(err)
	}
}

// forget has a transaction, and waits for something else.
//
//go:noinline
func forget(tx *sql.Tx) {
	time.Sleep(time.Hour)
	tx.Rollback()
}

type stock struct {
	mu      sync.Mutex
	workers sync.WaitGroup
	db      *sql.DB
	n       int
}

//go:noinline
func (s *stock) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	query(s.db) // sql-behind: holds here
	s.n++
}

//go:noinline
func (s *stock) order() {
	s.mu.Lock()
	s.n--
	s.mu.Unlock()
}

//go:noinline
func (s *stock) work() {
	defer s.workers.Done()
	query(s.db)
}

//go:noinline
func (s *stock) wait() {
	s.workers.Wait()
	s.n = 0
}

//go:noinline
func query(db *sql.DB) {
	rows, err := db.Query("all") // sql: waits here
	if err != nil {
		panic(err)
	}
	for rows.Next() {
		time.Sleep(time.Millisecond)
	}
	rows.Close()
}

// source is a database with three rows.
type source struct{}

func (s source) Connect(context.Context) (driver.Conn, error) { return s, nil }
func (source) Driver() driver.Driver                          { return nil }
func (s source) Prepare(string) (driver.Stmt, error)          { return s, nil }
func (source) Close() error                                   { return nil }
func (s source) Begin() (driver.Tx, error)                    { return s, nil }
func (source) Commit() error                                  { return nil }
func (source) Rollback() error                                { return nil }
func (source) NumInput() int                                  { return 0 }
func (source) Exec([]driver.Value) (driver.Result, error)     { return driver.RowsAffected(0), nil }
func (source) Query([]driver.Value) (driver.Rows, error)      { return &three{}, nil }

type three struct{ n int64 }

func (*three) Columns() []string { return []string{"n"} }
func (*three) Close() error      { return nil }
func (t *three) Next(to []driver.Value) error {
	if t.n++; t.n > 3 {
		return io.EOF
	}
	to[0] = t.n
	return nil
}
