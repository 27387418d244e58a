package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
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
